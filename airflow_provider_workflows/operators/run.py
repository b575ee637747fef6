"""Run a workflow, and wait for it if asked to."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_workflows import configuration
from airflow_provider_workflows.airflow_internals.deferral import can_resume
from airflow_provider_workflows.airflow_internals.execution_timeout import held_back
from airflow_provider_workflows.airflow_internals.task_state import clears
from airflow_provider_workflows.api.counted_wait import CountedWait
from airflow_provider_workflows.api.generations import require_some_generation
from airflow_provider_workflows.api.polling import PollSchedule, poll_once, poll_until_done
from airflow_provider_workflows.api.run_details import require_locale
from airflow_provider_workflows.arguments import (
    choice,
    seconds,
    templated_expiry,
    templated_json,
    templated_text,
    true_or_false,
)
from airflow_provider_workflows.batch.ownership import CALLS_END_SECONDS
from airflow_provider_workflows.links import set_link
from airflow_provider_workflows.operators.base import Text, is_deferrable
from airflow_provider_workflows.operators.run_ending import RunEnding
from airflow_provider_workflows.operators.run_link import RunWithLink
from airflow_provider_workflows.operators.run_record import RunPhase, run_records
from airflow_provider_workflows.operators.run_reporting import RunReporting
from airflow_provider_workflows.operators.run_try import end_at_timeout
from airflow_provider_workflows.xcom_keys import WORKFLOW_ID_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from airflow.sdk import Context
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.task_arguments import Callback, OperatorArguments


class RunWorkflowOperator(RunWithLink, RunEnding):
    """Start a run of a workflow and return the workflow's id.

    It is started by ``POST /workflows/run``, or by ``POST /workflows`` where the connection's ``api_generation`` is
    3; which of the arguments there are depends on that, and others are refused by name before anything is sent.

    A run is billed, so that none is submitted twice. The request is repeated only if it surely was not carried out,
    and the task stores that it submits, and what it submitted: a retry after a crash waits for the run that there
    is. A task that is cleared is repaired, as ``on_clear`` says. A run for another definition, case, record or
    ``parameters_id`` than those of this try is not kept: a new one is submitted. If ``parameters`` come out as
    others, a clear submits a new run, and a retry goes on with the run that there is: nobody has asked for another,
    so render what is the same in each try. Another ``locale`` or ``expires_at`` never makes a new run.

    A task that is told to stop starts no run any more; the request that is under way ends, and its id is stored.

    :param workflow_definition_id: id of the workflow definition (templated)
    :param case_id: id of the case (templated); generation 1, which needs it, and 2
    :param parameters_id: id of the parameters, for a workflow that needs some (templated); generation 1 and 2. If
        it is given, it must not turn out empty
    :param record_id: id of the record that the run is about (templated); generation 2 and 3
    :param parameters: JSON values by name, which are sent as the run is started (templated); generation 3. Values
        under the name of a personal field are redacted in the log and in the view of rendered templates
    :param locale: language of what an end user is shown, such as ``"en"`` (templated); generation 3
    :param expires_at: when the run expires: a datetime or text in ISO 8601, with a time zone, or the time until
        then as a timedelta, from 30 minutes to 30 days ahead (templated); generation 3. The wait ends ten minutes
        after it at the latest, as a failure
    :param push_link: whether to push the XCom ``end_user_link`` where an end user takes part in the run: it names
        the run, and ``end_user_links.read_link`` gives the link for it, which is a secret; generation 3
    :param on_link_callback: a function or notifier, or a list of them, that sends the link: called as Airflow's
        ``on_success_callback`` is, with the link as ``end_user_link`` in the context. It is called once for a run:
        again only if it has failed, or the task was killed meanwhile; generation 3
    :param wait_for_completion: wait until the workflow has succeeded
    :param deferrable: wait in the triggerer, which takes no worker slot; the default is Airflow's setting
        ``[operators] default_deferrable``
    :param durable: record the run; without it a retry or a clear submits another
    :param on_clear: what a task does that was cleared, whatever its state was: ``"repair"`` returns the run again
        that has succeeded, waits for the one that runs, and submits a new one if it has failed or was not
        submitted; ``"start_over"`` submits a new run whatever there is, which is billed again
    :param on_unknown_outcome: what to do if nobody knows whether a run was submitted: ``"fail"`` without a retry,
        or ``"resubmit"`` with the next retry, at the risk of a second run
    :param poll_interval: the shortest time between two polls, in seconds or as a timedelta; in between, a poll is
        due after a fifth of the run's age. The default is ``[workflows] poll_interval``, or 5 seconds
    :param max_poll_interval: the longest time between two polls, in seconds or as a timedelta; the default is
        ``[workflows] max_poll_interval``, or 300 seconds, and grows with a run that has an expiry from its second
        day on
    :param max_outage: how long polls may fail (lost connections, 5xx, 429) before the task does, in seconds or as a
        timedelta; the default is ``[workflows] max_outage``, or 1800 seconds
    :param workflows_conn_id: id of the connection (templated)
    :return: the workflow's id
    :raises InvalidInput: if an argument cannot be right, before anything is sent
    :raises LinkNotSent: if ``on_link_callback`` has failed; a retry goes on with the run, and calls it again
    :raises NotFound: if the definition or the case is unknown
    :raises WorkflowFailed: naming the failure status in which the workflow ended
    :raises Stopped: if the task was told to stop, or its supervisor is gone; a retry goes on
    :raises AirflowTaskTimeout: once ``execution_timeout`` has passed, the time in the triggerer included; if it
        passes while a run is being started, as soon as its id is stored
    :raises AirflowFailException: if it is unknown whether a run was submitted
    """

    template_fields: Sequence[str] = (
        "workflow_definition_id",
        "case_id",
        "parameters_id",
        "record_id",
        "parameters",
        "locale",
        "expires_at",
        "workflows_conn_id",
    )
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        workflow_definition_id: Text,
        case_id: Text | None = None,
        parameters_id: Text | None = None,
        record_id: Text | None = None,
        parameters: Mapping[str, Any] | Text | None = None,
        locale: Text | None = None,
        expires_at: datetime | timedelta | Text | None = None,
        push_link: bool = False,
        on_link_callback: Callback | Sequence[Callback] | None = None,
        wait_for_completion: bool = False,
        deferrable: bool | None = None,
        durable: bool = True,
        on_clear: Literal["repair", "start_over"] = "repair",
        on_unknown_outcome: Literal["fail", "resubmit"] = "fail",
        poll_interval: float | timedelta | None = None,
        max_poll_interval: float | timedelta | None = None,
        max_outage: float | timedelta | None = None,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_definition_id = templated_text("workflow_definition_id", workflow_definition_id)
        self.case_id = None if case_id is None else templated_text("case_id", case_id)
        self.parameters_id = None if parameters_id is None else templated_text("parameters_id", parameters_id)
        self.record_id = None if record_id is None else templated_text("record_id", record_id)
        self.parameters = None
        if parameters is not None:
            self.parameters = templated_json("parameters", parameters)
            self.require_rendering()
        self.locale = None if locale is None else templated_text("locale", locale, require=require_locale)
        self.expires_at = templated_expiry(expires_at)
        self.wait_for_completion = true_or_false("wait_for_completion", wait_for_completion)
        self.deferrable = is_deferrable(deferrable)
        self.durable = true_or_false("durable", durable)
        self.on_clear = choice("on_clear", on_clear, ("repair", "start_over"))
        self.on_unknown_outcome = choice("on_unknown_outcome", on_unknown_outcome, ("fail", "resubmit"))
        self.poll_interval = seconds("poll_interval", poll_interval, configuration.poll_interval)
        self.max_poll_interval = seconds(
            "max_poll_interval", max_poll_interval, configuration.max_poll_interval
        )
        self.max_outage = seconds("max_outage", max_outage, configuration.max_outage)
        self._schedule = PollSchedule(
            self.poll_interval, self.max_poll_interval, slows_down=max_poll_interval is None
        )
        self._take_link_arguments(push_link, on_link_callback)
        self._given |= self._details().given
        require_some_generation(self._given)

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its definition and its case."""
        return ": ".join(filter(None, (self.workflow_definition_id, self._details().about)))

    def execute(self, context: Context) -> str:
        """Run the workflow, and report how that has begun and ended; raises as the class says."""
        set_link(context)
        self._take_salt(context)
        self._reporting = RunReporting(context, self._begun_report(time.time()), self.log)
        with self._failures_told(context, self._reporting):
            workflow_id: str = super().execute(context)
            return workflow_id

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Return the id of the workflow, once it was started or, if asked to, has succeeded."""
        from airflow_provider_workflows.operators.handover import handover_of  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.operators.instruction import instructions_of  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.operators.run_submission import RunSubmission  # noqa: PLC0415  (not while parsing)

        begun_at = time.time()
        self._require_input(client.settings.api_generation)
        guard = self._guarded()
        client = client.guarded(guard)
        self._submission = RunSubmission(
            client,
            run_records(context) if self.durable else None,
            self._record(RunPhase.SUBMITTING),
            details=self._details(),
            guard=guard,
            start_over=self.on_clear == "start_over",
            resubmit_unknown=self.on_unknown_outcome == "resubmit",
            waits=self.wait_for_completion,
            may_have_lost_record=context["ti"].try_number > 1 and clears(context) > int(self.retries or 0),
            instructions=instructions_of(context, self.log) if self.durable else None,
            handover=handover_of(context) if self.durable else None,
            log=self.log,
        )
        # The response to the request that starts a run may take this long, and its id must be stored then.
        response_seconds = client.settings.read_timeout + CALLS_END_SECONDS
        with held_back(lambda: end_at_timeout(guard), max_seconds=response_seconds):
            run = self._submission.run()
        self._versions = run.versions or {}
        self.lineage = self._lineage(run.workflow_id)
        webhooks = self.deferrable and client.settings.webhooks and can_resume()
        if self._reporting is not None:
            self._reporting.write(
                workflow_id=run.workflow_id,
                submitted_at=run.started,
                expires_at=run.expires_at,
                **self._versions,
                webhooks=webhooks and self.wait_for_completion,
                dashboard_url=self.hook.dashboard_url(run.workflow_id),
            )
        context["ti"].xcom_push(key=WORKFLOW_ID_KEY, value=run.workflow_id)
        self._share_link(context, client, run)
        if not self.wait_for_completion:
            return run.workflow_id
        if run.status is not None:
            return self._succeed(context, run.workflow_id, run.status)
        guard.require()
        timeout: timedelta | None = self.execution_timeout
        deadline = None if timeout is None else begun_at + timeout.total_seconds()
        wait = CountedWait(
            run.workflow_id,
            run.started,
            deadline,
            self._schedule,
            self.max_outage,
            case_id=self.case_id,
            record_id=self.record_id,
            expires_at=run.expires_at,
        )
        event = None
        # With webhooks the trigger polls as soon as it may send an event, and a webhook brings the rest.
        if not webhooks:
            event = (
                poll_once(client, wait)
                if self.deferrable
                else poll_until_done(
                    client,
                    wait,
                    reconnect=lambda: self.hook.reconnect().guarded(guard),
                    sleep=self._reporting_sleep(wait, guard),
                )
            )
        if event is None:
            self.log.info(
                "Waiting for workflow %s in the triggerer. It needs a running triggerer (airflow triggerer).",
                run.workflow_id,
            )
            from airflow_provider_workflows.triggers.workflow_status import (  # noqa: PLC0415  (not while parsing)
                WorkflowStatusTrigger,
            )

            trigger = WorkflowStatusTrigger.for_task(wait, self.workflows_conn_id, webhooks=webhooks)
            if self._reporting is not None:
                now = time.time()
                self._reporting.write(
                    status=wait.status if wait.polls else None,
                    polls=wait.polls,
                    last_poll_at=wait.last_poll_at,
                    expires_at=wait.expires_at,
                    next_poll_at=trigger.not_before if webhooks else now + wait.pause(now),
                )
            self.defer(
                trigger=trigger,
                method_name=self.execute_complete.__name__,
                kwargs=self.resume_arguments,
            )
        polls = {"polls": wait.polls, "last_poll_at": wait.last_poll_at}
        return self._end(context, run.workflow_id, {**event, **polls})

    def execute_complete(self, context: Context, event: Mapping[str, Any], **versions: Any) -> str:
        """Return the id of the workflow that the trigger saw succeed, or raise what waiting would have raised."""
        self._versions = versions
        self._take_salt(context)
        report = dataclasses.replace(
            self._begun_report(time.time()),
            workflow_id=event["workflow_id"],
            submitted_at=event.get("started"),
            webhooks=self.hook.settings.webhooks and can_resume(),
            dashboard_url=self.hook.dashboard_url(event["workflow_id"]),
            **self._versions,
        )
        reporting = self._reporting = RunReporting(context, report, self.log)
        with self._failures_told(context, reporting):
            return self._end(context, event["workflow_id"], event)

    @property
    def resume_arguments(self) -> dict[str, Any]:
        """What the resumed task is told beside the event; Airflow stores it as plain text."""
        return dict(self._versions)
