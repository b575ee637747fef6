"""Storage that fails on demand: an object store, and the errors that such stores raise."""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.sdk.io import attach
from airflow.sdk.io.store import _STORE_CACHE
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.storage import ObjectStoragePath


class HttpResponseError(Exception):
    """Stands for Azure's, which is no ``OSError``; its text holds what no log may show."""

    def __init__(self, status_code: int) -> None:
        super().__init__("PUT /container/hunter2?sig=hunter2")
        self.status_code = status_code


#: What stores raise for a failing write, and the words that a log line has for it.
STORAGE_ERRORS = [
    (OSError(5, "hunter2"), "OSError (Input/output error)"),
    (OSError(28, "hunter2"), "OSError (No space left on device)"),
    (PermissionError("Access Denied: hunter2"), "PermissionError"),
    (TimeoutError("hunter2"), "TimeoutError"),
    (HttpResponseError(503), "HttpResponseError (HTTP 503)"),
    (RuntimeError("SlowDown: hunter2"), "RuntimeError"),
]


class FailingStore(MemoryFileSystem):
    """An object store whose puts fail: the next few, or all while ``away`` is set."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.away = threading.Event()
        self.error: BaseException = OSError(5, "Input/output error")
        self.failures_left = 0
        #: How many puts came, and how many of them failed.
        self.puts = self.failed = 0

    def fail(self, error: BaseException, *, times: int | None = None) -> None:
        """Let puts fail, the next few or all from now on."""
        self.error = error
        self.failures_left = times or 0
        if times is None:
            self.away.set()

    def pipe_file(self, path: str, value: bytes, *args: Any, **options: Any) -> None:
        self.puts += 1
        if self.failures_left or self.away.is_set():
            self.failures_left = max(0, self.failures_left - 1)
            self.failed += 1
            raise self.error
        self.open(path, "wb", data=value)

    def put_file(self, lpath: str, rpath: str, *args: Any, **options: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes())


@contextlib.contextmanager
def attached_store(protocol: str = "s3", kind: type[FailingStore] = FailingStore) -> Iterator[FailingStore]:
    """Have a failing store at ``s3://`` within the block, or a failing remote file system at another protocol."""
    # Another test may have met the protocol while nothing was attached to it.
    _STORE_CACHE.pop(protocol, None)
    attach(protocol, fs=(store := kind()))
    store.makedirs("/bucket/state")
    yield store
    _STORE_CACHE.pop(protocol)


def folder_in_store() -> ObjectStoragePath:
    """Return a folder in the store that is attached."""
    return ObjectStoragePath("s3://bucket/state")


@contextlib.contextmanager
def no_file_longer_than(number: int) -> Iterator[None]:
    """Have the system refuse to write behind a file's first bytes within the block, as on a full disk."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
