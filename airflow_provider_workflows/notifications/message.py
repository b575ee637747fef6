"""The text of an alert: which runs have failed or are late, and the pages that show more."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals import supervisor, xcom
from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput, workflows_error_in
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.redaction import one_line
from airflow_provider_workflows.batch.progress import counts_in_words
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.links import airflow_url, page_url
from airflow_provider_workflows.notifications.exception_text import exception_text
from airflow_provider_workflows.xcom_keys import REPORT_KEY, WORKFLOW_ID_KEY, WORKFLOW_LINK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

log = logging.getLogger(__name__)

#: This many tasks of a DAG run are listed.
MAX_LISTED_TASKS = 10
MAX_LINE_CHARACTERS = 600
#: Of the chat services that take this form, Google Chat takes the shortest messages: 4,096 characters.
MAX_MESSAGE_CHARACTERS = 3900

_FAILED = frozenset({"failed"})
#: The states in which a task may have a run under way.
_UNDER_WAY = frozenset({"running", "deferred", "up_for_reschedule", "up_for_retry"})
_WORDS_OF_STATE = {
    "success": "has succeeded",
    "skipped": "was skipped",
    "up_for_retry": "has failed and will be retried",
}
_TEMPLATE_MARK = re.compile(r"\{(?=[{%#])")
_PACKAGE = f"{__name__.partition('.')[0]}."


def failure_message(context: Mapping[str, Any]) -> str:
    """Return the message about a failed task, a failed DAG run, or a DAG run that has missed its deadline.

    It holds ids, statuses, counts, reasons, URIs and links, and of this package's errors the words; of other
    exceptions the words without what may be personal where a task of this package has met them, and else only the
    type. So any notifier may send it::

        def alert(context):
            SlackWebhookNotifier(text=failure_message(context))(context)

    It may ask Airflow for the states and XComs of tasks: asynchronous code calls it in a thread.

    :param context: what Airflow calls the callback with
    :return: lines of plain text, 3,900 characters at most
    """
    if "deadline" in context:
        lines = _deadline_lines(context)
    elif "reason" in context or context.get("ti") is None:
        lines = _dag_run_lines(context)
    else:
        lines = _task_lines(context)
    text = "\n".join(one_line(line, MAX_LINE_CHARACTERS) for line in lines)
    # Other notifiers render their text as a template.
    text = _TEMPLATE_MARK.sub("{ ", text)
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def _task_lines(context: Mapping[str, Any]) -> Iterator[str]:
    ti = context["ti"]
    # A mapped task has been replaced by the one that ran.
    task = getattr(ti, "task", None) or context.get("task")
    exception = context.get("exception")
    error = workflows_error_in(exception)
    # The DAG processor calls back for a task whose process was killed; its task instance has fewer fields.
    max_tries, state = getattr(ti, "max_tries", None), getattr(ti, "state", None)
    state = str(getattr(state, "value", state))
    tries = "" if max_tries is None else f" of {max_tries + 1}"
    words = _WORDS_OF_STATE.get(state, "has failed")
    is_last = state in _FAILED and max_tries is not None and ti.try_number <= max_tries
    no_retry = " No retry comes." * is_last
    task_name = _task_name(ti.task_id, ti.map_index)
    yield f"Task {task_name} of DAG {ti.dag_id} {words}, try {ti.try_number}{tries} of run {ti.run_id}.{no_retry}"
    if _is_of_this_package(type(task)):
        yield from _workflow_lines(task, ti, getattr(error, "workflow_status", None))
    if isinstance(error, BatchFailed) and getattr(task, "try_end", None) is not None:
        # Its words are those of the block.
        pass
    elif error is not None:
        yield f"Error: {type(error).__name__}: {error}"
    elif exception is not None:
        name = str(exception) if isinstance(exception, type) else type(exception).__name__
        is_ours = isinstance(exception, BaseException) and _is_of_this_package(type(task))
        text = exception_text(exception, task) if is_ours else ""
        yield f"Error: {name}{f': {text}' if text else ''}"
    yield f"Log: {ti.log_url}"


def _workflow_lines(task: Any, ti: Any, status: str | None) -> Iterator[str]:
    """Yield the lines about the run or the batch of a task of this package."""
    lineage = getattr(task, "lineage", None)
    workflow_id = _id_of("workflow_id", lineage, task)
    case_id, record_id = (_id_of(name, lineage, task) for name in ("case_id", "record_id"))
    status = status or getattr(lineage, "status", None)
    definition_id = _id_of("workflow_definition_id", lineage, task)
    if workflow_id is None and definition_id is not None and not hasattr(task, "output_path"):
        # The process that had it in its memory is gone: it was killed, or it has deferred.
        workflow_id = _id_or_none(_xcom(WORKFLOW_ID_KEY, ti.dag_id, ti.run_id, ti.task_id, ti.map_index))
    about = [f"workflow {workflow_id}"] if workflow_id else []
    about += [f"status {status}"] if workflow_id and status else []
    about += [f"case {case_id}"] if case_id else []
    about += [f"record {record_id}"] if record_id else []
    about += [f"definition {definition_id}"] if definition_id else []
    if about:
        text = ", ".join(about)
        yield text[0].upper() + text[1:]
    # Before what may be long: a message is cut at its end.
    yield f"Page: {page_url(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)}"
    yield from _batch_lines(task, ti)


def _batch_lines(task: Any, ti: Any) -> Iterator[str]:
    """Yield the lines about a batch: those of the block that ends its log, or what was reported of it last."""
    end = getattr(task, "try_end", None)
    if end is None and hasattr(task, "output_path"):
        report = _report(_xcom(REPORT_KEY, ti.dag_id, ti.run_id, ti.task_id, ti.map_index))
        if report is not None:
            yield f"Batch, while {report.phase.value}: {counts_in_words(report.outcomes)}"
    if end is not None:
        # The alert has its own lines of the page and the error.
        yield from (line for line in end.lines if not line.startswith(("Page: ", "Error: ")))


def _report(value: object) -> BatchReport | None:
    """Return the report of a batch in an XCom; None for anything else."""
    with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):
        return BatchReport.from_json(dict(value))  # type: ignore[call-overload]
    return None


def _dag_run_lines(context: Mapping[str, Any]) -> Iterator[str]:
    dag, run_id = context.get("dag"), str(context.get("run_id"))
    reason = str(context.get("reason") or "").replace("_", " ")
    dag_id = getattr(dag, "dag_id", None)
    yield f"DAG {dag_id} has failed, run {run_id}{f': {reason}' if reason else ''}."
    if dag is not None:
        tasks = {task_id: dag.get_task(task_id) for task_id in dag.task_ids}
        states = _task_states(dag.dag_id, run_id, _FAILED)
        failed = [_task_and_map_index(key, tasks) for key in states]
        for task_id, map_index in failed[:MAX_LISTED_TASKS]:
            task = tasks.get(task_id)
            is_ours = _is_of_this_package(getattr(task, "operator_class", type(task)))
            about = _xcoms_in_words(dag.dag_id, run_id, task_id, map_index) if is_ours else ""
            page = airflow_url(dag_id, run_id, task_id, map_index)
            yield f"Task {_task_name(task_id, map_index)}{about}: {page}"
        yield from _number_of_others(len(failed))
    yield f"Run: {airflow_url(dag_id, run_id)}"


def _deadline_lines(context: Mapping[str, Any]) -> Iterator[str]:
    run: Mapping[str, Any] = context.get("dag_run") or {}
    dag_id, run_id = str(run.get("dag_id")), str(run.get("dag_run_id"))
    due = _time_in_words((context.get("deadline") or {}).get("deadline_time"))
    yield f"DAG {dag_id} is late, run {run_id}: it was due by {due}, and its state was {run.get('state')}."
    queued, started = _time_in_words(run.get("queued_at")), _time_in_words(run.get("start_date"))
    yield f"Queued at {queued}, started at {started}."
    states: list[tuple[str, str]] = []
    if supervisor.is_triggerer():
        states = list(_task_states(dag_id, run_id, _UNDER_WAY | _FAILED).items())
    for key, state in states[:MAX_LISTED_TASKS]:
        about = ""
        if state in _UNDER_WAY:
            # A task may be called like an instance of a mapped one: ``check_3``.
            about = _xcoms_in_words(dag_id, run_id, key, -1)
            task_id, _, index = key.rpartition("_")
            if not about and task_id and index.isdigit():
                about = _xcoms_in_words(dag_id, run_id, task_id, int(index))
        yield f"Task {key}: {state}{about}"
    yield from _number_of_others(len(states))
    yield f"Run: {airflow_url(dag_id, run_id)}"


def _is_of_this_package(kind: type) -> bool:
    # By name: importing the operators takes longer than sending the message.
    return any(each.__module__.startswith(_PACKAGE) for each in kind.__mro__)


def _id_or_none(value: object) -> str | None:
    """Return a value if it is an id; what stands in its place by mistake may be personal."""
    try:
        return require_id("id", value)
    except InvalidInput:
        return None


def _id_of(name: str, *objects: object) -> str | None:
    ids = (_id_or_none(getattr(each, name, None)) for each in objects)
    return next((each for each in ids if each is not None), None)


def _xcoms_in_words(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return what a task's XComs say of its run or batch, to follow the task's name."""
    place = (dag_id, run_id, task_id, map_index)
    link = _xcom(WORKFLOW_LINK_KEY, *place)
    report = _report(_xcom(REPORT_KEY, *place))
    workflow_id = None if report is not None else _id_or_none(_xcom(WORKFLOW_ID_KEY, *place))
    words = [
        f"batch with {counts_in_words(report.outcomes)}" if report is not None else "",
        f"workflow {workflow_id}" if workflow_id is not None else "",
        link if isinstance(link, str) else "",
    ]
    return "".join(f", {word}" for word in words if word)


def _xcom(key: str, dag_id: str, run_id: str, task_id: str, map_index: int | None) -> Any:
    """Return an XCom of a task, or None if it is missing or Airflow cannot be asked."""
    index = map_index if map_index is not None and map_index >= 0 else None
    try:
        return xcom.read(key, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=index)
    except Exception as error:  # noqa: BLE001  (a message that says less is better than none)
        log.debug("The XCom %s of task %s could not be read: %s", key, task_id, type(error).__name__)
        return None


def _task_states(dag_id: str, run_id: str, wanted: Iterable[str]) -> dict[str, str]:
    """Return those tasks of a run that are in one of the wanted states; ``task_3`` is map index 3 of ``task``."""
    try:
        states = supervisor.task_states(dag_id, run_id)
    except Exception as error:  # noqa: BLE001  (a message that says less is better than none)
        log.debug("The states of the tasks could not be read: %s", type(error).__name__)
        return {}
    return {key: state for key, state in states.items() if state in wanted}


def _task_and_map_index(key: str, tasks: Mapping[str, object]) -> tuple[str, int]:
    task_id, _, index = key.rpartition("_")
    return (task_id, int(index)) if key not in tasks and index.isdigit() else (key, -1)


def _number_of_others(number: int) -> Iterator[str]:
    if number > MAX_LISTED_TASKS:
        yield f"And {counted(number - MAX_LISTED_TASKS, 'task')} more."


def _task_name(task_id: str, map_index: int | None) -> str:
    return task_id if map_index is None or map_index < 0 else f"{task_id}[{map_index}]"


def _time_in_words(value: object) -> str:
    """Return a time of a context, which is a datetime or text in ISO 8601."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return "an unknown time"
    if not isinstance(value, dt.datetime):
        return "an unknown time"
    return value.astimezone(dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
