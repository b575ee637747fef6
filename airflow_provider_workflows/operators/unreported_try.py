"""The report of a try of a batch that fails before its first report: made from what earlier tries have left."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.output import existing_output
from airflow_provider_workflows.batch.place import StateFolders
from airflow_provider_workflows.batch.problem_rows import PROBLEM_ROWS_NAME
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase
from airflow_provider_workflows.batch.reported_rows import ReportedRows
from airflow_provider_workflows.batch.unknown_rows import UNKNOWN_ROWS_NAME
from airflow_provider_workflows.operators.batch_record import BatchRecord, batch_records
from airflow_provider_workflows.operators.earlier_states import EarlierStates
from airflow_provider_workflows.storage import shown
from airflow_provider_workflows.task_identity import TaskIdentity

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.storage import ObjectStoragePath


def stored_record(context: Context, folder: ObjectStoragePath, log: Any) -> BatchRecord | None:
    """Return the record of a task's batch, from Airflow or from beside the output; None if neither can be read.

    :param context: the task's context
    :param folder: the folder of the output
    :param log: the task's log
    """
    with contextlib.suppress(Exception):
        if (record := batch_records(context).read()) is not None:
            return record
    ti = context["ti"]
    if ti.try_number > 1:
        task = TaskIdentity.of(ti)
        with contextlib.suppress(Exception):
            return EarlierStates(task, StateFolders(folder, task.state_name), log).latest()
    return None


def stored_rows(
    record: BatchRecord,
    begun: BatchReport,
    *,
    statuses: Statuses,
    is_stopped: Callable[[], bool],
    output: OutputOptions,
) -> ReportedRows:
    """Return the rows of a batch as its journal has them, with their report, which has ended.

    :param record: what the task remembers of the batch
    :param begun: what there is to say of the try, its rows and its place left out
    :param statuses: which status means what, as the connection says
    :param is_stopped: returns whether the task was told to stop
    :param output: how the output is written
    :raises Exception: if the batch's state cannot be read
    """
    place = record.place
    rows = ReportedRows(
        place,
        record.manifest,
        statuses,
        is_stopped,
        report=dataclasses.replace(begun, begun_at=record.begun_at, stopped_by=record.stopped_by),
        output=output.path_in(place.folder),
        output_options=output,
    )
    rows.has_output = existing_output(place.folder) is not None
    report = rows.report_at(ReportPhase.ENDED)
    rows.report = dataclasses.replace(
        report,
        problem_rows=_if_there(place.folder / PROBLEM_ROWS_NAME),
        unknown_rows=_if_there(place.folder / UNKNOWN_ROWS_NAME),
        ended_at=report.at,
    )
    return rows


def report_without_rows(record: BatchRecord | None, begun: BatchReport) -> BatchReport:
    """Return the report of a try whose batch has no rows yet, or whose rows cannot be read.

    :param record: what the task remembers of the batch; None if it has submitted nothing
    :param begun: what there is to say of the try
    """
    now = time.time()
    found = None if record is None else BatchReport.read(record.place.state_folder)
    if found is not None:
        begun = dataclasses.replace(found, owner=begun.owner, try_number=begun.try_number)
    return dataclasses.replace(begun.at_phase(ReportPhase.ENDED, now), ended_at=now)


def _if_there(path: ObjectStoragePath) -> str | None:
    return shown(path) if path.exists() else None
