"""The rows of a query in a file, for the shards to read: written once, so that all of them read the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import require_json_object
from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells
from airflow_provider_workflows.batch.input.cells import decimal_in
from airflow_provider_workflows.batch.input.columns import RECORD_PREFIX, fields_of
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.rows import Cells
from airflow_provider_workflows.batch.input.scalars import plain
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.input.subjects import json_fields

#: Of the type of no field: what JSON cannot express makes a bad row, which must stay bad.
NOT_JSON = ((),)
#: Its like for a field of a record, which has any type, and no text with a NUL.
NOT_JSON_IN_RECORD = "\0"


def lines_of(query: SqlQuery, options: InputOptions) -> Iterator[bytes]:
    """Yield the rows of a query, each as a line of JSON with all columns; one that is left out has no values.

    :param query: whose rows they are
    :param options: how they are read
    :raises InvalidInput: if the query cannot be right
    :raises DatabaseFailed: if the database cannot be used
    """
    fields = fields_of(query.columns(options.columns))
    # The user's functions may need a column that is left out.
    is_dropped = {name: not options.functions.names and fields.of(name) is None for name in query.header}
    for _, cells in query.rows():
        row = {
            name: None if is_dropped[name] else _json_value(value, fields.of(name) or "")
            for name, value in _items_of(cells)
        }
        yield f"{json.dumps(row, ensure_ascii=False)}\n".encode()


def rows_with_header(rows: Iterator[ReadCells], reading: Reading) -> Iterator[ReadCells]:
    """Yield the rows of such a file, once the names of their columns are checked.

    :param rows: as the file has them
    :param reading: how they are read
    :raises InvalidInput: naming the columns that are wrong
    """
    for place, (line, cells) in enumerate(rows):
        if place == 0 and isinstance(cells, CellColumns):
            reading.take_header(cells.names)
        elif place == 0 and isinstance(cells, Mapping):
            reading.take_header([*cells])
        yield line, cells


def json_of_decimal(field: str, value: Decimal) -> Any:
    """Return a decimal as JSON of which the field makes what it would have made of the decimal.

    :param field: name of the field
    :param value: the decimal
    :raises InvalidInput: if it is one of a record, and JSON does not have it
    """
    if field.startswith(RECORD_PREFIX):
        return json_fields({"": value})[""]
    found = decimal_in(field, value)
    return float(found) if isinstance(found, Decimal) else found


def _items_of(cells: Cells) -> Iterator[tuple[str, Any]]:
    return iter(cells.items()) if isinstance(cells, Mapping) else iter(())


def _json_value(value: Any, field: str) -> Any:
    try:
        if isinstance(value, Decimal):
            return json_of_decimal(field, value)
        return require_json_object("row", {"": plain(value)})[""]
    except InvalidInput:
        return NOT_JSON_IN_RECORD if field.startswith(RECORD_PREFIX) else NOT_JSON
