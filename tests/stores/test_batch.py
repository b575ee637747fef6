"""A batch from its input to its output, both in an object store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.sharding import read_index, references, write_index
from airflow_provider_workflows.ui.problem_rows import ProblemRows, RowFilter
from tests.stores.conftest import StoreBatch
from tests.unit.batch_task import RUN_CALL, BatchTask

ROWS = 30


def results_of(batch: StoreBatch) -> list[dict[str, Any]]:
    """Return the output's rows as another process reads them, without fsspec."""
    written = batch.store.get(batch.bucket, "out/results.jsonl") or b""
    return [json.loads(line) for line in written.splitlines()]


def test_reads_its_input_and_writes_its_output_in_the_store(batch: StoreBatch) -> None:
    batch.put_cases(ROWS)

    summary = batch.run()

    rows = results_of(batch)
    assert summary["outcomes"] == {"succeeded": ROWS}
    assert [row["key"] for row in rows] == [f"{number:05}" for number in range(1, ROWS + 1)]
    assert {row["result"]["decision"] for row in rows} == {"PASS"}
    assert list(read_output(summary["output"])) == rows
    assert batch.sandbox.counts.requests[RUN_CALL] == ROWS


@pytest.mark.slow
@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_of_an_input_in_parquet_is_read_and_written_there(batch: StoreBatch, output_format: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"key": ["00001", "00002"], "first_name": ["Ada", "Grace"]})
    content = pyarrow.BufferOutputStream()
    pytest.importorskip("pyarrow.parquet").write_table(table, content)
    batch.store.put(batch.bucket, "in/cases.parquet", content.getvalue().to_pybytes())

    summary = batch.task.run(
        batch.store.uri(batch.bucket, "in/cases.parquet"),
        output_path=batch.output,
        output_format=output_format,
    )

    assert [row["key"] for row in read_output(summary["output"])] == ["00001", "00002"]


@pytest.mark.slow
@pytest.mark.parametrize("items", ["in", "in/part-*.csv"], ids=["folder", "pattern"])
def test_of_part_files_is_read_in_the_order_of_their_names(batch: StoreBatch, items: str) -> None:
    for part in (2, 1):
        batch.store.put(batch.bucket, f"in/part-{part}.csv", f"key,first_name\n0000{part},Ada\n".encode())
    # Not empty, which the emulator of Google does not take.
    batch.store.put(batch.bucket, "in/_SUCCESS", b"done")

    summary = batch.task.run(batch.store.uri(batch.bucket, items), output_path=batch.output)

    assert [row["key"] for row in read_output(summary["output"])] == ["00001", "00002"]


@pytest.mark.slow
def test_is_repaired_from_its_state_in_the_store(batch: StoreBatch) -> None:
    batch.put_cases(ROWS)
    batch.sandbox.define(batch.task.definition_id, seconds=0.0, status="FAILED")
    with pytest.raises(BatchFailed):
        batch.run()
    batch.sandbox.define(batch.task.definition_id, seconds=0.0)
    batch.task.clear()

    summary = batch.run()

    assert summary["outcomes"] == {"succeeded": ROWS}
    assert batch.sandbox.counts.requests[RUN_CALL] == 2 * ROWS


@pytest.mark.slow
def test_that_a_page_shows_has_its_problem_rows_read_from_the_store(batch: StoreBatch) -> None:
    batch.put_cases(ROWS)
    batch.sandbox.define(batch.task.definition_id, seconds=0.0, status="FAILED")
    with pytest.raises(BatchFailed):
        batch.run()

    page = ProblemRows(batch.store.uri(batch.bucket, "out/problem_rows.csv"))
    content = b"".join(page.download(RowFilter()))

    assert len(content.splitlines()) == ROWS + 1


@pytest.mark.slow
def test_in_shards_is_merged_in_the_store(batch: StoreBatch) -> None:
    batch.put_cases(ROWS)
    shards = list(references(batch.input, 20))
    summaries = []
    for index, reference in enumerate(shards):
        # Each shard is a task instance of its own.
        task = BatchTask(batch.task.folder, batch.task.definition_id)
        task.ti.map_index = index
        summaries.append(task.run(reference, output_path=batch.output))

    merged = write_index(summaries, batch.output, shards)

    assert [row["key"] for row in read_index(merged["index"])] == [f"{row:05}" for row in range(1, ROWS + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("output_format", ["parquet", "csv"])
def test_has_parts_in_a_folder_for_a_day_and_a_repair_leaves_no_other_part_there(
    batch: StoreBatch, output_format: str
) -> None:
    batch.put_cases(ROWS)
    day = batch.store.uri(batch.bucket, "out/date=2026-01-31")
    batch.task.run(batch.input, output_path=day, output_format=output_format, output_rows_per_file=7)
    batch.task.clear()

    summary = batch.task.run(
        batch.input, output_path=day, output_format=output_format, output_rows_per_file=20
    )

    assert summary["output"] == f"{day}/results"
    assert [row["row"] for row in read_output(summary["output"])] == [*range(1, ROWS + 1)]
    folder = batch.path("out/date=2026-01-31/results")
    folder.fs.invalidate_cache()
    names = sorted(str(path).rpartition("/")[2][:10] for path in folder.fs.find(folder.path))
    assert names == ["_SUCCESS", "part-00000", "part-00001"]
    assert batch.sandbox.counts.requests[RUN_CALL] == ROWS


@pytest.mark.slow
def test_of_another_form_has_nothing_left_of_the_earlier_one(batch: StoreBatch) -> None:
    batch.put_cases(3)
    left = []

    for form in ({"output_rows_per_file": 2}, {}, {"output_format": "csv"}, {"output_rows_per_file": 1}):
        batch.run(**form)
        batch.task.clear()
        folder = batch.path("out")
        folder.fs.invalidate_cache()
        found = (str(path).partition("/out/")[2] for path in folder.fs.find(folder.path))
        left.append(sorted({path[:15] for path in found if path.startswith("results")}))

    parts = ["results/_SUCCES", "results/part-00"]
    assert left == [parts, ["results.jsonl"], ["results.csv"], parts]
