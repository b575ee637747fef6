"""What a database's driver gives for a value, as the cell of a row: text, a number, a bool, or JSON."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from airflow_provider_workflows.batch.input.scalars import whole_number_of
from airflow_provider_workflows.batch.input.unreadable import Unreadable

#: Numbers with more digits are no identifier, and Python does not write the longest ones.
_MOST_DIGITS = 300
_PLAIN = (str, bool, int, float, type(None))


def cell_of(value: Any) -> Any:
    """Return the cell for a value of a row.

    A whole number stays a number, with all of its digits: in an identifier's column it makes a bad row. A fraction
    stays a decimal: its field says what it becomes. A time is text in ISO 8601. Binary data is text if it is UTF-8.

    :param value: what the driver gives
    :return: a value of JSON or a decimal; ``Unreadable`` for one that no field can hold
    """
    if isinstance(value, str):
        # No file could hold it, and no request.
        return value if value.isascii() or _is_utf_8(value) else Unreadable("is not UTF-8")
    if type(value) in _PLAIN:
        return value
    for kind, cell in _CELLS:
        if isinstance(value, kind):
            return cell(value)
    return _other(value)


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(value: Decimal) -> Any:
    if not value.is_finite():
        return float(value)
    if value.adjusted() > _MOST_DIGITS:
        return Unreadable(f"is a number of more than {_MOST_DIGITS} digits")
    return whole_number_of(value)


def _text(value: bytes | bytearray | memoryview) -> Any:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return Unreadable("is binary data and not text: decode it in the query")


def _other(value: Any) -> Unreadable:
    # Here: a task that reads no query needs no module of databases.
    from airflow_provider_workflows.database.postgresql import NotInPython  # noqa: PLC0415

    if isinstance(value, NotInPython):
        article = "an" if value.kind == "interval" else "a"
        what = f"{article} {value.kind} that is infinity, 24:00 or outside of the years 1 to 9999"
    else:
        what = f"a {type(value).__name__}, which no field holds"
    return Unreadable(f"is {what}: cast it to text in the query")


def _nested(value: Any) -> Any:
    """Return what stands in an object or a list: there, a fraction is a number, as it is in JSON."""
    if isinstance(value, Decimal) and value.is_finite() and value != value.to_integral_value():
        return float(value)
    return cell_of(value)


def _object(value: Mapping[Any, Any]) -> Any:
    cells = {str(name): _nested(item) for name, item in value.items()}
    return _whole(cells, cells.values())


def _list(value: list[Any] | tuple[Any, ...]) -> Any:
    cells = [_nested(item) for item in value]
    return _whole(cells, cells)


def _whole(cells: Any, parts: Any) -> Any:
    return next((part for part in parts if isinstance(part, Unreadable)), cells)


#: In this order: a datetime is a date, too.
_CELLS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (Decimal, _number),
    ((dt.datetime, dt.date, dt.time), lambda value: value.isoformat()),
    (uuid.UUID, str),
    ((bytes, bytearray, memoryview), _text),
    (Mapping, _object),
    ((list, tuple), _list),
    # Of enums and of drivers' own kinds of text and numbers.
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
)
