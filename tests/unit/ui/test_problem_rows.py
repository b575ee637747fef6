"""The table of rows with something wrong: filter, search, pages, download, and storage that cannot be read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.batch.output_options import OUTPUT_DELIMITERS
from airflow_provider_workflows.batch.spreadsheet_lines import SpreadsheetLines
from airflow_provider_workflows.storage import ObjectStoragePath
from tests.unit.ui.conftest import PROBLEM_HEADER, Pages, Tasks, batch_report

WORKFLOW_ID = "aaaa0000-0000-4000-8000-{:012d}"


@pytest.fixture
def task(tasks: Tasks, tmp_path: Path) -> dict[str, str]:
    """A batch with 120 failed rows, of which the first has a message like a formula, and a bad one."""
    lines = [PROBLEM_HEADER]
    for row in range(1, 121):
        message = "'=1+1" if row == 1 else '"text, with a comma"'
        lines.append(
            f"{row},line {row + 1} of the file,failed,EXPIRED,{message},f{row},{WORKFLOW_ID.format(row)},,"
        )
    lines.append("121,row 121,skipped,BadRow,phone: is missing,,,,")
    (tmp_path / "problem_rows.csv").write_text("\n".join(lines) + "\n")
    return tasks.add(batch_report(tmp_path))


def rows(pages: Pages, task: dict[str, str], **params: Any) -> dict[str, Any]:
    response = pages.get("data/rows", {**task, **params})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_the_table_has_pages(pages: Pages, task: dict[str, str]) -> None:
    first, last = rows(pages, task), rows(pages, task, first=100)

    assert (first["matching"], first["total"]) == (121, 121)
    assert [row[0] for row in first["rows"]] == [str(row) for row in range(1, 51)]
    assert [row[0] for row in last["rows"]] == [str(row) for row in range(101, 122)]


def test_the_table_has_what_the_file_says(pages: Pages, task: dict[str, str]) -> None:
    first, second, *_ = rows(pages, task)["rows"]

    assert first[4] == "=1+1"
    assert second == [
        "2", "line 3 of the file", "failed", "EXPIRED", "text, with a comma", "f2", WORKFLOW_ID.format(2), "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"outcome": "skipped"}, ["121"]),
        ({"search": "badrow"}, ["121"]),
        ({"search": "7"}, ["7", "17", "27", "37", "47", "57", "67"]),
        ({"search": WORKFLOW_ID.format(61).upper()}, ["61"]),
        ({"outcome": "skipped", "search": "expired"}, []),
        ({"search": "comma"}, []),
    ],
    ids=["outcome", "code", "number or part of an id", "workflow id", "both", "a message"],
)
def test_rows_are_filtered_and_searched(
    pages: Pages, task: dict[str, str], params: dict[str, str], expected: list[str]
) -> None:
    assert [row[0] for row in rows(pages, task, **params)["rows"]][: len(expected) or 1] == expected


def test_a_page_of_the_table_is_sent_again_only_if_the_file_has_changed(
    pages: Pages, task: dict[str, str], tmp_path: Path
) -> None:
    etag = pages.get("data/rows", task).headers["ETag"]

    assert pages.get("data/rows", task, **{"If-None-Match": etag}).status_code == 304
    assert pages.get("data/rows", {**task, "first": "50"}, **{"If-None-Match": etag}).status_code == 200
    (tmp_path / "problem_rows.csv").write_text(PROBLEM_HEADER + "\n")
    assert pages.get("data/rows", task, **{"If-None-Match": etag}).json()["total"] == 0


def test_the_rows_are_downloaded_with_formulas_guarded(pages: Pages, task: dict[str, str]) -> None:
    response = pages.get("data/rows.csv", {**task, "outcome": "failed"})

    lines = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert response.headers["Content-Disposition"] == 'attachment; filename="problem_rows.csv"'
    assert (lines[0], len(lines), lines[1][4]) == (PROBLEM_HEADER.split(","), 121, "'=1+1")


@pytest.mark.parametrize("delimiter", OUTPUT_DELIMITERS)
def test_the_download_is_what_excel_opens_and_has_the_delimiter_of_the_file(
    pages: Pages, tasks: Tasks, tmp_path: Path, delimiter: str
) -> None:
    lines = SpreadsheetLines(delimiter)
    values = ["7", "row 7", "failed", "Łódź", "=1+1", None, "w", None, None]
    content = lines.header(PROBLEM_HEADER.split(",")) + lines.line(values)
    (tmp_path / "problem_rows.csv").write_bytes(content)
    task = tasks.add(batch_report(tmp_path))

    downloaded = pages.get("data/rows.csv", task).content

    assert downloaded == content
    assert content.startswith(b"\xef\xbb\xbfrow")
    assert rows(pages, task)["rows"] == [[value or "" for value in values]]


@pytest.mark.parametrize(
    ("uri", "type_"),
    [
        ("/nowhere/problem_rows.csv", "FileNotFoundError"),
        ("/etc/passwd", "InvalidInput"),
        ("nothing://bucket/problem_rows.csv", "InvalidInput"),
        ("s3://missing_connection@bucket/problem_rows.csv", "InvalidInput"),
    ],
)
def test_what_cannot_be_read_is_said_and_all_else_is_shown(
    pages: Pages, tasks: Tasks, uri: str, type_: str
) -> None:
    task = tasks.add(batch_report(problem_rows=uri))

    failure = rows(pages, task)["failure"]

    assert failure["type"] == type_
    assert pages.data(task)["report"]["rows"] == 500
    assert pages.get("data/rows.csv", task).status_code == 502


def test_a_file_with_other_columns_is_not_shown(pages: Pages, tasks: Tasks, tmp_path: Path) -> None:
    (tmp_path / "problem_rows.csv").write_text("name,phone\nada,123\n")

    response = pages.get("data/rows", tasks.add(batch_report(tmp_path)))

    assert response.json()["failure"]["type"] == "InvalidInput"
    assert "ada" not in response.text


def test_the_words_of_a_storage_that_fails_are_not_shown(
    pages: Pages, task: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError("key=secret")

    monkeypatch.setattr(ObjectStoragePath, "open", fail)

    response = pages.get("data/rows", task)

    assert response.json()["failure"]["type"] == "PermissionError"
    assert "secret" not in response.text


def test_a_task_without_such_rows_has_no_list(pages: Pages, tasks: Tasks) -> None:
    assert pages.get("data/rows", tasks.add(batch_report(problem_rows=None))).status_code == 404
