"""The data of the page Workflows: the last days by definition, what is at work, connections with trouble."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.ui.reports import BATCH, count, mapping, number, report_of, seconds, text
from airflow_provider_workflows.ui.task_states import has_ended, has_failed

if TYPE_CHECKING:
    from airflow_provider_workflows.airflow_internals.task_reports import TaskWithReport
    from airflow_provider_workflows.task_identity import TaskIdentity

DAYS = 7
#: No more reports are read for one view, and no longer.
MAX_REPORTS = 20_000
MAX_SECONDS = 5.0
#: This many tasks at work are listed, the oldest.
MAX_WAITING = 50
#: This many tasks that have failed are listed, the latest.
MAX_FAILED = 20
#: An error of a call counts as trouble of its connection for this long, in seconds.
TROUBLE_SECONDS = 15 * 60.0
#: With these outcomes a call has failed; with others, the workflow itself has.
_CALL_FAILED = ("not_submitted", "unknown")
_ROW_CALL_FAILED = (*_CALL_FAILED, "result_missing")
_OPEN = ("running", "due")


@dataclass
class _Definition:
    """The runs of one workflow definition."""

    runs: int = 0
    batches: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    durations: list[tuple[float, int]] = field(default_factory=list)
    is_rounded: bool = False

    def to_json(self, name: str) -> dict[str, Any]:
        ordered = sorted(self.durations)
        return {
            "definition": name,
            "runs": self.runs,
            "batches": self.batches,
            "outcomes": dict(self.outcomes),
            "median": _quantile(ordered, 0.5),
            "p95": _quantile(ordered, 0.95),
            "is_rounded": self.is_rounded,
        }


class Overview:
    """What the page shows, put together from one report after another.

    :param now: the present time in seconds since the epoch
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._definitions: dict[str, _Definition] = {}
        self._waiting: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._trouble: dict[str, dict[str, Any]] = {}
        #: Connections whose latest reports show that the service responds to them.
        self._sound: set[str] = set()
        self._tasks = 0
        self._cut: float | None = None

    def read(self, tasks: Iterable[TaskWithReport]) -> None:
        """Take reports, the latest first, for as long as that is allowed to take.

        :param tasks: task instances with their reports
        """
        end = time.monotonic() + MAX_SECONDS
        oldest = self._now
        for task in tasks:
            if self._tasks >= MAX_REPORTS or time.monotonic() > end:
                self._cut = oldest
                return
            report = report_of(task.report)
            if report is not None:
                oldest = seconds(report.get("at")) or oldest
                self._add(task, report)

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows, as JSON."""
        definitions = [each.to_json(name) for name, each in self._definitions.items()]
        return {
            "definitions": sorted(
                definitions, key=lambda each: (-sum(each["outcomes"].values()), each["definition"])
            ),
            "waiting": sorted(self._waiting, key=lambda each: each["since"] or 0.0)[:MAX_WAITING],
            "failed": self._failed[:MAX_FAILED],
            "failed_tasks": len(self._failed),
            "trouble": sorted(self._trouble.values(), key=lambda each: each["conn_id"]),
            "tasks": self._tasks,
            "cut": self._cut,
        }

    def _add(self, task: TaskWithReport, report: Mapping[str, Any]) -> None:
        self._tasks += 1
        name = text(report.get("workflow_definition_id")) or "of a task that only waits"
        definition = self._definitions.setdefault(name, _Definition())
        is_at_work = not has_ended(task.state)
        if report["kind"] == BATCH:
            _add_batch(definition, report)
        else:
            _add_run(definition, report)
        if is_at_work:
            self._waiting.append(_waiting(task.id, report, name))
        elif has_failed(task.state):
            self._failed.append(_failed(task.id, report))
        self._note_trouble(task.id, report, is_at_work=is_at_work)

    def _note_trouble(self, task: TaskIdentity, report: Mapping[str, Any], *, is_at_work: bool) -> None:
        conn_id = text(report.get("conn_id"))
        # The latest report of a connection comes first: trouble before it is over.
        if conn_id is None or conn_id in self._trouble or conn_id in self._sound:
            return
        outage, error = mapping(report, "outage"), mapping(report, "error")
        is_recent = self._now - (seconds(report.get("at")) or 0.0) <= TROUBLE_SECONDS
        if outage and is_at_work:
            reason, since = text(outage.get("reason")), seconds(outage.get("since"))
        elif error and is_recent and report.get("outcome") in _CALL_FAILED:
            reason, since = text(error.get("message")), seconds(report.get("at"))
        elif is_recent and (refused := _reason_for_all(report)) is not None:
            reason, since = refused, seconds(report.get("at"))
        else:
            if _has_ended_run(report) and not outage:
                self._sound.add(conn_id)
            return
        self._trouble[conn_id] = {
            "conn_id": conn_id,
            "reason": reason or "the service cannot be reached",
            "since": since,
            "task": dataclasses.asdict(task),
        }


def _has_ended_run(report: Mapping[str, Any]) -> bool:
    """Return whether the task has seen a run end, which takes calls that were served."""
    if report["kind"] == BATCH:
        return bool(count(report, "succeeded") or count(report, "failed"))
    return report.get("outcome") in ("succeeded", "failed")


def _reason_for_all(report: Mapping[str, Any]) -> str | None:
    """Return why the calls of a batch have failed if they have for more than one half of its rows."""
    rows = number(report.get("rows"))
    failed = sum(count(report, outcome) for outcome in _ROW_CALL_FAILED)
    if report["kind"] != BATCH or failed * 2 <= rows:
        return None
    for outcome in sorted(_ROW_CALL_FAILED, key=lambda outcome: -count(report, outcome)):
        for reason in mapping(report, "reasons").get(outcome) or ():
            return text(reason.get("reason"))
    return None


def _add_run(definition: _Definition, report: Mapping[str, Any]) -> None:
    definition.runs += 1
    definition.outcomes[str(report.get("outcome"))] += 1
    begun, ended = seconds(report.get("submitted_at")), seconds(report.get("ended_at"))
    if begun is not None and ended is not None:
        definition.durations.append((max(ended - begun, 0.0), 1))


def _add_batch(definition: _Definition, report: Mapping[str, Any]) -> None:
    definition.batches += 1
    for outcome in mapping(report, "outcomes"):
        definition.outcomes[outcome] += count(report, outcome)
    durations = mapping(report, "durations")
    bounds = [seconds(bound) or 0.0 for bound in durations.get("bounds") or ()]
    for place, runs in enumerate(durations.get("counts") or ()):
        if number(runs) and bounds:
            above = bounds[min(place, len(bounds) - 1)]
            below = bounds[place - 1] if place else 0.0
            definition.durations.append(((above + below) / 2 if place < len(bounds) else above, number(runs)))
            definition.is_rounded = True


def _waiting(task: TaskIdentity, report: Mapping[str, Any], definition: str) -> dict[str, Any]:
    is_batch = report["kind"] == BATCH
    rows = number(report.get("rows")) if is_batch else None
    return {
        "task": dataclasses.asdict(task),
        "definition": definition,
        "phase": str(report.get("phase")) if is_batch else "waiting for its run",
        "since": seconds(report.get("phase_started_at" if is_batch else "submitted_at")),
        "rows": rows,
        "ended": None if rows is None else max(rows - sum(count(report, outcome) for outcome in _OPEN), 0),
    }


def _failed(task: TaskIdentity, report: Mapping[str, Any]) -> dict[str, Any]:
    is_batch = report["kind"] == BATCH
    outcomes = {outcome: count(report, outcome) for outcome in mapping(report, "outcomes")}
    return {
        "task": dataclasses.asdict(task),
        "outcomes": outcomes if is_batch else {str(report.get("outcome")): 1},
        "at": seconds(report.get("at")),
    }


def _quantile(durations: list[tuple[float, int]], part: float) -> float | None:
    """Return the duration within which a part of the runs have ended.

    :param durations: in order, each with a number of runs
    """
    left = part * sum(runs for _, runs in durations)
    for duration, runs in durations:
        left -= runs
        if left <= 0:
            return round(duration, 3)
    return None
