"""A batch whose storage fails now and then, or for a while: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage_retry import failure_reason
from tests.unit.batch_task import RESULT_CALL, RUN_CALL, BatchTask, cases
from tests.unit.failing_storage import STORAGE_ERRORS, FailingStore, HttpResponseError, attached_store

pytestmark = pytest.mark.sampled(2)

ROWS = 100
OUTPUT = {"output_path": "s3://bucket/nightly"}


class BlinkingStore(FailingStore):
    """Refuses each second put of a journal, of what the state folder says of its batch, and of an output."""

    def __init__(self) -> None:
        super().__init__()
        self.blinks = False
        self.by_kind: Counter[str] = Counter()

    def pipe_file(self, path: str, value: bytes, *args: Any, **options: Any) -> None:
        kind = path.rpartition("/")[2][:7]
        if kind in ("journal", "batch.j", "results", "unknown"):
            self.by_kind[kind] += 1
            if self.blinks and self.by_kind[kind] % 2:
                self.failed += 1
                raise self.error
        super().pipe_file(path, value, *args, **options)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlinkingStore]:
    monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.001, 0.001))
    with attached_store(kind=BlinkingStore) as store:
        assert isinstance(store, BlinkingStore)
        yield store


def output(store: FailingStore) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.cat_file("/bucket/nightly/results.jsonl").splitlines()]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
@pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
def test_that_refuses_each_second_write_costs_no_row_and_no_second_call(
    batch: BatchTask, sandbox: Sandbox, store: BlinkingStore, error: Exception, deferrable: bool
) -> None:
    store.error, store.blinks = error, True

    batch.run(cases(ROWS), deferrable=deferrable, **OUTPUT)

    assert [row["outcome"] for row in output(store)] == ["succeeded"] * ROWS
    assert list(sandbox.counts.runs_per_case.values()) == [1] * ROWS
    assert sandbox.counts.requests[RUN_CALL] == sandbox.counts.requests[RESULT_CALL] == ROWS
    assert store.failed > 5


def test_that_fails_for_too_long_in_one_try_leaves_each_run_in_the_journal_or_in_the_log(
    batch: BatchTask,
    sandbox: Sandbox,
    store: BlinkingStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.05)
    put = store.pipe_file

    def fail_once_an_id_is_to_be_written(path: str, value: bytes, *args: Any, **options: Any) -> None:
        if sandbox.counts.requests[RUN_CALL] > 20 and b'"workflow_id":"' in value.splitlines()[-1]:
            store.fail(HttpResponseError(503))
        put(path, value, *args, **options)

    monkeypatch.setattr(store, "pipe_file", fail_once_an_id_is_to_be_written)
    with pytest.raises(HttpResponseError):
        batch.run(cases(ROWS), **OUTPUT)
    monkeypatch.setattr(store, "pipe_file", put)
    store.away.clear()
    runs_of_the_first_try = sandbox.counts.requests[RUN_CALL]

    with pytest.raises(BatchFailed):
        batch.run(cases(ROWS), **OUTPUT)

    lost = {
        int(row)
        for row in re.findall(r"Workflow \S+ was started for row (\d+), and", capsys.readouterr().out)
    }
    unknown = {row["row"] for row in output(store) if row["outcome"] == "unknown"}
    assert 0 < len(lost) <= 32
    assert lost <= unknown
    assert runs_of_the_first_try >= len(lost)
    assert max(sandbox.counts.runs_per_case.values()) == 1
    assert Counter(row["outcome"] for row in output(store)) == {
        "succeeded": ROWS - len(unknown),
        "unknown": len(unknown),
    }
    assert len(store.cat_file("/bucket/nightly/unknown.csv").splitlines()) == 1 + len(unknown)
