"""Why rows have ended as they have: equal reasons folded, with how many rows and which."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.redaction import one_line
from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from typing_extensions import Self

#: This many reasons of an outcome are reported, the commonest first.
MAX_REASONS = 20
#: This many are told apart while they are counted; what comes after them counts as another one.
MAX_COUNTED_REASONS = 200
CUT_OFF = "the task was cut off while it submitted the row"
OTHER_REASON = "other reasons"
MAX_REASON_CHARACTERS = 160
_LONGEST_TEXT = 10_000
#: This many ranges of rows are given as examples.
EXAMPLE_RANGES = 6
#: The reasons of a report take no more than this as JSON: XComs are small.
MAX_REPORTED_BYTES = 12_000

_TO = "\N{EN DASH}"
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_FINGERPRINT = re.compile(r"(?:; )?fingerprint [^;)]*")


@dataclass(frozen=True)
class Reason:
    """Why some rows have ended as they have.

    :param reason: what went wrong, without what differs from row to row
    :param rows: how many rows
    :param examples: the first of them, as ``row_ranges`` writes them
    """

    reason: str
    rows: int
    examples: str

    def to_json(self) -> dict[str, Any]:
        """Return the reason as JSON."""
        return {"reason": self.reason, "rows": self.rows, "examples": self.examples}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the reason that ``to_json`` made JSON of."""
        return cls(str(fields["reason"]), int(fields["rows"]), str(fields["examples"]))


def reason_of(error: Mapping[str, Any]) -> str:
    """Return the reason that an error gives, so that equal ones are equal text: ``422 DOCUMENT_EXPIRED: text``.

    Ids and fingerprints are left out of it.

    :param error: the fields of an error, as the journal keeps them
    """
    status, code, message = error.get("status"), error.get("code"), str(error.get("message", ""))
    text = _FINGERPRINT.sub("", _ID.sub("…", message))
    if code:
        said = re.search(rf"\({re.escape(_ID.sub('…', str(code)))}(?:: (?P<text>[^)]*))?", text)
        words = [str(status) if status else "", str(code)]
        detail = (said["text"] or "").strip(" ;.") if said else ""
        text = " ".join(filter(None, words)) + (f": {detail}" if detail else "")
    elif status and str(status) not in text:
        text = f"{status} {text}"
    return cut_reason(text) or str(error.get("kind", "no reason is known"))


def cut_reason(text: str) -> str:
    """Return a reason on one line, its last sentences left out if it is too long.

    :param text: the reason
    """
    line = one_line(text, _LONGEST_TEXT)
    end = line.rfind(". ", 0, MAX_REASON_CHARACTERS)
    if len(line) <= MAX_REASON_CHARACTERS or end < 0:
        return one_line(line, MAX_REASON_CHARACTERS)
    return line[:end]


def reason_of_row(outcome: RowOutcome, status: str | None, error: Mapping[str, Any] | None) -> str | None:
    """Return why a row has ended as it has: an error, or the status in which its run has failed; None if neither.

    :param outcome: how it has ended
    :param status: the status of its run
    :param error: the fields of its error, as the journal keeps them
    """
    if error:
        return reason_of(error)
    if outcome is RowOutcome.UNKNOWN:
        return CUT_OFF
    return status if outcome is RowOutcome.FAILED else None


def row_ranges(rows: Iterable[int], limit: int = EXAMPLE_RANGES) -> str:
    """Return row numbers in words: 1 to 50 as a range with an en dash, then ``61, 70, …``.

    :param rows: numbers of rows, in any order
    :param limit: how many ranges to name
    """
    ranges: list[list[int]] = []
    for row in sorted(rows):
        if ranges and row == ranges[-1][1] + 1:
            ranges[-1][1] = row
        elif len(ranges) == limit:
            return f"{_joined(ranges)}, …"
        elif not ranges or row > ranges[-1][1]:
            ranges.append([row, row])
    return _joined(ranges)


def _joined(ranges: Iterable[list[int]]) -> str:
    return ", ".join(str(first) if first == last else f"{first}{_TO}{last}" for first, last in ranges)


class Reasons:
    """Counts reasons. Each row takes four bytes, so that those of a large batch can be kept."""

    def __init__(self) -> None:
        self._rows: dict[RowOutcome, dict[str, array[int]]] = {}

    def add(self, outcome: RowOutcome, reason: str, row: int) -> None:
        """Count a row.

        :param outcome: how it has ended
        :param reason: why
        :param row: its number
        """
        reasons = self._rows.setdefault(outcome, {})
        reason = cut_reason(reason)
        if reason not in reasons and len(reasons) >= MAX_COUNTED_REASONS:
            reason = OTHER_REASON
        rows = reasons.get(reason)
        if rows is None:
            rows = reasons[reason] = array("I")
        rows.append(row)

    def folded(
        self, also: Mapping[RowOutcome, Mapping[str, array[int]]] | None = None
    ) -> dict[RowOutcome, tuple[Reason, ...]]:
        """Return the reasons of each outcome, the commonest first; another thread may count meanwhile.

        :param also: further rows, by outcome and reason
        """
        found: dict[RowOutcome, dict[str, array[int]]] = {
            outcome: dict(list(reasons.items())) for outcome, reasons in list(self._rows.items())
        }
        for outcome, further in (also or {}).items():
            if further:
                found.setdefault(outcome, {}).update(further)
        return {outcome: _commonest(reasons) for outcome, reasons in found.items()}


def _commonest(reasons: Mapping[str, array[int]]) -> tuple[Reason, ...]:
    # A copy is made at one stroke, while the loop may add to what is copied.
    counted = sorted(((-len(rows), reason, rows[:]) for reason, rows in reasons.items()))[:MAX_REASONS]
    return tuple(Reason(reason, len(rows), row_ranges(rows)) for _, reason, rows in counted)


def shortened(reasons: Mapping[RowOutcome, tuple[Reason, ...]]) -> dict[RowOutcome, tuple[Reason, ...]]:
    """Return the reasons without the rarest, until they are short enough for a report.

    :param reasons: the reasons of each outcome, the commonest first
    """
    most = MAX_REASONS
    kept = {outcome: some[:most] for outcome, some in reasons.items()}
    while most > 1 and _bytes(kept) > MAX_REPORTED_BYTES:
        most -= 1
        kept = {outcome: some[:most] for outcome, some in reasons.items()}
    return kept


def _bytes(reasons: Mapping[RowOutcome, tuple[Reason, ...]]) -> int:
    return len(json.dumps([reason.to_json() for some in reasons.values() for reason in some]).encode())
