"""Which column of the user's table holds which field of a case or of a record."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import CASE_FIELDS, one_line

PHONE_PARTS = {"phone_country_code": "country_code", "phone_number": "number"}
"""Flat columns that together are a phone, and the part of it that each one is."""

RECORD_PREFIX = "record."
"""Begins the name of a column that holds a field of the row's record, which has the rest as its name."""

DOCUMENT_FILES = "document_files"
"""Names the files that are uploaded, and become documents of the row's case."""

FIELD_NAMES = (
    *CASE_FIELDS,
    *PHONE_PARTS,
    DOCUMENT_FILES,
    "case_id",
    "record_id",
    "record",
    "parameters",
    "key",
)

#: Each field under both spellings, the parts of a phone with a dot too.
_SPELLINGS = (
    {field: field for field in FIELD_NAMES}
    | {to_camel(field): field for field in FIELD_NAMES}
    | {f"phone.{part}": field for field, part in PHONE_PARTS.items()}
    | {f"phone.{to_camel(part)}": field for field, part in PHONE_PARTS.items()}
)
_NEEDS_COLUMNS = (
    "names files to read and send: if the supplier of the rows may choose these, say so with "
    'columns={"document_files": "document_files"}'
)
#: Spellings that a file may add: what has a thousand of them is no table.
_MAX_SPELLINGS = 1000
_NO_KNOWN_NAME = "has no name that is a field of a case: rename them, or map them with columns"
_JOINTS = dict.fromkeys(map(ord, "_-\u2010\u2011"))
#: Letters that Unicode does not take apart into a letter and an accent.
_LETTERS = str.maketrans({"ł": "l", "đ": "d", "ø": "o", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe"})


class Fields(dict[str, str | None]):
    """The field of each column that may occur; None for a column to leave out.

    As a dict it has the spellings that were met so far. ``of`` finds a column in another spelling too.

    :param columns: the field of each column that is named otherwise, None to leave it out
    :raises InvalidInput: if a target is not a field
    """

    def __init__(self, columns: Mapping[str, str | None] | None = None) -> None:
        if not isinstance(columns, Mapping | None):
            raise InvalidInput(f"columns must be a dict of column and field, not {type(columns).__name__}")
        # Who supplies a table must not choose which of the worker's files are read and sent: the DAG's author does.
        super().__init__({name: field for name, field in _SPELLINGS.items() if field != DOCUMENT_FILES})
        #: The columns of the row that was read last, where they are right: mostly those of the next one too.
        self.last_names: tuple[Any, ...] | None = None
        self.last_columns: dict[str, str] = {}
        #: Fields of which is to be found out whether any row has a column of them; those that none so far has.
        self.sought: set[str] = set()
        #: What is wrong with rows of names of which none is a field's, where the names may be shown.
        self.reasons_of_names: dict[tuple[Any, ...], str] = {}
        #: The columns that the user has mapped.
        self.mapped = tuple(columns or ())
        self._by_plain_name: dict[str, str | None] = {plain_name(name): field for name, field in self.items()}
        given: dict[str, set[str | None]] = {}
        for column, field in (columns or {}).items():
            of_record = record_field(field)
            if field is not None and not (of_record or (isinstance(field, str) and field in _SPELLINGS)):
                raise InvalidInput(
                    f"columns maps {named(column)} to what is not a field; the fields are "
                    f"{', '.join(FIELD_NAMES)}, those of a record such as {RECORD_PREFIX}name, and None leaves a "
                    "column out"
                )
            self[column] = field if field is None else of_record or _SPELLINGS[field]
            given.setdefault(plain_name(column), set()).add(self[column])
        for name, fields in given.items():
            # Of two columns that differ in spelling alone, each is found in its own spelling only.
            self._by_plain_name.pop(name, None)
            if len(fields) == 1:
                self._by_plain_name[name] = next(iter(fields))
        self._by_plain_name.pop("", None)

    def of(self, column: object) -> str | None:
        """Return the field of a column, without regard to case, white space, ``_``, ``-`` and accents.

        :param column: the column's name
        :return: None for a column to leave out, and ``""`` for one that has no field
        """
        if not isinstance(column, str):
            return ""
        field = self.get(column, "")
        if field == "":
            field = self._by_plain_name.get(plain_name(column), "")
            if field == "":
                field = record_field(column)
            if field != "" and len(self) < _MAX_SPELLINGS:
                self[column] = field
        return field

    def is_mapped_in(self, column: str, header: Sequence[str]) -> bool:
        """Return whether one of a table's columns is the one that the user has mapped.

        :param column: the column as the user has written it
        :param header: the names of the table's columns
        """
        return column in header or any(
            plain_name(name) == plain_name(column) and self.of(name) == self[column]
            for name in header
            if name not in _SPELLINGS and name not in self.mapped
        )


def record_field(column: object) -> str:
    """Return the field of a record that a column's name says: ``record.`` and the name of the table's field.

    :param column: the column's name
    :return: empty if it says no such field
    """
    if not isinstance(column, str):
        return ""
    prefix, name = column.strip()[: len(RECORD_PREFIX)], column.strip()[len(RECORD_PREFIX) :].strip()
    return f"{RECORD_PREFIX}{name}" if name and prefix.casefold() == RECORD_PREFIX else ""


def fields_of(columns: Mapping[str, str | None] | None) -> Fields:
    """Return the field of each column that may occur.

    :param columns: the field of each column that is named otherwise, None to leave it out
    :raises InvalidInput: if a target is not a field
    """
    return Fields(columns)


def plain_name(name: object) -> str:
    """Return a column's name without what people write now so, now so: case, white space, ``_``, ``-``, accents.

    :param name: the name
    """
    text = unicodedata.normalize("NFKD", str(name)).casefold().translate(_LETTERS).translate(_JOINTS)
    return "".join(each for each in text if not each.isspace() and not unicodedata.combining(each))


def check_header(header: Sequence[str], fields: Fields, *, is_transformed: bool = False) -> None:
    """Check the columns of a table, each of which must have a field or be left out.

    :param header: the names of the columns; empty for one that was seen to hold nothing of use
    :param fields: what ``fields_of`` returned
    :param is_transformed: whether a function makes the rows of the columns: then each row's own are checked later
    :raises InvalidInput: naming the columns that are wrong
    """
    names = [name for name in header if name]
    if repeated := _repeated(names):
        raise InvalidInput(f"items has more than one column {repeated}: rename all but one")
    if is_transformed:
        return
    if unknown := [name for name in names if fields.of(name) == ""]:
        if names_files := [name for name in unknown if _is_of_files(name)]:
            raise InvalidInput(f"items has the column {named(names_files[0])}, which {_NEEDS_COLUMNS}")
        raise InvalidInput(
            f"items has columns that are not fields of a case: {', '.join(map(_with_nearest, unknown))}; "
            'rename them, or map or drop them, as in columns={"PESEL": "personal_number", "note": None}'
        )
    if missing := [name for name in fields.mapped if not fields.is_mapped_in(name, names)]:
        raise InvalidInput(f"columns names what items does not have: {', '.join(map(named, missing))}")
    if repeated := _repeated([field for name in names if (field := fields.of(name))]):
        raise InvalidInput(
            f"items has more than one column for {repeated}: leave all but one out with columns"
        )


def columns_of(cells: Mapping[Any, Any], fields: Fields) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the column of each field of a row, and what is wrong with the names of the columns.

    :param cells: the value of each column
    :param fields: the field of each column
    """
    names = tuple(cells)
    if names == fields.last_names:
        return fields.last_columns, []
    columns: dict[str, str] = {}
    wrong = []
    unknown = []
    for column in cells:
        name = fields.get(column, "")
        if name == "":
            name = fields.of(column)
        if name == "":
            unknown.append(column)
        elif name in columns:
            wrong.append((column, f"is the same field as {named(columns[name])}"))
        elif name is not None:
            columns[name] = column
    if fields.sought:
        fields.sought.difference_update(columns)
    if columns:
        wrong += [
            (
                one_line(str(name), 60),
                _NEEDS_COLUMNS
                if _is_of_files(name)
                else "is not a field of a case: rename it, or map or drop it with columns",
            )
            for name in unknown[:5]
        ]
    elif unknown:
        # If no name is a field's, the names may be values.
        wrong.append(("", fields.reasons_of_names.get(names, _NO_KNOWN_NAME)))
    if not wrong:
        fields.last_names, fields.last_columns = names, columns
    return columns, wrong


def _is_of_files(column: object) -> bool:
    return plain_name(column) == plain_name(DOCUMENT_FILES)


def _with_nearest(column: str) -> str:
    """Return a column's name with the field that it is nearly spelled like, if there is one."""
    fields = {plain_name(field): field for field in FIELD_NAMES}
    nearest = difflib.get_close_matches(plain_name(column), fields, 1, 0.85)
    return f"{named(column)} (did you mean {fields[nearest[0]]}?)" if nearest else named(column)


def named(column: object) -> str:
    """Return a column's name as messages show it."""
    return f"'{one_line(str(column), 60)}'"


def _repeated(names: Sequence[str]) -> str:
    return ", ".join(named(name) for name in dict.fromkeys(names) if names.count(name) > 1)
