"""Tables that Python has in memory as items of a batch: data frames, Arrow tables, and rows of a query."""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import one_line
from airflow_provider_workflows.arguments import refuse, require_pyarrow
from airflow_provider_workflows.batch.input.scalars import number_of, plain
from airflow_provider_workflows.batch.input.sql_cells import cell_of
from airflow_provider_workflows.batch.input.unreadable import Unreadable

#: Rows of a table are made in groups, so that a large one is not there twice.
_ROWS_AT_ONCE = 1000
#: Of these, only data frames are tables.
_LIBRARIES_OF_FRAMES = ("numpy", "pandas", "polars")
_LIBRARIES = (*_LIBRARIES_OF_FRAMES, "pyarrow")
_ITEMS = "a table, a list of rows or the URI of a file"
_WAY = (
    "Write it to a file in the task that makes it, and return the URI: "
    "return write_items(table, 's3://bucket/items.parquet'), from airflow_provider_workflows.tables. Or make that "
    "task the batch itself, with @task.workflows_batch in place of @task"
)
#: Types of values of which files of rows have another form.
_NOT_JSON = (Decimal, dt.date, dt.time, uuid.UUID, bytes)
_READ_SLICE = Callable[[int, int], Iterable[tuple[Any, ...]]]


class TableItems(Sequence[dict[str, Any]]):
    """A table in memory as a list of rows, each of which is made when it is asked for.

    :param columns: the names of the columns
    :param rows: number of rows
    :param read: returns the values of the rows from a number to another, the first being 0
    :raises InvalidInput: if a column has no name that is text, or the name of another
    """

    def __init__(self, columns: Iterable[object], rows: int, read: _READ_SLICE) -> None:
        self.columns = [*map(_require_name, columns)]
        if repeated := {name for name in self.columns if self.columns.count(name) > 1}:
            shown = ", ".join(f"'{one_line(name, 60)}'" for name in sorted(repeated))
            raise InvalidInput(f"items has more than one column {shown}: rename all but one")
        self._rows = rows
        self._read = read

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: Any) -> Any:
        """Return a row, or a list of the rows of a slice."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._rows))]
        number = range(self._rows)[index]
        return next(self._between(number, number + 1))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for start in range(0, self._rows, _ROWS_AT_ONCE):
            yield from self._between(start, min(start + _ROWS_AT_ONCE, self._rows))

    def __repr__(self) -> str:
        # A value is personal.
        return f"<{self._rows:,} rows of {len(self.columns):,} columns>"

    def _between(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        for values in self._read(start, stop):
            yield dict(zip(self.columns, map(plain_cell, values), strict=True))


def _require_name(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidInput(
            f"items has a column whose name is not text, but {type(name).__name__}: name each column, as in "
            'frame.columns = ["first_name", "last_name"]'
        )
    return name


def described_rows(rows: Iterable[Sequence[Any]], description: Sequence[Sequence[Any]]) -> TableItems:
    """Return the rows of a query as items of a batch, by the names of its columns.

    :param rows: the rows, each with a value for each column, such as ``hook.get_records(sql)`` returns
    :param description: what the cursor says of the columns, whose first value is the name: ``cursor.description``,
        or ``hook.last_description``
    :raises InvalidInput: if there is no description, or a row has another number of values
    """
    if not description:
        raise InvalidInput("description is empty: the query returns no rows")
    columns = [column[0] for column in description]
    all_rows = [*map(tuple, rows)]
    number = next((number for number, row in enumerate(all_rows, 1) if len(row) != len(columns)), None)
    if number is not None:
        raise InvalidInput(
            f"row {number} has {len(all_rows[number - 1])} values where the description has {len(columns)} columns"
        )
    return TableItems(columns, len(all_rows), lambda start, stop: all_rows[start:stop])


def items_of_table(value: object) -> object:
    """Return what a batch can read in place of what a function has returned.

    A table becomes rows, and so does whatever can be iterated over once, such as a generator, whose rows are then
    kept in memory. A list, a URI and a shard's reference are returned as they are.

    :param value: what the function has returned
    :raises InvalidInput: if it is a part of a table, or has no order
    """
    if (table := _table(value)) is not None:
        return table
    if hasattr(value, "fetchmany") and hasattr(value, "description"):
        # A cursor of a database, after its query.
        return described_rows(cast("Iterable[Sequence[Any]]", value), value.description)
    if isinstance(value, (str, Mapping, set, frozenset)) or not isinstance(value, Iterable):
        return value
    if _library(value) is not None:
        refuse("items", _ITEMS, value)
    # A sequence may be read over and over, and may be longer than memory.
    rows = value if isinstance(value, Sequence) else [*value]
    if isinstance(rows, list) and rows and all(hasattr(row, "_asdict") for row in rows):
        # Rows of SQLAlchemy, and named tuples.
        return [row._asdict() for row in rows]
    return rows


def is_table(value: object) -> bool:
    """Return whether a value is a table of pandas, polars or Arrow, or one of their kind."""
    return _library(value) is not None or hasattr(value, "__arrow_c_stream__")


def refuse_table(value: object) -> None:
    """Return if items that came by way of Airflow are not a table, whose rows must not be in its database.

    :param value: the items of a batch
    :raises InvalidInput: saying how a table gets to a batch
    """
    if is_table(value):
        raise InvalidInput(
            f"items is a {type(value).__name__}, and rows do not go through Airflow's database. {_WAY}"
        )
    first = value[0] if isinstance(value, (list, tuple)) and value else None
    if isinstance(first, (list, tuple)):
        raise InvalidInput(
            "items is a list of rows without the names of their columns, as a SQL operator returns it. Have the "
            "batch read them itself, with items=SqlQuery(...). Or name them, with described_rows(rows, "
            "description) from airflow_provider_workflows.tables, and do not send them through Airflow's database. "
            f"{_WAY}"
        )


def _library(value: object) -> str | None:
    """Return the name of the library that a value is of; None if it is of none that has tables."""
    package = type(value).__module__.partition(".")[0]
    return package if package in _LIBRARIES else None


def _table(value: Any) -> TableItems | None:
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    # What is not imported has made nothing.
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return TableItems(value.columns, len(value), lambda start, stop: _pandas_rows(value, start, stop))
    if polars is not None and isinstance(value, polars.LazyFrame):
        raise InvalidInput("items is a LazyFrame, which has no rows yet: return frame.collect()")
    if polars is not None and isinstance(value, polars.DataFrame):
        return TableItems(value.columns, value.height, lambda start, stop: value[start:stop].rows())
    if _library(value) in _LIBRARIES_OF_FRAMES:
        refuse("items", _ITEMS, value)
    if not hasattr(value, "__arrow_c_stream__"):
        return None
    table = arrow_table(value)
    return TableItems(
        table.column_names, table.num_rows, lambda start, stop: _arrow_rows(table.slice(start, stop - start))
    )


def arrow_table(value: Any) -> Any:
    """Return a table of Arrow, or of whatever else can hand out one, as a ``pyarrow.Table``.

    :param value: an object with the method ``__arrow_c_stream__``
    :raises InvalidInput: if it is a column and not a table, or pyarrow is missing
    """
    pyarrow = require_pyarrow("items")
    if isinstance(value, (pyarrow.Array, pyarrow.ChunkedArray)):
        refuse("items", _ITEMS, value)
    return pyarrow.table(value)


def _arrow_rows(table: Any) -> Iterable[tuple[Any, ...]]:
    from airflow_provider_workflows.batch.input.arrow_rows import column_values  # noqa: PLC0415  (not while parsing)

    pyarrow = require_pyarrow("items")
    return zip(*(column_values(pyarrow, column) for column in table.columns), strict=True)


def _pandas_rows(frame: Any, start: int, stop: int) -> Iterable[tuple[Any, ...]]:
    columns = [frame.iloc[start:stop, place].tolist() for place in range(frame.shape[1])]
    return zip(*columns, strict=True)


def plain_cell(value: Any) -> Any:
    """Return a value as the files of rows have it: whole decimals are whole numbers, times are text, NaN is None.

    :param value: what a data frame, a database or a function has for a cell
    """
    found = plain(value)
    if isinstance(found, (dict, list)):
        try:
            return _nested(found)
        except RecursionError:
            # One that contains itself is refused later, in words of its own.
            return found
    return cell_of(found) if isinstance(found, _NOT_JSON) else found


def _nested(value: Any) -> Any:
    """Return what stands in an object or a list as a struct of Arrow has it: there, a fraction is a number."""
    if isinstance(value, dict):
        parts = {name: _nested(each) for name, each in value.items()}
        return next((each for each in parts.values() if isinstance(each, Unreadable)), parts)
    if isinstance(value, list):
        items = [_nested(each) for each in value]
        return next((each for each in items if isinstance(each, Unreadable)), items)
    if isinstance(value, Decimal):
        return number_of(value)
    return cell_of(value) if isinstance(value, _NOT_JSON) else value
