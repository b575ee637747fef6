"""A batch whose storage fails now and then, or for a while: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage_retry import failure_reason
from tests.unit.batch_task import RESULT_CALL, RUN_CALL, BatchTask, cases
from tests.unit.failing_storage import STORAGE_ERRORS, FailingStore, HttpResponseError, attached_store

pytestmark = pytest.mark.sampled(2)

ROWS = 100
OUTPUT = {"output_path": "s3://bucket/nightly"}


class BlinkingStore(FailingStore):
    """Refuses each second put of a journal, of what the state folder says of its batch, and of an output.

    Or each second read of the batch's state: of a folder's names, of what a file holds, of a part of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blinks = self.blinks_at_reads = False
        self.by_kind: Counter[str] = Counter()

    def pipe_file(self, path: str, value: bytes, *args: Any, **options: Any) -> None:
        kind = path.rpartition("/")[2][:7]
        if kind in ("journal", "batch.j", "results", "unknown"):
            self.by_kind[kind] += 1
            if self.blinks and self.by_kind[kind] % 2:
                self.failed += 1
                raise self.error
        super().pipe_file(path, value, *args, **options)

    def _read(self, kind: str, path: str) -> None:
        self.by_kind[kind] += 1
        if self.blinks_at_reads and "_state" in path and self.by_kind[kind] % 2:
            self.failed += 1
            raise self.error

    def ls(self, path: str, *args: Any, **options: Any) -> Any:
        self._read("names", path)
        return super().ls(path, *args, **options)

    def cat_file(self, path: str, *args: Any, **options: Any) -> Any:
        self._read("whole", path)
        return super().cat_file(path, *args, **options)

    def open(self, path: str, mode: str = "rb", *args: Any, **options: Any) -> Any:
        if mode == "rb":
            self._read("opened", path)
        return super().open(path, mode, *args, **options)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlinkingStore]:
    monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.001, 0.001))
    with attached_store(kind=BlinkingStore) as store:
        assert isinstance(store, BlinkingStore)
        yield store


def output(store: FailingStore) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.cat_file("/bucket/nightly/results.jsonl").splitlines()]


@pytest.mark.costly(4)
@pytest.mark.thorough
@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
@pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
def test_that_refuses_each_second_write_costs_no_row_and_no_second_call(
    batch: BatchTask, sandbox: Sandbox, store: BlinkingStore, error: Exception, deferrable: bool
) -> None:
    store.error, store.blinks = error, True

    batch.run(cases(ROWS), deferrable=deferrable, **OUTPUT)

    assert [row["outcome"] for row in output(store)] == ["succeeded"] * ROWS
    assert list(sandbox.counts.runs_per_case.values()) == [1] * ROWS
    assert sandbox.counts.requests[RUN_CALL] == sandbox.counts.requests[RESULT_CALL] == ROWS
    assert store.failed > 5


@pytest.mark.costly(4)
@pytest.mark.thorough
@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
@pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
def test_that_refuses_each_second_read_of_the_state_costs_no_row_and_no_second_call(
    batch: BatchTask, sandbox: Sandbox, store: BlinkingStore, error: Exception, deferrable: bool
) -> None:
    store.error, store.blinks_at_reads = error, True
    rows = [{"key": f"K{number}", **row} for number, row in enumerate(cases(ROWS))]
    batch.run(rows, deferrable=deferrable, **OUTPUT)
    batch.clear()

    batch.run([{"key": "K0", "first_name": "Corrected"}, *rows[1:]], deferrable=deferrable, **OUTPUT)

    assert [row["outcome"] for row in output(store)] == ["succeeded"] * ROWS
    assert sandbox.counts.requests[RUN_CALL] == ROWS + 1
    assert store.failed > 5


@pytest.mark.thorough
@pytest.mark.parametrize("is_clear", [True, False])
def test_whose_state_cannot_be_read_for_too_long_ends_the_try_before_a_call(
    batch: BatchTask,
    sandbox: Sandbox,
    store: BlinkingStore,
    monkeypatch: pytest.MonkeyPatch,
    is_clear: bool,
) -> None:
    sandbox.define(batch.definition_id, seconds=0.0, status="FAILED")
    with pytest.raises(BatchFailed):
        batch.run(cases(3), **OUTPUT)
    sandbox.counts.reset()
    monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.05)
    monkeypatch.setattr(store, "_read", lambda *_: (_ for _ in ()).throw(HttpResponseError(503)))
    if is_clear:
        batch.clear()

    with pytest.raises(HttpResponseError):
        batch.run(cases(3), **OUTPUT)

    assert sandbox.counts.requests[RUN_CALL] == 0


@pytest.mark.thorough
def test_that_fails_for_too_long_in_one_try_leaves_each_run_in_the_journal_or_in_the_log(
    batch: BatchTask,
    sandbox: Sandbox,
    store: BlinkingStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.05)
    put = store.pipe_file

    def fail_once_an_id_is_to_be_written(path: str, value: bytes, *args: Any, **options: Any) -> None:
        if sandbox.counts.requests[RUN_CALL] > 20 and b'"workflow_id":"' in value.splitlines()[-1]:
            store.fail(HttpResponseError(503))
        put(path, value, *args, **options)

    monkeypatch.setattr(store, "pipe_file", fail_once_an_id_is_to_be_written)
    with pytest.raises(HttpResponseError):
        batch.run(cases(ROWS), **OUTPUT)
    monkeypatch.setattr(store, "pipe_file", put)
    store.away.clear()
    runs_of_the_first_try = sandbox.counts.requests[RUN_CALL]

    with pytest.raises(BatchFailed):
        batch.run(cases(ROWS), **OUTPUT)

    lost = {
        int(row)
        for row in re.findall(r"Workflow \S+ was started for row (\d+), and", capsys.readouterr().out)
    }
    unknown = {row["row"] for row in output(store) if row["outcome"] == "unknown"}
    assert 0 < len(lost) <= 32
    assert lost <= unknown
    assert runs_of_the_first_try >= len(lost)
    assert max(sandbox.counts.runs_per_case.values()) == 1
    assert Counter(row["outcome"] for row in output(store)) == {
        "succeeded": ROWS - len(unknown),
        "unknown": len(unknown),
    }
    assert len(store.cat_file("/bucket/nightly/unknown.csv").splitlines()) == 1 + len(unknown)
