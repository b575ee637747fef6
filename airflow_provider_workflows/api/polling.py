"""When a run is polled, and what a poll means for the wait: decided once, for every way of waiting.

The triggerer's poller and a worker that waits follow the same rules. These know nothing of Airflow, and only
``poll_once`` and ``poll_until_done`` send a request or sleep.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.retry import Backoff, Retry
from airflow_provider_workflows.api.status import EXPIRED_STATUS, Outcome, Statuses
from airflow_provider_workflows.log_throttle import utc_time

if TYPE_CHECKING:
    from airflow_provider_workflows.api.client import WorkflowsClient

log = logging.getLogger(__name__)

#: While polls fail, the log says so once in this many seconds.
WARNING_INTERVAL_SECONDS = 60.0
#: The next poll is due after this part of the run's age. At a fifth, with the longest interval of five minutes,
#: a run of one hour is polled fewer than 40 times and its end is seen at most a twelfth of its length late;
#: at a tenth it would take more than 50 polls, since between 50 seconds and 50 minutes each can only be a tenth
#: later than the one before.
FRACTION_OF_AGE = 0.2
#: Intervals are shortened at random by up to this part, so that runs which began together drift apart.
JITTER = 0.1

POLL_INTERVAL_SECONDS = 5.0
MAX_POLL_INTERVAL_SECONDS = 300.0
MAX_OUTAGE_SECONDS = 1800.0


@dataclass(frozen=True)
class PollSchedule:
    """When a run is polled: at once, then after a part of its age, within bounds.

    :param poll_interval: seconds between two polls at least
    :param max_poll_interval: seconds between two polls at most; the same as ``poll_interval`` for a fixed one
    :raises InvalidInput: when the bounds cannot be right
    """

    poll_interval: float = POLL_INTERVAL_SECONDS
    max_poll_interval: float = MAX_POLL_INTERVAL_SECONDS

    def __post_init__(self) -> None:
        if not 0 < self.poll_interval <= self.max_poll_interval:
            raise errors.InvalidInput(
                f"poll_interval ({self.poll_interval}) must be above 0 seconds, "
                f"and max_poll_interval ({self.max_poll_interval}) at least as long"
            )

    def interval(self, age: float, seconds_left: float, draw: float) -> float:
        """Return the seconds until the next poll.

        :param age: seconds since the run began
        :param seconds_left: seconds until the deadline, at which the last poll is due
        :param draw: a random number from 0 to 1
        """
        interval = min(max(FRACTION_OF_AGE * age, self.poll_interval), self.max_poll_interval)
        if self.poll_interval < self.max_poll_interval:
            interval = max(interval * (1 - JITTER * draw), self.poll_interval)
        return max(0.0, min(interval, seconds_left))


@dataclass(slots=True)
class Wait:
    """One wait for one run: what each poll means, and when the next is due.

    The end of a wait is an event as JSON: ``{"status": ...}``, with ``"timed_out": True`` beside a status that
    is still pending, or ``{"error": ...}`` with the error as JSON.

    :param workflow_id: id of the workflow
    :param started: when the run began, in seconds since the epoch
    :param deadline: when the wait ends at the latest, in seconds since the epoch; None for never
    :param schedule: when to poll
    :param max_outage: seconds for which failing polls are waited out, from the first one that failed
    :param draw: a random number from 0 to 1
    :param first_poll: when to poll first, in seconds since the epoch; None for at once
    :param under_way: whether the service has accepted the credentials before, for the same work: then a rejected
        key is waited out like an outage, else the wait ends at once
    :param case_id: the case that the run must be of; None if that is not known, or need not be compared
    :param status: the last status that was seen
    :param failing_since: when polls began to fail, in seconds since the epoch; None while they succeed
    """

    workflow_id: str
    started: float = field(default_factory=time.time)
    deadline: float | None = None
    schedule: PollSchedule = field(default_factory=PollSchedule)
    max_outage: float = MAX_OUTAGE_SECONDS
    draw: Callable[[], float] = random.random
    first_poll: float | None = None
    under_way: bool = True
    case_id: str | None = None
    status: str = "not known"
    failing_since: float | None = None
    _failures: int = field(default=0, repr=False)

    def record_status(self, status: str, statuses: Statuses, now: float) -> dict[str, object] | None:
        """Return the event when ``status``, seen at ``now``, ends the wait."""
        self.status = status
        self.under_way = True
        self.failing_since, self._failures = None, 0
        if statuses.outcome(status) is not Outcome.PENDING:
            return {"status": status}
        return self._timed_out(now)

    def record_error(self, error: errors.WorkflowsError, now: float) -> dict[str, object] | None:
        """Return the event when ``error``, met at ``now``, ends the wait."""
        if self.failing_since is None:
            self.failing_since = now
        self._failures += 1
        if not error.is_retryable(under_way=self.under_way) or now - self.failing_since >= self.max_outage:
            return {"error": error.to_json()}
        return self._timed_out(now)

    def pause(self, now: float) -> float:
        """Return the seconds until the next poll, counted from ``now``."""
        pause = self.schedule.interval(now - self.started, self.seconds_left(now), self.draw())
        if self.failing_since is None:
            return pause
        # During an outage polls go out more often than a long run is polled, and less and less often.
        backoff = Backoff(self.schedule.poll_interval, self.schedule.max_poll_interval).seconds(
            self._failures
        )
        backoff = min(backoff, self.seconds_left(now))
        budget_left = self.failing_since + self.max_outage - now
        # A sensor with silent_fail goes on after its budget is used up, and must not do so without a pause.
        return min(backoff, budget_left) if budget_left > 0 else backoff

    @property
    def outage_end(self) -> float | None:
        """When the wait ends unless polls succeed before, in seconds since the epoch; None if none has failed."""
        if self.failing_since is None:
            return None
        end = self.failing_since + self.max_outage
        return end if self.deadline is None else min(end, self.deadline)

    def seconds_left(self, now: float) -> float:
        """Return the seconds from ``now`` until the deadline."""
        return float("inf") if self.deadline is None else max(0.0, self.deadline - now)

    def timed_out(self) -> dict[str, object]:
        """Return the event of a wait that ends at its deadline."""
        return {"status": self.status, "timed_out": True}

    def _timed_out(self, now: float) -> dict[str, object] | None:
        return self.timed_out() if self.seconds_left(now) <= 0 else None


@dataclass(slots=True)
class CountedWait(Wait):
    """A wait that counts its polls, for the report of a single run.

    :param polls: number of polls
    :param last_poll_at: when the last one was, in seconds since the epoch
    :param on_poll: called after each poll that does not end the wait
    """

    polls: int = 0
    last_poll_at: float | None = None
    on_poll: Callable[[], None] | None = None

    def record_status(self, status: str, statuses: Statuses, now: float) -> dict[str, object] | None:
        """Count the poll, and return as ``Wait`` does."""
        return self._counted(Wait.record_status(self, status, statuses, now), now)

    def record_error(self, error: errors.WorkflowsError, now: float) -> dict[str, object] | None:
        """Count the poll, and return as ``Wait`` does."""
        return self._counted(Wait.record_error(self, error, now), now)

    def _counted(self, event: dict[str, object] | None, now: float) -> dict[str, object] | None:
        self.polls, self.last_poll_at = self.polls + 1, now
        if event is None and self.on_poll is not None:
            self.on_poll()
        return event


def poll_until_done(
    client: WorkflowsClient,
    wait: Wait,
    *,
    reconnect: Callable[[], WorkflowsClient] | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, object]:
    """Poll until the wait ends, sleeping in between, and return its event.

    While polls fail, the log says why and until when, once a minute.

    :param client: sends the polls (``GET /workflows/{workflowId}``)
    :param wait: which run, until when
    :param reconnect: returns a client for what the connection says by now; called before a rejected key is sent
        again. If it raises, the wait goes on with the client that there is
    :param now: seconds since the epoch
    :param sleep: sleeps for a number of seconds
    :raises Stopped: if the client's guard has stopped the wait
    """
    warning_due = float("-inf")
    while True:
        event, error = _poll(client, wait, now)
        if event is not None:
            return event
        pause = wait.pause(now())
        if error is not None and now() >= warning_due:
            warning_due = now() + WARNING_INTERVAL_SECONDS
            log.warning("%s", waiting_out(error, wait.outage_end))
        is_rejected = error is not None and error.retry is Retry.AFTER_NEW_CREDENTIALS
        if is_rejected:
            pause = max(pause, min(client.seconds_until_authorize(), wait.seconds_left(now())))
        sleep(pause)
        if is_rejected and reconnect is not None:
            client = reconnected(client, reconnect)


def reconnected(client: WorkflowsClient, reconnect: Callable[[], WorkflowsClient]) -> WorkflowsClient:
    """Return what ``reconnect`` returns, or ``client`` if that raises; the log says so."""
    try:
        return reconnect()
    except Exception as error:  # noqa: BLE001  (a connection that is away may come back, like the service)
        is_ours = isinstance(error, errors.WorkflowsError)
        log.warning(
            "The connection could not be read again after a rejected key: %s The wait goes on with what it said "
            "before.",
            error if is_ours else f"{type(error).__name__}.",
        )
        return client


def waiting_out(error: errors.WorkflowsError, until: float | None) -> str:
    """Return what a log line says of polls that fail: why, and until when they are waited out.

    :param error: what the latest poll met
    :param until: when the wait ends unless polls succeed before, in seconds since the epoch; None if nobody knows
    """
    end = "" if until is None else f", or ends at {utc_time(until)}"
    return f"{error} The wait goes on by itself once polls succeed{end}."


def poll_once(
    client: WorkflowsClient, wait: Wait, *, now: Callable[[], float] = time.time
) -> dict[str, object] | None:
    """Poll once, and return the event if that ends the wait; the arguments are those of ``poll_until_done``."""
    return _poll(client, wait, now)[0]


def _poll(
    client: WorkflowsClient, wait: Wait, now: Callable[[], float]
) -> tuple[dict[str, object] | None, errors.WorkflowsError | None]:
    """Poll once, and return the event if that ends the wait, and the error that the poll met."""
    try:
        status = client.read_workflow(wait.workflow_id, wait.case_id).status
    except errors.Stopped:
        raise
    except errors.WorkflowsError as error:
        return wait.record_error(error, now()), error
    return wait.record_status(status, client.settings.statuses, now()), None


def success(event: Mapping[str, Any], workflow_id: str, statuses: Statuses) -> str:
    """Return the status that ended a wait, if it means success.

    :param event: the event of the wait
    :raises WorkflowFailed: for a failure status
    :raises DeadlineReached: when the wait ended before the workflow
    :raises WorkflowsError: the one that ended the wait
    """
    if "error" in event:
        raise errors.error_from_json(event["error"])
    status: str = event["status"]
    if event.get("timed_out"):
        raise errors.DeadlineReached(
            f"The wait for workflow {workflow_id} has timed out, its status is {status}. The workflow itself "
            "goes on, for the API has no call that cancels it.",
            workflow_status=status,
        )
    if statuses.outcome(status) is Outcome.FAILURE and status == EXPIRED_STATUS:
        raise errors.WorkflowFailed(
            f"Workflow {workflow_id} has expired (status {status}) before it was completed. A new run has the time "
            "until its own expiry: give expires_at a later one if that was too short.",
            workflow_status=status,
        )
    if statuses.outcome(status) is Outcome.FAILURE:
        raise errors.WorkflowFailed(
            f"Workflow {workflow_id} ended in the failure status {status}.", workflow_status=status
        )
    return status
