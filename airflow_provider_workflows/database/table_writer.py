"""Writes results into a table of a database, each key once, whatever happens in between."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.database.connections import connected
from airflow_provider_workflows.database.dialects import dialect_of
from airflow_provider_workflows.database.failures import not_of_the_database
from airflow_provider_workflows.database.table_statements import TableLayout, TableStatements

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

ARGUMENT = "result_table"


class TableWriter:
    """Writes the rows of one batch into a table.

    They go into a staging table first, and from there into the table in one transaction, or by one statement where
    there are no transactions: a process that is killed at any point leaves the table as it was before, or with all
    rows.

    :param hook: of the database
    :param layout: of the table
    :param mode: ``"merge"``, ``"append"`` or ``"replace"``
    :param batch_id: the same in each try of a batch, and in that of no other
    """

    def __init__(self, hook: DbApiHook, layout: TableLayout, *, mode: str, batch_id: str) -> None:
        self._hook = hook
        self._layout = layout
        self._mode = mode
        self._batch_id = batch_id
        self.dialect = dialect_of(hook)
        self._placeholder = self.dialect.placeholder or hook.placeholder
        self._statements = TableStatements(self.dialect, layout, batch_id)

    def prepare(self, *, create: bool) -> None:
        """Return once the table is there with all columns.

        :param create: whether to create it if it is missing
        :raises InvalidInput: with the statement that a person has to run, if a column is missing, or the table
        """
        statement = self._statements.create(unique=self._mode == "merge")
        try:
            header = self._header()
        except InvalidInput as error:
            if not create:
                raise InvalidInput(f"{error}. If the table is missing, create it: {statement}") from None
            try:
                self._execute(statement)
                header = self._header()
            except InvalidInput as refusal:
                raise InvalidInput(f"{refusal}. Create the table by hand: {statement}") from None
        found = {name.casefold() for name in header}
        if missing := [name for name in self._layout.names if name.casefold() not in found]:
            statements = "; ".join(self._statements.add(missing))
            raise InvalidInput(f"{ARGUMENT}: {self._layout.table} lacks columns; add them: {statements}")

    def write(self, rows: Iterable[Sequence[Any]], require_owner: Callable[[], None]) -> int:
        """Write all rows of the batch, and return how many there were.

        :param rows: the values of each row, in the order of the columns
        :param require_owner: raises if this try may not write any more; called before the table changes
        :raises InvalidInput: if the database refuses the table or a value, and would again
        :raises DatabaseFailed: if the database cannot be used; the table is as it was
        """
        statements = self._statements
        number = 0
        with (
            connected(ARGUMENT, self._hook) as connection,
            contextlib.closing(connection.cursor()) as cursor,
            self._staging(connection, cursor),
        ):
            for some in _together(rows, max(1, self.dialect.most_values // len(self._layout.names))):
                values = [value for row in some for value in row]
                cursor.execute(statements.insert(len(some), self._placeholder), values)
                number += len(some)
            with not_of_the_database(f"{ARGUMENT}: asking whether this try may still write"):
                require_owner()
            if self.dialect.commits_each_statement:
                cursor.execute("BEGIN TRANSACTION")
            if statements.lock is not None:
                cursor.execute(statements.lock)
            self._move(cursor)
            if self.dialect.commits_each_statement:
                cursor.execute("COMMIT")
            connection.commit()
        return number

    @contextlib.contextmanager
    def _staging(self, connection: Any, cursor: Any) -> Iterator[None]:
        """Have the staging table for the block; where it does not go with the connection, drop it in any case."""
        drop = self._statements.drop_staging
        try:
            cursor.execute(self._statements.create_staging)
            yield
        except BaseException:
            if drop is not None:
                # It holds results of people. What went wrong first says more than that it cannot be dropped.
                with contextlib.suppress(Exception):
                    cursor.execute(drop)
                    connection.commit()
            raise
        if drop is not None:
            cursor.execute(drop)
            connection.commit()

    def _move(self, cursor: Any) -> None:
        """Have the table take the rows of the staging table."""
        statements = self._statements
        if self._mode == "merge":
            for statement in statements.merge:
                cursor.execute(statement)
            return
        if not self.dialect.has_transactions:
            is_append = self._mode == "append"
            statement = statements.take_place(self._placeholder if is_append else None)
            cursor.execute(statement, *([[self._batch_id]] if is_append else []))
            return
        if self._mode == "append":
            # What an earlier try, or the batch before a clear, has written.
            cursor.execute(statements.delete(self._placeholder), [self._batch_id])
        else:
            cursor.execute(statements.delete_all)
        cursor.execute(statements.insert_all)

    def _header(self) -> list[str]:
        with connected(ARGUMENT, self._hook) as connection, contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(self._statements.probe)
            return [str(column[0]) for column in cursor.description]

    def _execute(self, statement: str) -> None:
        with connected(ARGUMENT, self._hook) as connection, contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            connection.commit()


def _together(rows: Iterable[Sequence[Any]], number: int) -> Iterator[list[Sequence[Any]]]:
    reading = iter(rows)
    while True:
        with not_of_the_database(f"{ARGUMENT}: reading the batch's output"):
            some = list(itertools.islice(reading, number))
        if not some:
            return
        yield some
