"""The output of a batch in each form and place: a folder for each day, parts, shards in parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS
from airflow_provider_workflows.batch.sharding import read_index, references, write_index
from airflow_provider_workflows.command_line.stored_batches import stored_batches
from airflow_provider_workflows.lineage.openlineage import file_dataset
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.task_identity import TaskIdentity
from airflow_provider_workflows.ui.search import rows_with
from tests.unit.batch_task import RUN_CALL, BatchTask, Service, cases
from tests.unit.failing_storage import attached_store

pytestmark = [pytest.mark.thorough, pytest.mark.slow]

DAY = "date=2026-01-31"
#: Where a folder for a day can be: on a disk, in an object store of each kind, and on a remote file system.
STORES = ("file", "s3", "gs", "abfs", "memory")


@pytest.fixture(params=STORES)
def day(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URI of the folder of a day."""
    store = request.param
    if store == "file":
        yield f"{tmp_path}/checks/{DAY}"
        return
    with attached_store(store):
        yield f"{store}://bucket/checks/{DAY}"


@pytest.fixture(params=[None, 2], ids=["whole", "parts"])
def form(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"output_format": "parquet", "output_rows_per_file": request.param}


def test_a_folder_for_a_day_has_the_output_whatever_the_store(
    batch: BatchTask, day: str, form: dict[str, Any]
) -> None:
    summary = batch.run(cases(3), output_path=day, **form)

    assert summary["output"].startswith(f"{day}/results")
    assert [row["outcome"] for row in read_output(summary["output"])] == ["succeeded"] * 3


def test_a_batch_in_the_folder_for_a_day_is_repaired_and_submits_no_run_again(
    batch: BatchTask, sandbox: Sandbox, service_of_batch: Service, day: str, form: dict[str, Any]
) -> None:
    service_of_batch.result_missing()
    with pytest.raises(BatchFailed):
        batch.run(cases(3), output_path=day, **form)
    service_of_batch.sandbox.clear_faults()
    batch.clear()

    summary = batch.run(cases(3), output_path=day, **form)

    assert [row["outcome"] for row in read_output(summary["output"])] == ["succeeded"] * 3
    assert sandbox.counts.requests[RUN_CALL] == 3


@pytest.fixture
def service_of_batch(sandbox: Sandbox, batch: BatchTask) -> Service:
    return Service(sandbox, batch.definition_id)


def test_a_search_for_a_batch_by_its_place_finds_that_in_the_folder_for_a_day(
    batch: BatchTask, day: str, form: dict[str, Any]
) -> None:
    output = batch.run(cases(3), output_path=day, **form)["output"]

    (by_folder,), (by_output,) = stored_batches(day), stored_batches(output)
    (first, *_) = read_output(output)
    found = rows_with(first["workflow_id"], [(TaskIdentity.of(batch.ti), output)])

    assert by_folder.task == by_output.task
    assert [(each["task"]["task_id"], each["row"]) for each in found["tasks"]] == [("batch", 1)]
    assert file_dataset(output).name.endswith(f"checks/{DAY}{output.removeprefix(day)}")


def test_others_read_the_days_as_a_column(batch: BatchTask, tmp_path: Path) -> None:
    for number in (1, 2):
        task = BatchTask(tmp_path / "checks" / f"date=2026-01-0{number}", batch.definition_id)
        task.run(cases(number), output_format="parquet", output_rows_per_file=1)

    days = duckdb.execute(
        "SELECT date::VARCHAR, count(*) FROM read_parquet(?, hive_partitioning = true) GROUP BY ALL ORDER BY 1",
        [f"{tmp_path}/checks/*/results/*.parquet"],
    ).fetchall()

    assert days == [("2026-01-01", 1), ("2026-01-02", 2)]


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_shards_in_parts_are_merged_and_read_in_order(
    batch: BatchTask, tmp_path: Path, output_format: str
) -> None:
    table = tmp_path / "people.jsonl"
    table.write_text(
        "".join(f"{json.dumps({'key': f'{row:05}', 'first_name': 'Ada'})}\n" for row in range(7))
    )
    shards = references(str(table), 4)
    summaries = []
    for index, reference in enumerate(shards):
        task = BatchTask(tmp_path / "output", batch.definition_id)
        task.ti.map_index = index
        summaries.append(task.run(reference, output_format=output_format, output_rows_per_file=3))

    index = write_index(summaries, str(tmp_path / "output"), shards)["index"]

    assert [row["key"] for row in read_index(index)] == [f"{row:05}" for row in range(7)]
    assert read_index(index).to_arrow()["key"].to_pylist() == [f"{row:05}" for row in range(7)]


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_unknown_rows_are_listed_beside_the_parts(
    batch: BatchTask, service_of_batch: Service, output_format: str
) -> None:
    service_of_batch.unknown()

    with pytest.raises(BatchFailed):
        batch.run(cases(3), output_format=output_format, output_rows_per_file=1)

    listed = (batch.folder / "unknown.csv").read_text().splitlines()
    assert len(listed) == 1 + 3
    assert [row["outcome"] for row in read_output(str(batch.folder / "results"))] == ["unknown"] * 3
