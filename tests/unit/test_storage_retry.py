"""What storage refuses is tried again for two minutes, or three seconds after a stop, whatever the exception."""

from __future__ import annotations

import itertools
import logging

import pytest

from airflow_provider_workflows.storage_retry import (
    AFTER_STOP_SECONDS,
    MAX_STORAGE_OUTAGE_SECONDS,
    RENEW_SECONDS,
    StorageRetry,
    failure_reason,
)
from tests.unit.clocks import BlockingClock
from tests.unit.failing_storage import STORAGE_ERRORS


class Storage:
    """Storage that fails at its first calls, or until a moment."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.calls = 0
        self.failures = 0
        self.is_stopped = False
        #: The task is told to stop in the pause after this call.
        self.stop_after_call = 0
        self.renewed_at: list[float] = []
        self.clock = BlockingClock()
        self.retry = StorageRetry(
            "The file",
            meanwhile="it waits",
            renew=self.renew,
            is_stopped=lambda: self.is_stopped,
            clock=self.clock,
            now=lambda: 1_800_000_000.0,
            sleep=self.sleep,
            draw=lambda: 1.0,
        )

    def renew(self, error: Exception) -> None:
        self.renewed_at.append(self.clock())

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.is_stopped = 0 < self.stop_after_call <= self.calls

    def write(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "written"


@pytest.fixture
def storage() -> Storage:
    return Storage(OSError(28, "No space left on device"))


@pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
def test_a_call_that_fails_a_few_times_is_made_again(error: Exception) -> None:
    storage = Storage(error)
    storage.failures = 5

    assert storage.retry.run(storage.write) == "written"
    assert storage.calls == 6


def test_what_fails_for_two_minutes_is_raised(storage: Storage) -> None:
    storage.failures = 1000
    began = storage.clock()

    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(storage.write)

    assert storage.clock() - began == MAX_STORAGE_OUTAGE_SECONDS
    assert 10 < storage.calls < 30


def test_the_two_minutes_count_over_all_calls_until_one_succeeds(storage: Storage) -> None:
    storage.failures = 1000
    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(storage.write)
    calls, began = storage.calls, storage.clock()

    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(storage.write)

    assert storage.calls == calls + 1
    assert storage.clock() == began


def test_storage_that_has_worked_again_has_two_minutes_the_next_time(storage: Storage) -> None:
    storage.failures = 1000
    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(storage.write)
    storage.failures = 0
    storage.retry.run(storage.write)

    storage.failures = storage.calls + 5

    assert storage.retry.run(storage.write) == "written"


def test_a_pause_is_ten_seconds_at_most(storage: Storage) -> None:
    storage.failures = 8
    moments: list[float] = []

    storage.retry.run(lambda: (moments.append(storage.clock()), storage.write()))

    pauses = [after - before for before, after in itertools.pairwise(moments)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_after_a_stop_it_gives_up_in_three_seconds(storage: Storage) -> None:
    storage.failures = 1000
    storage.is_stopped = True
    storage.stop_after_call = 1
    began = storage.clock()

    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(storage.write)

    assert storage.clock() - began == AFTER_STOP_SECONDS


def test_a_stop_ends_a_long_pause(storage: Storage) -> None:
    storage.failures = 1000
    storage.stop_after_call = 6
    moments: list[float] = []

    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(lambda: (moments.append(storage.clock()), storage.write()))

    assert moments[6] - moments[5] <= 0.5
    assert moments[-1] - moments[5] <= AFTER_STOP_SECONDS + 0.5


def test_in_a_task_that_was_stopped_before_it_makes_one_attempt(storage: Storage) -> None:
    storage.failures = 1000
    late = StorageRetry("The file", meanwhile="it waits", is_stopped=lambda: True, sleep=storage.sleep)

    with pytest.raises(OSError, match="No space left"):
        late.run(storage.write)

    assert storage.calls == 1


def test_what_is_to_give_up_makes_one_attempt(storage: Storage) -> None:
    storage.failures = 1000
    storage.retry.give_up()

    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(storage.write)

    assert storage.calls == 1


def test_an_exception_that_ends_the_task_is_raised_at_once() -> None:
    storage = Storage(KeyboardInterrupt())
    storage.failures = 1000

    with pytest.raises(KeyboardInterrupt):
        storage.retry.run(storage.write)

    assert storage.calls == 1


def test_the_storage_connection_is_read_again_at_the_first_failure_and_every_half_minute(
    storage: Storage,
) -> None:
    storage.failures = 1000
    began = storage.clock()

    with pytest.raises(OSError, match="No space left"):
        storage.retry.run(storage.write)

    assert storage.renewed_at[0] == began
    assert 4 <= len(storage.renewed_at) <= 5
    pauses = [after - before for before, after in itertools.pairwise(storage.renewed_at)]
    assert min(pauses) >= RENEW_SECONDS


def test_the_log_says_once_that_it_fails_and_once_that_it_works_again(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    storage.failures = 5

    storage.retry.run(storage.write)
    storage.retry.run(storage.write)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            (
                "The file cannot be written: OSError (No space left on device). It is tried again until "
                "2027-01-15 08:02:00 UTC at the latest; meanwhile it waits."
            ),
        ),
        ("INFO", "The file could be written again, after 15.5 s."),
    ]


def test_the_log_says_once_that_it_is_given_up(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    storage.failures = 1000

    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            storage.retry.run(storage.write)

    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        "The file could not be written for 120.0 s: OSError (No space left on device). It is not tried again."
    ]


@pytest.mark.parametrize(("error", "reason"), STORAGE_ERRORS)
def test_a_reason_names_the_class_and_a_number_but_not_the_text(error: Exception, reason: str) -> None:
    assert failure_reason(error) == reason
