"""When a run is polled again, and what a poll means."""

from __future__ import annotations

import dataclasses

import pytest

from airflow_provider_workflows.api import Statuses, WorkflowsClient, errors
from airflow_provider_workflows.api.polling import PollSchedule, Wait, poll_until_done
from airflow_provider_workflows.api.wait_end import success
from airflow_provider_workflows.sandbox import Sandbox

WORKFLOW = "63131229-edc5-49d0-888b-7724e65d7d2d"
BEGIN = 1_700_000_000.0
HOUR = 3600.0


def polls_and_lateness(length: float, schedule: PollSchedule, draw: float) -> tuple[int, float]:
    """Return how often a run of ``length`` seconds is polled, and how late its end is seen."""
    age, polls = 0.0, 1
    while age < length:
        age += schedule.interval(age, float("inf"), draw)
        polls += 1
    return polls, age - length


class TestPollSchedule:
    @pytest.mark.parametrize("draw", [0.0, 0.5, 1.0])
    def test_polls_at_a_run_of_an_hour_fewer_than_40_times_and_a_tenth_late_at_most(
        self, draw: float
    ) -> None:
        polls, lateness = polls_and_lateness(HOUR, PollSchedule(), draw)

        assert polls < 40
        assert lateness <= HOUR / 10

    @pytest.mark.parametrize("length", [1, 10, 60, 600, HOUR, 24 * HOUR, 7 * 24 * HOUR])
    def test_is_late_by_a_fifth_five_seconds_or_five_minutes_at_most(self, length: float) -> None:
        _, lateness = polls_and_lateness(length, PollSchedule(), 0.0)

        assert lateness <= min(max(length / 5, 5), 300)

    @pytest.mark.parametrize(
        ("age", "seconds_left", "draw", "interval"),
        [
            (0, float("inf"), 0.0, 5),
            (0, float("inf"), 1.0, 5),
            (100, float("inf"), 0.0, 20),
            (100, float("inf"), 1.0, 18),
            (10**6, float("inf"), 0.0, 300),
            (10**6, float("inf"), 1.0, 270),
            (100, 7, 0.0, 7),
            (100, 0, 0.0, 0),
        ],
    )
    def test_follows_the_age_within_bounds_up_to_the_deadline(
        self, age: float, seconds_left: float, draw: float, interval: float
    ) -> None:
        assert PollSchedule().interval(age, seconds_left, draw) == pytest.approx(interval)

    def test_is_a_fixed_interval_when_both_bounds_are_alike(self) -> None:
        intervals = {PollSchedule(30, 30).interval(age, float("inf"), 0.7) for age in (0, 100, 10**6)}

        assert intervals == {30}

    @pytest.mark.parametrize("bounds", [(0, 10), (-1, 10), (10, 5), (float("nan"), 5)])
    def test_refuses_bounds_that_cannot_be_right(self, bounds: tuple[float, float]) -> None:
        with pytest.raises(errors.InvalidInput, match="poll_interval"):
            PollSchedule(*bounds)


def wait_of(**arguments: float) -> Wait:
    return Wait(WORKFLOW, BEGIN, draw=lambda: 0.0, **arguments)  # type: ignore[arg-type]


UNAVAILABLE = errors.ServiceUnavailable("no response")


class TestWait:
    @pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
    def test_ends_with_a_final_status(self, status: str) -> None:
        assert wait_of().record_status(status, Statuses(), BEGIN) == {"status": status}

    def test_goes_on_while_the_status_is_pending(self) -> None:
        assert wait_of().record_status("RUNNING", Statuses(), BEGIN) is None

    def test_ends_at_the_deadline_with_the_last_status(self) -> None:
        wait = wait_of(deadline=BEGIN + 60)

        assert wait.record_status("RUNNING", Statuses(), BEGIN + 59) is None
        assert wait.record_status("RUNNING", Statuses(), BEGIN + 60) == {
            "status": "RUNNING",
            "timed_out": True,
        }

    def test_ends_at_the_deadline_while_polls_fail(self) -> None:
        wait = wait_of(deadline=BEGIN + 60)
        wait.record_status("RUNNING", Statuses(), BEGIN)

        assert wait.record_error(UNAVAILABLE, BEGIN + 60) == {"status": "RUNNING", "timed_out": True}

    def test_prefers_a_final_status_that_is_seen_at_the_deadline(self) -> None:
        assert wait_of(deadline=BEGIN).record_status("COMPLETED", Statuses(), BEGIN) == {
            "status": "COMPLETED"
        }

    def test_waits_failing_polls_out_for_a_budget_of_time(self) -> None:
        wait = wait_of(max_outage=100)

        assert wait.record_error(UNAVAILABLE, BEGIN + 10) is None
        assert wait.record_error(UNAVAILABLE, BEGIN + 109) is None
        assert wait.record_error(UNAVAILABLE, BEGIN + 110) == {"error": UNAVAILABLE.to_json()}

    def test_counts_the_budget_anew_after_a_poll_that_succeeded(self) -> None:
        wait = wait_of(max_outage=100)
        wait.record_error(UNAVAILABLE, BEGIN)
        wait.record_status("RUNNING", Statuses(), BEGIN + 50)

        assert wait.record_error(UNAVAILABLE, BEGIN + 140) is None

    def test_polls_again_sooner_while_polls_fail_and_less_and_less_often(self) -> None:
        wait = wait_of()
        pauses = []
        for _ in range(4):
            wait.record_error(UNAVAILABLE, BEGIN + HOUR)
            pauses.append(wait.pause(BEGIN + HOUR))

        assert pauses == [5, 10, 20, 40]

    def test_polls_when_the_budget_ends(self) -> None:
        wait = wait_of(max_outage=7)
        wait.record_error(UNAVAILABLE, BEGIN)
        wait.record_error(UNAVAILABLE, BEGIN + 5)

        assert wait.pause(BEGIN + 5) == 2

    @pytest.mark.parametrize(
        ("error", "retried"),
        [
            (errors.ServiceUnreachable("m"), True),
            (errors.TlsFailed("m"), True),
            (errors.ServiceUnavailable("m"), True),
            (errors.RateLimited("m"), True),
            (errors.UnexpectedResponse("m"), True),
            (errors.AuthenticationFailed("m"), True),
            (errors.NotFound("m"), False),
            (errors.PermissionDenied("m"), False),
            (errors.RequestRejected("m"), False),
            (errors.InvalidInput("m"), False),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_waits_out_all_but_permanent_errors(self, error: errors.WorkflowsError, retried: bool) -> None:
        assert (wait_of().record_error(error, BEGIN) is None) is retried

    def test_ends_at_once_when_the_key_is_rejected_before_it_was_ever_accepted(self) -> None:
        wait = wait_of(under_way=False)

        assert wait.record_error(errors.AuthenticationFailed("401"), BEGIN) is not None

    def test_waits_out_a_key_that_is_rejected_after_it_was_accepted(self) -> None:
        wait = wait_of(under_way=False)
        wait.record_status("RUNNING", Statuses(), BEGIN)

        assert wait.record_error(errors.AuthenticationFailed("401"), BEGIN + 5) is None


class Clock:
    """Seconds since the epoch that go on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class TestPollUntilDone:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    def test_says_once_a_minute_why_polls_fail_and_until_when_they_are_waited_out(
        self, sandbox: Sandbox, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        sandbox.fault("server_error", status=503)
        wait = Wait(WORKFLOW, clock.now, schedule=PollSchedule(5.0, 20.0), max_outage=600)

        with sandbox.client(max_attempts=1) as client:
            event = poll_until_done(client, wait, now=clock, sleep=clock.sleep)

        lines = [text for text in caplog.messages if "goes on by itself" in text]
        assert "error" in event
        assert 8 <= len(lines) <= 11
        # Ten minutes after the first poll, at 2001-09-09 01:46:40.
        assert all("503" in line and "ends at 2001-09-09 01:56:40 UTC" in line for line in lines)

    def test_goes_on_with_the_client_that_the_connection_leads_to_after_a_rejected_key(
        self, sandbox: Sandbox, clock: Clock
    ) -> None:
        wait = Wait(WORKFLOW, clock.now, schedule=PollSchedule(5.0, 5.0), max_outage=600)
        definition_id = sandbox.define(seconds=0.0)
        reads = 0

        with (
            WorkflowsClient(dataclasses.replace(sandbox.settings, secret="wrong"), clock=clock) as client,
            sandbox.client() as later,
        ):
            wait.workflow_id = later.run_workflow(definition_id, later.create_case().case_id).id
            sandbox.counts.reset()

            def reconnect() -> WorkflowsClient:
                nonlocal reads
                reads += 1
                if reads < 3:
                    raise ConnectionError
                return later

            event = poll_until_done(client, wait, reconnect=reconnect, now=clock, sleep=clock.sleep)

        assert event == {"status": "COMPLETED"}
        assert sandbox.counts.requests["POST /auth/authorize"] == 3


class TestSuccess:
    def test_is_the_success_status(self) -> None:
        assert success({"status": "COMPLETED"}, WORKFLOW, Statuses()) == "COMPLETED"

    @pytest.mark.parametrize(
        ("event", "error", "message"),
        [
            ({"status": "FAILED"}, errors.WorkflowFailed, f"{WORKFLOW} .* FAILED"),
            ({"status": "RUNNING", "timed_out": True}, errors.DeadlineReached, "goes on"),
            ({"error": UNAVAILABLE.to_json()}, errors.ServiceUnavailable, "no response"),
        ],
    )
    def test_is_nothing_else(self, event: dict[str, object], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            success(event, WORKFLOW, Statuses())
