"""What each command does: it prints, and returns an exit code. Nothing of a row that may be personal is printed."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.task_state import has_task_state_store
from airflow_provider_workflows.api import Statuses
from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.batch.progress import counts_in_words
from airflow_provider_workflows.batch.repair import Repair
from airflow_provider_workflows.batch.report import DUE
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.try_end import TryEnd, runs_billed
from airflow_provider_workflows.batch.unknown_rows import UNKNOWN_ROW_ADVICE
from airflow_provider_workflows.clear_wording import ClearChoices
from airflow_provider_workflows.command_line.arguments import JSON
from airflow_provider_workflows.command_line.stored_batches import StoredBatch, stored_batches
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.log_throttle import utc_time
from airflow_provider_workflows.operators.batch_record import BatchPhase
from airflow_provider_workflows.storage_retry import failure_reason

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from airflow_provider_workflows.batch.report import BatchReport
    from airflow_provider_workflows.batch.reported_rows import ReportedRows

#: Exit codes; 2 is that of wrong arguments.
DONE, NOT_READ, GOES_ON, TO_MEND = 0, 1, 3, 4
#: The fields of a report that say nothing once its process is not there.
_OF_ITS_PROCESS = ("at", "phase_started_at", "rows_per_second", "expected_end", "outage", "owner")


def _command(function: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return a command that says on standard error what went wrong, in a line."""

    @wraps(function)
    def run(options: argparse.Namespace) -> int:
        try:
            return function(options)
        except FileNotFoundError as error:
            problem = f"A file of the batch's state is gone: {error.filename or failure_reason(error)}"
        except WorkflowsError as error:
            problem = str(error)
        sys.stderr.write(f"{problem.removesuffix('.')}.\n")
        return NOT_READ

    return run


@_command
def status(options: argparse.Namespace) -> int:
    """Say what has become of the rows of batches."""
    found = stored_batches(options.uri)
    statuses = _statuses(options.conn_id, found)
    batches = [(batch, batch.rows(statuses)) for batch in found]
    if options.output == JSON:
        _print_json([_as_json(batch, rows) for batch, rows in batches])
    else:
        _print(line for batch, rows in batches for line in _lines(batch, rows))
    return max(_exit_code(rows.report) for _, rows in batches)


@_command
def unknown(options: argparse.Namespace) -> int:
    """List the rows of which nobody knows whether they have a run."""
    found = stored_batches(options.uri)
    statuses = _statuses(options.conn_id, found)
    rows = [(batch, row) for batch in found for row in batch.unknown_rows(statuses)]
    if options.output == JSON:
        _print_json([{"task": _task(batch), **dataclasses.asdict(row)} for batch, row in rows])
        return TO_MEND if rows else DONE
    if not rows:
        _print(["Of each row it is known whether it has a run."])
        return DONE
    table = [("row", "place", "time", "case_id", "record_id", "task")]
    for batch, row in rows:
        moment = "" if row.submitted_at is None else utc_time(row.submitted_at)
        ids = (row.case_id or "", row.record_id or "")
        table.append((str(row.row), row.place, moment, *ids, str(batch.task)))
    _print([*_columns(table), "", UNKNOWN_ROW_ADVICE])
    return TO_MEND


@_command
def repair_plan(options: argparse.Namespace) -> int:
    """Say what a repair would submit, and what that costs."""
    found = stored_batches(options.uri)
    statuses = _statuses(options.conn_id, found)
    resubmits = options.resubmit_unknown
    reports = [batch.rows(statuses, resubmits_unknown=resubmits).report for batch in found]
    repairs = [report.repair for report in reports]
    whole = Repair(**{each.name: sum(getattr(one, each.name) for one in repairs) for each in _REPAIR_FIELDS})
    if options.output == JSON:
        plans = [
            {"task": _task(batch), **_plan(repair)} for batch, repair in zip(found, repairs, strict=True)
        ]
        _print_json({**_plan(whole), "batches": plans})
    else:
        lines = [f"{batch.task}: {repair}." for batch, repair in zip(found, repairs, strict=True)]
        total = [f"All {len(found):,} batches: {whole}."] if len(found) > 1 else []
        advice = [f"Of the unknown rows: {UNKNOWN_ROW_ADVICE}"] if whole.leaves_unknown else []
        costs = f"A repair (clear the task): {runs_billed(whole.submits)}, as long as the input is the same."
        skipped = sum(report.outcomes.get(RowOutcome.SKIPPED.value, 0) for report in reports)
        _print([*lines, *total, costs, *([_skipped(skipped)] if skipped else []), *advice])
    if whole.submits or whole.leaves_unknown:
        return TO_MEND
    return GOES_ON if whole.waits_for else DONE


def _skipped(number: int) -> str:
    return f"{counted(number, 'row')} skipped: a repair submits, and bills, those that are corrected in the input."


def sandbox(options: argparse.Namespace) -> int:
    """Serve a sandbox of the API until SIGINT or SIGTERM."""
    # Here: it brings an HTTP server, which no other command needs.
    from airflow_provider_workflows.sandbox.__main__ import serve  # noqa: PLC0415

    return serve(options)


@_command
def check(options: argparse.Namespace) -> int:
    """Test a connection."""
    is_well, message = WorkflowsHook(options.conn_id).test_connection()
    if options.output == JSON:
        _print_json({"conn_id": options.conn_id, "is_well": is_well, "message": message})
    else:
        _print([message])
    return DONE if is_well else NOT_READ


_REPAIR_FIELDS = dataclasses.fields(Repair)


def _statuses(conn_id: str | None, found: Sequence[StoredBatch]) -> Statuses:
    """Return which status means what, as a connection says, or else as the service does by itself.

    :raises WorkflowsError: if a connection was named, and cannot be read
    """
    if conn_id is not None:
        return WorkflowsHook(conn_id).settings.statuses
    of_batches = next((batch.conn_id for batch in found if batch.conn_id), WorkflowsHook.default_conn_name)
    try:
        return WorkflowsHook(of_batches).settings.statuses
    except Exception as error:  # noqa: BLE001  (Airflow's database may be out of reach from here)
        sys.stderr.write(
            f"The connection {of_batches} could not be read here ({type(error).__name__}), so statuses mean what "
            "they mean by default. Name another connection with --conn-id.\n"
        )
        return Statuses()


def _exit_code(report: BatchReport) -> int:
    outcomes = {name for name, number in report.outcomes.items() if number}
    if outcomes - {RowOutcome.SUCCEEDED, RowOutcome.SKIPPED, RowOutcome.RUNNING, DUE}:
        return TO_MEND
    return GOES_ON if outcomes & {RowOutcome.RUNNING, DUE} else DONE


def _lines(batch: StoredBatch, rows: ReportedRows) -> list[str]:
    report = rows.report
    counts = f"{counts_in_words(report.outcomes)}; {counted(report.rows, 'row')} in all"
    text = str(batch.task)
    choices = ClearChoices(has_task_state_store())
    ended = "" if report.ended_at is None else f", ended {utc_time(report.ended_at)}"
    return [
        f"{text[0].upper()}{text[1:]}, begun {utc_time(report.begun_at)}{ended}",
        f"  Phase: {_phase(batch)}",
        f"  Rows: {counts}",
        # Without the first line, which is of a try.
        *(f"  {line}" for line in TryEnd(report, choices=choices, has_output=rows.has_output).lines[1:]),
        f"  State: {report.state_folder}",
    ]


def _phase(batch: StoredBatch) -> str:
    phase, stopped_by = batch.record.phase, batch.record.stopped_by
    by = "" if stopped_by is None else f"; {stopped_by} has stopped the submission"
    if phase in (BatchPhase.FAILED, BatchPhase.DONE):
        return f"{phase.value}{by}"
    if batch.ended_at is None:
        return f"{phase.value}, unless its process was killed: Airflow has the task's state{by}"
    return f"stopped while {phase.value}: the latest try has ended, and a retry or a clear goes on{by}"


def _as_json(batch: StoredBatch, rows: ReportedRows) -> dict[str, Any]:
    report = rows.report
    fields = {name: value for name, value in report.to_json().items() if name not in _OF_ITS_PROCESS}
    return {
        **fields,
        "output": report.output if rows.has_output else None,
        "task": _task(batch),
        "phase": batch.record.phase.value,
        "is_over": batch.is_over,
        "repair": _plan(report.repair),
    }


def _plan(repair: Repair) -> dict[str, int]:
    return {**dataclasses.asdict(repair), "runs_billed": repair.submits}


def _task(batch: StoredBatch) -> dict[str, Any]:
    return dataclasses.asdict(batch.task)


def _columns(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table]


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")
