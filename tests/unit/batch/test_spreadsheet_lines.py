"""The CSV files beside an output: Excel opens each rightly, and what has read them goes on reading them."""

from __future__ import annotations

import csv
import io

import pytest

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.batch.output_options import OUTPUT_DELIMITERS
from airflow_provider_workflows.batch.spreadsheet_lines import OtherColumns, SpreadsheetLines, SpreadsheetRows
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask

MARK = b"\xef\xbb\xbf"
COLUMNS = ("row", "message")


def read(content: bytes) -> list[list[str | None]]:
    return list(SpreadsheetRows(io.StringIO(content.decode(), newline=""), COLUMNS))


class TestLists:
    @pytest.fixture
    def bad_and_unknown(self, sandbox: Sandbox) -> list[dict[str, object]]:
        """Two rows, of which one may have a run, and a bad one, each with a formula for a key."""
        sandbox.fault("cut_after", path="/workflows/run", times=1)
        keys = ("=1+1", "@SUM(1)", "Łódź;,|")
        return [{"key": key, "email": 3 if key == "@SUM(1)" else "ada@example.org"} for key in keys]

    @pytest.mark.thorough
    @pytest.mark.parametrize("delimiter", [None, *OUTPUT_DELIMITERS])
    @pytest.mark.parametrize("output_format", ["jsonl", "csv"])
    def test_each_is_what_excel_opens_in_each_format_of_the_output(
        self,
        batch: BatchTask,
        bad_and_unknown: list[dict[str, object]],
        delimiter: str | None,
        output_format: str,
    ) -> None:
        with pytest.raises(BatchFailed):
            batch.run(
                bad_and_unknown,
                on_bad_row="skip",
                output_format=output_format,
                output_delimiter=delimiter,
                max_failed_share=0.0,
            )

        first_columns = {"bad_rows.csv": "row", "problem_rows.csv": "row", "unknown.csv": "key"}
        for name, first in first_columns.items():
            content = (batch.folder / name).read_bytes()
            text = content.decode("utf-8-sig")
            cells = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or ";"))
            assert content.startswith(MARK + f"{first}{delimiter or ';'}".encode())
            assert content.count(b"\r\n") == content.count(b"\n") == len(cells)
            assert not any(cell.startswith(("=", "+", "-", "@")) for row in cells for cell in row)
            assert len({len(row) for row in cells}) == 1

    def test_excel_gets_its_own_delimiter_where_nothing_is_said(
        self, batch: BatchTask, bad_and_unknown: list[dict[str, object]]
    ) -> None:
        with pytest.raises(BatchFailed):
            batch.run(bad_and_unknown, on_bad_row="skip")

        assert (
            (batch.folder / "unknown.csv")
            .read_bytes()
            .startswith(MARK + b"key;row;time;case_id;record_id\r\n")
        )


class TestReading:
    @pytest.mark.parametrize("delimiter", OUTPUT_DELIMITERS)
    def test_gives_the_values_that_were_written(self, delimiter: str) -> None:
        lines = SpreadsheetLines(delimiter)
        messages = ["=1+1", "'=1+1", "a;b,c\td|e", 'two "lines"\r\nhere', "Łódź", None, ""]

        content = lines.header(COLUMNS) + b"".join(lines.line([7, message]) for message in messages)

        assert read(content) == [["7", message] for message in messages]

    @pytest.mark.parametrize(
        "content",
        [
            b"row,message\r\n7,'=1\r\n",
            b"row,message\n7,'=1\n",
            MARK + b'"row";"message"\r\n"7";"\'=1"\r\n',
        ],
        ids=["as earlier versions wrote it", "lines of Unix", "as another program has saved it"],
    )
    def test_takes_a_file_without_the_mark_and_one_with_quotes(self, content: bytes) -> None:
        assert read(content) == [["7", "=1"]]

    @pytest.mark.parametrize(
        "content", [b"", b"row\r\n", b"name;phone\r\n", b"row;message;more\r\n"], ids=repr
    )
    def test_refuses_a_file_with_other_columns(self, content: bytes) -> None:
        with pytest.raises(OtherColumns):
            read(content)
