"""Rows that come from a query: what the DAG says of it, and its rows as each try reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import REDACTED, one_line
from airflow_provider_workflows.arguments import is_resolved_later, refuse, templated_text
from airflow_provider_workflows.batch.input.columns import named

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.kept_rows import KeptRows
    from airflow_provider_workflows.batch.input.rows import Cells

_FILE = ".sql"
_SHOWN_CHARACTERS = 500


@dataclass
class SqlQuery:
    """A query whose rows are the items of a batch: ``items=SqlQuery("SELECT ...", "warehouse", key="number")``.

    Each try reads it once, in one transaction, and keeps the rows in a file without a name on the worker's disk
    (``TMPDIR``), which is gone with the process: so what was checked is what is sent, whatever happens to the
    tables meanwhile, and no transaction stays open while runs are submitted. A later try reads it again, and
    compares each row by its key with what was checked before: rows that are as before keep their runs.

    :param sql: one query, or the path of a ``.sql`` file from the DAG's folder or its ``template_searchpath``
        (templated). Values belong into ``parameters``: a template in the text is the text of the query. Its columns
        are named as fields of a case, or mapped by the operator's ``columns``
    :param conn_id: id of a connection to a database, whose hook is one of Airflow's ``common.sql`` (templated)
    :param parameters: values that are bound, by name or in order, in the spelling of the database's driver: for
        PostgreSQL ``%(day)s`` or ``%s`` (templated; a single expression keeps its value's type)
    :param key: the column that tells one row from another, such as a customer's number. A query without an
        ``ORDER BY`` is ordered by it. A row that has no value there is a bad row
    :raises InvalidInput: if an argument cannot be right
    """

    template_fields: ClassVar[Sequence[str]] = ("sql", "conn_id", "parameters")

    sql: str
    conn_id: str
    parameters: Mapping[str, Any] | Sequence[Any] | None = field(default=None, repr=False)
    key: str = field(kw_only=True)
    _kept: KeptRows | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = templated_text("sql", self.sql, may_be_empty=True).strip()
        if not text:
            raise InvalidInput("sql is empty: give a query, or the path of a .sql file")
        templated_text("conn_id", self.conn_id)
        if not isinstance(self.key, str) or not self.key.strip():
            raise InvalidInput("key must be the name of the column that tells one row from another")
        _require_parameters(self.parameters)
        # Airflow reads a file in the place of a template only where the operator says so for all its fields.
        if text.lower().endswith(_FILE) and text.isprintable() and not is_resolved_later(text):
            self.sql = f"{{% include {text!r} %}}"

    def copy(self) -> SqlQuery:
        """Return the query for another task or try, which reads it anew."""
        return dataclasses.replace(self)

    def serialize(self) -> str:
        """Return what Airflow shows for it: the query and the names of its parameters, and none of their values."""
        return str(self)

    def __str__(self) -> str:
        given = self.parameters or ()
        names = [*given] if isinstance(given, Mapping) else ["?"] * len(given)
        shown = f" with {', '.join(f'{name}={REDACTED}' for name in names)}" if names else ""
        return f"{one_line(self.sql, _SHOWN_CHARACTERS)}{shown} on {self.conn_id}, by {self.key}"

    @property
    def source(self) -> str:
        """What a page and a log line call it."""
        return f"a query on {self.conn_id}"

    def columns(self, columns: Mapping[str, str | None] | None) -> dict[str, str | None]:
        """Return the operator's ``columns``, with the column of the key among them.

        :param columns: the field of each column that is named otherwise
        :raises InvalidInput: if the query has no such column, or ``columns`` says something else of it
        """
        column = self.key_column
        if (columns or {}).get(column, "key") != "key":
            raise InvalidInput(f"columns maps {named(column)} to another field, and it is the key of items")
        return {**(columns or {}), column: "key"}

    @property
    def key_column(self) -> str:
        """The column of the key, as the database spells it.

        :raises InvalidInput: as ``rows``, and if the query has no such column
        """
        return self._column(self.key)

    @property
    def header(self) -> Sequence[str]:
        """The names of the query's columns.

        :raises InvalidInput: as ``rows``
        """
        return self._rows.header

    def rows(self) -> Iterator[tuple[None, Cells]]:
        """Yield None for the line, and the cells of each row in order; the query is read at the first call.

        :raises InvalidInput: if the connection or the query cannot be right
        :raises DatabaseFailed: if the database cannot be used
        """
        names = self.header
        for cells in self._rows.read():
            yield None, dict(zip(names, cells, strict=True))

    @property
    def _rows(self) -> KeptRows:
        if self._kept is None:
            self._kept = self._read()
        return self._kept

    def _read(self) -> KeptRows:
        # Here: the DAG's file is parsed over and over, and reads no query.
        from airflow_provider_workflows.batch.input.kept_rows import KeptRows  # noqa: PLC0415
        from airflow_provider_workflows.batch.input.sql_cells import cell_of  # noqa: PLC0415
        from airflow_provider_workflows.database.connections import database_hook  # noqa: PLC0415
        from airflow_provider_workflows.database.queries import ordered_by, query_rows  # noqa: PLC0415

        hook = database_hook("items", self.conn_id)
        sql = ordered_by(self.sql, self.key)
        with query_rows("items", hook, sql, self.parameters) as (header, rows):
            return KeptRows.of(header, ([cell_of(value) for value in row] for row in rows))

    def _column(self, name: str) -> str:
        """Return a column's name as the database spells it: some write all in capitals."""
        if name in self.header:
            return name
        alike = [column for column in self.header if column.casefold() == name.casefold()]
        if len(alike) != 1:
            raise InvalidInput(
                f"items: the query has no column {named(name)}, which is to be its key; its columns are "
                f"{', '.join(map(named, self.header))}"
            )
        return alike[0]


def _require_parameters(parameters: object) -> None:
    if parameters is None:
        return
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, (Mapping, Sequence)):
        refuse("parameters of the query", "a dict or a list of values", parameters)
    values = parameters.values() if isinstance(parameters, Mapping) else parameters
    if any(not isinstance(value, str) and is_resolved_later(value) for value in values):
        raise InvalidInput(
            "parameters of the query holds the output of a task, which Airflow would not see: "
            "write \"{{ ti.xcom_pull('task_id') }}\", and let the task come after that one with >>"
        )
