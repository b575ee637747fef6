"""The flow control of a batch: a cap on the rate, one pause for all, one budget for an outage.

On a loop of virtual time: what is a second here takes none.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable

import pytest

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.retry import LOST_RESPONSES_BEFORE_OPEN, Backoff, Retry
from airflow_provider_workflows.batch.flow_control import Attempts, FlowControl
from tests.unit.clocks import VirtualTimeLoop

TRIES = 3
UNREACHABLE = errors.ServiceUnreachable("down")
UNAVAILABLE = errors.ServiceUnavailable("503")
LIMITED = errors.RateLimited("429")

#: The time of the loop at its beginning, and the seconds since the epoch that go with it: 2001-09-09 01:46:40 UTC.
BEGUN, EPOCH = 1000.0, 1_000_000_000.0

RUN, CASE = Attempts("run"), Attempts("case")


LOOP = VirtualTimeLoop


def now() -> float:
    return asyncio.get_running_loop().time()


def flow_control(
    rate: float | None = None, max_outage: float = 60.0, first_pause: float = 0.0
) -> FlowControl:
    return FlowControl(
        rate,
        max_attempts=TRIES,
        max_outage=max_outage,
        backoff=Backoff(first_pause),
        clock=now,
        now=lambda: EPOCH + now() - BEGUN,
        draw=lambda: 1.0,
    )


async def turns(shared: FlowControl, number: int) -> list[float]:
    """Let ``number`` calls take their turn at once, and return when each had it, in seconds from now."""
    begun, moments = now(), list[float]()

    async def take() -> None:
        await shared.turn()
        moments.append(round(now() - begun, 9))

    await asyncio.gather(*(take() for _ in range(number)))
    return moments


async def attempts_until_given_up(
    shared: FlowControl,
    error: errors.WorkflowsError,
    attempts: Attempts | None = None,
    *,
    between: Callable[[], object] = lambda: None,
) -> int:
    attempts = Attempts() if attempts is None else attempts
    for number in itertools.count(1):
        if number > 50 or not await shared.another(attempts, error):
            return number
        between()
    raise AssertionError


class TestRate:
    async def test_calls_go_out_no_faster_than_the_cap(self) -> None:
        assert max(await turns(flow_control(rate=50.0), 11)) >= 10 / 50

    async def test_without_a_cap_none_waits(self) -> None:
        assert max(await turns(flow_control(), 1000)) < 1

    async def test_the_cap_holds_for_the_calls_that_a_pause_has_kept_back(self) -> None:
        shared = flow_control(rate=50.0)
        refused = errors.RateLimited("429", retry_after=0.3)
        await shared.another(Attempts(), refused)

        moments = await turns(shared, 6)

        assert min(moments) >= 0.3
        assert max(moments) - min(moments) >= 5 / 50


class TestPause:
    async def test_a_refusal_for_now_keeps_all_calls_back_for_as_long_as_was_asked(self) -> None:
        shared = flow_control()
        await shared.another(Attempts(), errors.RateLimited("429", retry_after=0.2))

        assert min(await turns(shared, 5)) >= 0.2

    async def test_a_second_refusal_prolongs_the_pause_of_those_that_wait(self) -> None:
        shared = flow_control()
        await shared.another(Attempts(), errors.RateLimited("429", retry_after=0.1))
        waiting = asyncio.create_task(turns(shared, 3))
        await asyncio.sleep(0.05)

        await shared.another(Attempts(), errors.RateLimited("429", retry_after=0.3))

        assert min(await waiting) >= 0.3

    async def test_a_pause_is_no_longer_than_the_budget_of_an_outage(self) -> None:
        shared = flow_control(max_outage=0.1)
        await shared.another(Attempts(), errors.RateLimited("429", retry_after=3600))

        assert max(await turns(shared, 3)) < 5

    async def test_calls_that_are_refused_together_count_once(self) -> None:
        shared = flow_control(first_pause=0.1)
        for _ in range(20):
            await shared.another(Attempts(), LIMITED)

        assert max(await turns(shared, 2)) == pytest.approx(0.1)

    async def test_a_call_that_succeeds_makes_the_next_pause_a_short_one_again(self) -> None:
        shared = flow_control(first_pause=0.1)
        for _ in range(2):
            await shared.another(Attempts(), LIMITED)
            await turns(shared, 1)
            shared.succeeded(RUN)

        await shared.another(Attempts(), LIMITED)

        assert max(await turns(shared, 2)) == pytest.approx(0.1)

    async def test_an_outage_of_one_call_keeps_no_other_back(self) -> None:
        shared = flow_control()
        await shared.another(Attempts(), UNAVAILABLE)

        assert max(await turns(shared, 5)) < 0.5


class TestLostResponses:
    async def turns_within(self, shared: FlowControl, seconds: float) -> int:
        """Return how many of twenty calls have their turn within ``seconds``."""
        waiting = [asyncio.create_task(shared.turn("run")) for _ in range(20)]
        done, rest = await asyncio.wait(waiting, timeout=seconds)
        for task in rest:
            task.cancel()
        return len(done)

    async def test_that_are_few_keep_no_other_call_back(self) -> None:
        shared = flow_control(first_pause=5.0)
        for _ in range(20):
            shared.lost(RUN)
            shared.lost(RUN)
            shared.succeeded(RUN)

        assert await self.turns_within(shared, 1.0) == 20

    async def test_that_are_many_in_a_row_let_one_call_out_at_a_time(self) -> None:
        shared = flow_control(first_pause=5.0)
        for _ in range(LOST_RESPONSES_BEFORE_OPEN):
            shared.lost(RUN)
            shared.succeeded(CASE)

        assert await self.turns_within(shared, 0.2) == 1
        assert max(await turns(shared, 20)) < 0.5

    @pytest.mark.parametrize("refused", [True, False], ids=["refusal", "success"])
    async def test_are_forgotten_with_the_first_that_comes(self, refused: bool) -> None:
        shared = flow_control(first_pause=5.0)
        for _ in range(LOST_RESPONSES_BEFORE_OPEN):
            shared.lost(RUN)
        await shared.turn("run")
        if refused:
            await shared.another(RUN, errors.RequestRejected("400"))
        else:
            shared.succeeded(RUN)

        assert await self.turns_within(shared, 1.0) == 20

    async def test_that_go_on_for_too_long_end_the_batch(self) -> None:
        shared = flow_control(max_outage=0.05, first_pause=5.0)
        for _ in range(LOST_RESPONSES_BEFORE_OPEN + 1):
            assert shared.gave_up is None
            shared.lost(RUN)
            await asyncio.sleep(0.03)

        assert isinstance(shared.gave_up, errors.ServiceUnavailable)


class TestAnotherAttempt:
    @pytest.mark.parametrize(
        "error",
        [
            errors.RequestRejected("400"),
            errors.PermissionDenied("403"),
            errors.NotFound("404"),
            errors.UnexpectedResponse("302", retry=Retry.NEVER),
            errors.OutcomeUnknown("lost"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_is_not_made_where_it_could_not_help_or_could_do_harm(
        self, error: errors.WorkflowsError
    ) -> None:
        assert await attempts_until_given_up(flow_control(), error) == 1

    @pytest.mark.parametrize(
        "error",
        [UNAVAILABLE, UNREACHABLE, errors.AuthenticationFailed("401"), errors.UnexpectedResponse("page")],
        ids=lambda error: type(error).__name__,
    )
    async def test_is_made_max_attempts_times_while_others_succeed(
        self, error: errors.WorkflowsError
    ) -> None:
        shared = flow_control()

        assert await attempts_until_given_up(shared, error, between=lambda: shared.succeeded(RUN)) == TRIES
        assert shared.gave_up is None

    async def test_is_made_however_often_the_service_says_later(self) -> None:
        shared = flow_control()

        assert await attempts_until_given_up(shared, LIMITED, between=lambda: shared.succeeded(RUN)) > 50

    async def test_is_made_while_none_succeeds_until_the_budget_is_used_up(self) -> None:
        shared = flow_control(max_outage=0.2)
        begun = now()

        async def slowly() -> int:
            attempts = Attempts()
            number = 1
            while await shared.another(attempts, UNREACHABLE):
                number += 1
                await asyncio.sleep(0.01)
            return number

        assert await slowly() > TRIES
        assert now() - begun >= 0.2
        assert shared.gave_up is UNREACHABLE


class TestTheEdgeOfAnOutage:
    """A call is not given up for what befalls all of them: ``max_outage`` counts from when others were served."""

    async def test_a_call_that_fails_a_moment_before_the_last_success_waits_the_outage_out(self) -> None:
        shared, attempts = flow_control(max_outage=60.0, first_pause=1.0), Attempts()
        assert await shared.another(attempts, UNAVAILABLE)
        # The response to a call that was under way.
        shared.succeeded(RUN)
        begun = now()

        await attempts_until_given_up(shared, UNAVAILABLE, attempts)

        assert attempts.failures > TRIES
        assert now() - begun >= 60.0
        assert shared.gave_up is UNAVAILABLE

    async def test_max_outage_counts_from_the_latest_attempt_at_which_another_call_was_served(self) -> None:
        shared, attempts = flow_control(max_outage=60.0, first_pause=1.0), Attempts()
        assert await shared.another(attempts, LIMITED)
        for _ in range(3):
            await asyncio.sleep(15)
            shared.succeeded(RUN)
            assert await shared.another(attempts, LIMITED)
        served = now()

        await attempts_until_given_up(shared, UNAVAILABLE, attempts)

        assert now() - served >= 60.0

    async def test_attempts_before_an_outage_do_not_count_after_it(self) -> None:
        shared, attempts = flow_control(max_outage=60.0, first_pause=1.0), Attempts()
        for _ in range(TRIES - 1):
            assert await shared.another(attempts, UNAVAILABLE)
            shared.succeeded(RUN)
        others = asyncio.create_task(attempts_until_given_up(shared, UNAVAILABLE))
        for _ in range(5):
            assert await shared.another(attempts, UNAVAILABLE)
        others.cancel()
        shared.succeeded(RUN)

        assert await shared.another(attempts, UNAVAILABLE)

    async def test_a_call_that_is_refused_for_itself_by_429_is_given_up_after_max_outage(self) -> None:
        shared, attempts, begun = flow_control(max_outage=60.0), Attempts(), now()

        while await shared.another(attempts, LIMITED):
            await asyncio.sleep(1)
            shared.succeeded(RUN)

        assert 60.0 <= now() - begun < 120.0
        assert shared.gave_up is None


class TestWarnings:
    @pytest.fixture
    def lines(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
        return lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    async def test_one_a_minute_says_why_the_batch_waits_and_until_when(
        self, lines: Callable[[], list[str]]
    ) -> None:
        shared = flow_control(max_outage=600.0, first_pause=1.0)

        await asyncio.gather(*(attempts_until_given_up(shared, UNAVAILABLE) for _ in range(32)))

        assert 9 <= len(lines()) <= 11
        until = {re.search(r"gives up at (\S+ \S+) UTC", line)[1] for line in lines()}  # type: ignore[index]
        assert until == {"2001-09-09 01:56:40"}
        assert all("503" in line for line in lines())

    @pytest.mark.parametrize("how", ["429", "lost"])
    async def test_one_a_minute_says_why_calls_are_kept_back(
        self, lines: Callable[[], list[str]], how: str
    ) -> None:
        shared = flow_control(max_outage=600.0, first_pause=30.0)
        if how == "429":
            await shared.another(Attempts(), errors.RateLimited("429", retry_after=150))
        for _ in range(LOST_RESPONSES_BEFORE_OPEN):
            if how == "lost":
                shared.lost(RUN, errors.OutcomeUnknown("lost"))

        await asyncio.gather(*(asyncio.wait_for(shared.turn("run"), 300) for _ in range(9)))

        assert 2 <= len(lines()) <= 5
        assert all(how in line and "The next call goes out at" in line for line in lines())

    async def test_a_short_pause_is_not_worth_one(self, lines: Callable[[], list[str]]) -> None:
        shared = flow_control(first_pause=1.0)
        await shared.another(Attempts(), LIMITED)

        await turns(shared, 9)

        assert lines() == []


class TestFirstCalls:
    async def test_a_rejected_key_is_not_tried_again_before_it_was_accepted(self) -> None:
        shared = flow_control()

        with shared.first_calls(60):
            assert await attempts_until_given_up(shared, errors.AuthenticationFailed("401")) == 1

    async def test_a_rejected_key_is_tried_again_once_it_was_accepted(self) -> None:
        shared = flow_control()

        with shared.first_calls(60):
            shared.succeeded(CASE)
            assert await attempts_until_given_up(shared, errors.AuthenticationFailed("401")) > 1

    async def test_an_outage_is_waited_out_for_a_shorter_time(self) -> None:
        shared, begun = flow_control(max_outage=3600, first_pause=1.0), now()

        with shared.first_calls(60):
            await attempts_until_given_up(shared, UNREACHABLE)

        assert 60 <= now() - begun < 120
