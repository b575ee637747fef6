"""Values of numpy and pandas as Python has them, without either: rows of a data frame are full of them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

#: A decimal may have a billion digits, which Python refuses to write.
_MAX_DIGITS = 1000
_PLAIN = frozenset((str, int, bool, dict, list, type(None)))
#: The types of what pandas has for a missing value.
_MISSING_TYPES = frozenset(("NAType", "NaTType"))


def plain(value: Any) -> Any:
    """Return a value as a plain Python one; None for what numpy, pandas and decimals have for a missing value.

    A value of another type is returned as it is. What is in a dict or a list is made plain as well; a missing value
    in there stays what it is, and is refused, for JSON has no NaN.

    :param value: such as ``numpy.int64(7)``, ``pandas.NA`` or ``float("nan")``
    """
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is dict or kind is list:
        try:
            return _plain_within(value)
        except RecursionError:
            # One that contains itself is refused later, in words of its own.
            return value
    found = _as_python(value)
    if isinstance(found, float) and math.isnan(found):
        return None
    if isinstance(found, Decimal) and found.is_nan():
        return None
    return found


def whole_number_of(value: Decimal) -> Decimal | int:
    """Return a decimal that is whole as an int; another as it is, for the field to say what it becomes.

    :param value: the decimal
    """
    if not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS or value != value.to_integral_value():
        return value
    return int(value)


def text_of(value: Decimal) -> Decimal | int | str:
    """Return a decimal as a field of text has it: a whole one as an int, and a fraction as text, such as ``1.50``.

    :param value: the decimal, which is returned as it is where it has too many digits to be written
    """
    found = whole_number_of(value)
    if isinstance(found, int) or not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS:
        return found
    return format(value, "f")


def number_of(value: Decimal) -> Any:
    """Return a decimal that is whole as an int, and a fraction as a float if it is the same number.

    :param value: the decimal, which is returned as it is where it is neither
    """
    found = whole_number_of(value)
    if isinstance(found, int) or not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS:
        return found
    return float(value) if Decimal(repr(float(value))) == value else value


def _as_python(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    package = kind.__module__.partition(".")[0]
    if package == "pandas" and kind.__name__ in _MISSING_TYPES:
        return None
    if package == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        if kind.__name__ in ("datetime64", "timedelta64"):
            # As an item, one in nanoseconds would be a bare number. A missing one differs from itself.
            return value if value == value else None  # noqa: PLR0124
        return value.item()
    if package == "numpy" and kind.__name__ == "ndarray":
        # As pandas has the lists of a Parquet file.
        return _plain_within(value.tolist())
    return value


def _plain_within(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain_item(each) for name, each in value.items()}
    return [_plain_item(each) for each in value]


def _plain_item(value: Any) -> Any:
    kind = type(value)
    if kind is dict or kind is list:
        return _plain_within(value)
    if kind in _PLAIN or kind is float:
        return value
    return _as_python(value)
