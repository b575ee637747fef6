"""Runs of a batch that wait for an end user: somebody has to open the link of each, and a batch sends none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.expiry import moment_of
from airflow_provider_workflows.log_throttle import utc_time

if TYPE_CHECKING:
    from airflow_provider_workflows.api.models import StartedWorkflow

log = logging.getLogger(__name__)


class EndUserRuns:
    """Warns as the first run of a try turns out to wait for an end user: a person may still stop the others."""

    def __init__(self) -> None:
        self._has_warned = False

    def note(self, run: StartedWorkflow) -> None:
        """Take note of a run.

        :param run: what the service has said as it was started; its link, a secret, goes nowhere
        """
        if self._has_warned or not run.link:
            return
        self._has_warned = True
        expires_at = moment_of(run.expires_at)
        log.warning(
            "Workflow %s waits for an end user, who must open its link %s, and so may each run that this batch "
            "starts. A batch sends no link: WorkflowsHook.read_link(workflow_id) gives it for each workflow_id in "
            "the output, which is written once all runs have ended, and in the service's dashboard until then. To "
            "have links sent as runs start, use RunWorkflowOperator with on_link_callback. Each run is billed: to "
            "start no more, mark the task as failed.",
            run.id,
            "before the run expires" if expires_at is None else f"by {utc_time(expires_at)}",
        )
