"""When a call is repeated, and how fast calls may go out, with a clock of the test's own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from airflow_provider_workflows.api.retry import (
    LOST_RESPONSES_BEFORE_OPEN,
    Backoff,
    CircuitBreaker,
    RateLimiter,
    Retry,
    TokenBucket,
    retry_after,
)

NOW = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York"])
def local_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """The time zone of the machine."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


class TestRetry:
    @pytest.mark.parametrize(
        ("retry", "at_first", "under_way"),
        [
            (Retry.NEVER, False, False),
            (Retry.LATER, True, True),
            (Retry.AFTER_NEW_CREDENTIALS, False, True),
            (Retry.UNKNOWN, False, False),
        ],
    )
    def test_decides_by_whether_the_work_is_under_way(
        self, retry: Retry, at_first: bool, under_way: bool
    ) -> None:
        assert retry.is_retryable() is at_first
        assert retry.is_retryable(under_way=True) is under_way


class TestBackoff:
    @pytest.mark.parametrize(
        ("failures", "draw", "asked", "seconds"),
        [
            (1, 1.0, None, 0.5),
            (2, 1.0, None, 1.0),
            (4, 1.0, None, 4.0),
            (20, 1.0, None, 30.0),
            (10_000, 1.0, None, 30.0),
            (4, 0.0, None, 0.0),
            (4, 0.25, None, 1.0),
            (1, 0.0, 7.0, 7.0),
            (1, 1.0, 7.0, 7.5),
        ],
    )
    def test_grows_by_two_with_full_jitter_on_top_of_what_was_asked(
        self, failures: int, draw: float, asked: float | None, seconds: float
    ) -> None:
        assert Backoff().seconds(failures, asked, draw) == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("172800", 86400.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Tue, 14 Nov 2023 22:14:20", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 UTC", 60.0),
        ("Tue, 14 Nov 2023 23:14:20 +0100", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Sun Nov  6 08:49:37 1994", 0.0),
        ("1.5", 1.5),
        ("²", None),
        ("1.", None),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("1e400", None),
    ],
)
@pytest.mark.usefixtures("local_time")
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=NOW) == seconds


class TestRateLimiter:
    def test_without_a_cap_every_request_goes_out_at_once(self, clock: Clock) -> None:
        limiter = RateLimiter(backoff=Backoff(), clock=clock)

        assert [limiter.take_slot(clock.moment) for _ in range(3)] == [1000.0] * 3

    def test_with_a_cap_each_request_has_a_slot_of_its_own(self, clock: Clock) -> None:
        limiter = RateLimiter(4, clock=clock)

        assert [limiter.take_slot(clock.moment) for _ in range(3)] == [1000.0, 1000.25, 1000.5]

    def test_slots_that_were_not_used_are_not_made_up_for(self, clock: Clock) -> None:
        limiter = RateLimiter(4, clock=clock)
        limiter.take_slot(clock.moment)

        clock.moment += 60

        assert [limiter.take_slot(clock.moment) for _ in range(2)] == [1060.0, 1060.25]

    def test_a_request_may_go_out_before_its_slot_where_that_is_permitted(self, clock: Clock) -> None:
        limiter = RateLimiter(1, clock=clock)
        limiter.take_slot(clock.moment)

        assert limiter.ready_at(clock.moment) == 1001.0
        assert limiter.ready_at(clock.moment, early=0.25) == 1000.75

    @pytest.mark.parametrize(("asked", "pauses"), [(None, [0.5, 1.0, 2.0]), (10.0, [10.5, 11.0, 12.0])])
    def test_a_429_pauses_all_for_longer_each_time(
        self, clock: Clock, asked: float | None, pauses: list[float]
    ) -> None:
        limiter = RateLimiter(backoff=Backoff(), clock=clock)
        seen = []
        for _ in range(3):
            limiter.refused(asked, longest=300)
            seen.append(limiter.ready_at(clock.moment) - clock.moment)
            clock.moment = limiter.paused_until

        assert seen == pauses

    def test_429s_to_requests_that_were_under_way_together_count_once(self, clock: Clock) -> None:
        limiter = RateLimiter(backoff=Backoff(), clock=clock)
        for _ in range(32):
            limiter.refused(None, longest=300)

        assert limiter.paused_until == 1000.5

    def test_a_pause_is_no_longer_than_the_caller_says(self, clock: Clock) -> None:
        limiter = RateLimiter(backoff=Backoff(), clock=clock)

        limiter.refused(3600.0, longest=300)

        assert limiter.paused_until == 1300.0

    def test_a_request_that_is_accepted_makes_the_next_pause_a_short_one(self, clock: Clock) -> None:
        limiter = RateLimiter(backoff=Backoff(), clock=clock)
        for _ in range(3):
            limiter.refused(None, longest=300)
            clock.moment = limiter.paused_until

        limiter.accepted()
        limiter.refused(None, longest=300)

        assert limiter.paused_until - clock.moment == 0.5


class TestCircuitBreaker:
    @pytest.fixture
    def breaker(self, clock: Clock) -> CircuitBreaker:
        """A breaker that has just opened."""
        made = CircuitBreaker(backoff=Backoff(), clock=clock)
        for _ in range(LOST_RESPONSES_BEFORE_OPEN):
            assert made.is_closed
            made.lost()
        return made

    def test_opens_after_responses_were_lost_in_a_row(self, breaker: CircuitBreaker) -> None:
        assert not breaker.is_closed

    def test_lets_one_probe_out_at_a_time_and_less_and_less_often(
        self, breaker: CircuitBreaker, clock: Clock
    ) -> None:
        pauses = []
        for _ in range(3):
            breaker.probe()
            pauses.append(breaker.next_probe_at - clock.moment)
            clock.moment = breaker.next_probe_at
            breaker.lost()

        assert pauses == [0.5, 1.0, 2.0]

    def test_closes_with_the_first_call_that_is_decided(self, breaker: CircuitBreaker) -> None:
        breaker.probe()

        breaker.responded()

        assert breaker.is_closed
        assert breaker.next_probe_at == 0.0

    def test_says_how_long_it_has_been_open_once_a_probe_was_lost_too(
        self, breaker: CircuitBreaker, clock: Clock
    ) -> None:
        clock.moment += 60
        assert not breaker.has_been_losing_for(60)

        breaker.lost()

        assert breaker.has_been_losing_for(60)
        assert not breaker.has_been_losing_for(61)


class TestTokenBucket:
    def test_has_its_permits_at_once_and_one_more_after_each_interval(self, clock: Clock) -> None:
        bucket = TokenBucket(2, 60.0, clock=clock)
        assert [bucket.take() for _ in range(3)] == [True, True, False]

        clock.moment += 60

        assert [bucket.take() for _ in range(2)] == [True, False]

    def test_holds_no_more_than_it_began_with(self, clock: Clock) -> None:
        bucket = TokenBucket(2, 60.0, clock=clock)

        clock.moment += 3600
        bucket.give_back()

        assert [bucket.take() for _ in range(3)] == [True, True, False]

    def test_takes_a_permit_back(self, clock: Clock) -> None:
        bucket = TokenBucket(1, 60.0, clock=clock)
        bucket.take()

        bucket.give_back()

        assert bucket.take()
