"""Files that storage refuses for a while: written in the end as they were meant, or not at all."""

from __future__ import annotations

import datetime as dt
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.local_files import ABANDONED_SECONDS
from airflow_provider_workflows.storage_retry import MAX_STORAGE_OUTAGE_SECONDS, StorageRetry, failure_reason
from airflow_provider_workflows.whole_files import replacing, write_whole
from tests.unit.clocks import BlockingClock
from tests.unit.failing_storage import STORAGE_ERRORS, FailingStore, attached_store, no_file_longer_than

#: More than a buffer holds.
CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def clock() -> BlockingClock:
    return BlockingClock()


def retry(clock: BlockingClock, sleep: Callable[[float], object] | None = None) -> StorageRetry:
    return StorageRetry("The file", meanwhile="it waits", clock=clock, sleep=sleep or clock.sleep)


def write(path: ObjectStoragePath, retry: StorageRetry) -> None:
    with replacing(path, retry) as file:
        for begin in range(0, len(CONTENT), 1000):
            file.write(CONTENT[begin : begin + 1000])


@pytest.fixture(params=["s3", "memory"])
def store(request: pytest.FixtureRequest) -> Iterator[FailingStore]:
    """An object store, and a remote file system."""
    with attached_store(request.param) as store:
        store.place = ObjectStoragePath(f"{request.param}://bucket/out")  # type: ignore[attr-defined]
        yield store


def place(store: FailingStore) -> ObjectStoragePath:
    path: ObjectStoragePath = store.place  # type: ignore[attr-defined]
    return path / "file"


def files(store: FailingStore) -> dict[str, bytes]:
    return {name.rpartition("/")[2]: store.cat_file(name) for name in store.find("/bucket/out")}


class TestRemote:
    @pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
    def test_a_put_that_fails_is_made_again_with_what_was_written(
        self, store: FailingStore, clock: BlockingClock, error: Exception
    ) -> None:
        store.fail(error, times=5)

        write(place(store), retry(clock))

        assert files(store) == {"file": CONTENT}
        assert (store.puts, store.failed) == (6, 5)

    def test_a_put_that_fails_for_two_minutes_leaves_what_was_there(
        self, store: FailingStore, clock: BlockingClock
    ) -> None:
        write_whole(place(store), b"before")
        store.fail(OSError(5, "Input/output error"))
        began = clock()

        with pytest.raises(OSError, match="Input/output"):
            write(place(store), retry(clock))

        assert files(store) == {"file": b"before"}
        assert clock() - began == MAX_STORAGE_OUTAGE_SECONDS

    def test_what_cannot_be_written_to_the_workers_disk_is_written_there_again(
        self, store: FailingStore, clock: BlockingClock
    ) -> None:
        limit = no_file_longer_than(300_000)

        def make_room(seconds: float) -> None:
            clock.sleep(seconds)
            if clock.now > 1005:
                limit.__exit__(None, None, None)

        limit.__enter__()
        write(place(store), retry(clock, make_room))

        assert files(store) == {"file": CONTENT}
        assert store.puts == 1


class TestLocal:
    def test_what_a_full_disk_refuses_is_written_once_there_is_room(
        self, tmp_path: Path, clock: BlockingClock
    ) -> None:
        limit = no_file_longer_than(300_000)

        def make_room(seconds: float) -> None:
            clock.sleep(seconds)
            if clock.now > 1005:
                limit.__exit__(None, None, None)

        limit.__enter__()
        write(ObjectStoragePath(str(tmp_path / "file")), retry(clock, make_room))

        assert (tmp_path / "file").read_bytes() == CONTENT
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_disk_that_stays_full_leaves_what_was_there_and_nothing_else(
        self, tmp_path: Path, clock: BlockingClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_bytes(b"before")
        attempts = []
        pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda *a: (attempts.append(1), pwrite(*a))[1])

        with no_file_longer_than(300_000), pytest.raises(OSError, match="File too large"):
            write(ObjectStoragePath(str(tmp_path / "file")), retry(clock))
        at_the_end = len(attempts)

        assert (tmp_path / "file").read_bytes() == b"before"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        # What is left in a buffer is not tried when that is thrown away.
        assert len(attempts) == at_the_end < 50

    def test_what_may_not_have_reached_the_disk_is_written_again_before_it_is_synced_again(
        self, tmp_path: Path, clock: BlockingClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written = synced = 0
        pwrite, fsync = os.pwrite, os.fsync

        def count_bytes(file: int, content: Any, offset: int) -> int:
            nonlocal written
            number = pwrite(file, content, offset)
            written += number
            return number

        def fail_twice(file: int) -> None:
            nonlocal synced
            synced += 1
            if synced <= 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(file)

        monkeypatch.setattr(os, "pwrite", count_bytes)
        monkeypatch.setattr(os, "fsync", fail_twice)

        write(ObjectStoragePath(str(tmp_path / "file")), retry(clock))

        assert (tmp_path / "file").read_bytes() == CONTENT
        assert written == 3 * len(CONTENT)

    def test_what_the_system_has_lost_is_never_put_in_place(
        self, tmp_path: Path, clock: BlockingClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose_a_part(file: int) -> None:
            os.pwrite(file, b"lost", 100)
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", lose_a_part)

        with pytest.raises(OSError, match="Input/output"):
            write(ObjectStoragePath(str(tmp_path / "file")), retry(clock))

        assert list(tmp_path.iterdir()) == []

    def test_a_rename_whose_response_was_lost_counts_as_done(
        self, tmp_path: Path, clock: BlockingClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace = os.replace

        def replace_and_fail(*paths: Any) -> None:
            replace(*paths)
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "replace", replace_and_fail)

        write(ObjectStoragePath(str(tmp_path / "file")), retry(clock))

        assert (tmp_path / "file").read_bytes() == CONTENT

    def test_an_exception_of_the_writers_own_is_raised_at_once(
        self, tmp_path: Path, clock: BlockingClock
    ) -> None:
        def fail() -> None:
            with replacing(ObjectStoragePath(str(tmp_path / "file")), retry(clock)) as file:
                file.write(CONTENT[:1000])
                raise RuntimeError

        began = clock()
        with pytest.raises(RuntimeError):
            fail()

        assert clock() == began
        assert list(tmp_path.iterdir()) == []


class TestWhatOthersHaveBegun:
    def test_a_live_try_keeps_its_file_and_ends_without_an_error(self, tmp_path: Path) -> None:
        path = ObjectStoragePath(str(tmp_path / "file"))

        with replacing(path) as slow:
            slow.write(CONTENT)
            write_whole(path, b"fast")
            between = (tmp_path / "file").read_bytes()

        assert between == b"fast"
        assert (tmp_path / "file").read_bytes() == CONTENT
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    @pytest.mark.parametrize(
        ("age", "stays"), [(ABANDONED_SECONDS + 60, False), (ABANDONED_SECONDS - 60, True)]
    )
    def test_in_remote_storage_is_removed_after_a_day_in_which_nobody_wrote_to_it(
        self, age: float, stays: bool
    ) -> None:
        with attached_store("memory") as store:
            left = "/bucket/out/_file.0123abcd.part"
            store.pipe_file(left, b"half")
            modified = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=age)
            store.store[left].modified = modified

            write_whole(ObjectStoragePath("memory://bucket/out/file"), b"whole")

            assert store.exists(left) is stays
            assert store.cat_file("/bucket/out/file") == b"whole"

    def test_on_a_disk_without_locks_is_removed_after_a_day_in_which_nobody_wrote_to_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_locks(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", no_locks)
        old, new = tmp_path / "_file.0123abcd.part", tmp_path / "_file.4567cdef.part"
        for path in (old, new):
            path.write_bytes(b"half")
        long_ago = old.stat().st_mtime - ABANDONED_SECONDS - 60
        os.utime(old, (long_ago, long_ago))

        write_whole(ObjectStoragePath(str(tmp_path / "file")), b"whole")

        assert sorted(path.name for path in tmp_path.iterdir()) == [new.name, "file"]
