"""Files in storage that are to be uploaded: what is wrong with one is said first, and without its name."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api import WorkflowsClient
from airflow_provider_workflows.api.errors import FileFailed, InvalidInput
from airflow_provider_workflows.files_to_upload import file_to_upload, require_stored_file
from airflow_provider_workflows.sandbox import Sandbox

NAME = "Wanda Kowalska.pdf"
MIB = 1024 * 1024


@pytest.fixture
def local(tmp_path: Path) -> Path:
    file = tmp_path / NAME
    file.write_bytes(b"%PDF")
    return file


class TestFile:
    @pytest.mark.parametrize("kind", [str, ObjectStoragePath, lambda path: f"file://{path}"])
    def test_on_the_worker_is_uploaded(self, sandbox: Sandbox, local: Path, kind: Any) -> None:
        upload = file_to_upload("path", kind(str(local)))

        with WorkflowsClient(sandbox.settings) as client:
            client.upload_resource(upload)

        (received,) = sandbox.files
        assert (received.name, received.sha256) == (NAME, hashlib.sha256(b"%PDF").hexdigest())

    def test_in_remote_storage_is_uploaded(self, sandbox: Sandbox, remote: MemoryFileSystem) -> None:
        remote.pipe_file("/incoming/scan.png", b"\x89PNG")

        with WorkflowsClient(sandbox.settings) as client:
            client.upload_resource(file_to_upload("path", "memory://incoming/scan.png"))

        assert [(file.name, file.size) for file in sandbox.files] == [("scan.png", 4)]

    def test_may_have_another_name_for_the_service(self, local: Path) -> None:
        upload = file_to_upload("path", str(local), file_name="document.png")

        assert (upload.name, upload.content_type) == ("document.png", "image/png")

    def test_is_never_in_memory_as_a_whole(self, tmp_path: Path) -> None:
        file = tmp_path / "large.pdf"
        with file.open("wb") as written:
            written.truncate(20_000_000)
        with Sandbox(max_file_bytes=20_000_000) as sandbox, WorkflowsClient(sandbox.settings) as client:
            client.authorize()
            tracemalloc.start()
            try:
                client.upload_resource(file_to_upload("path", str(file)))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()

        assert peak < 4 * MIB


class TestProblem:
    def problem(self, path: object, **options: Any) -> str:
        check: Any
        for check in (file_to_upload, *([] if "file_name" in options else [require_stored_file])):
            with pytest.raises(InvalidInput) as raised:
                check("path", path, **options)
            shown = f"{raised.value} {raised.value.__cause__ or ''}"
            assert "Kowalska" not in shown
            assert shown.startswith("path")
        return shown

    def test_of_a_file_that_is_missing_is_said(self, tmp_path: Path) -> None:
        assert "there is no such file" in self.problem(str(tmp_path / NAME))

    def test_of_a_folder_is_said(self, tmp_path: Path) -> None:
        (tmp_path / NAME).mkdir()

        assert "is a folder" in self.problem(str(tmp_path / NAME))

    def test_of_a_relative_path_is_said(self) -> None:
        assert "relative path" in self.problem(NAME)

    def test_of_a_template_that_has_found_nothing_is_said(self) -> None:
        assert "the text 'None'" in self.problem("None")

    def test_of_a_storage_without_its_package_is_said(self) -> None:
        assert "nothing here can reach" in self.problem(f"unheard://bucket/{NAME}")

    def test_of_a_path_with_a_password_is_said(self) -> None:
        assert "as in the file" in self.problem(f"s3://nobody:secret@bucket/{NAME}")

    def test_of_a_file_that_is_too_large_is_said(self, local: Path) -> None:
        assert "has 4 bytes, and at most 3 are uploaded" in self.problem(str(local), max_bytes=3)

    def test_of_a_name_without_a_known_ending_is_said(self, local: Path) -> None:
        assert "give content_type" in self.problem(str(local), file_name="Kowalska")

    def test_of_a_name_that_is_too_long_is_said(self, tmp_path: Path) -> None:
        assert "324 bytes" in self.problem(str(tmp_path / f"{'Kowalska' * 40}.pdf"))

    def test_of_an_empty_file_is_said(self, tmp_path: Path) -> None:
        (tmp_path / NAME).touch()

        assert "the file is empty" in self.problem(str(tmp_path / NAME))

    def test_of_what_is_no_file_is_said(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / NAME)

        assert "it is not an ordinary file" in self.problem(str(tmp_path / NAME))

    @pytest.mark.parametrize("check", [file_to_upload, require_stored_file])
    def test_of_a_folder_whose_name_is_too_long_does_not_repeat_it(self, tmp_path: Path, check: Any) -> None:
        with pytest.raises(FileFailed, match="cannot be read: File name too long") as raised:
            check("path", str(tmp_path / ("Kowalska" * 40) / NAME))

        assert raised.value.__context__ is None

    @pytest.mark.parametrize("check", [file_to_upload, require_stored_file])
    def test_of_storage_that_is_away_does_not_repeat_the_path(
        self, remote: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, check: Any
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"no connection for {NAME}")

        monkeypatch.setattr(remote, "info", fail)

        with pytest.raises(FileFailed, match="cannot be read: RuntimeError") as raised:
            check("path", f"memory://{NAME}")

        assert raised.value.__context__ is None

    def test_of_storage_that_fails_can_be_tried_again(
        self, remote: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote.pipe_file(f"/{NAME}", b"%PDF")

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"no connection for {NAME}")

        monkeypatch.setattr(remote, "open", fail)

        with pytest.raises(FileFailed, match="cannot be read: RuntimeError") as raised:
            file_to_upload("path", f"memory://{NAME}")

        assert raised.value.is_retryable()
        assert raised.value.__context__ is None
