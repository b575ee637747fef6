"""What stands between the cells of a CSV: found by the names of its columns, or the argument ``delimiter``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.batch.input.columns import Fields, record_field

#: Those that exports have; the first is taken where no other can be seen.
USUAL_DELIMITERS = ",;\t|"
#: What is part of a name, or stands around one.
_IN_NAMES = frozenset(" \xa0\"'_-.()\r\n\0")
_FIRST_LINE = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
_SHOWN = {"\t": "a tab", " ": "a blank"}


def require_delimiter(delimiter: object) -> str | None:
    """Return the character between the cells of a CSV.

    :param delimiter: the character; None if it is to be found
    :raises InvalidInput: if it cannot stand between cells
    """
    if delimiter is None:
        return None
    if not isinstance(delimiter, str):
        refuse("delimiter", "one character", delimiter)
    if (
        len(delimiter) != 1
        or delimiter.isalnum()
        or delimiter in '"\r\n\0'
        or "\ud800" <= delimiter <= "\udfff"
    ):
        raise InvalidInput(
            "delimiter must be one character that is no letter, digit, quote or end of a line, such as ';' or '\\t'"
        )
    return delimiter


def named_in_first_line(line: str) -> str | None:
    """Return the delimiter that a first line such as ``sep=;`` names for Excel; None if it is another line.

    :param line: the line
    """
    found = _FIRST_LINE.fullmatch(line)
    return found[1] if found else None


def find_delimiter(header: str, fields: Fields) -> str:
    """Return what separates the names of the columns in a header.

    It is what makes names of fields of its parts, or names that the user has mapped: what stands in the rows is not
    asked, because a name or an address may have any character in it.

    :param header: the header, which may go over several lines
    :param fields: the field of each column that may occur
    :return: the delimiter; that which separates most where no name is a field's, so that the error can list them
    :raises InvalidInput: if two would do
    """
    candidates = list(_candidates(header))
    found = {mark: [_names_a_field(name, fields) for name in parts if name] for mark, parts in candidates}
    whole = [mark for mark, are_fields in found.items() if are_fields and all(are_fields)]
    some = whole or [mark for mark, are_fields in found.items() if any(are_fields)]
    if len(some) > 1:
        raise InvalidInput(
            f"items can be read in {len(some)} ways, with {' or '.join(map(shown_delimiter, some))} between the "
            "cells: say which with delimiter=..."
        )
    if some:
        return some[0]
    usual = [(len(parts), mark) for mark, parts in candidates if mark in USUAL_DELIMITERS]
    return max(usual, key=lambda each: each[0], default=(0, USUAL_DELIMITERS[0]))[1]


def shown_delimiter(delimiter: str) -> str:
    """Return a delimiter as messages show it."""
    return _SHOWN.get(delimiter, f"'{delimiter}'" if delimiter.isprintable() else f"U+{ord(delimiter):04X}")


def _names_a_field(name: str, fields: Fields) -> bool:
    # Any text is the name of a record's field, so the whole of "record.name;record.nip" would be one.
    is_several = bool(record_field(name)) and any(mark in name for mark in USUAL_DELIMITERS)
    return fields.of(name) != "" and (name in fields.mapped or not is_several)


def _candidates(header: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each character that may be the delimiter, and the parts that it makes of the header."""
    if (parts := _parts(header, USUAL_DELIMITERS[0])) is not None and len(parts) == 1:
        yield USUAL_DELIMITERS[0], parts
    for mark in dict.fromkeys(header):
        may_separate = not mark.isalnum() and mark not in _IN_NAMES and not "\ud800" <= mark <= "\udfff"
        if may_separate and (parts := _parts(header, mark)) is not None and len(parts) > 1:
            yield mark, parts


def _parts(header: str, delimiter: str) -> list[str] | None:
    try:
        row = next(csv.reader(io.StringIO(header, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
    return [name.strip() for name in row]
