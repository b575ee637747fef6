"""The list of rows with something wrong: which rows, where they are in their file, and when it is written."""

from __future__ import annotations

import asyncio
import csv
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.batch import problem_rows as problem_rows_module
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.problem_rows import Places, ProblemsOnTheWay
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.unit.batch_task import BatchTask, cases

HEADER = "row;place;outcome;code;message;fingerprint;workflow_id;case_id;record_id"
PERSON = "Kowalska"


def listed(batch: BatchTask, delimiter: str = ";") -> list[dict[str, str]]:
    text = (batch.folder / "problem_rows.csv").read_bytes().decode("utf-8-sig")
    assert text.splitlines()[0] == HEADER.replace(";", delimiter)
    return list(csv.DictReader(text.splitlines(), delimiter=delimiter))


class TestLines:
    @pytest.mark.parametrize(
        ("name", "text", "lines"),
        [
            ("a.csv", "first_name\nAda\nEwa\nJan\n", [2, 3, 4]),
            ("a.csv", "first_name,last_name\n\nAda,\n\n\nEwa,\n", [3, 6]),
            ("a.csv", 'first_name,last_name\n"A\nd\na",\nEwa,\n', [2, 5]),
            ("a.csv", "first_name\r\nAda\r\nEwa\r\n", [2, 3]),
            ("a.csv", f"first_name\n{'x' * 1_000_001}\nEwa\n", [2, 3]),
            ("a.csv", f'first_name\n"{"x" * 600_000}\n{"x" * 600_000}"\nEwa\n', [2, 4]),
            ("a.jsonl", '{"first_name": "Ada"}\n\n{"first_name": "Ewa"}', [1, 3]),
            ("a.jsonl", f'{{"first_name": "{"x" * 4_100_000}"}}\n{{"first_name": "Ewa"}}\n', [1, 2]),
        ],
    )
    def test_are_those_at_which_an_editor_shows_the_rows(
        self, tmp_path: Path, name: str, text: str, lines: list[int]
    ) -> None:
        path = tmp_path / name
        path.write_bytes(text.encode())

        assert [row.line for row in read_items(str(path))] == lines

    def test_of_a_list_are_not_told(self) -> None:
        assert [row.line for row in read_items(cases(2))] == [None, None]


class TestPlaces:
    def test_are_found_by_the_row(self) -> None:
        lines = [b'{"line":2}', b"{}", b'{"line":7,"skipped":"phone: is no number"}', b"{}"]

        places = Places(lines, 11)

        assert [places.line_of(row) for row in (11, 12, 13, 14)] == [2, 3, 7, 8]
        assert [(row.row, row.place, row.message) for row in places.skipped] == [
            (13, "line 7 of the file", "phone: is no number")
        ]

    def test_are_not_told_where_there_is_no_file(self) -> None:
        assert Places([b"{}", b"{}"], 1).line_of(2) is None


class TestAtTheEnd:
    def test_lists_each_row_with_something_wrong_and_nothing_personal(
        self, batch: BatchTask, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        path = tmp_path / "cases.csv"
        names = [f"Ada{row}" for row in range(6)]
        path.write_text("last_name,email\n\n" + "".join(f"{PERSON},{name}@example.org\n" for name in names))
        sandbox.fault("cut_after", path="/workflows/run", times=1)
        sandbox.fault("forbidden", path="/workflows/{workflowId}/result", times=1)

        summary = batch.run(str(path), max_failed_share=1.0)

        rows = listed(batch)
        assert summary["outcomes"] == {"succeeded": 4, "unknown": 1, "result_missing": 1}
        assert sorted(row["outcome"] for row in rows) == ["result_missing", "unknown"]
        assert [int(row["row"]) for row in rows] == sorted(int(row["row"]) for row in rows)
        assert all(row["place"] == f"line {int(row['row']) + 2} of the file" for row in rows)
        assert all(row["case_id"] and row["message"] and row["code"] for row in rows)
        missing = next(row for row in rows if row["outcome"] == "result_missing")
        assert missing["fingerprint"]
        assert missing["workflow_id"]
        assert PERSON not in (batch.folder / "problem_rows.csv").read_text()
        assert batch.ti.xcoms[REPORT_KEY]["problem_rows"] == str(batch.folder / "problem_rows.csv")
        assert stat.S_IMODE((batch.folder / "problem_rows.csv").stat().st_mode) == 0o600

    def test_names_the_status_in_which_a_run_has_failed(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.definition_id = sandbox.define(seconds=0.0, status="EXPIRED")

        with pytest.raises(BatchFailed):
            batch.run([*cases(2), {"email": 3}], on_bad_row="skip")

        rows = listed(batch)
        assert [(row["place"], row["outcome"], row["code"]) for row in rows] == [
            ("row 1", "failed", "EXPIRED"),
            ("row 2", "failed", "EXPIRED"),
            ("row 3", "skipped", "BadRow"),
        ]
        assert rows[2]["message"].startswith("email: ")

    @pytest.mark.thorough
    def test_is_not_there_where_all_is_well(
        self, batch: BatchTask, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("failed")
        assert len(listed(batch)) == 3

        batch.clear()
        batch.run(cases(3))

        assert not (batch.folder / "problem_rows.csv").exists()
        assert batch.ti.xcoms[REPORT_KEY]["problem_rows"] is None


class TestOnTheWay:
    def _list(self, folder: Path, **arguments: Any) -> ProblemsOnTheWay:
        (folder / "manifest.jsonl").write_text('{"salt": ""}\n{"line":2}\n{}\n{"skipped":"is bad"}\n')
        path = ObjectStoragePath(str(folder))
        return ProblemsOnTheWay(path, path, 1, **arguments)

    def _rows(self, folder: Path) -> list[str]:
        return (folder / "problem_rows.csv").read_text().splitlines()[1:]

    def test_is_written_by_the_number_of_the_row_and_only_if_it_has_grown(self, tmp_path: Path) -> None:
        problems = self._list(tmp_path)
        failed = RowState(workflow_id="w", submitted_at=1.0, status="EXPIRED", ended_at=2.0)

        problems.take([(2, failed, RowOutcome.FAILED)])
        problems.take([(1, failed, RowOutcome.FAILED)])
        first = (tmp_path / "problem_rows.csv").stat().st_ino
        problems.take([(1, failed, RowOutcome.FAILED), (2, RowState(), RowOutcome.NOT_SUBMITTED)])

        assert [row.partition(";")[0] for row in self._rows(tmp_path)] == ["1", "2", "3"]
        assert (tmp_path / "problem_rows.csv").stat().st_ino == first

    def test_lists_skipped_rows_though_nothing_else_is_wrong(self, tmp_path: Path) -> None:
        self._list(tmp_path, skipped=1).take([])

        assert self._rows(tmp_path) == ["3;line 4 of the file;skipped;BadRow;is bad;;;;"]

    def test_says_of_a_run_that_has_expired_what_gives_a_new_one_more_time(self, tmp_path: Path) -> None:
        failed = RowState(workflow_id="w", submitted_at=1.0, status="EXPIRED", ended_at=2.0)

        self._list(tmp_path).take([(1, failed, RowOutcome.FAILED)])

        row = self._rows(tmp_path)[0]
        assert "The workflow has expired (status EXPIRED) before it was completed." in row
        assert "expires_at" in row

    def test_is_not_written_where_nothing_is_wrong(self, tmp_path: Path) -> None:
        self._list(tmp_path).take([(1, RowState(), RowOutcome.NOT_SUBMITTED)])

        assert not (tmp_path / "problem_rows.csv").exists()

    def test_has_ten_thousand_rows_at_most(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(problem_rows_module, "MAX_LISTED_ROWS", 5)
        failed = RowState(workflow_id="w", status="EXPIRED", ended_at=2.0)
        self._list(tmp_path).take((row, failed, RowOutcome.FAILED) for row in range(1, 100))

        assert len(self._rows(tmp_path)) == 5

    def test_does_not_end_a_batch_where_it_cannot_be_written(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        problems = self._list(tmp_path)
        (tmp_path / "manifest.jsonl").unlink()

        for _ in range(2):
            problems.take([(1, RowState(begun="run"), RowOutcome.UNKNOWN)])

        assert len(caplog.records) == 1

    def test_is_written_by_the_trigger_too_in_the_same_way(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.definition_id = sandbox.define(seconds=0.0, status="EXPIRED")
        sandbox.fault("cut_after", path="/workflows/run", times=1)
        with pytest.raises(TaskDeferred) as deferred:
            batch.operator(
                [*cases(3), {"email": 3}], on_bad_row="skip", output_delimiter="|", output_mode=0o640
            ).execute(batch.context)

        async def wait() -> None:
            await anext(deferred.value.trigger.run())

        asyncio.run(wait())

        outcomes = [row["outcome"] for row in listed(batch, "|")]
        assert stat.S_IMODE((batch.folder / "problem_rows.csv").stat().st_mode) == 0o640
        assert sorted(outcomes[:3]) == ["failed", "failed", "unknown"]
        assert outcomes[3] == "skipped"
