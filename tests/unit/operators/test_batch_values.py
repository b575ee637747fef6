"""A batch whose rows functions choose and change: numbered as in its file, billed once, and safe in a DAG."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG, task
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS
from airflow_provider_workflows.batch.sharding import read_index, references, write_index
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.shards import shard
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import CASE_CALL, RUN_CALL, BatchTask

pytestmark = pytest.mark.thorough

SECRET = "Kowalska"
COLUMNS = {"Name": "first_name", "State": None, "Id": "key"}


def is_new(row: dict[str, Any]) -> bool:
    return bool(row["State"] == "new")


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Write a table of names and states, and return its path."""

    def write(*rows: tuple[str, str, str], header: str = "Id,Name,State") -> str:
        path = tmp_path / "people.csv"
        path.write_text("\n".join([header, *(",".join(row) for row in rows)]))
        return str(path)

    return write


ROWS = [(f"K{number}", f"Ada{number}", "new" if number % 3 == 0 else "old") for number in range(1, 13)]


class TestWhere:
    def test_rows_that_are_passed_over_are_in_no_count_and_in_no_output(
        self, batch: BatchTask, connected: Sandbox, table: Callable[..., str]
    ) -> None:
        summary = batch.run(table(*ROWS), columns=COLUMNS, where=is_new)

        assert (summary["first_row"], summary["rows"]) == (3, 4)
        assert [(row["row"], row["key"]) for row in batch.output] == [
            (3, "K3"),
            (6, "K6"),
            (9, "K9"),
            (12, "K12"),
        ]
        assert connected.counts.requests[RUN_CALL] == 4

    def test_a_clear_submits_nothing_again_also_where_rows_have_moved(
        self, batch: BatchTask, connected: Sandbox, table: Callable[..., str]
    ) -> None:
        batch.run(table(*ROWS), columns=COLUMNS, where=is_new)
        batch.clear()

        # The first row stays where it is, and so does the number of rows.
        moved = [*ROWS[:4], ("K0", "Bob", "old"), *ROWS[4:]]
        batch.run(table(*moved), columns=COLUMNS, where=is_new)

        assert connected.counts.requests[RUN_CALL] == 4
        assert [(row["row"], row["key"]) for row in batch.output] == [
            (3, "K3"),
            (7, "K6"),
            (10, "K9"),
            (13, "K12"),
        ]

    def test_that_chooses_more_rows_after_a_clear_submits_only_those(
        self, batch: BatchTask, connected: Sandbox, table: Callable[..., str]
    ) -> None:
        batch.run(table(*ROWS), columns=COLUMNS, where=is_new)
        batch.clear()

        batch.run(table(*ROWS), columns=COLUMNS, where=lambda row: is_new(row) or row["Id"] == "K1")

        assert connected.counts.requests[RUN_CALL] == 5
        assert [row["row"] for row in batch.output] == [1, 3, 6, 9, 12]

    @pytest.mark.parametrize(
        "chosen_later",
        [("K3",), ("K3", "K6", "K9"), ("K3", "K4", "K6", "K9", "K12"), ("K6", "K9", "K12")],
        ids=["only the first", "not the last", "one more", "not the first"],
    )
    def test_that_chooses_others_for_the_submission_stops_it(
        self, batch: BatchTask, connected: Sandbox, table: Callable[..., str], chosen_later: tuple[str, ...]
    ) -> None:
        readings = {"K1": 0}

        def fickle(row: dict[str, Any]) -> bool:
            # The first rows are asked for twice in each reading.
            readings["K1"] += row["Id"] == "K1"
            return row["Id"] in chosen_later if readings["K1"] > 2 else is_new(row)

        with pytest.raises(
            InvalidInput, match=r"where give the same each time|ended with row 12 when it was checked"
        ):
            batch.run(table(*ROWS), columns=COLUMNS, where=fickle)

        assert connected.counts.requests[RUN_CALL] < 4

    def test_shards_are_of_the_rows_that_it_chooses_and_merge_to_the_whole(
        self, batch: BatchTask, connected: Sandbox, table: Callable[..., str], tmp_path: Path
    ) -> None:
        path = table(*ROWS)
        given = references(path, 3, options=InputOptions(columns=COLUMNS, where=is_new))
        summaries = []
        for index, reference in enumerate(given):
            mapped = BatchTask(tmp_path / "output", batch.definition_id)
            mapped.ti.map_index = index
            summaries.append(mapped.run(reference, columns=COLUMNS, where=is_new))

        merged = write_index(summaries, str(tmp_path / "output"), given)

        assert [(each["first_row"], each["rows"], each["rows_before"]) for each in given] == [
            (3, 3, 0),
            (12, 1, 3),
        ]
        assert merged["rows"] == 4
        assert [row["key"] for row in read_index(merged["index"])] == ["K3", "K6", "K9", "K12"]
        with pytest.raises(InvalidInput, match=r"^1 of the 2 shards .* map index 1, row 4, counted without"):
            write_index(summaries[:1], str(tmp_path / "output"), given)

    def test_a_shard_without_the_function_that_it_was_made_with_is_not_sent(
        self, batch: BatchTask, connected: Sandbox, table: Callable[..., str]
    ) -> None:
        (first, _) = references(table(*ROWS), 3, options=InputOptions(columns=COLUMNS, where=is_new))

        with pytest.raises(InvalidInput, match="where or transform give something else"):
            batch.run(first, columns=COLUMNS)

        assert connected.counts.requests[CASE_CALL] == 0

    def test_a_list_in_shards_keeps_the_columns_that_functions_need(
        self, batch: BatchTask, connected: Sandbox, tmp_path: Path
    ) -> None:
        items = [dict(zip(("Id", "Name", "State"), row, strict=True)) for row in ROWS]
        given = references(
            items, 9, options=InputOptions(columns=COLUMNS, where=is_new), folder=str(tmp_path / "items")
        )

        summary = batch.run(given[0], columns=COLUMNS, where=is_new)

        assert summary["rows"] == 4


class TestKeys:
    ROWS = (
        ("0", "Ada", "new"),
        ("1", "Bob", "new"),
        ("2", "Cid", "new", "x"),
        ("3", "Dan", "new"),
        ("4", "Eve", "new"),
    )
    OPTIONS: Mapping[str, Any] = {"columns": COLUMNS, "on_bad_row": "skip"}

    @pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
    def test_a_bad_row_stands_under_no_other_row_s_key_and_a_repair_runs_it_alone(
        self, batch: BatchTask, connected: Sandbox, table: Callable[..., str], output_format: str
    ) -> None:
        options = {**self.OPTIONS, "output_format": output_format}
        summary = batch.run(table(*self.ROWS), **options)
        before = [(row["row"], row["key"], row["outcome"]) for row in read_output(summary["output"])]
        batch.clear()

        summary = batch.run(table(*(row[:3] for row in self.ROWS)), **options)

        assert before == [
            (number, key, "succeeded" if key else "skipped")
            for number, key in enumerate(["0", "1", "", "3", "4"], 1)
        ]
        assert [(row["key"], row["outcome"]) for row in read_output(summary["output"])] == [
            (key, "succeeded") for key in "01234"
        ]
        assert connected.counts.requests[RUN_CALL] == 5

    def test_a_bad_row_is_in_its_shard_and_in_the_merged_table(
        self, batch: BatchTask, table: Callable[..., str], tmp_path: Path
    ) -> None:
        path = table(*self.ROWS)
        given = references(path, 2, options=InputOptions(columns=COLUMNS), on_bad_row="skip")
        summaries = []
        for index, reference in enumerate(given):
            mapped = BatchTask(tmp_path / "output", batch.definition_id)
            mapped.ti.map_index = index
            summaries.append(mapped.run(reference, **self.OPTIONS))

        merged = write_index(summaries, str(tmp_path / "output"), given)

        assert [row["key"] for row in read_index(merged["index"])] == ["0", "1", "", "3", "4"]


class TestBadRowList:
    ITEMS = "Id,Name,Phone\nK1,Ada,+48 600 700 800\nK2,Bob,=1+1\n\nK3,Cleo,4960070080\n"
    ARGUMENTS: ClassVar[dict[str, Any]] = {"columns": {"Name": "first_name", "Phone": "phone", "Id": "key"}}

    def listed(self, batch: BatchTask) -> list[dict[str, str]]:
        with (batch.folder / "bad_rows.csv").open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, delimiter=";"))

    @pytest.fixture
    def items(self, tmp_path: Path) -> str:
        path = tmp_path / "rows.csv"
        path.write_text(self.ITEMS)
        return str(path)

    def test_is_there_when_the_batch_is_refused_and_the_error_names_it(
        self, batch: BatchTask, connected: Sandbox, items: str
    ) -> None:
        with pytest.raises(InvalidInput, match=r"All of them are in .*/bad_rows\.csv$"):
            batch.run(items, **self.ARGUMENTS)

        listed = self.listed(batch)
        assert [(row["row"], row["line"], row["column"]) for row in listed] == [
            ("2", "3", "Phone"),
            ("3", "5", "Phone"),
        ]
        assert "4960070080" not in (batch.folder / "bad_rows.csv").read_text()
        assert connected.counts.requests[CASE_CALL] == 0

    def test_says_which_earlier_row_has_a_key_that_is_used_again(
        self, batch: BatchTask, connected: Sandbox, items: str
    ) -> None:
        Path(items).write_text("Id,Name,Phone\nK1,Ada,\nK2,Bob,\nK1,Cleo,x\n")

        with pytest.raises(InvalidInput, match="Id: is used by an earlier row: row 1"):
            batch.run(items, **self.ARGUMENTS)

        assert [(row["row"], row["column"], row["reason"]) for row in self.listed(batch)][1:] == [
            ("3", "Id", "is used by an earlier row: row 1")
        ]

    def test_is_for_its_owner_alone_and_has_values_where_they_are_asked_for(
        self, batch: BatchTask, connected: Sandbox, items: str
    ) -> None:
        batch.run(items, on_bad_row="skip", bad_row_values=True, **self.ARGUMENTS)

        assert [row["value"] for row in self.listed(batch)] == ["'=1+1", "4960070080"]
        assert (batch.folder / "bad_rows.csv").stat().st_mode & 0o777 == 0o600

    def test_of_an_earlier_try_is_gone_once_there_are_no_bad_rows(
        self, batch: BatchTask, connected: Sandbox, items: str
    ) -> None:
        with pytest.raises(InvalidInput):
            batch.run(items, **self.ARGUMENTS)
        Path(items).write_text("\n".join(self.ITEMS.splitlines()[:2]))

        batch.run(items, **self.ARGUMENTS)

        assert not (batch.folder / "bad_rows.csv").exists()


class Chooser:
    """A function that is an object."""

    def __call__(self, row: dict[str, Any]) -> bool:
        return "Name" in row


FUNCTIONS = {
    "function": is_new,
    "lambda": lambda row: row["State"] == "new",
    "partial": functools.partial(is_new),
    "object": Chooser(),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_dag_with_functions_is_stored_the_same_at_each_parse(kind: str) -> None:
    def parsed() -> str:
        given: dict[str, Any] = {"workflow_definition_id": "kyc", "output_path": "/out"}
        functions: dict[str, Any] = {"where": FUNCTIONS[kind], "transform": dict}
        with DAG("values", schedule=None) as dag:
            RunWorkflowBatchOperator(task_id="batch", items="/people.csv", **given, **functions)
            RunWorkflowBatchOperator.partial(task_id="mapped", **given, **functions).expand(
                items=shard("/people.csv", 100, **functions)
            )

            @task.workflows_batch(**given, **functions)
            def decorated() -> str:
                return "/people.csv"

            decorated()
        return json.dumps(DagSerialization.to_dict(dag), sort_keys=True, default=str)

    assert parsed() == parsed()
    assert " at 0x" not in parsed()
