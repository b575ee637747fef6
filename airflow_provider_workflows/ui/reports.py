"""The reports that tasks have written, as pages read them: whatever else an XCom holds is no report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: The format of reports that the pages can show.
REPORT_FORMAT = 1
#: A longer XCom is no report of this package: these have 20 kB at most.
MAX_REPORT_BYTES = 200_000
#: No time of a report is later, in seconds since the epoch: the end of the year 9999.
_LATEST = 253_402_300_799
_LARGEST = 1e15

RUN = "run"
BATCH = "batch"


def report_of(value: Any) -> Mapping[str, Any] | None:
    """Return the value of an XCom if it is a report of a run or a batch; None if it is anything else.

    :param value: as the database gives it
    """
    if not isinstance(value, Mapping) or value.get("format") != REPORT_FORMAT:
        return None
    if value.get("kind") not in (RUN, BATCH):
        return None
    if not _is_sound(value):
        return None
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None
    return value if len(text) <= MAX_REPORT_BYTES else None


def _is_sound(report: Mapping[str, Any]) -> bool:
    """Return whether the page can show every field: of those that are there, each has its type."""
    for name, is_right in _FIELDS.items():
        if report.get(name) is not None and not is_right(report[name]):
            return False
    return report["kind"] == RUN or (
        _is_number(report.get("rows")) and isinstance(report.get("outcomes"), Mapping)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_time(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= _LATEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_number, value))


def _are_counts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_number, value.values()))


def _are_reasons(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(reasons, list)
        and all(map(_has(rows=_is_number, reason=_is_text, examples=_is_text), reasons))
        for reasons in value.values()
    )


def _has(**fields: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def is_right(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            value.get(name) is None or check(value[name]) for name, check in fields.items()
        )

    return is_right


_TIMES = (
    "submitted_at", "ended_at", "last_poll_at", "next_poll_at", "at", "phase_started_at", "expected_end",
    "deadline", "begun_at",
)  # fmt: skip
_NUMBERS = (
    "rows",
    "first_row",
    "last_row",
    "polls",
    "written",
    "rows_per_second",
    "poll_interval",
    "max_poll_interval",
    "try_number",
)
_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_TIMES, _is_time),
    **dict.fromkeys(_NUMBERS, _is_number),
    "outcomes": _are_counts,
    "statuses": _are_counts,
    "repair": _are_counts,
    "completions": _has(start=_is_time, step=_is_number, succeeded=_are_numbers, failed=_are_numbers),
    "durations": _has(bounds=_are_numbers, counts=_are_numbers, median=_is_number, p95=_is_number),
    "reasons": _are_reasons,
    "owner": _has(try_number=_is_number, since=_is_time),
    "outage": _has(reason=_is_text, since=_is_time, until=_is_time),
    "error": _has(type=_is_text, message=_is_text),
}


def count(report: Mapping[str, Any], outcome: str) -> int:
    """Return the number of rows of a batch with an outcome.

    :param report: of a batch
    :param outcome: a ``RowOutcome``, or ``"due"``
    """
    return number(mapping(report, "outcomes").get(outcome))


def mapping(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field of a report that is an object; an empty one if it is anything else."""
    value = report.get(name)
    return value if isinstance(value, Mapping) else {}


def number(value: Any) -> int:
    """Return a number of a report; 0 if it is anything else."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def seconds(value: Any) -> float | None:
    """Return a time or a duration of a report in seconds; None if it is anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def text(value: Any) -> str | None:
    """Return a text of a report; None if it is anything else, or empty."""
    return value if isinstance(value, str) and value else None
