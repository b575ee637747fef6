"""When a run is polled, and what a poll means for the wait: decided once, for every way of waiting.

The triggerer's poller and a worker follow the same rules. Only ``poll_once`` and ``poll_until_done`` send or sleep.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.expiry import OVERDUE_ADVICE, due_at_expiry, moment_of, overdue
from airflow_provider_workflows.api.retry import Backoff, Retry
from airflow_provider_workflows.api.status import Outcome, Statuses
from airflow_provider_workflows.log_throttle import utc_time

if TYPE_CHECKING:
    from airflow_provider_workflows.api.client import WorkflowsClient
    from airflow_provider_workflows.api.models import Workflow

log = logging.getLogger(__name__)

#: While polls fail, the log says so once in this many seconds.
WARNING_INTERVAL_SECONDS = 60.0
#: The next poll is due after this part of the run's age. At a fifth, with the longest interval of five minutes,
#: a run of one hour is polled fewer than 40 times and its end is seen at most a twelfth of its length late;
#: at a tenth it would take more than 50 polls.
FRACTION_OF_AGE = 0.2
#: Intervals are shortened at random by up to this part, so that runs which began together drift apart.
JITTER = 0.1

POLL_INTERVAL_SECONDS = 5.0
MAX_POLL_INTERVAL_SECONDS = 300.0
MAX_OUTAGE_SECONDS = 1800.0
#: Of a run that goes on for longer than this, an end that is seen some minutes later does not matter.
LONG_WAIT_SECONDS = 86400.0


@dataclass(frozen=True)
class PollSchedule:
    """When a run is polled: at once, then after a part of its age, within bounds.

    :param poll_interval: seconds between two polls at least
    :param max_poll_interval: seconds between two polls at most; the same as ``poll_interval`` for a fixed one
    :param slows_down: whether a run that has an expiry is polled less often than that from its second day on
    :raises InvalidInput: when the bounds cannot be right
    """

    poll_interval: float = POLL_INTERVAL_SECONDS
    max_poll_interval: float = MAX_POLL_INTERVAL_SECONDS
    slows_down: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.poll_interval <= self.max_poll_interval:
            raise errors.InvalidInput(
                f"poll_interval ({self.poll_interval}) must be above 0 seconds, "
                f"and max_poll_interval ({self.max_poll_interval}) at least as long"
            )

    def longest(self, age: float, *, expires: bool) -> float:
        """Return the seconds between two polls at most.

        A run with an expiry may wait for a person. With ``slows_down`` they grow with its age from its second day
        on: five minutes to a 288th of the age, so that 30 days take about 1,300 polls in place of 8,640.

        :param age: seconds since the run began
        :param expires: whether the run has an expiry
        """
        grows = self.slows_down and expires and age > LONG_WAIT_SECONDS
        return self.max_poll_interval * (age / LONG_WAIT_SECONDS if grows else 1.0)

    def interval(self, age: float, seconds_left: float, draw: float, *, expires: bool = False) -> float:
        """Return the seconds until the next poll.

        :param age: seconds since the run began
        :param seconds_left: seconds until the deadline, at which the last poll is due
        :param draw: a random number from 0 to 1
        :param expires: whether the run has an expiry
        """
        interval = max(FRACTION_OF_AGE * age, self.poll_interval)
        interval = min(interval, longest := self.longest(age, expires=expires))
        if self.poll_interval < longest:
            interval = max(interval * (1 - JITTER * draw), self.poll_interval)
        return max(0.0, min(interval, seconds_left))


@dataclass(slots=True)
class Wait:
    """One wait for one run: what each poll means, and when the next is due.

    The end of a wait is an event as JSON: ``{"status": ...}``, with ``"timed_out": True`` beside a status that
    is still pending, or ``{"error": ...}`` with the error as JSON. A run that is still pending well after its
    expiry ends it too, with a ``WorkflowFailed``.

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
    :param record_id: the same of the record that it must be about
    :param status: the last status that was seen
    :param failing_since: when polls began to fail, in seconds since the epoch; None while they succeed
    :param expires_at: when the run expires, in seconds since the epoch; None if it does not, or nobody has said so
    :param follows_expiry: whether the deadline counts only as long as no expiry is known
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
    record_id: str | None = None
    status: str = "not known"
    failing_since: float | None = None
    expires_at: float | None = None
    follows_expiry: bool = False
    _failures: int = field(default=0, repr=False)
    #: What to do about a run that is overdue, as a sentence.
    overdue_advice: ClassVar[str] = OVERDUE_ADVICE

    def record_workflow(self, workflow: Workflow, statuses: Statuses, now: float) -> dict[str, object] | None:
        """Return the event when a workflow, as the service gave it at ``now``, ends the wait."""
        if workflow.expires_at is not None:
            self.expires_at = moment_of(workflow.expires_at) or self.expires_at
        return self.record_status(workflow.status, statuses, now)

    def record_status(self, status: str, statuses: Statuses, now: float) -> dict[str, object] | None:
        """Return the event when ``status``, seen at ``now``, ends the wait."""
        self.status = status
        self.under_way = True
        self.failing_since, self._failures = None, 0
        if statuses.outcome(status) is not Outcome.PENDING:
            return {"status": status}
        error = overdue(self.workflow_id, status, self.expires_at, now, self.overdue_advice)
        if error is not None:
            return {"error": error.to_json()}
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
        seconds_left = min(self.seconds_left(now), due_at_expiry(self.expires_at, now))
        pause = self.schedule.interval(
            now - self.started, seconds_left, self.draw(), expires=self.expires_at is not None
        )
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

    def longest_interval(self, now: float) -> float:
        """Return the seconds between two polls at most, at ``now``."""
        return self.schedule.longest(now - self.started, expires=self.expires_at is not None)

    @property
    def outage_end(self) -> float | None:
        """When the wait ends unless polls succeed before, in seconds since the epoch; None if none has failed."""
        if self.failing_since is None:
            return None
        end = self.failing_since + self.max_outage
        return end if self._deadline is None else min(end, self._deadline)

    def seconds_left(self, now: float) -> float:
        """Return the seconds from ``now`` until the deadline."""
        return float("inf") if (end := self._deadline) is None else max(0.0, end - now)

    @property
    def _deadline(self) -> float | None:
        return None if self.follows_expiry and self.expires_at is not None else self.deadline

    def timed_out(self) -> dict[str, object]:
        """Return the event of a wait that ends at its deadline."""
        return {"status": self.status, "timed_out": True}

    def _timed_out(self, now: float) -> dict[str, object] | None:
        return self.timed_out() if self.seconds_left(now) <= 0 else None


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
        workflow = client.read_workflow(wait.workflow_id, wait.case_id, wait.record_id)
    except errors.Stopped:
        raise
    except errors.WorkflowsError as error:
        return wait.record_error(error, now()), error
    return wait.record_workflow(workflow, client.settings.statuses, now()), None
