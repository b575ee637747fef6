"""The journal: nothing that was recorded is lost, whichever process is killed when."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.batch import journal as journal_module
from airflow_provider_workflows.batch.journal import Journal, entries, states
from airflow_provider_workflows.batch.row_state import SUBMIT_AGAIN


def entry(row: int, **fields: Any) -> dict[str, Any]:
    return {"row": row, **fields}


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
