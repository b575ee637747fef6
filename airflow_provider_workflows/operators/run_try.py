"""One try of a task with a single run: its stop, its report, and the words for how it has failed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workflows.airflow_internals.exceptions import AirflowException, TaskDeferred
from airflow_provider_workflows.api.errors import InvalidInput, OutcomeUnknown
from airflow_provider_workflows.api.generations import require_arguments
from airflow_provider_workflows.api.ids import is_id, require_id
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.lineage.task import TaskLineage
from airflow_provider_workflows.operators.base import WorkflowsOperator
from airflow_provider_workflows.operators.records import best_effort
from airflow_provider_workflows.operators.redaction import redact_parameters, unwrap
from airflow_provider_workflows.operators.run_record import RunPhase, RunRecord, run_records
from airflow_provider_workflows.operators.stop_guard import StopGuard
from airflow_provider_workflows.run_report import RunReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from airflow.sdk import Context

    from airflow_provider_workflows.airflow_internals.mapped_arguments import OperatorPartial
    from airflow_provider_workflows.api.counted_wait import CountedWait
    from airflow_provider_workflows.operators.run_reporting import RunReporting
    from airflow_provider_workflows.operators.run_submission import RunSubmission
    from airflow_provider_workflows.run_end import RunEnd

_TOLD_TO_STOP = "The task was told to stop"


def end_at_timeout(guard: StopGuard) -> None:
    """Let the request that starts a run end, and nothing else; for a signal handler."""
    guard.stop("The task's execution_timeout has passed")
    guard.cut()


class RunTry(WorkflowsOperator):
    """What ``RunWorkflowOperator`` does around its run, which each try does anew."""

    # What the operator sets.
    workflow_definition_id: str
    case_id: str | None
    parameters_id: str | None
    record_id: str | None
    parameters: Any
    locale: str | None
    expires_at: datetime | timedelta | str | None
    durable: bool
    on_clear: str
    on_unknown_outcome: str
    poll_interval: float
    max_poll_interval: float

    #: Names of the arguments that the DAG has given, which must not turn out to be None.
    _given: frozenset[str] = frozenset()
    #: What this process's calls go through, once there are any.
    _guard: StopGuard | None = None
    _was_told_to_stop = False
    _reporting: RunReporting | None = None
    #: How the try has failed, once it has.
    try_end: RunEnd | None = None
    _submission: RunSubmission | None = None
    #: What the service has said of the run's revision and execution version, by these names.
    _versions: Mapping[str, Any] = MappingProxyType({})
    #: The same for all tries and clears of a task, and another for each task, in hexadecimal.
    _salt = ""

    @classmethod
    def partial(cls, **arguments: Any) -> OperatorPartial:
        """Return what ``expand`` or ``expand_kwargs`` makes a mapped task of.

        :param arguments: the arguments that all map indexes have in common
        :raises InvalidInput: if one of them cannot be right; once the task is mapped, if no generation of the API
            takes them together
        """
        # Here: few DAGs need it, and each file of a DAG is imported over and over.
        from airflow_provider_workflows.operators.run_mapping import RunPartial  # noqa: PLC0415

        return cast("OperatorPartial", RunPartial(super().partial(**arguments), arguments))

    def _take_salt(self, context: Context) -> None:
        ti = context["ti"]
        task = [ti.dag_id, ti.run_id, ti.task_id, ti.map_index]
        self._salt = hashlib.sha256(json.dumps(task).encode()).hexdigest()

    def on_kill(self) -> None:
        """Let no run be started any more, say in the task's log that one goes on, and end the wait.

        Airflow calls it from its handler of SIGTERM, in the midst of what the task does.

        :raises Stopped: out of a request whose response is not needed
        """
        self._was_told_to_stop = True
        if self._guard is not None:
            self._guard.stop(_TOLD_TO_STOP)
        self._log_what_goes_on()
        if self._guard is not None:
            self._guard.cut()

    def _log_what_goes_on(self) -> None:
        if self._submission is None:
            return
        if self._submission.workflow_id is not None:
            self.log.warning(
                "Workflow %s goes on: the API has no call that cancels it.", self._submission.workflow_id
            )
        elif self._submission.may_have_started:
            self.log.warning(
                "A run for %s may have been submitted: check the service's dashboard.",
                self._details().subject,
            )

    def unknown_outcome(self, error: OutcomeUnknown) -> Exception:
        """Return the error to fail with: one that is retried where a retry is to submit again."""
        if self.on_unknown_outcome == "resubmit":
            return AirflowException(f"{error} A retry submits again, as on_unknown_outcome says.")
        return super().unknown_outcome(error)

    def _guarded(self) -> StopGuard:
        guard = self._guard = StopGuard(Ownership(log=self.log))
        # SIGTERM may have come before there was one.
        if self._was_told_to_stop:
            guard.stop(_TOLD_TO_STOP)
        return guard

    def _record(
        self, phase: RunPhase, workflow_id: str | None = None, status: str | None = None
    ) -> RunRecord:
        return RunRecord(
            phase,
            self.workflow_definition_id,
            self.case_id,
            self.parameters_id,
            workflow_id=workflow_id,
            status=status,
            host=self.hook.settings.host,
            record_id=self.record_id,
            inline_digest=self._inline_digest(),
            versions=dict(self._versions) or None,
        )

    def _details(self) -> RunDetails:
        return RunDetails(
            self.workflow_definition_id,
            self.case_id,
            self.parameters_id,
            self.record_id,
            unwrap(self.parameters),
            self.locale,
            self.expires_at,
        )

    def _inline_digest(self) -> str | None:
        """Return a digest of the parameters that the run is started with; None without any, also for an empty dict.

        The locale and the expiry are left out, as in a batch: a moment that the DAG's file computes is another one
        each time that the file is imported, so in each try.
        """
        if not (parameters := unwrap(self.parameters)):
            return None
        # Here: few tasks need it, and each file of a DAG is imported over and over.
        from airflow_provider_workflows.operators.creation import digest  # noqa: PLC0415

        return digest(parameters, self._salt)

    def _store_end(self, context: Context, record: RunRecord) -> None:
        """Store how a run has ended; the records of earlier ones go once it has ended well."""
        if not self.durable:
            return
        with best_effort(self.log):
            records = run_records(context)
            records.write(record if (previous := records.read()) is None else _ended(previous, record))

    def _lineage(self, workflow_id: str, status: str | None = None) -> TaskLineage:
        return TaskLineage(
            self.hook.settings.host,
            workflow_definition_id=self.workflow_definition_id,
            workflow_id=workflow_id,
            case_id=self.case_id,
            record_id=_id_alone(self.record_id),
            status=status,
            **self._versions,
        )

    def _require_input(self, generation: int) -> None:
        """Return if the run could be started, before anything is sent."""
        for name in self._given:
            if getattr(self, name) is None:
                raise InvalidInput(
                    f"{name} was given but turned out to be None: the task or template that it comes from "
                    f"brought nothing. Leave it out to run without {name.removesuffix('_id')}"
                )
        require_id("workflow_definition_id", self.workflow_definition_id)
        require_arguments(self._details().given | self._given, generation)
        self._details().require(generation)

    @property
    def has_personal_arguments(self) -> bool:
        """Whether there are parameters; the other arguments are ids."""
        return getattr(self, "parameters", None) is not None

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact the personal fields of the parameters."""
        super().redact_arguments(rendered=rendered)
        if self.parameters is not None:
            self.parameters = redact_parameters(self.parameters, self.personal_fields, rendered=rendered)

    def _begun_report(self, at: float) -> RunReport:
        return RunReport(
            self.workflows_conn_id,
            at,
            _id_alone(self.workflow_definition_id),
            case_id=_id_alone(self.case_id),
            parameters_id=_id_alone(self.parameters_id),
            record_id=_id_alone(self.record_id),
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )

    @contextlib.contextmanager
    def _failures_told(self, context: Context, reporting: RunReporting) -> Iterator[None]:
        """Say in the report, in the log and to alerts what fails within the block."""
        try:
            with reporting.failures(self._may_have_started):
                yield
        except TaskDeferred:
            raise
        except BaseException as failure:
            try:
                self._tell_failure(context, reporting, failure)
            except Exception as error:  # noqa: BLE001  (the try's own error says more)
                self.log.warning("How the try has ended could not be said: %s.", type(error).__name__)
            raise

    def _may_have_started(self) -> bool:
        return self._submission is not None and self._submission.may_have_started

    def _tell_failure(self, context: Context, reporting: RunReporting, failure: BaseException) -> None:
        # Here: few tries need it, and each file of a DAG is imported over and over.
        from airflow_provider_workflows.operators.run_try_end import run_end  # noqa: PLC0415

        self.try_end = run_end(
            context,
            reporting.report,
            failure,
            durable=self.durable,
            starts_over=self.on_clear == "start_over",
            resubmits_unknown=self.on_unknown_outcome == "resubmit",
            log=self.log,
        )
        self.log.warning("%s", self.try_end)

    def _reporting_sleep(self, wait: CountedWait, guard: StopGuard) -> Callable[[float], None]:
        return guard.sleep if self._reporting is None else self._reporting.sleeping(wait, guard.sleep)


def _ended(previous: RunRecord, record: RunRecord) -> RunRecord:
    """Return the record of a run's end with what is to be kept of the one before.

    :param previous: what was recorded as the run went on
    :param record: of its end, as this process knows the run
    """
    is_same = record.workflow_id == previous.workflow_id
    if is_same:
        # Rendered anew since, the parameters may be others than those that the run was started with.
        record = dataclasses.replace(record, inline_digest=previous.inline_digest)
    if record.phase is RunPhase.FAILED:
        record = dataclasses.replace(record, earlier=previous.earlier)
        if is_same:
            # It may go on after all, if it is only overdue: a clear waits for it then.
            record = dataclasses.replace(record, started=previous.started, link_sent=previous.link_sent)
    return record


def _id_alone(value: object) -> str | None:
    """Return a value if it is an id; what stands in its place by mistake may be personal."""
    return value.strip() if isinstance(value, str) and is_id(value.strip()) else None
