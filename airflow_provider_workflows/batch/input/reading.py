"""One reading of items: how they are read, and what is found out about them on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.columns import (
    FIELD_NAMES,
    RECORD_PREFIX,
    Fields,
    check_header,
    fields_of,
    named,
    plain_name,
)
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.row_functions import RowFunctions
from airflow_provider_workflows.batch.input.rows import Row
from airflow_provider_workflows.batch.input.value_rules import ValueRules

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import Checked

Note: TypeAlias = Callable[[str], None]
"""What is told what a reading leaves out, without a value of a row: ``log.info`` of a logger."""

#: The index of a data frame that was written without a name, or was written and read again.
_INDEX_NAME = re.compile(r"Unnamed: \d+(?:\.\d+)*|__index_level_\d+__")
_SHOWN_COLUMNS = 50


def no_note(_: str) -> None:
    """Keep a note to oneself: the items are read again, and it was said at the first time."""


@dataclass
class Reading:
    """How items are read, and what is found out about them on the way.

    :param options: as the operator's arguments say
    :param note: is told what is left out
    :param warn: is told what is probably a mistake
    :param requires_key: whether each row must have a key of its own, as those of a query that names its column
    :param fields: the field of each column
    :param rules: what values become, and what they must be
    :param functions: the user's own, which choose and change rows
    :param file: the place in its folder of the file that is read, where items are several; without values
        of people; empty for one
    :param header: the names of the columns of the file that is read, once it is known
    :param is_table: whether the rows are of a table, where a phone, documents and parameters may be JSON text
    """

    options: InputOptions
    note: Note = no_note
    warn: Note = no_note
    requires_key: bool = False
    fields: Fields = field(init=False)
    rules: ValueRules = field(init=False)
    functions: RowFunctions = field(init=False)
    file: str = field(init=False, default="")
    header: Sequence[str] = field(init=False, default=())
    is_table: bool = field(init=False, default=False)
    _columns: frozenset[str] | None = field(init=False, default=None)
    _partition: Sequence[str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.fields = fields_of(self.options.columns)
        self.rules = ValueRules.of(self.options, requires_key=self.requires_key)
        self.functions = self.options.functions
        self.fields.sought = {f"{RECORD_PREFIX}{name}" for name in self.options.field_types or ()}

    def warned(self, rows: Iterator[Checked]) -> Iterator[Checked]:
        """Yield rows, and behind the last say what no column of them gives.

        :param rows: all rows of the items as they were checked
        """
        sought = self.fields.sought
        for row in rows:
            if sought and isinstance(row, Row) and row.record:
                # A column may have the record as a whole.
                sought.difference_update(f"{RECORD_PREFIX}{name}" for name in row.record)
            yield row
        if sought:
            missing = sorted(sought)
            names = ", ".join(name.removeprefix(RECORD_PREFIX) for name in missing)
            self.warn(
                f"field_types has {names}, and no column of items gives such a field of a record, as {missing[0]}: "
                "nothing is checked by it. Spell the name as the field's, or leave it out"
            )

    def note_of_file(self, text: str) -> None:
        """Note what was found in the file that is read, with its place if there are several.

        :param text: the note
        """
        self.note(f"{text}: {self.file}" if self.file else text)

    def take_partition(self, names: Sequence[str]) -> None:
        """Take the columns that a file has by the names of its folders, before its header.

        :param names: the names of the columns; those without a field are left out
        :raises InvalidInput: if the files before it have others
        """
        if self._partition is not None:
            if set(names) != set(self._partition):
                raise InvalidInput("items: a file is in folders of other columns than the files before it")
            return
        self._partition = names
        if not names:
            return
        self.note(f"items: columns by the names of folders: {', '.join(map(named, names))}")
        # Most are of no person, such as the day of an export.
        if unknown := [name for name in names if self.fields.of(name) == ""]:
            self.fields.update(dict.fromkeys(unknown))
            self.note(
                f"items: columns by the names of folders that have no field are not sent: "
                f"{', '.join(map(named, unknown))}"
            )

    def take_header(
        self, names: Sequence[str], rows: Callable[[], Sequence[Sequence[str]]] | None = None
    ) -> list[int]:
        """Check the names of a table's columns, and return the places of those in which no row may have a value.

        :param names: the names of the columns, empty for one without a name
        :param rows: returns the first few rows of a file that may have no header, by which its first line is
            told from a person; None where the names surely are names
        :return: the places, from 0, of columns without a name, but for an index in the first column
        :raises InvalidInput: naming the columns that are wrong, unless they may be a person's values
        """
        self.is_table = True
        self.header = names
        indices = [name for name in names if _INDEX_NAME.fullmatch(name) and self.fields.of(name) == ""]
        self.fields.update(dict.fromkeys([*indices, ""]))
        is_transformed = self.functions.transform is not None
        # Any column may be one that the user's function makes fields of.
        if not is_transformed and not any(map(self.fields.of, names)):
            raise _no_known_column(names, rows)
        own = frozenset(map(plain_name, names))
        others = [name for name in self._partition or () if plain_name(name) not in own]
        check_header([*names, *others], self.fields, is_transformed=is_transformed)
        columns = own.union(map(plain_name, others))
        if self._columns is not None:
            if columns != self._columns:
                raise InvalidInput("items: a file has other columns than the files before it")
            return _places_without_name(names)
        self._columns = columns
        if not names[0]:
            self.note("items: the first column has no name, so it is taken for an index, and is not read")
        if indices:
            self.note(f"items: the index of a data frame is not read: {', '.join(map(named, indices))}")
        return _places_without_name(names)


def _places_without_name(names: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if place and not name]


def _no_known_column(
    names: Sequence[str], rows: Callable[[], Sequence[Sequence[str]]] | None
) -> InvalidInput:
    from airflow_provider_workflows.batch.input.header_names import are_names  # noqa: PLC0415  (for an error)

    fields = f"The fields are {', '.join(FIELD_NAMES)}"
    if rows is not None and not are_names(names, rows()):
        return InvalidInput(
            f"items has no known column: is its first line a header? {fields}; columns={{...}} maps others to "
            "them"
        )
    shown = ", ".join(map(named, names[:_SHOWN_COLUMNS]))
    return InvalidInput(
        f"items has no known column. Its columns are {shown}. {fields}. Say which is which, as in "
        'columns={"PESEL": "personal_number", "note": None}'
    )
