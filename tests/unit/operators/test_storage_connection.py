"""A storage connection that changes while a batch waits: the triggerer uses it as it is by then.

The store checks the key of each access, and its exception is its own kind, as those of Azure and Google are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.io import fs as airflow_file_systems
from airflow.sdk.io.store import _STORE_CACHE
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage import ObjectStoragePath, read_connection_again
from tests.unit.batch_task import RUN_CALL, STATUS_CALL, BatchTask, cases
from tests.unit.tasks import event_of

HTTP_LOG = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
VARIABLE = "AIRFLOW_CONN_STORE"
ROWS = 5


class KeyRefused(Exception):
    """The store's own, and not an ``OSError``."""


class KeyedFiles(MemoryFileSystem):
    """Files in memory that are read and written with the right key only."""

    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    right_key = "first"
    refused = 0

    def __init__(self, key: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.key = key

    def _check(self) -> None:
        if self.key != KeyedFiles.right_key:
            KeyedFiles.refused += 1
            raise KeyRefused

    def ls(self, *args: Any, **kwargs: Any) -> Any:
        self._check()
        return super().ls(*args, **kwargs)

    def _open(self, *args: Any, **kwargs: Any) -> Any:
        self._check()
        return super()._open(*args, **kwargs)


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have Airflow make such a file system for ``memory://``, with the password of the connection as the key."""
    monkeypatch.setitem(
        airflow_file_systems._register_filesystems(),  # type: ignore[arg-type]
        "memory",
        lambda conn_id, _: KeyedFiles(key=BaseHook.get_connection(conn_id).password),
    )
    monkeypatch.setattr(KeyedFiles, "store", {})
    monkeypatch.setattr(KeyedFiles, "pseudo_dirs", [""])
    monkeypatch.setattr(KeyedFiles, "right_key", "first")
    monkeypatch.setattr(KeyedFiles, "refused", 0)
    store_key(monkeypatch, "first")
    yield
    _STORE_CACHE.pop("memory-store", None)


def store_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "generic", "password": key}))


def deferred(batch: BatchTask, **arguments: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        batch.operator(cases(ROWS), output_path="memory://store@bucket/nightly", **arguments).execute(
            batch.context
        )
    return raised.value


def finish(batch: BatchTask, event: Any) -> Any:
    operator = batch.operator(cases(ROWS), output_path="memory://store@bucket/nightly")
    return operator.resume_execution("execute_complete", {"event": event}, batch.context)


@pytest.mark.thorough
def test_is_used_as_it_is_once_the_old_key_is_refused(
    batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = deferred(batch)
    monkeypatch.setattr(KeyedFiles, "right_key", "second")
    store_key(monkeypatch, "second")

    event = event_of(waiting)

    assert KeyedFiles.refused == 1
    assert finish(batch, event)["outcomes"] == {"succeeded": ROWS}
    assert sandbox.counts.requests[RUN_CALL] == ROWS


@pytest.mark.thorough
def test_is_used_as_it_is_when_it_changes_during_the_wait(
    batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.define(batch.definition_id, seconds=0.3)
    waiting = deferred(batch)
    read = KeyedFiles._open
    polled_before = sandbox.counts.requests[STATUS_CALL]

    def rotating(files: KeyedFiles, path: str, mode: str = "rb", **options: Any) -> Any:
        # The first write of what has ended.
        if "w" in mode and sandbox.counts.requests[STATUS_CALL] > polled_before:
            monkeypatch.setattr(KeyedFiles, "right_key", "second")
            store_key(monkeypatch, "second")
        return read(files, path, mode, **options)

    monkeypatch.setattr(KeyedFiles, "_open", rotating)

    event = event_of(waiting)

    assert KeyedFiles.refused == 1
    assert finish(batch, event)["outcomes"] == {"succeeded": ROWS}
    assert sandbox.counts.requests[RUN_CALL] == ROWS


@pytest.mark.thorough
@pytest.mark.parametrize("missing", [False, True], ids=["as before", "missing"])
def test_that_has_not_changed_ends_the_wait_with_the_error_of_storage(
    batch: BatchTask, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    waiting = deferred(batch)
    monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.01, 0.01))
    monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.1)
    monkeypatch.setattr(KeyedFiles, "right_key", "second")
    if missing:
        monkeypatch.delenv(VARIABLE)

    event = event_of(waiting)

    assert "could not be read or written: KeyRefused" in event["error"]["message"]
    assert KeyedFiles.refused > 2


def test_is_shared_by_all_paths_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ObjectStoragePath("memory://store@bucket/a")
    (before / "file").fs.pipe_file("/bucket/a/file", b"1")
    monkeypatch.setattr(KeyedFiles, "right_key", "second")
    store_key(monkeypatch, "second")

    assert read_connection_again(before, KeyRefused())
    assert (before / "file").open("rb").read() == b"1"  # type: ignore[no-untyped-call]


class TestAzure:
    """Its library logs each request, twice; the file system in memory logs like it."""

    @pytest.fixture(autouse=True)
    def noisy(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        check = KeyedFiles._check

        def logged(files: KeyedFiles) -> None:
            HTTP_LOG.info("Request URL: 'https://account.blob.core.windows.net/...'")
            HTTP_LOG.warning("A warning of Azure's")
            check(files)

        monkeypatch.setattr(KeyedFiles, "_check", logged)

    @pytest.mark.thorough
    def test_logs_no_request_while_a_batch_runs_and_as_before_afterwards(
        self, batch: BatchTask, caplog: pytest.LogCaptureFixture
    ) -> None:
        waiting = deferred(batch)
        assert HTTP_LOG.isEnabledFor(logging.INFO)
        event = event_of(waiting)
        assert HTTP_LOG.isEnabledFor(logging.INFO)
        finish(batch, event)

        lines = [record.levelname for record in caplog.records if record.name == HTTP_LOG.name]
        assert set(lines) == {"WARNING"}
        assert HTTP_LOG.isEnabledFor(logging.INFO)
