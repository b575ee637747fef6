"""Run a workflow, and wait for it if asked to."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from airflow_provider_workflows.airflow_internals.deferral import can_resume
from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import (
    DeadlineReached,
    InvalidInput,
    OutcomeUnknown,
    WorkflowFailed,
    WorkflowsError,
)
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.polling import (
    MAX_OUTAGE_SECONDS,
    MAX_POLL_INTERVAL_SECONDS,
    POLL_INTERVAL_SECONDS,
    PollSchedule,
    Wait,
    poll_once,
    poll_until_done,
    success,
)
from airflow_provider_workflows.arguments import choice, seconds, templated_text, true_or_false
from airflow_provider_workflows.lineage.events import emit
from airflow_provider_workflows.lineage.task import TaskLineage
from airflow_provider_workflows.links import WorkflowLink, set_link
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator, is_deferrable
from airflow_provider_workflows.operators.run_record import Decision, RunRecord
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from airflow_provider_workflows.xcom_keys import WORKFLOW_ID_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider_workflows.api import WorkflowsClient

#: The pauses after each failed attempt to store an id that must not be lost, in seconds.
_STORE_PAUSES_SECONDS = (1.0, 5.0, 15.0)


class RunWorkflowOperator(WorkflowsOperator):
    """Start a run of a workflow for a case (``POST /workflows/run``) and return the workflow's id.

    A run is billed, so none is submitted twice. The request is repeated only when it surely was not carried
    out, and the task remembers in Airflow's task state store that it submits and what it submitted: a retry
    after a crash waits for the run that there is. A task that is cleared starts over.

    :param workflow_definition_id: id of the workflow definition (templated)
    :param case_id: id of the case (templated)
    :param parameters_id: id of the parameters, for a workflow that needs some (templated); when it is given
        it must not turn out empty
    :param wait_for_completion: wait until the workflow has succeeded
    :param deferrable: wait in the triggerer, which takes no worker slot; the default is Airflow's setting
        ``[operators] default_deferrable``
    :param durable: remember the run; without it a retry submits another
    :param on_unknown_outcome: what to do when nobody knows whether a run was submitted: ``"fail"`` without a
        retry, or ``"resubmit"`` with the next retry, at the risk of a second run
    :param poll_interval: seconds between two looks at least; in between, a poll is due after a fifth of the
        run's age
    :param max_poll_interval: seconds between two looks at most
    :param max_outage: seconds for which failing polls (lost connections, 5xx, 429) are borne
    :param workflows_conn_id: id of the connection
    :raises InvalidInput: naming the id that is none, before anything is sent
    :raises NotFound: when the definition or the case is unknown
    :raises WorkflowFailed: naming the failure status in which the workflow ended
    :raises AirflowTaskTimeout: when ``execution_timeout`` has passed, the time in the triggerer included
    :raises AirflowFailException: when it is unknown whether a run was submitted
    """

    template_fields: Sequence[str] = (
        "workflow_definition_id",
        "case_id",
        "parameters_id",
        "workflows_conn_id",
    )
    operator_extra_links = (WorkflowLink(),)

    def __init__(
        self,
        *,
        workflow_definition_id: Text,
        case_id: Text,
        parameters_id: Text | None = None,
        wait_for_completion: bool = False,
        deferrable: bool | None = None,
        durable: bool = True,
        on_unknown_outcome: Literal["fail", "resubmit"] = "fail",
        poll_interval: float | timedelta = POLL_INTERVAL_SECONDS,
        max_poll_interval: float | timedelta = MAX_POLL_INTERVAL_SECONDS,
        max_outage: float | timedelta = MAX_OUTAGE_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_definition_id = templated_text("workflow_definition_id", workflow_definition_id)
        self.case_id = templated_text("case_id", case_id)
        self.parameters_id = None if parameters_id is None else templated_text("parameters_id", parameters_id)
        self.wait_for_completion = true_or_false("wait_for_completion", wait_for_completion)
        self.deferrable = is_deferrable(deferrable)
        self.durable = true_or_false("durable", durable)
        self.on_unknown_outcome = choice("on_unknown_outcome", on_unknown_outcome, ("fail", "resubmit"))
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.max_poll_interval = seconds("max_poll_interval", max_poll_interval)
        self.max_outage = seconds("max_outage", max_outage)
        self._schedule = PollSchedule(self.poll_interval, self.max_poll_interval)
        self._with_parameters = parameters_id is not None
        self._workflow_id: str | None = None
        self._submitting = False

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Return the id of the workflow, once it was started or, if asked to, has succeeded."""
        begun = time.time()
        workflow_id, started = self._run(client, context)
        self._workflow_id = workflow_id
        self.lineage = self._lineage(workflow_id)
        context["ti"].xcom_push(key=WORKFLOW_ID_KEY, value=workflow_id)
        if not self.wait_for_completion:
            set_link(self, context, self.hook, workflow_id)
            return workflow_id
        timeout: timedelta | None = self.execution_timeout
        deadline = None if timeout is None else begun + timeout.total_seconds()
        wait = Wait(workflow_id, started, deadline, self._schedule, self.max_outage)
        set_link(self, context, self.hook, workflow_id)
        webhooks = self.deferrable and client.settings.webhooks and can_resume()
        event = None
        # With webhooks the trigger looks as soon as it may fire, and a webhook tells the rest.
        if not webhooks:
            event = poll_once(client, wait) if self.deferrable else poll_until_done(client, wait)
        if event is None:
            self.log.info("Waiting for workflow %s in the triggerer.", workflow_id)
            self.defer(
                trigger=WorkflowStatusTrigger.for_task(wait, self.workflows_conn_id, webhooks=webhooks),
                method_name=self.execute_complete.__name__,
            )
        return self._success(context, workflow_id, event)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> str:
        """Return the id of the workflow that the trigger saw succeed, or raise what waiting would have."""
        return self._success(context, event["workflow_id"], event)

    def on_kill(self) -> None:
        """Say in the task's log that the workflow goes on."""
        if self._workflow_id is not None:
            self.log.warning("Workflow %s goes on: the API has no call that cancels it.", self._workflow_id)
        elif self._submitting:
            self.log.warning(
                "A run for case %s and definition %s may have been submitted: look in the service's dashboard.",
                self.case_id,
                self.workflow_definition_id,
            )

    def _run(self, client: WorkflowsClient, context: Context) -> tuple[str, float]:
        """Return the id of the run and when it began, of one that there is or of a new one."""
        self._check()
        if not self.durable:
            return self._submit(client), time.time()
        record = RunRecord(context)
        decision, known = record.read()
        if decision is Decision.REATTACH:
            workflow_id: str = known["workflow_id"]
            if not self._has_failed(client, workflow_id):
                self.log.info(
                    "Workflow %s was submitted by an earlier try; this one goes on with it.", workflow_id
                )
                return workflow_id, known["started"]
            self.log.info("Workflow %s of an earlier try has failed, submitting a new run.", workflow_id)
        elif decision is Decision.UNKNOWN:
            self._face_unknown_outcome(known)
        return self._submit_recorded(client, record)

    def _submit_recorded(self, client: WorkflowsClient, record: RunRecord) -> tuple[str, float]:
        record.submitting(case_id=self.case_id, workflow_definition_id=self.workflow_definition_id)
        try:
            workflow_id = self._submit(client)
        except OutcomeUnknown:
            raise
        except WorkflowsError:
            with self._best_effort():
                record.not_submitted()
            raise
        started = time.time()
        for pause in _STORE_PAUSES_SECONDS:
            with self._best_effort():
                record.submitted(workflow_id, started)
                return workflow_id, started
            time.sleep(pause)
        raise AirflowFailException(
            f"Workflow {workflow_id} was started for case {self.case_id}, and Airflow could not store its id. No "
            "retry submits another: wait for it with a WorkflowStatusSensor, or clear the task for a new run."
        )

    @contextlib.contextmanager
    def _best_effort(self) -> Iterator[None]:
        """Log what goes wrong with Airflow's store: it must not take the place of what the task has to say."""
        try:
            yield
        except Exception:
            self.log.exception("Airflow's task state store could not be written.")

    def _submit(self, client: WorkflowsClient) -> str:
        self._submitting = True
        workflow = client.run_workflow(self.workflow_definition_id, self.case_id, self.parameters_id)
        self._workflow_id, self._submitting = workflow.id, False
        self.log.info(
            "Started workflow %s of definition %s for case %s, status %s.",
            workflow.id,
            self.workflow_definition_id,
            self.case_id,
            workflow.status,
        )
        return workflow.id

    def _check(self) -> None:
        require_id("workflow_definition_id", self.workflow_definition_id)
        require_id("case_id", self.case_id)
        if not self._with_parameters:
            return
        if self.parameters_id is None:
            raise InvalidInput(
                "parameters_id was given but turned out to be None: the task or template that it comes from "
                "brought nothing. Leave it away to run without parameters"
            )
        require_id("parameters_id", self.parameters_id)

    def _has_failed(self, client: WorkflowsClient, workflow_id: str) -> bool:
        if not self.wait_for_completion:
            return False
        try:
            status = client.read_workflow(workflow_id).status
        except WorkflowsError as error:
            if not error.is_retryable(under_way=True):
                raise
            # The wait bears it, for longer than a try could.
            return False
        return client.settings.statuses.outcome(status) is Outcome.FAILURE

    def _face_unknown_outcome(self, known: Mapping[str, Any]) -> None:
        about = f"case {known.get('case_id')} and definition {known.get('workflow_definition_id')}"
        if self.on_unknown_outcome == "resubmit":
            self.log.warning(
                "An earlier try may have submitted a run for %s. Submitting, as on_unknown_outcome says.",
                about,
            )
            return
        raise OutcomeUnknown(
            f"An earlier try was cut off while it submitted a run for {about}, so nobody here knows whether "
            "there is one. Look for it in the service's dashboard; if there is none, clear the task."
        )

    def _success(self, context: Context, workflow_id: str, event: Mapping[str, Any]) -> str:
        self.lineage = self._lineage(workflow_id, event.get("status"))
        try:
            status = success(event, workflow_id, self.hook.settings.statuses)
        except WorkflowFailed as error:
            if self.durable:
                with self._best_effort():
                    RunRecord(context).failed(workflow_id, error.workflow_status)
            raise
        except DeadlineReached as error:
            raise AirflowTaskTimeout(str(error)) from error
        self.log.info("Workflow %s: %s.", workflow_id, status)
        emit(self, context, self.lineage)
        return workflow_id

    def _lineage(self, workflow_id: str, status: str | None = None) -> TaskLineage:
        return TaskLineage(
            self.hook.settings.host,
            workflow_definition_id=self.workflow_definition_id,
            workflow_id=workflow_id,
            case_id=self.case_id,
            status=status,
        )

    def unknown_outcome(self, error: OutcomeUnknown) -> Exception:
        """Return what to fail with: an error that is retried where a retry is to submit again."""
        if self.on_unknown_outcome == "resubmit":
            return AirflowException(f"{error} A retry submits again, as on_unknown_outcome says.")
        return super().unknown_outcome(error)
