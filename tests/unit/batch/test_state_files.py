"""The files of a batch's state are read over failures of storage, and each line once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.batch import state_files
from airflow_provider_workflows.batch.state_files import names_in, read_lines, read_whole
from airflow_provider_workflows.storage import ObjectStoragePath
from airflow_provider_workflows.storage_retry import failure_reason
from tests.unit.failing_storage import STORAGE_ERRORS, FailingStore, attached_store, folder_in_store

LINES = [b"%d\n" % number for number in range(100)]


class Store(FailingStore):
    """Refuses each third read of a part of a file."""

    reads = 0

    def open(self, path: str, mode: str = "rb", *args: Any, **options: Any) -> Any:
        file = super().open(path, mode, *args, **options)
        return file if mode != "rb" else BlinkingFile(self, file.getvalue())


class BlinkingFile(io.BytesIO):
    """Gives a few bytes at once; its readlines takes no number of bytes, as those of s3fs, gcsfs and adlfs."""

    def __init__(self, store: Store, content: bytes) -> None:
        super().__init__(content)
        self.store = store

    def readinto(self, buffer: Any, /) -> int:
        self.store.reads += 1
        if self.store.reads % 3 == 0:
            raise self.store.error
        return super().readinto(memoryview(buffer)[:40])

    def readlines(self) -> list[bytes]:  # type: ignore[override]
        raise NotImplementedError


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.0, 0.0))
    monkeypatch.setattr(state_files, "_BYTES_READ_AT_ONCE", 10)
    with attached_store(kind=Store) as store:
        assert isinstance(store, Store)
        yield store


@pytest.fixture
def file(store: Store) -> ObjectStoragePath:
    file = folder_in_store() / "file"
    store.pipe_file(file.path, b"".join(LINES))
    return file


@pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
def test_lines_are_read_on_from_where_storage_failed(
    store: Store, file: ObjectStoragePath, error: Exception
) -> None:
    store.error = error

    assert list(read_lines(file)) == LINES
    assert store.reads > 9


def test_lines_of_a_file_that_grows_are_read_in_one_request(store: Store, file: ObjectStoragePath) -> None:
    lines = read_lines(file, grows=True)
    first = next(lines)
    store.pipe_file(file.path, b"".join(LINES) + b"more\n")

    assert [first, *lines] == LINES


@pytest.mark.parametrize("read", [lambda path: next(read_lines(path)), read_whole, names_in])
def test_what_is_not_there_is_not_tried_again(
    store: Store, read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(FileNotFoundError):
        read(folder_in_store() / "nothing")

    assert caplog.text == ""


def test_a_stop_ends_the_attempts(
    store: Store, file: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ls", lambda *_, **__: (_ for _ in ()).throw(store.error))

    with pytest.raises(OSError, match="Input/output error"):
        names_in(file.parent, is_stopped=lambda: True)
