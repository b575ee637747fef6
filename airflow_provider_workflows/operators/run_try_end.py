"""How a single run's try has failed, as far as its task knows: with the run of an earlier try, if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.task_state import has_task_state_store, retries_left
from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.clear_wording import ClearChoices
from airflow_provider_workflows.links import page_url
from airflow_provider_workflows.operators.run_decision import described
from airflow_provider_workflows.operators.run_record import RunPhase, run_records
from airflow_provider_workflows.operators.state_store import a_clear_forgets
from airflow_provider_workflows.run_end import EarlierRun, RunEnd
from airflow_provider_workflows.run_report import RunOutcome, RunReport

if TYPE_CHECKING:
    from airflow.sdk import Context

_OUTCOMES = {
    RunPhase.SUBMITTING: RunOutcome.UNKNOWN,
    RunPhase.SUBMITTED: RunOutcome.RUNNING,
    RunPhase.SUCCEEDED: RunOutcome.SUCCEEDED,
}
"""What has become of a run by its record, where it is no reason to submit another."""


def run_end(
    context: Context,
    report: RunReport,
    failure: BaseException,
    *,
    durable: bool,
    starts_over: bool,
    resubmits_unknown: bool,
    log: Any,
) -> RunEnd:
    """Return how a try has failed.

    :param context: the task's context
    :param report: what there is to say of the run
    :param failure: what has ended the try
    :param durable: whether the run is recorded
    :param starts_over: whether a clear starts over, as the DAG says
    :param resubmits_unknown: whether a retry or a clear submits again what may have been submitted
    :param log: the task's log
    """
    ti = context["ti"]
    is_retryable = not isinstance(failure, AirflowFailException)
    if isinstance(failure, WorkflowsError):
        is_retryable = failure.is_retryable()
    earlier = None
    if durable and report.outcome is RunOutcome.NOT_SUBMITTED:
        earlier = _earlier_run(context, starts_over=starts_over, log=log)
    return RunEnd(
        report,
        page_url(ti.dag_id, ti.run_id, ti.task_id, ti.map_index),
        retries_left(context),
        is_retryable,
        durable=durable,
        resubmits_unknown=resubmits_unknown,
        choices=ClearChoices(
            has_task_state_store(),
            starts_over=starts_over,
            needs_kept_state=durable and a_clear_forgets(),
        ),
        earlier=earlier,
    )


def _earlier_run(context: Context, *, starts_over: bool, log: Any) -> EarlierRun | None:
    """Return the run of an earlier try that the next one goes on with; None if it submits another.

    The try may have failed before it has read the record, as it does where an argument is refused.
    """
    try:
        records = run_records(context)
        record = records.read()
    except Exception as error:  # noqa: BLE001  (the try's own error says more)
        log.warning("The record of the earlier tries could not be read: %s.", type(error).__name__)
        return None
    if record is None or record.phase not in _OUTCOMES or (starts_over and records.was_cleared):
        return None
    return EarlierRun(_OUTCOMES[record.phase], described(record), record.workflow_id)
