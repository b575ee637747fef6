"""The types of the fields of a record, and the one check of a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from airflow_provider_workflows.api.field_types import FieldType

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}.*")
_ANY_DATE: TypeAdapter[date] = TypeAdapter(date)
_ANY_DATETIME: TypeAdapter[datetime] = TypeAdapter(datetime)


def has_type(value: Any, kind: FieldType, options: list[str] | None = None) -> bool:
    """Return whether a JSON value is of a type; null is of each.

    :param options: the texts that a select may have; None for any
    """
    if value is None:
        return True
    return _CHECKS[kind](value) and (options is None or _chosen(value) <= set(options))


def _chosen(value: Any) -> set[str]:
    return set(value) if isinstance(value, list) else {value}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_moment(form: re.Pattern[str], adapter: TypeAdapter[Any], value: Any) -> bool:
    if not (isinstance(value, str) and form.fullmatch(value)):
        return False
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


_CHECKS: Mapping[FieldType, Callable[[Any], bool]] = {
    "date": lambda value: _is_moment(_DATE, _ANY_DATE, value),
    "datetime": lambda value: _is_moment(_DATETIME, _ANY_DATETIME, value),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and isinstance(value, int),
    "text": _is_text,
    "checkbox": lambda value: isinstance(value, bool),
    "json": lambda _: True,
    "array": lambda value: isinstance(value, list),
    "singleSelect": _is_text,
    "multiselect": _is_texts,
    "assignee": _is_text,
    "idField": _is_text,
}
