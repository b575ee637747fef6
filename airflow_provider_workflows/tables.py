"""Tables that Python has in memory, for a batch that another task runs: by a file, never by Airflow's database."""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import one_line
from airflow_provider_workflows.arguments import file_mode, refuse, require_pyarrow
from airflow_provider_workflows.batch.input.scalars import text_of
from airflow_provider_workflows.batch.input.table_items import (
    arrow_table,
    described_rows,
    is_table,
    items_of_table,
    plain_cell,
)
from airflow_provider_workflows.batch.input.unreadable import Unreadable
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.storage import shown, storage_path
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

__all__ = ["described_rows", "write_items"]

_ROWS_IN_GROUP = 1000


def write_items(table: object, uri: ObjectStoragePath | str, *, mode: int = OWNER_ONLY) -> str:
    """Write a table as a file that a batch reads, and return its URI, which is what goes to the batch's task.

    The file is there as a whole, or as it was before. Text stays text, ``"00001"`` too.

    :param table: a DataFrame of pandas or polars, an Arrow table, a list or another iterable of dicts, or what
        ``described_rows`` returns; an index of pandas is not written
    :param uri: the file, in ``.jsonl`` or ``.parquet`` (which needs the extra ``[parquet]``)
    :param mode: of the file and, with the right to enter, of folders that are missing, where it is local
    :raises InvalidInput: if it is not a table, or has a value that the file cannot hold
    """
    path = storage_path("uri", uri)
    file_mode("mode", mode)
    if path.suffix not in (".jsonl", ".parquet"):
        raise InvalidInput(f"uri must be a file in .jsonl or .parquet; {shown(path)} is not")
    if isinstance(table, (str, bytes, Mapping)) or not (isinstance(table, Iterable) or is_table(table)):
        refuse("table", "a table or rows", table)
    with replacing(path, mode=mode) as file:
        if path.suffix == ".jsonl":
            file.writelines(_line(number, row) for number, row in enumerate(_rows(table), 1))
        else:
            _write_parquet(file, table)
    return str(path)


def _rows(table: object) -> Iterable[Any]:
    # What a function yields is written as it comes, and never kept.
    return table if inspect.isgenerator(table) else cast("Iterable[Any]", items_of_table(table))


def _line(number: int, row: object) -> bytes:
    plain = {
        _name(number, name): _json_value(plain_cell(value)) for name, value in _cells(number, row).items()
    }
    try:
        return f"{json.dumps(plain, ensure_ascii=False, allow_nan=False)}\n".encode()
    except (TypeError, ValueError):
        name, value = next((name, value) for name, value in plain.items() if not _is_json(value))
        column = f"the column '{one_line(name, 60)}'"
        raise InvalidInput(
            f"row {number}: the value in {column} {value.reason}"
            if isinstance(value, Unreadable)
            else f"row {number} has a {type(value).__name__} in {column}, which JSON cannot hold: make text of it"
        ) from None


def _json_value(value: Any) -> Any:
    return text_of(value) if isinstance(value, Decimal) else value


def _cells(number: int, row: object) -> Mapping[Any, Any]:
    if isinstance(row, Mapping):
        return row
    raise InvalidInput(f"row {number} must be a dict, not {type(row).__name__}")


def _name(number: int, name: object) -> str:
    if isinstance(name, str):
        return name
    raise InvalidInput(f"row {number} has a column whose name is not text, but {type(name).__name__}")


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True


def _write_parquet(file: Any, table: Any) -> None:
    pyarrow = require_pyarrow("uri")
    try:
        pyarrow.parquet.write_table(_arrow_content(pyarrow, table), file, row_group_size=_ROWS_IN_GROUP)
    except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError):
        raise InvalidInput(
            "table has a column with values of more than one type, or of one that Parquet does not have, or with a "
            "number that is too large or half a character: write it as .jsonl, or make text of the values"
        ) from None


def _arrow_content(pyarrow: Any, table: Any) -> Any:
    # What is not imported has made nothing.
    pandas: Any = sys.modules.get("pandas")
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(table, polars.DataFrame):
        return _content_of_polars(pyarrow, polars, table)
    is_pandas = pandas is not None and isinstance(table, pandas.DataFrame)
    if hasattr(table, "__arrow_c_stream__") and not is_pandas:
        return arrow_table(table)
    # The names of a data frame's columns are checked, too.
    rows = items_of_table(table)
    if is_pandas and not any(isinstance(each, pandas.SparseDtype) for each in table.dtypes):
        return pyarrow.Table.from_pandas(table, preserve_index=False)
    return pyarrow.table(_columns(rows))


def _content_of_polars(pyarrow: Any, polars: Any, frame: Any) -> Any:
    if polars.Object not in frame.dtypes:
        # Arrow cannot write polars' own form of text in categories and in lists of objects.
        oldest = {"compat_level": polars.CompatLevel.oldest()} if hasattr(polars, "CompatLevel") else {}
        with contextlib.suppress(pyarrow.ArrowInvalid):
            return frame.to_arrow(**oldest)
    # It has types that Arrow does not have: of objects, the addresses would be written.
    return pyarrow.table(_columns(items_of_table(frame)))


def _columns(rows: Any) -> dict[str, list[Any]]:
    """Return the values of each column, None where a row has none."""
    columns: dict[str, list[Any]] = {name: [] for name in getattr(rows, "columns", ())}
    for number, row in enumerate(rows, 1):
        for name, value in _cells(number, row).items():
            column = columns.setdefault(_name(number, name), [])
            column += [None] * (number - 1 - len(column))
            column.append(plain_cell(value))
    length = len(rows)
    return {name: column + [None] * (length - len(column)) for name, column in columns.items()}
