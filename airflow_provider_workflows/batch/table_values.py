"""Values of results as a database's column takes them."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any


def table_value(value: Any, kind: str, times: str) -> Any:
    """Return a value of JSON as a column of a type takes it.

    :param value: what was selected; None stays None
    :param kind: the column's type, one of ``COLUMN_TYPES``, or ``"key"``
    :param times: how a timestamp is bound: ``"aware"``, ``"utc"`` without a time zone, or ``"text"``
    :raises TypeError: if it is of another type
    :raises ValueError: if it is text that does not say what the type is about
    :raises ArithmeticError: if it is text that is no number
    """
    if value is None:
        return None
    if kind in ("text", "key"):
        return value if isinstance(value, str) else _json(value)
    if kind == "json":
        return _json(value)
    if kind in ("timestamp", "date"):
        return _time(value, times) if kind == "timestamp" else _date(value, times)
    if isinstance(value, bool) is not (kind == "boolean"):
        raise TypeError(kind)
    return value if kind == "boolean" else _number(value, kind, times)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _number(value: Any, kind: str, times: str) -> Any:
    if kind == "decimal" and isinstance(value, (int, float, str)):
        number = Decimal(str(value).strip())
        if not number.is_finite():
            raise ValueError(kind)
        return str(number) if times == "text" else number
    if not isinstance(value, (int, float)) or (kind == "integer" and value != int(value)):
        raise TypeError(kind)
    return int(value) if kind == "integer" else float(value)


def _time(value: Any, times: str) -> dt.datetime | str:
    if isinstance(value, str):
        # Python 3.10 does not know the Z.
        value = dt.datetime.fromisoformat(f"{value[:-1]}+00:00" if value.endswith(("Z", "z")) else value)
    if not isinstance(value, dt.datetime):
        raise TypeError(times)
    time = (
        value.replace(tzinfo=dt.timezone.utc) if value.tzinfo is None else value.astimezone(dt.timezone.utc)
    )
    if times == "text":
        return time.isoformat(" ", "milliseconds")
    return time.replace(tzinfo=None) if times == "utc" else time


def _date(value: Any, times: str) -> dt.date | str:
    if not isinstance(value, str):
        raise TypeError(times)
    date = dt.date.fromisoformat(value)
    return date.isoformat() if times == "text" else date
