"""The journal: nothing that was recorded is lost, whichever process is killed when."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api import Statuses
from airflow_provider_workflows.batch import journal as journal_module
from airflow_provider_workflows.batch.journal import Journal, entries, states
from airflow_provider_workflows.batch.row_state import SUBMIT_AGAIN, RowOutcome
from airflow_provider_workflows.storage_retry import (
    AFTER_STOP_SECONDS,
    MAX_STORAGE_OUTAGE_SECONDS,
    failure_reason,
)
from tests.unit.clocks import BlockingClock, until
from tests.unit.failing_storage import (
    STORAGE_ERRORS,
    FailingStore,
    HttpResponseError,
    attached_store,
    folder_in_store,
    no_file_longer_than,
)


def entry(row: int, **fields: Any) -> dict[str, Any]:
    return {"row": row, **fields}


BEFORE = entry(1, begun=None, workflow_id="before", submitted_at=1.0)
BEFORE_FAILED = entry(1, workflow_id="before", status="FAILED", error=None, ended_at=2.0)
AGAIN = entry(1, begun=None, workflow_id="again", submitted_at=3.0)
AGAIN_COMPLETED = entry(1, workflow_id="again", status="COMPLETED", error=None, ended_at=4.0)


async def write(folder: ObjectStoragePath, *written: dict[str, Any]) -> None:
    """Record entries as a process of its own does."""
    journal = Journal(folder)
    for one in written:
        await journal.record(one)
    journal.close()


@pytest.fixture(params=["local", "local[1]", "file", "memory", "memory[1]"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, remote: MemoryFileSystem) -> ObjectStoragePath:
    """A folder of each kind, also with a name that could be taken for a pattern."""
    name = f"{request.param}-state"
    (tmp_path / name).mkdir()
    roots = {"local": str(tmp_path), "file": f"file://{tmp_path}", "memory": "memory://bucket"}
    path = ObjectStoragePath(f"{roots[request.param.partition('[')[0]]}/{name}")
    path.fs.makedirs(path.path, exist_ok=True)
    return path


class TestRecording:
    async def test_what_was_recorded_is_read_back_in_order(self, folder: ObjectStoragePath) -> None:
        written = [entry(row, begun="case") for row in range(5)]

        await write(folder, *written)

        assert list(entries(folder)) == written

    async def test_what_was_noted_is_written_before_what_is_recorded_later(
        self, folder: ObjectStoragePath
    ) -> None:
        journal = Journal(folder)

        journal.note(entry(1, case_id="a"))
        await journal.record(entry(1, begun="run"))

        assert list(entries(folder)) == [entry(1, case_id="a"), entry(1, begun="run")]
        journal.close()

    async def test_files_of_several_processes_are_read_in_the_order_in_which_they_began(
        self, folder: ObjectStoragePath
    ) -> None:
        for process in range(12):
            await write(folder, entry(1, case_id=str(process)))

        assert [read["case_id"] for read in entries(folder)] == [str(process) for process in range(12)]

    async def test_two_processes_at_once_lose_nothing_of_each_other(self, folder: ObjectStoragePath) -> None:
        await asyncio.gather(*(write(folder, *(entry(row) for row in (n, n + 1))) for n in (1, 10)))

        assert sorted(read["row"] for read in entries(folder)) == [1, 2, 10, 11]

    async def test_entries_under_load_are_written_together(
        self, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced = []
        sync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), sync(file)))

        await asyncio.gather(*(journal.record(entry(row)) for row in range(1000)))

        assert len(list(entries(ObjectStoragePath(str(tmp_path))))) == 1000
        assert len(synced) <= 10

    async def test_an_object_that_has_grown_long_is_followed_by_another(
        self, remote: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_module, "LONGEST_OBJECT_BYTES", 100)
        folder = ObjectStoragePath("memory://bucket/state")
        folder.fs.makedirs(folder.path)
        written = [entry(row, case_id="x" * 20) for row in range(20)]

        await write(folder, *written)

        assert len(remote.ls("/bucket/state")) >= 5
        assert list(entries(folder)) == written


class TestWhatWasCutOff:
    @pytest.mark.parametrize("kept", range(len(b'{"row":2,"begun":"run"}')))
    def test_a_line_without_its_end_is_left_out(self, tmp_path: Path, kept: int) -> None:
        torn = b'{"row":2,"begun":"run"}'[:kept]
        (tmp_path / "journal-000001-aa.jsonl").write_bytes(b'{"row":1}\n' + torn)
        (tmp_path / "journal-000002-bb.jsonl").write_bytes(b'{"row":3}\n')

        assert [read["row"] for read in entries(ObjectStoragePath(str(tmp_path)))] == [1, 3]

    async def test_half_a_line_that_could_not_be_written_does_not_spoil_those_that_follow(
        self, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await journal.record(entry(1))
        with monkeypatch.context() as full:
            full.setattr(os, "write", _half_then_full(os.write))
            with pytest.raises(OSError, match="No space left"):
                await journal.record(entry(2))

        await journal.record(entry(3))

        assert [read["row"] for read in entries(ObjectStoragePath(str(tmp_path)))] == [1, 3]

    async def test_each_caller_gets_the_error_of_what_could_not_be_written(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "fsync", _refuse)

        results = await asyncio.gather(
            *(journal.record(entry(row)) for row in range(5)), return_exceptions=True
        )

        assert [type(error) for error in results] == [OSError] * 5

    async def test_nobody_waits_for_ever_when_the_task_is_ended_while_it_writes(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class TimeIsUp(BaseException):
            pass

        def end(file: int) -> None:
            raise TimeIsUp

        monkeypatch.setattr(os, "fsync", end)

        with pytest.raises(TimeIsUp):
            await asyncio.wait_for(journal.record(entry(1)), 5)


class TestFailingWrites:
    """A journal in an object store whose puts fail."""

    @pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
    async def test_are_tried_again_and_nothing_is_lost_or_out_of_order(
        self, store: FailingStore, in_store: Journal, error: Exception
    ) -> None:
        await in_store.record(entry(1))
        store.fail(error, times=5)

        await asyncio.gather(*(in_store.record(entry(row)) for row in range(2, 50)))
        await in_store.record(entry(50))

        assert _rows(folder_in_store()) == list(range(1, 51))
        assert store.failed == 5

    async def test_on_a_disk_are_tried_again(self, tmp_path: Path) -> None:
        clock = BlockingClock()
        with contextlib.ExitStack() as limit, contextlib.ExitStack() as opened:

            def make_room(seconds: float) -> None:
                clock.sleep(seconds)
                limit.close()

            journal = Journal(ObjectStoragePath(str(tmp_path)), clock=clock, sleep=make_room)
            opened.callback(journal.close)
            await journal.record(entry(1))
            limit.enter_context(no_file_longer_than(25))

            await asyncio.gather(*(journal.record(entry(row)) for row in range(2, 50)))

        # The file that had no room ends in half a line, and all is once more in the next one.
        folder = ObjectStoragePath(str(tmp_path))
        assert folder.fs.size(min(folder.fs.ls(folder.path, detail=False))) == 25
        assert _rows(folder) == list(range(1, 50))

    @pytest.mark.thorough
    async def test_keep_those_waiting_that_record_and_nobody_else(self, store: FailingStore) -> None:
        may_go_on = threading.Event()
        journal = Journal(folder_in_store(), sleep=lambda _: may_go_on.wait(30))
        store.fail(OSError(5, "Input/output error"))

        recording = [asyncio.ensure_future(journal.record(entry(row))) for row in (1, 2)]
        await until(lambda: store.failed)
        await asyncio.sleep(0.05)
        waited = not any(one.done() for one in recording)
        store.away.clear()
        may_go_on.set()
        await asyncio.gather(*recording)

        assert waited
        assert _rows(folder_in_store()) == [1, 2]
        journal.close()

    async def test_that_go_on_for_two_minutes_are_raised_to_all_who_record(
        self, store: FailingStore, in_store: Journal, clock: BlockingClock
    ) -> None:
        store.fail(HttpResponseError(503))
        began = clock()

        results = await asyncio.gather(
            *(in_store.record(entry(row)) for row in range(5)), return_exceptions=True
        )

        assert [type(error) for error in results] == [HttpResponseError] * 5
        assert clock() - began == MAX_STORAGE_OUTAGE_SECONDS

    async def test_are_followed_by_what_can_be_written_again(
        self, store: FailingStore, in_store: Journal
    ) -> None:
        store.fail(OSError(5, "Input/output error"))
        with pytest.raises(OSError, match="Input/output"):
            await in_store.record(entry(1))
        store.away.clear()

        await in_store.record(entry(2))

        assert _rows(folder_in_store()) == [2]

    @pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
    async def test_leave_the_id_of_each_run_in_the_log_that_could_not_be_written(
        self, store: FailingStore, in_store: Journal, caplog: pytest.LogCaptureFixture, error: Exception
    ) -> None:
        store.fail(error)

        await asyncio.gather(
            in_store.record(entry(7, begun=None, workflow_id="w-7", submitted_at=1.0)),
            in_store.record(entry(8, begun="run")),
            in_store.record(entry(9, begun=None, workflow_id="w-9", submitted_at=1.0)),
            in_store.record(entry(3, workflow_id="w-3", status="COMPLETED", ended_at=2.0)),
            return_exceptions=True,
        )

        lost = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
        assert [line.partition(",")[0] for line in lost] == [
            "Workflow w-7 was started for row 7",
            "Workflow w-9 was started for row 9",
        ]
        assert all(failure_reason(error) in line and "s3://bucket/state" in line for line in lost)
        assert "hunter2" not in caplog.text

    async def test_after_a_stop_are_given_up_in_time_to_log_the_ids(
        self, store: FailingStore, clock: BlockingClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        is_stopped = False
        journal = Journal(folder_in_store(), is_stopped=lambda: is_stopped, clock=clock, sleep=clock.sleep)
        is_stopped = True
        store.fail(OSError(5, "Input/output error"))
        began = clock()

        with pytest.raises(OSError, match="Input/output"):
            await journal.record(entry(1, begun=None, workflow_id="w-1"))

        assert clock() - began == AFTER_STOP_SECONDS
        assert "Workflow w-1 was started for row 1" in caplog.text
        journal.close()

    @pytest.mark.parametrize("works_again", [True, False])
    async def test_have_one_more_attempt_when_the_journal_is_closed(
        self, store: FailingStore, caplog: pytest.LogCaptureFixture, works_again: bool
    ) -> None:
        begun = threading.Event()
        journal = Journal(folder_in_store(), sleep=lambda _: (begun.set(), time.sleep(0.01)))
        store.fail(OSError(5, "Input/output error"))
        journal.note(entry(1, begun=None, workflow_id="w-1"))
        await until(begun.is_set)
        journal.note(entry(2, begun=None, workflow_id="w-2"))
        if works_again:
            store.away.clear()

        await asyncio.to_thread(journal.close)

        assert _rows(folder_in_store()) == ([1, 2] if works_again else [])
        assert ("Workflow w-1 was" in caplog.text, "Workflow w-2 was" in caplog.text) == (
            (False, False) if works_again else (True, True)
        )


@pytest.fixture
def store() -> Iterator[FailingStore]:
    with attached_store() as store:
        yield store


@pytest.fixture
async def in_store(store: FailingStore, clock: BlockingClock) -> Any:
    journal = Journal(folder_in_store(), clock=clock, sleep=clock.sleep)
    yield journal
    journal.close()


def _rows(folder: ObjectStoragePath) -> list[int]:
    """The numbers of rows in the order of their first entries: one that was written again is no other."""
    return list(dict.fromkeys(read["row"] for read in entries(folder)))


def _half_then_full(write: Callable[..., int]) -> Callable[..., int]:
    written: list[int] = []

    def write_half_once(file: int, view: memoryview) -> int:
        if written:
            _refuse()
        written.append(write(file, view[: len(view) // 2]))
        return written[0]

    return write_half_once


def _refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class TestStates:
    def test_later_entries_win_and_others_stay(self, tmp_path: Path) -> None:
        lines = [
            entry(1, begun="case"),
            entry(1, begun=None, case_id="c"),
            entry(2, begun="run"),
            entry(1, begun=None, workflow_id="w", submitted_at=1.0),
        ]
        (tmp_path / "journal-000001-aa.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

        rows = states(ObjectStoragePath(str(tmp_path)))

        assert (rows[1].case_id, rows[1].workflow_id, rows[1].begun) == ("c", "w", None)
        assert rows[2].begun == "run"

    async def test_a_row_that_is_submitted_again_keeps_its_case_and_parameters(
        self, tmp_path: Path, journal: Journal
    ) -> None:
        await journal.record(
            entry(1, case_id="c", parameters_id="p", workflow_id="w", submitted_at=1.0, error={})
        )
        await journal.record(entry(1, workflow_id="w", status="FAILED", ended_at=2.0))

        await journal.record(entry(1, **SUBMIT_AGAIN))

        state = states(ObjectStoragePath(str(tmp_path)))[1]
        assert (state.case_id, state.parameters_id) == ("c", "p")
        assert (state.workflow_id, state.ended_at, state.error) == (None, None, None)

    @pytest.mark.parametrize(
        ("written", "outcome"),
        [
            ([BEFORE, entry(1, **SUBMIT_AGAIN), AGAIN, BEFORE_FAILED], RowOutcome.RUNNING),
            ([BEFORE, entry(1, **SUBMIT_AGAIN), BEFORE_FAILED, AGAIN], RowOutcome.RUNNING),
            ([BEFORE, BEFORE_FAILED, entry(1, **SUBMIT_AGAIN), BEFORE_FAILED], RowOutcome.NOT_SUBMITTED),
            ([AGAIN_COMPLETED, AGAIN], RowOutcome.RUNNING),
            ([BEFORE, BEFORE_FAILED, AGAIN], RowOutcome.RUNNING),
            ([BEFORE, BEFORE_FAILED, AGAIN, AGAIN_COMPLETED, BEFORE_FAILED], RowOutcome.SUCCEEDED),
        ],
        ids=[
            "of the run before, late",
            "of the run before, between",
            "of the run before, twice",
            "before the run",
            "no reset between the runs",
            "of the run before, after the end of the new one",
        ],
    )
    async def test_an_end_counts_for_its_own_run_alone(
        self, tmp_path: Path, journal: Journal, written: list[dict[str, Any]], outcome: RowOutcome
    ) -> None:
        for one in written:
            await journal.record(one)

        state = states(ObjectStoragePath(str(tmp_path)))[1]

        assert state.outcome(Statuses()) is outcome
