"""Submit the run of a task, once over all of its tries."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import OutcomeUnknown, WorkflowsError
from airflow_provider_workflows.operators.records import RunPhase, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.records import Records

#: The pauses after each failed attempt to store the id of a run, in seconds: the id must not be lost.
STORE_PAUSES_SECONDS = (1.0, 5.0, 15.0)


class Decision(enum.Enum):
    """What a try of the task is to do."""

    SUBMIT = "submit a run"
    REATTACH = "go on with the run that was submitted"
    UNKNOWN = "decide what to do about a run that may have been submitted"


def decide(record: RunRecord | None) -> Decision:
    """Return what to do.

    :param record: what an earlier try has written; None if there is nothing
    """
    if record is None or record.phase is RunPhase.FAILED:
        return Decision.SUBMIT
    return Decision.REATTACH if record.phase is RunPhase.SUBMITTED else Decision.UNKNOWN


@dataclass(frozen=True)
class StartedRun:
    """A run that was started.

    :param workflow_id: its id
    :param started: when it was started, in seconds since the epoch
    """

    workflow_id: str
    started: float


class RunSubmission:
    """Submits a run, or finds the one that an earlier try has submitted.

    :param client: makes the calls
    :param records: the task's record; None to remember nothing
    :param workflow_definition_id: id of the workflow definition
    :param case_id: id of the case
    :param parameters_id: id of the parameters; None for a workflow without any
    :param resubmit_unknown: whether to submit where an earlier try may have
    :param resubmit_failed: whether to submit anew where the earlier run has failed
    :param log: the task's log
    :param sleep: waits between two attempts to store the run's id, in seconds
    """

    def __init__(
        self,
        client: WorkflowsClient,
        records: Records[RunRecord] | None,
        *,
        workflow_definition_id: str,
        case_id: str,
        parameters_id: str | None,
        resubmit_unknown: bool,
        resubmit_failed: bool,
        log: Any,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._records = records
        self._record = RunRecord(RunPhase.SUBMITTING, workflow_definition_id, case_id)
        self._parameters_id = parameters_id
        self._resubmit_unknown = resubmit_unknown
        self._resubmit_failed = resubmit_failed
        self._log = log
        self._sleep = sleep
        #: The id of the run, once it is known.
        self.workflow_id: str | None = None
        #: Whether this try may have started a run.
        self.may_have_started = False

    def run(self) -> StartedRun:
        """Return the run: that of an earlier try, or a new one.

        :raises OutcomeUnknown: if nobody knows whether a run was submitted
        :raises AirflowFailException: if a run was started, and its id could not be stored
        :raises WorkflowsError: what else went wrong
        """
        if self._records is None:
            return self._submit()
        record = self._records.read()
        if self._records.was_cleared:
            record = None
        decision = decide(record)
        if record is not None and decision is Decision.UNKNOWN:
            self._require_consent(record)
        elif record is not None and decision is Decision.REATTACH:
            run = StartedRun(str(record.workflow_id), float(record.started or 0.0))
            if not (self._resubmit_failed and self._has_failed(run.workflow_id)):
                self._log.info(
                    "Workflow %s was submitted by an earlier try; this one goes on with it.", run.workflow_id
                )
                self.workflow_id = run.workflow_id
                return run
            self._log.info("Workflow %s of an earlier try has failed; submitting a new run.", run.workflow_id)
        return self._submit_recorded(self._records)

    def _submit_recorded(self, records: Records[RunRecord]) -> StartedRun:
        records.write(self._record)
        try:
            run = self._submit()
        except OutcomeUnknown:
            raise
        except WorkflowsError:
            with best_effort(self._log):
                records.delete()
            raise
        submitted = dataclasses.replace(
            self._record, phase=RunPhase.SUBMITTED, workflow_id=run.workflow_id, started=run.started
        )
        for pause in STORE_PAUSES_SECONDS:
            with best_effort(self._log):
                records.write(submitted)
                return run
            self._sleep(pause)
        raise AirflowFailException(
            f"Workflow {run.workflow_id} was started for case {self._record.case_id}, and Airflow could not store "
            "its id. No retry submits another: wait for it with a WorkflowStatusSensor, or clear the task for a "
            "new run."
        )

    def _submit(self) -> StartedRun:
        definition_id, case_id = self._record.workflow_definition_id, self._record.case_id
        self.may_have_started = True
        try:
            workflow = self._client.run_workflow(definition_id, case_id, self._parameters_id)
        except WorkflowsError as error:
            self.may_have_started = isinstance(error, OutcomeUnknown)
            raise
        self.workflow_id = workflow.id
        self._log.info(
            "Started workflow %s of definition %s for case %s, status %s.",
            workflow.id,
            definition_id,
            case_id,
            workflow.status,
        )
        return StartedRun(workflow.id, time.time())

    def _has_failed(self, workflow_id: str) -> bool:
        try:
            status = self._client.read_workflow(workflow_id).status
        except WorkflowsError as error:
            if not error.is_retryable(under_way=True):
                raise
            # The wait polls through an outage, for longer than a try could.
            return False
        return self._client.settings.statuses.outcome(status) is Outcome.FAILURE

    def _require_consent(self, record: RunRecord) -> None:
        subject = f"case {record.case_id} and definition {record.workflow_definition_id}"
        if not self._resubmit_unknown:
            raise OutcomeUnknown(
                f"An earlier try was cut off while it submitted a run for {subject}, so nobody knows whether "
                "there is one. Find out in the service's dashboard; if there is no run, clear the task."
            )
        self._log.warning(
            "An earlier try may have submitted a run for %s. Submitting another, as on_unknown_outcome says.",
            subject,
        )


@contextlib.contextmanager
def best_effort(log: Any) -> Iterator[None]:
    """Log what goes wrong with Airflow's store, so that it does not take the place of the task's own error.

    :param log: the task's log
    """
    try:
        yield
    except Exception:
        log.exception("Airflow's task state store could not be written.")
