"""What a message says: which runs have failed or are late, and where to look."""

from __future__ import annotations

import datetime as dt
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import conf

from airflow_provider_workflows.airflow_internals import supervisor, xcom
from airflow_provider_workflows.api.errors import InvalidInput, WorkflowsError
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.redaction import one_line
from airflow_provider_workflows.operators.base import WorkflowsOperator
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from airflow_provider_workflows.xcom_keys import PROGRESS_KEY, WORKFLOW_ID_KEY, WORKFLOW_LINK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

log = logging.getLogger(__name__)

#: As many tasks of a DAG run are told of one by one.
LISTED_TASKS = 10
LONGEST_LINE = 600
#: Google Chat takes the shortest messages of those who take this form: 4,096 characters.
LONGEST_MESSAGE = 3900

_FAILED = frozenset({"failed"})
#: The states in which a task may have a workflow under way.
_UNDER_WAY = frozenset({"running", "deferred", "up_for_reschedule", "up_for_retry"})
_OF_TASK = {
    "success": "has succeeded",
    "skipped": "was skipped",
    "up_for_retry": "has failed and will be retried",
}
_TEMPLATE_MARK = re.compile(r"\{(?=[{%#])")


def failure_message(context: Mapping[str, Any]) -> str:
    """Return what to tell of a failed task, a failed DAG run, or one that has missed its deadline.

    It holds ids, statuses, counts, URIs and links, and of errors the words of this package's own; of another
    exception only the type, since its words may hold anything. So it can be handed to any notifier::

        def alert(context):
            SlackWebhookNotifier(text=failure_message(context))(context)

    It may ask Airflow for the states of tasks and what they have left: asynchronous code calls it in a thread.

    :param context: what Airflow calls the callback with
    :return: lines of plain text, 3,900 characters at most
    """
    if "deadline" in context:
        lines = _of_deadline(context)
    elif "reason" in context or context.get("ti") is None:
        lines = _of_dag_run(context)
    else:
        lines = _of_task(context)
    text = "\n".join(one_line(line, LONGEST_LINE) for line in lines)
    # Other notifiers render their text as a template.
    text = _TEMPLATE_MARK.sub("{ ", text)
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def _of_task(context: Mapping[str, Any]) -> Iterator[str]:
    ti = context["ti"]
    # A mapped task has been replaced by the one that ran.
    task = getattr(ti, "task", None) or context.get("task")
    exception = context.get("exception")
    error = _own_error(exception)
    # The DAG processor, which calls back for a task whose process was killed, knows less of it.
    max_tries, state = getattr(ti, "max_tries", None), getattr(ti, "state", None)
    tries = "" if max_tries is None else f" of {max_tries + 1}"
    state = str(getattr(state, "value", state))
    yield (
        f"Task {_named(ti.task_id, ti.map_index)} of DAG {ti.dag_id} {_OF_TASK.get(state, 'has failed')}, "
        f"try {ti.try_number}{tries} of run {ti.run_id}."
    )
    if _is_ours(type(task)):
        yield from _of_workflow(task, ti, getattr(error, "workflow_status", None))
    if error is not None:
        yield f"Error: {type(error).__name__}: {error}"
    elif exception is not None:
        yield f"Error: {exception if isinstance(exception, type) else type(exception).__name__}"
    yield f"Log: {ti.log_url}"


def _of_workflow(task: Any, ti: Any, status: str | None) -> Iterator[str]:
    """Yield what is known of the workflow or the batch of a task of this package."""
    lineage = getattr(task, "lineage", None)
    workflow_id = _id(getattr(lineage, "workflow_id", None)) or _id(getattr(task, "workflow_id", None))
    case_id = _id(getattr(lineage, "case_id", None)) or _id(getattr(task, "case_id", None))
    status = status or getattr(lineage, "status", None)
    counts, output = getattr(lineage, "counts", None), getattr(lineage, "output", None)
    if counts is not None:
        yield f"Batch: {_counted(counts)}"
    if counts is not None and output is not None:
        yield f"Output: {output}"
    if counts is None and workflow_id is None and hasattr(task, "workflow_definition_id"):
        # The process that knew it is gone: the one that was killed, or that deferred.
        workflow_id = _id(_left(WORKFLOW_ID_KEY, ti.dag_id, ti.run_id, ti.task_id, ti.map_index))
    about = [f"Workflow {workflow_id}"] if workflow_id else []
    about += [f"status {status}"] if workflow_id and status else []
    about += [f"case {case_id}"] if case_id else []
    if about:
        yield ", ".join(about)
    if workflow_id and (link := _link(task, workflow_id)):
        yield f"Look: {link}"


def _of_dag_run(context: Mapping[str, Any]) -> Iterator[str]:
    dag, run_id = context.get("dag"), str(context.get("run_id"))
    reason = str(context.get("reason") or "").replace("_", " ")
    dag_id = getattr(dag, "dag_id", None)
    yield f"DAG {dag_id} has failed, run {run_id}{f': {reason}' if reason else ''}."
    if dag is not None:
        tasks = {task_id: dag.get_task(task_id) for task_id in dag.task_ids}
        ours = {name for name, task in tasks.items() if _is_ours(getattr(task, "operator_class", type(task)))}
        instances = [
            (_instance(key, tasks), state) for key, state in _states(dag.dag_id, run_id, _FAILED).items()
        ]
        for (task_id, map_index), _ in instances[:LISTED_TASKS]:
            known = _known_of(dag.dag_id, run_id, task_id, map_index) if task_id in ours else ""
            yield f"Task {_named(task_id, map_index)}{known}: {_run_url(dag_id, run_id, task_id, map_index)}"
        yield from _rest(instances)
    yield f"Run: {_run_url(dag_id, run_id)}"


def _of_deadline(context: Mapping[str, Any]) -> Iterator[str]:
    run: Mapping[str, Any] = context.get("dag_run") or {}
    dag_id, run_id = str(run.get("dag_id")), str(run.get("dag_run_id"))
    since = _time((context.get("deadline") or {}).get("deadline_time"))
    yield f"DAG {dag_id} is late, run {run_id}: it was due by {since}, and its state was {run.get('state')}."
    yield f"Queued at {_time(run.get('queued_at'))}, started at {_time(run.get('start_date'))}."
    states = list(_states(dag_id, run_id, _UNDER_WAY | _FAILED).items()) if supervisor.is_triggerer() else []
    for key, state in states[:LISTED_TASKS]:
        known = ""
        if state in _UNDER_WAY:
            # What is no task of a mapped one may be called like one.
            task_id, _, index = key.rpartition("_")
            known = _known_of(dag_id, run_id, key, -1)
            if not known and task_id and index.isdigit():
                known = _known_of(dag_id, run_id, task_id, int(index))
        yield f"Task {key}: {state}{known}"
    yield from _rest(states)
    yield f"Run: {_run_url(dag_id, run_id)}"


def _own_error(exception: object) -> WorkflowsError | None:
    """Return the error of this package that an exception is or was raised from."""
    seen = set[int]()
    while isinstance(exception, BaseException) and id(exception) not in seen:
        if isinstance(exception, WorkflowsError):
            return exception
        seen.add(id(exception))
        exception = exception.__cause__
    return None


def _is_ours(kind: type) -> bool:
    return issubclass(kind, (WorkflowsOperator, WorkflowStatusSensor))


def _id(value: object) -> str | None:
    """Return an id that is one; what stands in its place by mistake may be personal."""
    try:
        return require_id("id", value)
    except InvalidInput:
        return None


def _link(task: Any, workflow_id: str) -> str | None:
    try:
        link: str = task.hook.workflow_url(workflow_id)
    except Exception as error:  # noqa: BLE001  (a message that says less is better than none)
        log.debug("The workflow's page is not known: %s", type(error).__name__)
        return None
    return link


def _known_of(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return what a task has left in XComs of its workflow or batch, to follow its name."""
    place = (dag_id, run_id, task_id, map_index)
    if isinstance(link := _left(WORKFLOW_LINK_KEY, *place), str) and link:
        workflow_id = _id(_left(WORKFLOW_ID_KEY, *place))
        return f", workflow {workflow_id}, {link}" if workflow_id else f", workflow {link}"
    progress = _left(PROGRESS_KEY, *place)
    outcomes = progress.get("outcomes") if isinstance(progress, dict) else None
    return f", batch with {_counted(outcomes)}" if isinstance(outcomes, dict) else ""


def _left(key: str, dag_id: str, run_id: str, task_id: str, map_index: int | None) -> Any:
    """Return the XCom of a task, or None where there is none or it cannot be asked for."""
    index = map_index if map_index is not None and map_index >= 0 else None
    try:
        return xcom.read(key, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=index)
    except Exception as error:  # noqa: BLE001  (a message that says less is better than none)
        log.debug("The XCom %s of task %s could not be read: %s", key, task_id, type(error).__name__)
        return None


def _states(dag_id: str, run_id: str, wanted: Iterable[str]) -> dict[str, str]:
    """Return the state of each task of a run that is in one that is wanted; ``task_3`` is task's map index 3."""
    try:
        states = supervisor.task_states(dag_id, run_id)
    except Exception as error:  # noqa: BLE001  (a message that says less is better than none)
        log.debug("The states of the tasks could not be read: %s", type(error).__name__)
        return {}
    return {key: state for key, state in states.items() if state in wanted}


def _instance(key: str, tasks: Mapping[str, object]) -> tuple[str, int]:
    task_id, _, index = key.rpartition("_")
    return (task_id, int(index)) if key not in tasks and index.isdigit() else (key, -1)


def _rest(instances: list[Any]) -> Iterator[str]:
    if len(instances) > LISTED_TASKS:
        yield f"And {len(instances) - LISTED_TASKS:,} tasks more."


def _named(task_id: str, map_index: int | None) -> str:
    return task_id if map_index is None or map_index < 0 else f"{task_id}[{map_index}]"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items())) or "no rows yet"


def _run_url(dag_id: object, run_id: str, task_id: str | None = None, map_index: int = -1) -> str:
    # As a task instance's own ``log_url`` is made.
    base: str = conf.get("api", "base_url", fallback="http://localhost:8080/")
    task = "" if task_id is None else f"/tasks/{task_id}"
    mapped = "" if map_index < 0 else f"/mapped/{map_index}"
    return f"{base.rstrip('/')}/dags/{dag_id}/runs/{quote(run_id)}{task}{mapped}"


def _time(value: object) -> str:
    """Return a time of a context, which comes as a datetime or as ISO 8601."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return "an unknown time"
    if not isinstance(value, dt.datetime):
        return "an unknown time"
    return value.astimezone(dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
