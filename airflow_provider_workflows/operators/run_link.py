"""What a task does with the link of its run's end user: a reference to it, and callbacks that send it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import traceback
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput, LinkMissing, LinkNotSent
from airflow_provider_workflows.arguments import refuse, true_or_false
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.end_user_links import LinkReference, link_of_run
from airflow_provider_workflows.operators.records import best_effort
from airflow_provider_workflows.operators.run_record import run_records
from airflow_provider_workflows.operators.run_try import RunTry
from airflow_provider_workflows.xcom_keys import END_USER_LINK_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.run_record import StartedRun
    from airflow_provider_workflows.operators.task_arguments import Callback

#: The name under which the context of a callback has the link.
LINK_VARIABLE = "end_user_link"


class RunWithLink(RunTry):
    """What ``RunWorkflowOperator`` does with the link of its run, where an end user takes part."""

    push_link = False
    on_link_callback: tuple[Callback, ...] = ()

    def _take_link_arguments(
        self, push_link: object, on_link_callback: Callback | Sequence[Callback] | None
    ) -> None:
        self.push_link = true_or_false("push_link", push_link)
        if on_link_callback is not None:
            given: Any = on_link_callback
            given = given if isinstance(given, (list, tuple)) else [given]
            if not given or not all(map(callable, given)):
                refuse("on_link_callback", "a function or notifier, or a list of them", on_link_callback)
            for callback in given:
                _require_ordinary(callback)
            self.on_link_callback = tuple(given)
        asked_for = {"push_link": self.push_link, "on_link_callback": self.on_link_callback}
        self._given = frozenset(name for name, value in asked_for.items() if value)

    def _share_link(self, context: Context, client: WorkflowsClient, run: StartedRun) -> None:
        """Push a reference to the run's link, and have the link sent unless it was before.

        :param client: asks the service for the link of a run that an earlier try has started
        :raises LinkNotSent: if a callback has failed
        """
        needs_sending = bool(self.on_link_callback) and not run.link_sent
        if run.status is not None or not (self.push_link or needs_sending):
            return
        link = run.link
        if link is None:
            try:
                link = link_of_run(client, run.workflow_id)
            except LinkMissing as error:
                self.log.warning("%s So none was pushed or sent.", error)
                return
        if self.push_link:
            reference = LinkReference(workflows_conn_id=self.workflows_conn_id, workflow_id=run.workflow_id)
            context["ti"].xcom_push(key=END_USER_LINK_KEY, value=reference)
        if needs_sending:
            self._send_link(context, run.workflow_id, link)

    def _send_link(self, context: Context, workflow_id: str, link: str) -> None:
        for callback in self.on_link_callback:
            # A copy: the link is not to stay in what others are given.
            failure = _failure_of(callback, {**context, LINK_VARIABLE: link})
            if failure is not None:
                raise LinkNotSent(
                    f"The link of workflow {workflow_id} was not sent: on_link_callback has failed with "
                    f"{failure}. Its message is not shown, as it may hold the link. The run goes on; a retry "
                    "of the task has its link sent."
                )
        self.log.info(
            "The link of workflow %s was handed to %s.",
            workflow_id,
            counted(len(self.on_link_callback), "callback"),
        )
        if not self.durable:
            return
        with best_effort(self.log):
            records = run_records(context)
            if (record := records.read()) is not None:
                records.write(dataclasses.replace(record, link_sent=True))


def _require_ordinary(callback: Any) -> None:
    """Refuse what would send nothing if it is called, without an error.

    :raises InvalidInput: if it is a class or an async function
    """
    name = getattr(callback, "__name__", type(callback).__name__)
    if inspect.isclass(callback):
        raise InvalidInput(f"on_link_callback is the class {name}: give an instance of it, as {name}(...)")
    function = callback.func if isinstance(callback, functools.partial) else callback
    called = function if inspect.isroutine(function) else type(function).__call__
    if any(map(inspect.iscoroutinefunction, (function, called))):
        raise InvalidInput(f"on_link_callback {name} is an async function: it must be an ordinary one")


def _failure_of(callback: Callback, context: Any) -> str | None:
    """Call a callback, and return the type and the place of the error that it raises; None if it raises none.

    The error itself is let go. HTTP clients put the link that they have sent in their message, and Airflow logs the
    whole chain of what fails a task: in its log the link is masked, but not where a LocalExecutor writes the same
    to the scheduler's output.
    """
    try:
        callback(context)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever it is, the caller raises another one)
        return f"{type(error).__name__}{_place(error)}"
    except BaseException as error:
        # Such as Airflow's timeout, which ends the task as itself.
        error.__cause__ = error.__context__ = None
        raise
    return None


def _place(error: BaseException) -> str:
    """Return where in the callback an error came up, and where it was raised, by file name and line."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    places = [f"line {frame.lineno} of {PurePath(frame.filename).name}" for frame in frames]
    if not places:
        return ""
    if len(places) == 1:
        return f" at {places[0]}"
    return f" at {places[0]} (raised at {places[-1]})"
