"""Rows whose run is overdue: whether it has ended by now is asked before a try submits what has failed.

Such a run may still go on, as far as the service says, so that its row is submitted anew only once it has surely
failed, or if a person names the row.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workflows.api import endpoints, errors
from airflow_provider_workflows.api.status import Outcome
from airflow_provider_workflows.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_workflows.batch.current_client import CurrentClient
    from airflow_provider_workflows.batch.flow_control import FlowControl
    from airflow_provider_workflows.batch.journal import Entry
    from airflow_provider_workflows.batch.ownership import Ownership
    from airflow_provider_workflows.batch.row_state import RowState

#: What to do about a row whose run is overdue.
OVERDUE_ADVICE = (
    "A clear of the task asks the service again: if the run has failed by then, the row is submitted anew, with "
    "expires_at as the DAG has it then; as long as the run is pending, it is waited for. If it stays so, find it "
    "in the service's dashboard, and press Resubmit these rows with the row's number for a run beside it."
)


async def ended_by_now(
    client: CurrentClient,
    flow_control: FlowControl,
    ownership: Ownership,
    states: Mapping[int, RowState],
    rows: Iterable[int],
    *,
    concurrency: int,
    log: Any,
) -> list[Entry]:
    """Return an entry of the journal for each row whose run has ended by now.

    Each run is asked for once: the wait for runs polls through an outage, and names one that cannot be read.

    :param client: makes one attempt for a call
    :param flow_control: says when the next call may go out
    :param ownership: says whether this try may still act
    :param states: the state of each row, by number
    :param rows: numbers of rows with a run
    :param concurrency: how many runs are asked for at once
    :param log: the task's log
    :raises Stopped: if this try has to stop
    """
    numbers = iter(found := list(rows))
    entries: list[Entry] = []
    failures: list[errors.WorkflowsError] = []

    async def ask() -> None:
        for number in numbers:
            await flow_control.turn()
            ownership.require()
            if failures:
                return
            state = states[number]
            workflow_id = cast("str", state.workflow_id)
            try:
                workflow = await client.perform(
                    endpoints.read_workflow(workflow_id, state.compared_case_id, state.compared_record_id)
                )
            except errors.Stopped:
                raise
            except errors.WorkflowsError as error:
                if error.concerns_every_call or error.is_retryable(under_way=True):
                    failures.append(error)
                continue
            if client.settings.statuses.outcome(workflow.status) is not Outcome.PENDING:
                ended = {"status": workflow.status, "ended_at": time.time(), "error": None}
                entries.append({"row": number, "workflow_id": workflow_id, **ended})

    await asyncio.gather(*(ask() for _ in range(min(concurrency, len(found)))))
    log.info(
        "%s past the expiry when the wait for it ended. Asked again, the service says that %s by now; all others "
        "are waited for.%s",
        counted(len(found), "run was", "runs were"),
        counted(len(entries), "has ended", "have ended"),
        f" Not all could be asked: {failures[0]}" if failures else "",
    )
    return entries
