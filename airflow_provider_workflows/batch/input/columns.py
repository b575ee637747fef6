"""Which column of the user's table holds which field of a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from pydantic.alias_generators import to_camel

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import CASE_FIELDS, one_line

PHONE_PARTS = {"phone_country_code": "country_code", "phone_number": "number"}
"""Flat columns that together are a phone, and the part of it that each one is."""

_FIELDS = (*CASE_FIELDS, *PHONE_PARTS, "case_id", "parameters", "key")

#: Each field under both spellings, the parts of a phone with a dot too.
_SPELLINGS = (
    {field: field for field in _FIELDS}
    | {to_camel(field): field for field in _FIELDS}
    | {f"phone.{part}": field for field, part in PHONE_PARTS.items()}
    | {f"phone.{to_camel(part)}": field for field, part in PHONE_PARTS.items()}
)

CheckHeader: TypeAlias = Callable[[Sequence[str]], None]
"""A function that takes the columns of a table, and raises if they cannot be right."""

Fields: TypeAlias = Mapping[str, str | None]
"""The field of each column that may occur; None for a column to leave out."""


def fields_of(columns: Mapping[str, str | None] | None) -> Fields:
    """Return the field of each column that may occur.

    :param columns: the field of each column that is named otherwise, None to leave it out
    :raises InvalidInput: if a target is not a field
    """
    if not isinstance(columns, Mapping | None):
        raise InvalidInput(f"columns must be a dict of column and field, not {type(columns).__name__}")
    fields: dict[str, str | None] = dict(_SPELLINGS)
    for column, field in (columns or {}).items():
        if field is not None and not (isinstance(field, str) and field in _SPELLINGS):
            raise InvalidInput(
                f"columns maps {named(column)} to what is not a field; the fields are {', '.join(_FIELDS)}, "
                "and None leaves a column out"
            )
        fields[column] = field if field is None else _SPELLINGS[field]
    return fields


def check_header(header: Sequence[str], fields: Fields, columns: Mapping[str, str | None] | None) -> None:
    """Check the columns of a flat file, each of which must have a field or be left out.

    :param header: the names of the columns
    :param fields: what ``fields_of`` returned
    :param columns: the user's mapping, each column of which must be there
    :raises InvalidInput: naming the columns that are wrong. If no column has a field, the header is missing, and
        what stands in its place is a person: then none is named
    """
    if not any(fields.get(name) for name in header):
        if len(header) == 1 and (separator := next((mark for mark in ";\t" if mark in header[0]), None)):
            mark = "a tab" if separator == "\t" else f"'{separator}'"
            raise InvalidInput(f"items is separated by {mark}, not by a comma: save it with commas")
        raise InvalidInput(
            "items has no known column: is its first line a header? The columns are "
            f"{', '.join(_FIELDS)}; columns={{...}} maps others to them"
        )
    if unnamed := [str(position) for position, name in enumerate(header, 1) if not name]:
        raise InvalidInput(f"items has a column without a name, at position {', '.join(unnamed)}: name it")
    if repeated := _repeated(header):
        raise InvalidInput(f"items has more than one column {repeated}: rename all but one")
    if unknown := [name for name in header if name not in fields]:
        raise InvalidInput(
            f"items has columns that are not fields of a case: {', '.join(map(named, unknown))}; rename them, or "
            'map or drop them, as in columns={"PESEL": "personal_number", "note": None}'
        )
    if missing := [name for name in columns or () if name not in header]:
        raise InvalidInput(f"columns names what items does not have: {', '.join(map(named, missing))}")
    if repeated := _repeated([field for name in header if (field := fields[name])]):
        raise InvalidInput(
            f"items has more than one column for {repeated}: leave all but one out with columns"
        )


def named(column: object) -> str:
    """Return a column's name as messages show it."""
    return f"'{one_line(str(column), 60)}'"


def _repeated(names: Sequence[str]) -> str:
    return ", ".join(named(name) for name in dict.fromkeys(names) if names.count(name) > 1)
