"""The index of a batch's runs: it is there before the wait, and after a try that has failed."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.batch.run_index import RUN_INDEX_NAME, find_row
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage import ObjectStoragePath
from tests.unit.batch_task import BatchTask, Service, cases


def rows_found(batch: BatchTask, column: str) -> list[int | None]:
    path = ObjectStoragePath(str(batch.folder / RUN_INDEX_NAME))
    return [find_row(path, row[column]) for row in batch.output]


@pytest.mark.thorough
@pytest.mark.parametrize("column", ["workflow_id", "case_id"])
def test_each_row_of_a_batch_is_found(batch: BatchTask, column: str) -> None:
    batch.run(cases(5))

    assert rows_found(batch, column) == [1, 2, 3, 4, 5]


@pytest.mark.thorough
def test_the_rows_of_a_batch_whose_runs_fail_are_found(batch: BatchTask, service: Service) -> None:
    service.failed()

    with pytest.raises(BatchFailed):
        batch.run(cases(3))

    assert rows_found(batch, "workflow_id") == [1, 2, 3]


def test_a_batch_that_fails_while_it_submits_has_an_index(batch: BatchTask, connected: Sandbox) -> None:
    connected.fault("forbidden", path="/workflows/run")

    with pytest.raises(Exception, match="403"):
        batch.run(cases(3))

    assert (batch.folder / RUN_INDEX_NAME).exists()


@pytest.mark.thorough
def test_a_batch_goes_on_without_an_index(batch: BatchTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("airflow_provider_workflows.batch.run_index.write_run_index", fail)

    assert batch.run(cases(2))["outcomes"]["succeeded"] == 2
