"""Shards of a table that is exported again: no row is paid twice, and no table is merged that is not whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.sharding import read_index, references, write_index
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import CASE_CALL, RUN_CALL, BatchTask
from tests.unit.tasks import event_of

ROWS = [(f"K{number}", f"Name{number}") for number in range(1, 13)]
CHANGED = r"^items: the rows of this shard are not those that `shard` has read. .*Clear `shard` together with"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Write the table anew, and return its path."""

    def write(rows: Iterable[tuple[str, str]]) -> str:
        path = tmp_path / "people.csv"
        path.write_text("key,first_name\n" + "".join(f"{key},{name}\n" for key, name in rows))
        return str(path)

    return write


@pytest.fixture
def tasks(batch: BatchTask, tmp_path: Path) -> list[BatchTask]:
    """The mapped batch tasks of three shards."""
    mapped = [BatchTask(tmp_path / "output", batch.definition_id) for _ in range(3)]
    for index, task in enumerate(mapped):
        task.ti.map_index = index
    return mapped


def runs(sandbox: Sandbox) -> int:
    return sandbox.counts.requests[RUN_CALL]


@pytest.mark.thorough
def test_shards_of_a_file_that_was_exported_in_another_order_are_not_sent(
    tasks: list[BatchTask], connected: Sandbox, table: Callable[..., str], tmp_path: Path
) -> None:
    shards = references(table(ROWS), 4)
    summaries = [tasks[0].run(shards[0])]

    table(reversed(ROWS))

    for task, shard in zip(tasks[1:], shards[1:], strict=True):
        with pytest.raises(InvalidInput, match=CHANGED):
            task.run(shard)
    assert runs(connected) == connected.counts.requests[CASE_CALL] == 4
    for given in (shards, None):
        with pytest.raises(InvalidInput, match=r"^2 of the 3 shards .* map index 1 to 2, rows 5 to 12"):
            write_index(summaries, str(tmp_path / "index"), given)


@pytest.mark.thorough
def test_a_change_in_one_shard_stops_that_one_alone(
    tasks: list[BatchTask], connected: Sandbox, table: Callable[..., str]
) -> None:
    shards = references(table(ROWS), 4)
    table([*ROWS[:11], ("K12", "Corrected")])

    summaries = [task.run(shard) for task, shard in zip(tasks[:2], shards[:2], strict=True)]
    with pytest.raises(InvalidInput, match=CHANGED):
        tasks[2].run(shards[2])

    assert [summary["outcomes"] for summary in summaries] == [{"succeeded": 4}] * 2
    assert runs(connected) == 8


@pytest.mark.thorough
def test_a_corrected_table_costs_its_corrected_rows_once_shard_and_batch_tasks_are_cleared(
    tasks: list[BatchTask], connected: Sandbox, table: Callable[..., str], tmp_path: Path
) -> None:
    shards = references(table(ROWS), 4)
    for task, shard in zip(tasks, shards, strict=True):
        task.run(shard)

    again = references(table([*ROWS[:11], ("K12", "Corrected")]), 4)
    for task in tasks:
        task.clear()
    summaries = [task.run(shard) for task, shard in zip(tasks, again, strict=True)]
    index = write_index(summaries, str(tmp_path / "index"), again)

    assert runs(connected) == 12 + 1
    assert [row["key"] for row in read_index(index["index"])] == [key for key, _ in ROWS]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "again",
    [[("K0", "New"), *ROWS], list(reversed(ROWS)), ROWS[1:]],
    ids=["moved by one", "reversed", "fewer"],
)
def test_rows_that_have_moved_to_another_shard_keep_what_they_have(
    tasks: list[BatchTask],
    connected: Sandbox,
    table: Callable[..., str],
    tmp_path: Path,
    again: list[tuple[str, str]],
) -> None:
    path = table(ROWS)
    for task, shard in zip(tasks, references(path, 4), strict=True):
        task.run(shard)

    shards = references(table(again), 5)
    for task in tasks:
        task.clear()
    summaries = [task.run(shard) for task, shard in zip(tasks, shards, strict=True)]
    index = write_index(summaries, str(tmp_path / "index"), shards)

    assert [(row["key"], row["outcome"]) for row in read_index(index["index"])] == [
        (key, "succeeded") for key, _ in again
    ]
    assert runs(connected) == len({*ROWS, *again})


@pytest.mark.thorough
def test_rows_that_have_moved_to_a_shard_that_was_not_there_keep_what_they_have(
    tasks: list[BatchTask], connected: Sandbox, table: Callable[..., str], tmp_path: Path
) -> None:
    path = table(ROWS)
    for task, shard in zip(tasks[:2], references(path, 6), strict=True):
        task.run(shard)

    again = [("K0", "New"), *ROWS]
    shards = references(table(again), 5, again=True)
    for task in tasks[:2]:
        task.clear()
    summaries = [task.run(shard) for task, shard in zip(tasks, shards, strict=True)]

    index = write_index(summaries, str(tmp_path / "index"), shards)
    assert [row["key"] for row in read_index(index["index"])] == [key for key, _ in again]
    assert runs(connected) == 13


@pytest.mark.thorough
def test_a_row_that_may_have_a_run_in_another_shard_is_not_submitted(
    tasks: list[BatchTask], connected: Sandbox, table: Callable[..., str]
) -> None:
    connected.fault("cut_after", path="/workflows/run", times=1)
    for task, shard in zip(tasks, references(table(ROWS), 4), strict=True):
        task.run(shard, max_failed_share=1.0)

    shards = references(table(reversed(ROWS)), 4)
    for task in tasks:
        task.clear()
    for task, shard in zip(tasks, shards, strict=True):
        task.run(shard, max_failed_share=1.0)

    outcomes = [outcome for task in tasks for outcome in outcomes_of(task)]
    assert outcomes == ["succeeded"] * 11 + ["unknown"]
    assert runs(connected) == 12


@pytest.mark.thorough
def test_start_over_submits_rows_that_have_moved_anew(
    tasks: list[BatchTask], connected: Sandbox, table: Callable[..., str]
) -> None:
    for task, shard in zip(tasks, references(table(ROWS), 4), strict=True):
        task.run(shard)

    shards = references(table(reversed(ROWS)), 4, again=True)
    for task in tasks:
        task.clear()
    for task, shard in zip(tasks, shards, strict=True):
        task.run(shard, on_clear="start_over")

    assert runs(connected) == 24


def outcomes_of(task: BatchTask) -> list[str]:
    path = task.folder / f"{task.ti.map_index:05}" / "results.jsonl"
    return [json.loads(line)["outcome"] for line in path.read_text().splitlines()]


@pytest.mark.thorough
def test_the_same_table_costs_nothing_once_shard_and_batch_tasks_are_cleared(
    tasks: list[BatchTask], connected: Sandbox, table: Callable[..., str], tmp_path: Path
) -> None:
    path = table(ROWS)
    for task, shard in zip(tasks, references(path, 4), strict=True):
        task.run(shard)

    again = references(path, 4)
    for task in tasks:
        task.clear()
    summaries = [task.run(shard) for task, shard in zip(tasks, again, strict=True)]

    assert write_index(summaries, str(tmp_path / "index"), again)["outcomes"] == {"succeeded": 12}
    assert runs(connected) == 12


@pytest.mark.thorough
def test_a_table_of_which_shard_has_run_again_alone_is_not_merged(
    tasks: list[BatchTask], table: Callable[..., str], tmp_path: Path
) -> None:
    shards = references(table(ROWS), 4)
    summaries = [task.run(shard) for task, shard in zip(tasks, shards, strict=True)]

    again = references(table([("K99", "New"), *ROWS[1:]]), 4)

    with pytest.raises(InvalidInput, match=r"^shard 0 .* has run the rows of an earlier run of `shard`"):
        write_index(summaries, str(tmp_path / "index"), again)
    tasks[0].clear()
    with pytest.raises(InvalidInput, match=r"^shards 0 and 1 .* are of different runs of `shard`"):
        write_index([tasks[0].run(again[0]), *summaries[1:]], str(tmp_path / "index"))


@pytest.mark.thorough
def test_a_summary_tells_the_rows_that_were_run_and_not_those_of_a_shard_that_ran_meanwhile(
    tasks: list[BatchTask], table: Callable[..., str]
) -> None:
    (shard, *_), task = references(table(ROWS), 4), tasks[0]
    with pytest.raises(TaskDeferred) as deferred:
        task.operator(shard).execute(task.context)

    (later, *_) = references(table(reversed(ROWS)), 4)
    resumed = task.operator(later)
    event = {"event": event_of(deferred.value)}
    summary = resumed.resume_execution(deferred.value.method_name, event, task.context)

    assert summary["sharding"] == {"all_rows": 12, "digest": shard["digest"]}


@pytest.mark.thorough
def test_merge_compares_nothing_of_the_rows_that_could_be_recovered(
    tasks: list[BatchTask], table: Callable[..., str]
) -> None:
    shard = references(table(ROWS), 4)[0]

    shown = json.dumps([shard, tasks[0].run(shard)])

    assert [word for word in ("K1", "Name1", "first_name") if word in shown] == []


class TestZeroPad:
    NUMBERS: tuple[Any, ...] = (8211402156, "44051401359.0", "08211402156")

    def test_a_table_whose_numbers_may_have_lost_their_zeros_is_not_sent(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        with pytest.raises(InvalidInput) as raised:
            batch.run([{"personal_number": number} for number in self.NUMBERS])

        assert [line.partition(":")[0] for line in str(raised.value).splitlines()[1:]] == [
            "row 1",
            "row 2",
            f"All of them are in {batch.folder / 'bad_rows.csv'}",
        ]
        assert connected.counts.requests[CASE_CALL] == 0

    @pytest.mark.thorough
    @pytest.mark.parametrize("in_shards", [False, True])
    def test_sends_numbers_with_their_zeros(
        self, batch: BatchTask, connected: Sandbox, tmp_path: Path, in_shards: bool
    ) -> None:
        zero_pad = {"personal_number": 11}
        items: Any = [{"personal_number": number} for number in self.NUMBERS]
        if in_shards:
            (items,) = references(items, 3, options=InputOptions(zero_pad=zero_pad), folder=str(tmp_path))

        batch.run(items, zero_pad=zero_pad)

        with connected.client() as client:
            sent = [client.read_case(row["case_id"]).party_details for row in batch.output]
        assert [party.personal["personalNumber"] for party in sent if party and party.personal] == [
            "08211402156",
            "44051401359",
            "08211402156",
        ]
