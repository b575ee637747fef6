"""What the service has said of a run, kept for a moment: many deliveries may name one run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_workflows.api import endpoints, errors
from airflow_provider_workflows.api.versions import Evidence, evidence_of

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient

#: A run is polled once in this many seconds at most, however many deliveries name it. One whose end is delivered
#: before the service's own response shows it is polled once more, after as many seconds.
EARLY_WEBHOOK_REPOLL_SECONDS = 2.0
#: This many of the latest polls are cached.
MAX_CACHED_POLLS = 10_000


@dataclass(frozen=True, slots=True)
class RunPoll:
    """What one request for a run's status has brought.

    :param begun_at: when it was sent, in seconds of the handler's clock
    :param status: the run's status; None if the service does not know the run
    :param case_id: id of its case, if the response had it
    :param failure: why the service could not be asked, if it could not
    :param evidence: what the response has said of it beside that, if anything
    """

    begun_at: float
    status: str | None = None
    case_id: str | None = None
    failure: str | None = None
    evidence: Evidence | None = None


class RunPolls:
    """Polls runs, and keeps what that has brought for two seconds.

    :param client: attempts each call once
    :param clock: monotonic seconds
    """

    def __init__(self, client: AsyncWorkflowsClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._polls: OrderedDict[str, RunPoll] = OrderedDict()

    def __len__(self) -> int:
        return len(self._polls)

    def cached(self, workflow_id: str) -> RunPoll | None:
        """Return what a poll has brought a moment before; None if the run is to be polled.

        :param workflow_id: id of the run
        """
        poll = self._polls.get(workflow_id)
        if poll is None or self._clock() >= poll.begun_at + EARLY_WEBHOOK_REPOLL_SECONDS:
            return None
        return poll

    async def poll(self, workflow_id: str) -> RunPoll:
        """Poll a run, and return what that has brought.

        :param workflow_id: id of the run
        """
        now = self._clock()
        # A request that is given up counts as well: the service has it all the same.
        self._polls[workflow_id] = RunPoll(now, failure="an earlier request for it was given up")
        self._polls.move_to_end(workflow_id)
        try:
            workflow = await self._client.perform(endpoints.read_workflow(workflow_id))
        except errors.NotFound:
            poll = RunPoll(now)
        except errors.WorkflowsError as error:
            poll = RunPoll(now, failure=error.summary)
        else:
            poll = RunPoll(now, workflow.status, workflow.case_id, evidence=evidence_of(workflow))
        self._polls[workflow_id] = poll
        self._forget(now)
        return poll

    def _forget(self, now: float) -> None:
        while self._polls:
            oldest = next(iter(self._polls.values()))
            is_current = now < oldest.begun_at + EARLY_WEBHOOK_REPOLL_SECONDS
            if is_current and len(self._polls) <= MAX_CACHED_POLLS:
                return
            self._polls.popitem(last=False)
