"""The search of the page Workflows: which task has a run, or a row, with an id."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.run_index import RUN_INDEX_NAME, find_row
from airflow_provider_workflows.storage import storage_path
from airflow_provider_workflows.ui.reports import BATCH, RUN, report_of, text

if TYPE_CHECKING:
    from airflow_provider_workflows.airflow_internals.task_reports import TaskWithReport
    from airflow_provider_workflows.task_identity import TaskIdentity

log = logging.getLogger(__name__)

DAYS = 30
#: This many tasks are found at most.
MAX_FOUND = 20
#: This many batches are searched, the latest, and for no longer than this.
MAX_BATCHES = 200
MAX_SECONDS = 10.0
#: The ids in the report of a single run by which it is found.
_IDS = ("workflow_id", "case_id", "record_id")
#: What the reports of batches contain, whatever database they are in.
BATCHES_CONTAIN = '"kind": "batch"'


def runs_with(wanted: str, tasks: Iterable[TaskWithReport]) -> list[dict[str, Any]]:
    """Return the tasks whose single run has an id, as JSON.

    :param wanted: id of a workflow, a case or a record, in upper or lower case
    :param tasks: tasks whose report contains it somewhere
    """
    found = []
    for task in tasks:
        report = report_of(task.report)
        if report is None or report["kind"] != RUN:
            continue
        ids = (text(report.get(name)) for name in _IDS)
        if wanted.lower() in (each.lower() for each in ids if each is not None):
            found.append({"task": dataclasses.asdict(task.id), "row": None})
        if len(found) == MAX_FOUND:
            break
    return found


def outputs_of(tasks: Iterable[TaskWithReport]) -> tuple[list[tuple[TaskIdentity, str]], bool]:
    """Return the latest batches with the URIs of their outputs, and whether there are more.

    :param tasks: tasks with their reports, the latest first
    """
    batches: list[tuple[TaskIdentity, str]] = []
    for task in tasks:
        report = report_of(task.report)
        output = None if report is None or report["kind"] != BATCH else text(report.get("output"))
        if output is None:
            continue
        if len(batches) == MAX_BATCHES:
            return batches, True
        batches.append((task.id, output))
    return batches, False


def rows_with(wanted: str, batches: Iterable[tuple[TaskIdentity, str]]) -> dict[str, Any]:
    """Return the batches of which a row has an id, as JSON. It blocks.

    :param wanted: id of a workflow, a case or a record
    :param batches: tasks with the URIs of their outputs
    """
    end = time.monotonic() + MAX_SECONDS
    found: list[dict[str, Any]] = []
    searched = unread = 0
    for task, output in batches:
        if time.monotonic() > end or len(found) == MAX_FOUND:
            return {"tasks": found, "searched_batches": searched, "unread_batches": unread, "cut": True}
        try:
            row = find_row(storage_path("output", output).parent / RUN_INDEX_NAME, wanted)
        except Exception as error:  # noqa: BLE001  (each kind of storage has its own)
            log.debug("The index beside an output could not be read: %s.", type(error).__name__)
            unread += 1
            continue
        searched += 1
        if row is not None:
            found.append({"task": dataclasses.asdict(task), "row": row})
    return {"tasks": found, "searched_batches": searched, "unread_batches": unread, "cut": False}
