"""The argument ``zero_pad``: gives whole numbers the leading zeros back that a spreadsheet or a data frame took."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.identifiers import IDENTIFIERS
from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.batch.input.columns import record_field

_MAX_DIGITS = 50
#: A float holds each whole number up to here; beyond, digits are lost.
_MAX_EXACT_FLOAT = 2**53
_WHOLE_NUMBER = re.compile(r"([0-9]+)(?:[.,]0*)?")
_REQUIREMENT = (
    "a number of digits for personal_number, company_number or a field of a record, such as "
    "{'personal_number': 11, 'record.NAME': 11}"
)


def require_zero_pad(zero_pad: object) -> Mapping[str, int] | None:
    """Return the lengths to which numbers are padded with zeros.

    :param zero_pad: number of digits by ``personal_number``, ``company_number`` and ``record.NAME``, or None
    :raises InvalidInput: if it is something else
    """
    if zero_pad is None:
        return None
    if not isinstance(zero_pad, Mapping):
        refuse("zero_pad", f"a dict of {_REQUIREMENT}", zero_pad)
    for name, digits in zero_pad.items():
        is_field = name in IDENTIFIERS or record_field(name)
        if not is_field or type(digits) is not int or not 1 <= digits <= _MAX_DIGITS:
            raise InvalidInput(f"zero_pad must have {_REQUIREMENT}, {_MAX_DIGITS} at most")
    return dict(zero_pad)


def zero_padded(name: str, value: Any, length: int) -> Any:
    """Return a whole number as text of that many digits.

    Whole numbers are ints, floats and decimals without a fraction, and text of digits, with ``.0`` behind them or
    not. Any other text is returned as it is: an identifier may have letters.

    :param name: name of the field
    :param value: what the source has for it
    :param length: number of digits
    :raises InvalidInput: if it has more digits, or is a number some of whose digits may be lost
    """
    if isinstance(value, str):
        text = _WHOLE_NUMBER.fullmatch(value.strip())
        if text is None:
            return value
        digits = text[1]
    elif isinstance(value, bool) or not isinstance(value, (Real, Decimal)) or _is_nan(value):
        return value
    else:
        digits = _digits(value)
    if len(digits) > length:
        raise InvalidInput(f"has {len(digits)} digits, and zero_pad says {length} for {name}")
    return digits.zfill(length)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _digits(number: Any) -> str:
    if isinstance(number, Integral):
        is_whole = int(number) >= 0
    elif isinstance(number, Decimal):
        is_whole = number.is_finite() and number >= 0 and number == number.to_integral_value()
    else:
        is_whole = math.isfinite(number) and number >= 0 and number == int(number)
        is_whole = is_whole and number <= _MAX_EXACT_FLOAT
    if not is_whole:
        raise InvalidInput("is a number that is not whole, or too large to be exact; read the column as text")
    # Python refuses to write a number of thousands of digits, and a decimal may have a billion of them.
    if number >= 10**_MAX_DIGITS:
        raise InvalidInput(f"has more than {_MAX_DIGITS} digits")
    return str(int(number))
