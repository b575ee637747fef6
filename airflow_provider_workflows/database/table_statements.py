"""The statements that write results into a table: no value is in them, and each name is quoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_workflows.database.dialects import SqlDialect


@dataclass(frozen=True)
class TableLayout:
    """A table of results.

    :param table: its name, with its schema before a dot where that is not the connection's own
    :param key: the column of the rows' keys
    :param batch_id: the column that says which batch a row is of
    :param columns: name and type of each column, these two included
    """

    table: str
    key: str
    batch_id: str
    columns: Sequence[tuple[str, str]]

    @property
    def names(self) -> Sequence[str]:
        """The names of the columns."""
        return [name for name, _ in self.columns]


class TableStatements:
    """Statements for one table in one dialect.

    :param dialect: of the database
    :param layout: of the table
    :param staging: digits that tell the staging table from those of other batches
    """

    def __init__(self, dialect: SqlDialect, layout: TableLayout, staging: str) -> None:
        self._dialect = dialect
        self._layout = layout
        self._table = dialect.table(layout.table)
        self._key = dialect.quoted(layout.key)
        self._batch_id = dialect.quoted(layout.batch_id)
        self._names = [dialect.quoted(name) for name in layout.names]
        schema = layout.table.rpartition(".")[0]
        # A temporary table is in no schema of the user's.
        beside = f"{schema}." if schema and not dialect.has_transactions else ""
        name = f"{beside}{dialect.staging_name}{staging}"
        self._staging = dialect.table(name)

    def create(self, *, unique: bool) -> str:
        """Return what creates the table if it is missing.

        :param unique: whether each key is to be there once at most
        """
        definition = f"{self._table} ({self._definitions(primary_key=unique)})"
        if self._dialect.name == "mssql":
            return f"IF OBJECT_ID(N'{self._table}', N'U') IS NULL CREATE TABLE {definition}"
        return f"CREATE TABLE IF NOT EXISTS {definition}"

    def add(self, names: Sequence[str]) -> list[str]:
        """Return what adds columns to the table, for a person to run."""
        types = dict(self._layout.columns)
        add = "ADD" if self._dialect.name == "mssql" else "ADD COLUMN"
        return [
            f"ALTER TABLE {self._table} {add} {self._dialect.quoted(name)} {self._dialect.types[types[name]]}"
            for name in names
        ]

    @property
    def probe(self) -> str:
        """What tells the table's columns, and no row."""
        return f"SELECT * FROM {self._table} WHERE 1 = 0"

    @property
    def create_staging(self) -> str:
        """What creates the staging table."""
        return f"{self._dialect.staging} {self._staging} ({self._definitions(primary_key=True)})"

    @property
    def drop_staging(self) -> str | None:
        """What removes the staging table; None where it goes with the connection."""
        return None if self._dialect.has_transactions else f"DROP TABLE {self._staging}"

    def insert(self, rows: int, placeholder: str) -> str:
        """Return what puts rows into the staging table.

        :param rows: number of rows
        :param placeholder: what stands for a bound value, with its type in the place of ``{}``
        """
        types = self._dialect.types
        row = f"({', '.join(placeholder.format(types[kind]) for _, kind in self._layout.columns)})"
        return f"INSERT INTO {self._staging} ({', '.join(self._names)}) VALUES {', '.join([row] * rows)}"

    @property
    def lock(self) -> str | None:
        """What has other writers wait; None where the statements themselves do."""
        return self._dialect.locks.format(self._table) or None

    def delete(self, placeholder: str) -> str:
        """Return what removes the rows of one batch, whose id is bound."""
        return f"DELETE FROM {self._table} WHERE {self._batch_id} = {placeholder}"

    @property
    def delete_all(self) -> str:
        """What removes all rows; not TRUNCATE, which ends the transaction in some databases."""
        return f"DELETE FROM {self._table}"

    @property
    def insert_all(self) -> str:
        """What takes all rows of the staging table."""
        names = ", ".join(self._names)
        return f"INSERT INTO {self._table} ({names}) SELECT {names} FROM {self._staging}"

    @property
    def merge(self) -> list[str]:
        """What changes the rows whose key is known, and adds the others."""
        same = self._dialect.same_key.format(self._key)
        names = ", ".join(self._names)
        values = ", ".join(f"s.{name}" for name in self._names)
        others = [name for name in self._names if name != self._key]
        new = (
            f"INSERT INTO {self._table} ({names}) SELECT {values} FROM {self._staging} AS s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self._table} AS t WHERE {same})"
        )
        if self._dialect.merges == "update_from":
            changes = ", ".join(f"{name} = s.{name}" for name in others)
            return [f"UPDATE {self._table} AS t SET {changes} FROM {self._staging} AS s WHERE {same}", new]
        if self._dialect.merges == "update_join":
            changes = ", ".join(f"t.{name} = s.{name}" for name in others)
            return [f"UPDATE {self._table} AS t JOIN {self._staging} AS s ON {same} SET {changes}", new]
        changes = ", ".join(f"{name} = s.{name}" for name in others)
        is_mssql = self._dialect.name == "mssql"
        held, end = (" WITH (HOLDLOCK)", ";") if is_mssql else ("", "")
        statement = (
            f"MERGE INTO {self._table}{held} AS t USING {self._staging} AS s ON {same} "
            f"WHEN MATCHED THEN UPDATE SET {changes} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values}){end}"
        )
        return [statement]

    def take_place(self, placeholder: str | None) -> str:
        """Return the one statement by which the staging table's rows take the place of others.

        It is for databases without transactions, in which one statement is done wholly or not at all. Rows of the
        batch that are there already are changed, so that it may come again.

        :param placeholder: what stands for the batch's id, whose rows they take the place of; None for all rows
        """
        same = " AND ".join(f"t.{name} = s.{name}" for name in (self._key, self._batch_id))
        names = ", ".join(self._names)
        values = ", ".join(f"s.{name}" for name in self._names)
        changes = ", ".join(
            f"{name} = s.{name}" for name in self._names if name not in (self._key, self._batch_id)
        )
        of_batch = ""
        if placeholder is not None:
            id_type = dict(self._layout.columns)[self._layout.batch_id]
            of_batch = f" AND t.{self._batch_id} = {placeholder.format(self._dialect.types[id_type])}"
        return (
            f"MERGE INTO {self._table} AS t USING {self._staging} AS s ON {same} "
            f"WHEN MATCHED THEN UPDATE SET {changes} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values}) "
            f"WHEN NOT MATCHED BY SOURCE{of_batch} THEN DELETE"
        )

    def _definitions(self, *, primary_key: bool) -> str:
        dialect = self._dialect
        columns = [f"{dialect.quoted(name)} {dialect.types[kind]}" for name, kind in self._layout.columns]
        columns[self._layout.names.index(self._layout.key)] += " NOT NULL"
        if primary_key and dialect.has_primary_keys:
            columns.append(f"PRIMARY KEY ({self._key})")
        return ", ".join(columns)
