"""Files of a batch: whole or not there, on a disk, on a remote file system and in an object store."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from airflow.sdk.io import fs as file_systems
from airflow.sdk.io.store import _STORE_CACHE
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.storage import from_working_directory, remove_folder, shown, storage_path
from airflow_provider_workflows.whole_files import replacing, require_writable, write_whole
from tests.unit.failing_storage import HttpResponseError


class RemoteFiles(MemoryFileSystem):
    """A remote file system of the test's own."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.refusal: Exception | None = None

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if self.refusal and mode != "rb":
            raise self.refusal
        return super()._open(path, mode, **options)


class ObjectStore(RemoteFiles):
    """Knows whole puts only: no half is ever stored, and nothing is moved or made a folder."""

    def pipe_file(self, path: str, value: bytes, *args: Any, **options: Any) -> None:
        super()._open(path, "wb", data=value) if not self.refusal else self._refuse()

    def put_file(self, lpath: str, rpath: str, *args: Any, **options: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def _refuse(self, *args: Any, **options: Any) -> None:
        raise self.refusal or NotImplementedError

    mv = cp_file = makedirs = _refuse

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        assert mode == "rb"
        return super()._open(path, mode, **options)


class NothingMovedOverAnother(RemoteFiles):
    """As SMB does."""

    def mv(self, path1: str, path2: str, *args: Any, **options: Any) -> None:
        if self.exists(path2):
            raise FileExistsError(path2)
        self.cp_file(path1, path2)
        self.rm_file(path1)


KINDS = {"memory": RemoteFiles, "s3": ObjectStore, "smb": NothingMovedOverAnother}


@pytest.fixture(autouse=True)
def remotes() -> Iterator[dict[str, RemoteFiles]]:
    attached = {protocol: kind() for protocol, kind in KINDS.items()}
    for protocol, fs in attached.items():
        attach(protocol, fs=fs)
    yield attached
    for protocol in attached:
        _STORE_CACHE.pop(protocol)


@pytest.fixture(params=["local", *KINDS])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStoragePath:
    """A folder that is not there yet, in each kind of storage."""
    place = tmp_path if request.param == "local" else f"{request.param}://bucket"
    return ObjectStoragePath(f"{place}/nightly/run[1]")


def files(folder: ObjectStoragePath) -> dict[str, bytes]:
    """The content of every file at or below a folder, by name."""
    found = folder.fs.find(folder.path)
    return {name.rpartition("/")[2]: folder.fs.cat_file(name) for name in found}


class TestWriting:
    def test_makes_the_folders_above(self, folder: ObjectStoragePath) -> None:
        write_whole(folder / "deeper" / "file", b"all of it")

        assert files(folder) == {"file": b"all of it"}

    def test_replaces_what_is_there(self, folder: ObjectStoragePath) -> None:
        write_whole(folder / "file", b"a longer text before")

        write_whole(folder / "file", b"after")

        assert files(folder) == {"file": b"after"}

    def test_a_reader_sees_what_was_there_until_the_end(self, folder: ObjectStoragePath) -> None:
        write_whole(folder / "file", b"before")

        with replacing(folder / "file") as file:
            file.write(b"after")
            file.flush()
            seen = files(folder)["file"]

        assert seen == b"before"
        assert files(folder) == {"file": b"after"}

    @pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
    @pytest.mark.parametrize("before", [{}, {"file": b"before"}], ids=["new", "there before"])
    def test_an_exception_leaves_all_as_it_was(
        self, folder: ObjectStoragePath, before: dict[str, bytes], error: type[BaseException]
    ) -> None:
        for name, content in before.items():
            write_whole(folder / name, content)

        def fail() -> None:
            with replacing(folder / "file") as file:
                file.write(b"half" * 100_000)
                raise error

        with pytest.raises(error):
            fail()

        assert files(folder) == before

    def test_what_a_killed_try_left_is_gone_after_the_next(self, folder: ObjectStoragePath) -> None:
        def write_half() -> None:
            writing = replacing(folder / "file")
            writing.__enter__().write(b"half" * 100_000)
            os._exit(9)

        killed = multiprocessing.get_context("fork").Process(target=write_half)
        killed.start()
        killed.join()
        assert killed.exitcode == 9

        write_whole(folder / "file", b"whole")

        assert files(folder) == {"file": b"whole"}

    def test_of_two_that_write_at_once_the_file_is_all_of_one(self, folder: ObjectStoragePath) -> None:
        slow = replacing(folder / "file")
        slow.__enter__().write(b"slow " * 1000)
        with replacing(folder / "file") as file:
            file.write(b"fast")
            with contextlib.suppress(OSError):
                slow.__exit__(None, None, None)

        assert files(folder) in ({"file": b"fast"}, {"file": b"slow " * 1000})

    def test_other_files_are_left_alone(self, folder: ObjectStoragePath) -> None:
        others = {"file2": b"2", "_file2.ab.part": b"of file2", "_file.txt": b"a user's"}
        for name, content in others.items():
            folder.fs.makedirs(folder.path, exist_ok=True) if folder.protocol != "s3" else None
            folder.fs.pipe_file(f"{folder.path}/{name}", content)

        write_whole(folder / "file", b"1")

        assert files(folder) == {**others, "file": b"1"}

    def test_a_folder_in_the_way_of_a_file_leaves_nothing_behind(self, tmp_path: Path) -> None:
        (tmp_path / "file").mkdir()

        with pytest.raises(IsADirectoryError):
            write_whole(ObjectStoragePath(str(tmp_path / "file")), b"content")

        assert [path.name for path in tmp_path.iterdir()] == ["file"]


class TestPaths:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("/data/out", "/data/out"),
            (" /data/out ", "/data/out"),
            ("/data/what?now", "/data/what?now"),
            ("file:///data/out", "file:///data/out"),
            ("s3://bucket/out", "s3://bucket/out"),
            ("memory://out", "memory://out"),
            (ObjectStoragePath("/data/out"), "/data/out"),
        ],
    )
    def test_accepts_a_uri_an_absolute_path_or_a_path(self, value: object, expected: str) -> None:
        assert str(storage_path("output", value)) == expected

    def test_keeps_the_connection_of_a_uri(self) -> None:
        path = storage_path("output", "file://my_conn@/data/out")

        assert (path.conn_id, path.path) == ("my_conn", "/data/out")

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (None, "not NoneType"),
            (7, "not int"),
            (Path("/data/out"), "not PosixPath"),
            ("", "is empty"),
            ("   ", "is empty"),
            ("None", "is the text 'None'"),
            ("s3://bucket/{{ ds }}", "still holds a template"),
            ("/data/{% if x %}", "still holds a template"),
            ("/data/\0out", "holds a control character"),
            ("data/out", "relative path"),
            ("~/out", "relative path"),
            ("file://data/out", "relative path"),
            ("file:data/out", "relative path"),
            (ObjectStoragePath("data/out"), "relative path"),
            ("/", "names no file or folder"),
            ("s3://", "names no file or folder"),
            ("s3://conn@/", "names no file or folder"),
            ("gs://bucket/out", "nothing here can reach gs://; install the Airflow provider"),
            ("nonsense://bucket/out", "nothing here can reach nonsense://"),
            ("s3://me:hunter2@bucket/out", "holds a password: keep it in an Airflow connection"),
            ("s3://bucket/out?token=hunter2", "holds a query"),
        ],
        ids=str,
    )
    def test_refuses_what_is_not_a_place_to_write(self, value: object, reason: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            storage_path("output", value)

        assert str(refusal.value).startswith("output")
        assert reason in str(refusal.value)
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("s3://my_conn@bucket/a", "s3://my_conn@bucket/a"),
            ("s3://me:hunter2@bucket/a?sig=hunter2", "s3://me@bucket/a"),
            ("/data/what?", "/data/what?"),
        ],
    )
    def test_a_message_shows_no_password_and_no_query(self, uri: str, expected: str) -> None:
        assert shown(uri) == expected


class TestConnectionThatCannotBeUsed:
    """A connection whose storage cannot be opened, by an error that repeats what is in it."""

    SECRETS = ("hunter2-hunter2", "AKIA1234", "minio.example.com", "65536x", "dGhlIHNlY3JldCBrZXkgb2YgOQ")

    @pytest.fixture(autouse=True)
    def store(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv(
            "AIRFLOW_CONN_STORE",
            json.dumps(
                {
                    "conn_type": "aws",
                    "login": "AKIA1234",
                    "password": "hunter2-hunter2/65536x",
                    "extra": {"endpoint_url": "https://minio.example.com"},
                }
            ),
        )

        def refused(conn_id: str | None) -> Any:
            raise self.error

        monkeypatch.setattr(file_systems, "_register_filesystems", lambda: {"s3": refused})
        _STORE_CACHE.pop("s3-store", None)
        yield
        _STORE_CACHE.pop("s3-store", None)

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (
                ValueError("Invalid endpoint: https://minio.example.com"),
                "(ValueError): Invalid endpoint: ***",
            ),
            (ValueError("Port could not be cast to integer value as '65536x'"), "integer value as '***'"),
            (KeyError("region_name"), "(KeyError): 'region_name'"),
            (TypeError("login 'AKIA1234' and hunter2-hunter2 are wrong"), "login '***' and *** are wrong"),
            (ValueError("dGhlIHNlY3JldCBrZXkgb2YgOQ is no key"), "*** is no key"),
        ],
        ids=str,
    )
    def test_is_said_to_be_wrong_without_what_it_holds(self, error: Exception, words: str) -> None:
        self.error = error

        with pytest.raises(InvalidInput) as refusal:
            storage_path("items", "s3://store@bucket/rows.csv")

        shown_error = "".join(traceback.format_exception(refusal.value))
        assert "items: the connection 'store' of s3://store@bucket/rows.csv cannot be used" in shown_error
        assert words in shown_error
        assert not [secret for secret in self.SECRETS if secret in shown_error]
        assert "install" not in shown_error

    def test_names_the_python_package_that_is_missing(self) -> None:
        self.error = ModuleNotFoundError("No module named 's3fs'", name="s3fs")

        with pytest.raises(InvalidInput, match="s3://: the Python package s3fs is missing; install"):
            storage_path("items", "s3://store@bucket/rows.csv")


def test_a_relative_path_is_one_of_the_working_directory_where_a_person_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert from_working_directory("out/results.jsonl") == str(tmp_path / "out/results.jsonl")
    assert from_working_directory(Path("results.jsonl")) == str(tmp_path / "results.jsonl")
    assert from_working_directory("s3://bucket/a") == "s3://bucket/a"
    assert from_working_directory("") == ""


class TestRequireWritable:
    def test_leaves_nothing_behind(self, folder: ObjectStoragePath) -> None:
        require_writable("output", folder)

        assert files(folder) == {}

    def test_makes_the_folder(self, tmp_path: Path) -> None:
        require_writable("output", ObjectStoragePath(str(tmp_path / "a" / "b")))

        assert (tmp_path / "a" / "b").is_dir()

    @pytest.mark.parametrize(
        ("below", "reason"), [("file", "a file is in the way"), ("file/out", "Not a directory")]
    )
    def test_names_the_file_in_the_way(self, tmp_path: Path, below: str, reason: str) -> None:
        (tmp_path / "file").write_text("a user's")

        with pytest.raises(InvalidInput) as refusal:
            require_writable("output", ObjectStoragePath(f"{tmp_path}/{below}"))

        assert str(refusal.value) == f"output: {tmp_path}/{below} cannot be written: {reason}"

    @pytest.mark.parametrize("protocol", KINDS)
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (PermissionError(13, "Access Denied: hunter2"), "Permission denied"),
            (PermissionError("Access Denied: hunter2"), "Permission denied"),
            (OSError(30, "hunter2"), "Read-only file system"),
            (FileNotFoundError("The specified bucket does not exist: hunter2"), "no such bucket or folder"),
            (HttpResponseError(403), "Permission denied"),
            (HttpResponseError(404), "no such bucket or folder"),
        ],
    )
    def test_names_what_the_storage_refuses(
        self, remotes: dict[str, RemoteFiles], protocol: str, error: Exception, reason: str
    ) -> None:
        remotes[protocol].refusal = error

        with pytest.raises(InvalidInput) as refusal:
            require_writable("output", ObjectStoragePath(f"{protocol}://bucket/out"))

        uri = ObjectStoragePath(f"{protocol}://bucket/out")
        assert str(refusal.value) == f"output: {uri} cannot be written: {reason}"

    @pytest.mark.parametrize(
        "error",
        [ConnectionResetError(), TimeoutError(), OSError(28, "No space left"), HttpResponseError(503)],
    )
    def test_a_blip_is_left_to_a_retry(self, remotes: dict[str, RemoteFiles], error: Exception) -> None:
        remotes["s3"].refusal = error

        with pytest.raises(type(error)) as raised:
            require_writable("output", ObjectStoragePath("s3://bucket/out"))

        assert raised.value is error


class TestRemoveFolder:
    def test_removes_all_that_is_in_it(self, folder: ObjectStoragePath) -> None:
        write_whole(folder / "a", b"1")
        write_whole(folder / "deeper" / "b", b"2")
        write_whole(folder.parent / "beside", b"3")

        remove_folder(folder)

        assert files(folder.parent) == {"beside": b"3"}
        assert not folder.fs.exists(folder.path)

    def test_leaves_a_folder_that_its_name_matches_as_a_pattern(self, folder: ObjectStoragePath) -> None:
        write_whole(folder.parent / "run1" / "beside", b"3")

        remove_folder(folder)

        assert files(folder.parent) == {"beside": b"3"}

    def test_one_that_is_not_there_is_fine(self, folder: ObjectStoragePath) -> None:
        remove_folder(folder)

        assert not folder.fs.exists(folder.path)
