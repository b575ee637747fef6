"""The reports that tasks have written, as pages read them: whatever else an XCom holds is no report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: The format of reports that the pages can show.
REPORT_FORMAT = 1
#: A longer XCom is no report of this package: these have 20 kB at most.
MAX_REPORT_BYTES = 200_000

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
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None
    return value if len(text) <= MAX_REPORT_BYTES else None


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
