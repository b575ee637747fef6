"""The types of the fields of a table: a record's values are checked by them, and written as the API takes them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from pydantic import TypeAdapter, ValidationError

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import require_json_object

FieldType: TypeAlias = Literal[
    "date",
    "datetime",
    "number",
    "integer",
    "text",
    "checkbox",
    "json",
    "array",
    "singleSelect",
    "multiselect",
    "assignee",
    "idField",
]
FIELD_TYPES: tuple[FieldType, ...] = get_args(FieldType)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_ANY_DATE: TypeAdapter[date] = TypeAdapter(date)
_ANY_DATETIME: TypeAdapter[datetime] = TypeAdapter(datetime)


class _WrongValue(Exception):
    """What is wrong with a value, without the value."""


def require_field_types(field_types: object) -> Mapping[str, FieldType]:
    """Return the types of a table's fields by name.

    :param field_types: what was given, such as ``{"born": "date"}``; None for none
    :raises InvalidInput: if it is not a dict of names and types
    """
    if field_types is None:
        return {}
    if not isinstance(field_types, Mapping):
        raise InvalidInput(
            f"field_types must be a dict such as {{'born': 'date'}}, not {type(field_types).__name__}"
        )
    for name, kind in field_types.items():
        if not isinstance(name, str):
            raise InvalidInput(f"field_types has a name that is {type(name).__name__}, not text")
        if kind not in FIELD_TYPES:
            raise InvalidInput(f"field_types.{name} must be one of {', '.join(FIELD_TYPES)}")
    return field_types


def require_record_fields(
    fields: Mapping[str, Any],
    field_types: Mapping[str, FieldType] | None = None,
    *,
    is_left: Callable[[object], bool] | None = None,
) -> dict[str, Any]:
    """Return the fields of a record as the API takes them.

    A ``date`` becomes ``2026-01-31``, a ``datetime`` ISO 8601 in UTC, a ``Decimal`` a number. None is a value of
    each type.

    :param fields: values by the names of the table's fields
    :param field_types: types by the names of the fields; of one that is not in here, the service checks the type
    :param is_left: returns whether a value is not checked, because another takes its place before it is sent; the
        type of a field that holds such a one is not checked
    :raises InvalidInput: naming each field whose value is not of its type, and the path of a value that JSON cannot
        express, never a value
    """
    types = require_field_types(field_types)
    if not isinstance(fields, Mapping):
        raise InvalidInput(f"fields must be a dict of values, not {type(fields).__name__}")
    values, wrong = {}, []
    for name, value in fields.items():
        try:
            is_whole = is_left is None or not _holds(is_left, value)
            values[name] = _checked(value, types.get(name)) if is_whole else value
        except _WrongValue as reason:  # noqa: PERF203  (some tens)
            wrong.append(f"fields.{name} {reason}")
    if wrong:
        raise InvalidInput("; ".join(wrong))
    return require_json_object("fields", values, is_left=is_left)


def require_typed_fields(fields: Mapping[str, Any], field_types: Mapping[str, FieldType]) -> None:
    """Return if there is each field that has a type: one that is misspelled would leave another unchecked.

    :param fields: values by the names of the table's fields
    :param field_types: types by the names of fields
    :raises InvalidInput: naming the types that are of no field, and the fields
    """
    if missing := [name for name in field_types if name not in fields]:
        there = f"only {', '.join(fields)}" if fields else "no field"
        raise InvalidInput(
            f"field_types has {', '.join(missing)}, and fields has {there}: spell it as the field, give the "
            "field, as None if it has no value, or leave its type away"
        )


def loggable_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record with dates and decimals as the text that a log may hold them as."""
    return {
        name: str(value) if isinstance(value, (date, Decimal)) else value for name, value in fields.items()
    }


def _checked(value: Any, kind: FieldType | None) -> Any:
    if value is None:
        return None
    return _by_its_own_type(value) if kind is None else _CHECKS[kind](value)


def _holds(is_left: Callable[[object], bool], value: object) -> bool:
    """Return whether a value, or one in it at any depth, is not checked."""
    waiting, seen = [value], {id(value)}
    while waiting:
        each = waiting.pop()
        if is_left(each):
            return True
        if isinstance(each, Mapping):
            within = [*each.values()]
        else:
            within = [*each] if isinstance(each, (list, tuple, set, frozenset)) else []
        # What contains itself has no end.
        waiting += [item for item in within if id(item) not in seen]
        seen.update(map(id, within))
    return False


def _by_its_own_type(value: Any) -> Any:
    if isinstance(value, datetime):
        return _datetime(value)
    if isinstance(value, date):
        return _date(value)
    return _number(value) if isinstance(value, Decimal) else value


def _date(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str):
        raise _of_type("a date, as a Python date or as text such as 2026-01-31", value)
    if not (_DATE.fullmatch(value) and _is_valid(_ANY_DATE, value)):
        raise _WrongValue("must be a date such as 2026-01-31, and its text is another")
    return value


def _datetime(value: Any) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _WrongValue("has no time zone: give a datetime with one")
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if not isinstance(value, str):
        raise _of_type("a moment, as a Python datetime or as text such as 2026-01-31T08:15:00Z", value)
    if not (_DATETIME.fullmatch(value) and _is_valid(_ANY_DATETIME, value)):
        raise _WrongValue("must be a moment such as 2026-01-31T08:15:00Z, and its text is another")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _of_type("a number", value)
    if isinstance(value, Decimal):
        return _from_decimal(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _WrongValue(_NOT_FINITE)
    return value


_NOT_FINITE = "must be a number, and is infinite or not a number"
#: A whole number of more digits is beyond the range of a float, as which most programs read it.
_MAX_DIGITS = 300


def _from_decimal(value: Decimal) -> int | float:
    if not value.is_finite():
        raise _WrongValue(_NOT_FINITE)
    if value and value.adjusted() >= _MAX_DIGITS:
        raise _WrongValue(f"has more than {_MAX_DIGITS} digits")
    if value == value.to_integral_value():
        return int(value)
    if Decimal(repr(float(value))) != value:
        raise _WrongValue("has more digits than a number in JSON keeps everywhere; round it")
    return float(value)


def _integer(value: Any) -> int:
    whole = _number(value) if isinstance(value, Decimal) else value
    if isinstance(whole, bool) or not isinstance(whole, int):
        raise _of_type("a whole number", value)
    return whole


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _of_type("text", value)
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _of_type("True or False", value)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _of_type("a list", value)
    return [*value]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise _of_type("a list of texts", value)
    for item in value:
        if not isinstance(item, str):
            raise _WrongValue(f"must be a list of texts, and has an item that is {type(item).__name__}")
    return [*value]


def _of_type(requirement: str, value: object) -> _WrongValue:
    return _WrongValue(f"must be {requirement}, not {type(value).__name__}")


def _is_valid(adapter: TypeAdapter[Any], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True


#: What an assignee and an id are is unknown, but that they are texts: leading zeros belong to an id.
_CHECKS: Mapping[FieldType, Callable[[Any], Any]] = {
    "date": _date,
    "datetime": _datetime,
    "number": _number,
    "integer": _integer,
    "text": _text,
    "checkbox": _bool,
    "json": lambda value: value,
    "array": _list,
    "singleSelect": _text,
    "multiselect": _texts,
    "assignee": _text,
    "idField": _text,
}
