"""A batch whose rows name files: each is uploaded once, and is a document of the cases of the rows that name it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.sandbox import READY_RECORD, TABLE, Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from tests.unit.batch_task import CASE_CALL, RUN_CALL, BatchTask
from tests.unit.operators.test_batch_kills import killed, run_try
from tests.unit.operators.test_batch_stop import FileStore

UPLOAD_CALL = "POST /resources"
COLUMNS = {"document_files": "document_files"}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Return the paths of files: two with the same content and name, in two folders, and two others."""
    contents = {
        "a/passport.pdf": b"one",
        "b/passport.pdf": b"one",
        "a/card.pdf": b"one",
        "c/passport.pdf": b"two",
    }
    for name, content in contents.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: str(tmp_path / "files" / name) for name in contents}


def documents(sandbox: Sandbox) -> list[list[str]]:
    """Return the names of the documents of each run's case."""
    found = [workflow.case["partyDetails"].get("documents") or [] for workflow in sandbox.workflows]
    return sorted([document["resourceName"] for document in each] for each in found)


@pytest.mark.thorough
class TestUploads:
    @pytest.mark.parametrize("generation", [1, 2])
    def test_a_file_is_uploaded_once_and_is_a_document_of_each_row_that_names_it(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str], generation: int
    ) -> None:
        rows = [
            {"first_name": "Ada", "document_files": files["a/passport.pdf"]},
            {"first_name": "Bob", "document_files": [files["b/passport.pdf"], files["a/card.pdf"]]},
            {"first_name": "Eve", "document_files": files["c/passport.pdf"]},
            *[{"first_name": "Zoë", "document_files": files["a/passport.pdf"]}] * 10,
            {"first_name": "Max", "document_files": None},
        ]
        batch.run(rows, workflows_conn_id=CONNECTION_IDS[generation], columns=COLUMNS)

        assert batch.outcomes == ["succeeded"] * len(rows)
        assert connected.counts.resources == 3
        assert sorted(file.name for file in connected.files) == ["card.pdf", "passport.pdf", "passport.pdf"]
        expected = [[], *[["passport.pdf"]] * 12, ["passport.pdf", "card.pdf"]]
        assert documents(connected) == sorted(expected)

    def test_documents_that_there_are_come_first(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str]
    ) -> None:
        given = {"resourceId": "r", "resourceName": "old.pdf", "resourcePath": "resources/r"}
        row = {"first_name": "Ada", "documents": [given], "document_files": files["a/card.pdf"]}
        batch.run([row], columns=COLUMNS)
        assert documents(connected) == [["old.pdf", "card.pdf"]]

    def test_a_column_of_a_file_names_one_or_several(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str], tmp_path: Path
    ) -> None:
        several = json.dumps([files["a/card.pdf"], files["c/passport.pdf"]]).replace('"', '""')
        path = tmp_path / "people.csv"
        path.write_text(
            f'first_name,Scan\nAda,{files["a/card.pdf"]}\nBob,"{several}"\n' + "Eve,\n" * 20, encoding="utf-8"
        )
        batch.run(str(path), columns={"Scan": "document_files"})

        assert connected.counts.resources == 2
        assert documents(connected)[-2:] == [["card.pdf"], ["card.pdf", "passport.pdf"]]

    def test_a_retry_and_a_clear_upload_nothing_again(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str]
    ) -> None:
        rows = [
            {"key": f"K{number}", "first_name": "Ada", "document_files": files["a/card.pdf"]}
            for number in range(3)
        ]
        connected.fault("forbidden", path="/cases")
        with pytest.raises(Exception, match="403"):
            batch.run(rows, columns=COLUMNS)
        connected.clear_faults()
        batch.ti.try_number += 1
        batch.run(rows, columns=COLUMNS)
        batch.clear()
        more = {"key": "K9", "first_name": "Bob", "document_files": files["a/card.pdf"]}
        batch.run([*rows, more], columns=COLUMNS)

        assert connected.counts.requests[UPLOAD_CALL] == 1
        assert documents(connected) == [["card.pdf"]] * 4
        assert set(connected.counts.runs_per_case.values()) == {1}

    def test_a_row_that_names_another_file_is_due(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str]
    ) -> None:
        rows = [
            {"key": f"K{number}", "first_name": "Ada", "document_files": files["a/card.pdf"]}
            for number in range(3)
        ]
        batch.run(rows, columns=COLUMNS)
        batch.clear()
        batch.run([*rows[:2], {**rows[2], "document_files": files["c/passport.pdf"]}], columns=COLUMNS)

        assert connected.counts.runs == 4
        assert connected.counts.resources == 2

    @pytest.mark.parametrize("is_cleared", [False, True], ids=["retry", "clear"])
    def test_a_file_that_was_exported_anew_before_its_case_was_created_is_uploaded_anew(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str], is_cleared: bool
    ) -> None:
        rows = [
            {"key": f"K{number}", "first_name": "Ada", "document_files": files["a/card.pdf"]}
            for number in range(3)
        ]
        connected.fault("forbidden", path="/cases")
        with pytest.raises(Exception, match="403"):
            batch.run(rows, columns=COLUMNS)
        connected.clear_faults()
        Path(files["a/card.pdf"]).write_bytes(b"corrected")
        if is_cleared:
            batch.clear()
        else:
            batch.ti.try_number += 1
        batch.run(rows, columns=COLUMNS)

        (first, latest) = [file.id for file in connected.files]
        sent = [workflow.case["partyDetails"]["documents"] for workflow in connected.workflows]
        assert first != latest
        assert [[document["resourceId"] for document in each] for each in sent] == [[latest]] * 3

    @pytest.mark.parametrize("fault", [{"name": "cut_after"}, {"name": "server_error", "status": 503}])
    def test_an_upload_whose_response_was_lost_is_sent_again(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str], fault: dict[str, Any]
    ) -> None:
        connected.fault(path="/resources", times=1, **fault)
        batch.run([{"first_name": "Ada", "document_files": files["a/card.pdf"]}] * 3, columns=COLUMNS)

        assert batch.outcomes == ["succeeded"] * 3
        assert connected.counts.requests[UPLOAD_CALL] == 2

    @pytest.mark.parametrize("content", [b"two", None], ids=["changed", "vanished"])
    def test_a_file_that_changes_before_its_upload_fails_its_row_alone(
        self,
        batch: BatchTask,
        connected: Sandbox,
        remote: MemoryFileSystem,
        monkeypatch: pytest.MonkeyPatch,
        content: bytes | None,
    ) -> None:
        remote.pipe_file("/scans/Brunhilde.pdf", b"one")
        opened = remote.open

        def open_once(*arguments: Any, **options: Any) -> Any:
            monkeypatch.setattr(remote, "open", opened)
            file = io.BytesIO(opened(*arguments, **options).read())
            remote.rm_file("/scans/Brunhilde.pdf")
            if content is not None:
                remote.pipe_file("/scans/Brunhilde.pdf", content)
            return file

        monkeypatch.setattr(remote, "open", open_once)
        rows = [
            {"first_name": "Eve", "document_files": "memory://scans/Brunhilde.pdf"},
            {"first_name": "Ada"},
            {"first_name": "Bob"},
        ]
        batch.run(rows, max_failed_share=1.0, columns=COLUMNS)

        assert batch.outcomes == ["not_submitted", "succeeded", "succeeded"]
        assert "change" in batch.output[0]["error"]
        assert connected.counts.resources == 0

    def test_storage_that_fails_for_a_file_fails_its_row_alone(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = [
            {"first_name": "Eve", "document_files": f"/{'Brunhilde' * 30}/card.pdf"},
            {"first_name": "Ada", "document_files": files["a/card.pdf"]},
        ]
        batch.run(rows, max_failed_share=1.0, columns=COLUMNS)

        assert batch.outcomes == ["not_submitted", "succeeded"]
        assert "File name too long" in batch.output[0]["error"]
        assert "Brunhilde" not in f"{caplog.text} {batch.output}"
        assert documents(connected) == [["card.pdf"]]

    @pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("number", [2, 3, 4, 5, 8])
    def test_a_kill_pays_no_run_twice_and_uploads_each_file_at_most_once_more(
        self,
        batch: BatchTask,
        connected: Sandbox,
        files: dict[str, str],
        tmp_path: Path,
        number: int,
        is_over: bool,
    ) -> None:
        batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
        rows = [
            {"key": f"K{each}", "first_name": "Ada", "document_files": files["a/card.pdf"]}
            for each in range(8)
        ]
        killed(
            run_try,
            batch,
            rows,
            ("batch.journal:Journal._append", number),
            {"columns": COLUMNS},
            is_over=is_over,
        )
        batch.ti.try_number += 1
        batch.run(rows, deferrable=False, max_failed_share=1.0, columns=COLUMNS)

        assert set(batch.outcomes) <= {"succeeded", "unknown"}
        assert set(connected.counts.runs_per_case.values()) == {1}
        assert connected.counts.resources <= 2
        assert set(map(tuple, documents(connected))) == {("card.pdf",)}


@pytest.mark.parametrize("nothing", [[], ()])
def test_a_list_of_no_files_is_nothing(batch: BatchTask, connected: Sandbox, nothing: Any) -> None:
    batch.run(
        [{"record_id": READY_RECORD, "document_files": nothing}],
        workflows_conn_id=CONNECTION_IDS[2],
        columns=COLUMNS,
    )

    assert batch.outcomes == ["succeeded"]
    assert connected.counts.requests[CASE_CALL] == 0


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("a/gone.pdf", "row 2: document_files: there is no such file"),
            ("a/" + "Brunhilde" * 40 + ".pdf", "row 2: document_files: the file's name has"),
            ("a/empty.pdf", "row 2: document_files: the file is empty"),
            ("a/pipe.pdf", "row 2: document_files: it is not an ordinary file"),
            ("a", "row 2: document_files: it is a folder: name one file"),
            ("a/Brunhilde.unknown", "row 2: document_files: "),
            ("Brunhilde.pdf", "row 2: document_files"),
        ],
    )
    def test_a_file_that_cannot_be_uploaded_is_found_before_anything_is_sent(
        self,
        batch: BatchTask,
        connected: Sandbox,
        files: dict[str, str],
        tmp_path: Path,
        given: str,
        words: str,
    ) -> None:
        (tmp_path / "files" / "a" / "Brunhilde.unknown").write_bytes(b"one")
        (tmp_path / "files" / "a" / "empty.pdf").touch()
        os.mkfifo(tmp_path / "files" / "a" / "pipe.pdf")
        path = given if given == "Brunhilde.pdf" else str(tmp_path / "files" / given)
        with pytest.raises(InvalidInput) as refused:
            batch.run([{"first_name": "Ada"}, {"first_name": "Eve", "document_files": path}], columns=COLUMNS)

        assert words in str(refused.value)
        assert "Brunhilde" not in str(refused.value)
        assert not connected.counts.requests

    def test_with_skip_a_file_that_is_missing_fails_its_row_alone(
        self, batch: BatchTask, connected: Sandbox, files: dict[str, str], tmp_path: Path
    ) -> None:
        rows = [
            {"first_name": "Ada"},
            {"first_name": "Eve", "document_files": str(tmp_path / "Brunhilde.pdf")},
            {"first_name": "Bob", "document_files": files["a/card.pdf"]},
        ]
        batch.run(rows, on_bad_row="skip", max_failed_share=1.0, columns=COLUMNS)

        assert batch.outcomes == ["succeeded", "not_submitted", "succeeded"]
        assert "there is no such file" in batch.output[1]["error"]
        assert "Brunhilde" not in json.dumps(batch.output)
        assert (connected.counts.requests[CASE_CALL], connected.counts.requests[RUN_CALL]) == (2, 2)

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ({"document_files": ["/a.pdf"]}, "has neither a case field nor a case_id"),
            (
                {"case_id": "1e9f4b62-c7a8-4d03-a5f6-80b2d3e7916c", "document_files": "/a.pdf"},
                "case_id and case",
            ),
            (
                {"first_name": "Ada", "document_files": 7},
                "document_files: must be the URI or the absolute path",
            ),
            (
                {"first_name": "Ada", "document_files": [""]},
                "document_files: must be the URI or the absolute path",
            ),
        ],
    )
    def test_a_row_with_files_and_nothing_that_they_belong_to_is_a_bad_row(
        self, batch: BatchTask, connected: Sandbox, row: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InvalidInput, match=words):
            batch.run([row], columns=COLUMNS)
        assert not connected.counts.requests


@pytest.mark.parametrize(
    ("generation", "row", "words"),
    [
        (2, {"record_id": READY_RECORD}, "a record and a case together"),
        (3, {"record_id": READY_RECORD}, "a record and a case together"),
        (3, {"record.firstName": "Ada"}, "a record and a case together"),
        (3, {"first_name": "Ada"}, "has fields of a case, which need api_generation 1 or 2"),
    ],
)
def test_files_of_a_row_about_a_record_or_of_generation_3_are_refused_before_anything_is_sent(
    batch: BatchTask,
    connected: Sandbox,
    files: dict[str, str],
    generation: int,
    row: dict[str, Any],
    words: str,
) -> None:
    row = {**row, "document_files": files["a/card.pdf"]}
    arguments = {"table_id": TABLE} if "record.firstName" in row else {}

    with pytest.raises(InvalidInput, match=words):
        batch.run([row], workflows_conn_id=CONNECTION_IDS[generation], columns=COLUMNS, **arguments)

    assert not connected.counts.requests
