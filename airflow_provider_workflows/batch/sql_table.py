"""The table of a database that a batch's results go into: what the DAG says of it, and the values of its rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import choice, refuse, templated_text, true_or_false
from airflow_provider_workflows.batch.output_row import FURTHER_COLUMNS
from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from airflow_provider_workflows.database.table_statements import TableLayout
    from airflow_provider_workflows.database.table_writer import TableWriter

#: The columns that each table of results has beside its key, with their types.
_COLUMNS = (
    ("outcome", "text"),
    ("status", "text"),
    ("case_id", "text"),
    ("workflow_id", "text"),
    ("submitted_at", "timestamp"),
    ("ended_at", "timestamp"),
    ("error_code", "text"),
    ("error", "text"),
)
_BATCH_ID = "batch_id"
_HASH = "personal_number_hash"
_MODES = ("merge", "append", "replace")
#: A name with one of these would have to be escaped in each database in another way.
_NAME = re.compile(r"[^\"'`\[\]%;\x00-\x1f]+")


@dataclass
class SqlTable:
    """A table that the results of a batch go into: ``result_table=SqlTable("results", "warehouse", key="number")``.

    It is written once the output is, from the output's file: out of a staging table, in one transaction or by one
    statement, so that a task that is killed leaves it as it was or whole, and its retry writes it again. Each key
    is there once. Rows that were skipped are not in it. Its columns are the key, ``outcome``, ``status``,
    ``case_id``, ``workflow_id``, ``submitted_at``, ``ended_at``, ``error_code``, ``error``, ``batch_id``, those of
    ``select``, and ``personal_number_hash`` where the batch has ``hash_personal_numbers``, ``record_id`` where the
    connection's ``api_generation`` is 2 or 3, and ``revision`` and ``execution_version`` where it is 3.

    :param table: its name, with its schema before a dot where that is not the connection's own (templated)
    :param conn_id: id of a connection to a database, whose hook is one of Airflow's ``common.sql`` (templated)
    :param mode: ``"merge"`` changes the rows whose key is known and adds the others; ``"append"`` adds them, and
        takes the place of those that the same task has added before in the same DAG run; ``"replace"`` takes the
        place of all rows
    :param key: the column of the rows' keys
    :param select: further columns out of the result: an expression of JMESPath by the column's name, or the
        expression and a type: ``{"decision": "decision", "score": ("checks.score", "number")}``. The types are
        ``text`` (if none is given), ``integer``, ``number``, ``decimal``, ``boolean``, ``timestamp``, ``date`` and
        ``json``
    :param create_table: whether the table is created if it is missing
    :raises InvalidInput: if an argument cannot be right
    """

    template_fields: ClassVar[Sequence[str]] = ("table", "conn_id")

    table: str
    conn_id: str
    mode: Literal["merge", "append", "replace"] = "merge"
    key: str = field(default="key", kw_only=True)
    select: Mapping[str, str | tuple[str, str]] | None = field(default=None, kw_only=True)
    create_table: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not templated_text("table", self.table, may_be_empty=True).strip():
            raise InvalidInput("table is empty: give the name of a table")
        templated_text("conn_id", self.conn_id)
        choice("mode of the result table", self.mode, _MODES)
        true_or_false("create_table", self.create_table)
        _require_name("key of the result table", self.key)
        if not isinstance(self.select, Mapping | None):
            refuse("select of the result table", "a dict of column and expression", self.select)
        taken = {name for name, _ in _COLUMNS} | {_BATCH_ID, _HASH, *FURTHER_COLUMNS}
        if self.key.casefold() in taken:
            raise InvalidInput(f"key of the result table is {self.key!r}, which is another of its columns")
        taken.add(self.key.casefold())
        for name in self.select or ():
            _require_name("select of the result table", name)
            if name.casefold() in taken:
                raise InvalidInput(
                    f"select of the result table has {name!r}, which is another of its columns"
                )
            taken.add(name.casefold())
        self._require_expressions()

    def copy(self) -> SqlTable:
        """Return the same for another task or try."""
        return dataclasses.replace(self)

    def serialize(self) -> str:
        """Return what Airflow shows for it."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.mode} into {self.table} on {self.conn_id}, by {self.key}"

    def writer(self, *, batch_id: str, with_hashes: bool, further_columns: Sequence[str]) -> TableWriter:
        """Return what writes a batch into the table.

        :param batch_id: the same in each try of the batch, and in that of no other
        :param with_hashes: whether the output has hashes of personal numbers
        :param further_columns: those that the output has beside those of each output
        :raises InvalidInput: if the connection leads to no database that is known
        """
        # Here: the DAG's file is parsed over and over, and writes no table.
        from airflow_provider_workflows.database.connections import database_hook  # noqa: PLC0415
        from airflow_provider_workflows.database.table_writer import ARGUMENT, TableWriter  # noqa: PLC0415

        for part in self.table.split("."):
            _require_name("table", part)
        hook = database_hook(ARGUMENT, self.conn_id)
        layout = self._layout(with_hashes=with_hashes, further_columns=further_columns)
        return TableWriter(hook, layout, mode=self.mode, batch_id=batch_id)

    def rows(
        self,
        output: Iterable[Mapping[str, Any]],
        *,
        batch_id: str,
        times: str,
        with_hashes: bool,
        further_columns: Sequence[str],
    ) -> Iterator[list[Any]]:
        """Yield the values of each row, in the order of the columns.

        :param output: the rows of the batch's output; those that were skipped are left out
        :param batch_id: as ``writer`` takes it
        :param times: how a timestamp is bound, as ``SqlDialect`` says it
        :param with_hashes: as ``writer`` takes it
        :param further_columns: as ``writer`` takes it
        :raises InvalidInput: naming row, column and type, if what is selected is not of the column's type
        """
        from airflow_provider_workflows.batch.table_values import table_value  # noqa: PLC0415

        layout = self._layout(with_hashes=with_hashes, further_columns=further_columns)
        columns = [(name, kind, self._source(name)) for name, kind in layout.columns]
        for row in output:
            if row["outcome"] == RowOutcome.SKIPPED.value:
                continue
            given = {**row, _BATCH_ID: batch_id}
            values = []
            for name, kind, source in columns:
                value = source(given)
                try:
                    values.append(table_value(value, kind, times))
                except (TypeError, ValueError, ArithmeticError):
                    raise InvalidInput(
                        f"result_table: row {row['row']} has {_json_type(value)} for the column {name!r}, which is "
                        f"{kind}. No run is lost. Correct select, and clear the task: it writes the table again"
                    ) from None
            yield values

    def _layout(self, *, with_hashes: bool, further_columns: Sequence[str]) -> TableLayout:
        from airflow_provider_workflows.database.table_statements import TableLayout  # noqa: PLC0415

        further = [*further_columns, *([_HASH] if with_hashes else [])]
        selected = tuple((name, _of(expression)[1]) for name, expression in (self.select or {}).items())
        columns = (
            (self.key, "key"),
            *_COLUMNS,
            *((name, "text") for name in further),
            *selected,
            (_BATCH_ID, "key"),
        )
        return TableLayout(self.table, self.key, _BATCH_ID, columns)

    def _source(self, name: str) -> Callable[[Mapping[str, Any]], Any]:
        if name in (self.select or {}):
            from airflow_provider_workflows.results import select_fields  # noqa: PLC0415

            expression = _of((self.select or {})[name])[0]
            return lambda row: (
                None if row["result"] is None else select_fields(row["result"], [expression])[expression]
            )
        column = "key" if name == self.key else name
        return lambda row: row[column]

    def _require_expressions(self) -> None:
        if not self.select:
            return
        from airflow_provider_workflows.database.dialects import COLUMN_TYPES  # noqa: PLC0415
        from airflow_provider_workflows.results import require_selection  # noqa: PLC0415

        for name, given in self.select.items():
            is_pair = isinstance(given, (tuple, list)) and len(given) == 2
            if not (isinstance(given, str) or is_pair):
                refuse(f"select[{name!r}] of the result table", "an expression, or one and its type", given)
            expression, kind = _of(given)
            require_selection([expression])
            choice(f"the type of select[{name!r}]", kind, COLUMN_TYPES)


def _of(given: str | Sequence[str]) -> tuple[str, str]:
    return (given, "text") if isinstance(given, str) else (given[0], given[1])


def _require_name(argument: str, name: object) -> None:
    if not isinstance(name, str) or name != name.strip() or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{argument} must be a name without quotes, brackets, % and ;, and without blanks around it"
        )


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a text", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return names.get(type(value), f"a {type(value).__name__}")
