"""The rows of a query: in a fixed order, read in parts, with its parameters bound."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.database.connections import connected
from airflow_provider_workflows.database.postgresql import read_each_time

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

Parameters: TypeAlias = "Mapping[str, Any] | Sequence[Any] | None"
"""Values that are bound to a query, by name or in order."""

#: Rows that are read together.
_ROWS_READ_AT_ONCE = 1000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


@contextlib.contextmanager
def query_rows(
    argument: str, hook: DbApiHook, sql: str, parameters: Parameters
) -> Iterator[tuple[Sequence[str], Iterator[Sequence[Any]]]]:
    """Yield the names of a query's columns, and an iterator over its rows, in one transaction that changes nothing.

    PostgreSQL keeps the rows at the server (a cursor with a name) and sends a thousand at a time. Of another
    database a thousand are fetched at a time, and its driver decides how many it holds.

    :param argument: name of the argument that asks for it, for the errors
    :param hook: the hook of the database
    :param sql: the query
    :param parameters: values that are bound
    :raises InvalidInput: if the database refuses the query, or it gives no rows
    :raises DatabaseFailed: if the database cannot be used
    """
    with connected(argument, hook) as connection, contextlib.closing(_cursor(hook, connection)) as cursor:
        cursor.execute(*((sql,) if parameters is None else (sql, parameters)))
        # psycopg2 knows the columns of a cursor with a name only once rows were fetched.
        first = cursor.fetchmany(_ROWS_READ_AT_ONCE)
        if cursor.description is None:
            raise InvalidInput(f"{argument}: sql is not a query: it gives no rows")
        names = [str(column[0]) for column in cursor.description]
        yield names, _rows(cursor, first, names)


def _cursor(hook: DbApiHook, connection: Any) -> Any:
    is_psycopg = type(connection).__module__.partition(".")[0].startswith("psycopg")
    if not (hook.dialect_name == "postgresql" and is_psycopg):
        return connection.cursor()
    cursor = connection.cursor(name=f"workflows_{uuid.uuid4().hex}")
    read_each_time(cursor)
    return cursor


def _rows(cursor: Any, first: Sequence[Any], names: Sequence[str]) -> Iterator[Sequence[Any]]:
    rows = first
    while rows:
        for row in rows:
            # The connection may ask for rows as dicts.
            yield [row[name] for name in names] if isinstance(row, Mapping) else row
        rows = cursor.fetchmany(_ROWS_READ_AT_ONCE)


def ordered_by(sql: str, key: str) -> str:
    """Return a query whose rows come in a fixed order: its own, or by its key.

    :param sql: one query
    :param key: the column of the key
    :raises InvalidInput: if it is not one query, or takes a part of its rows without an order
    """
    words, text = _outer_keywords(sql)
    if not words or words[0] not in ("SELECT", "WITH", "VALUES", "FROM"):
        raise InvalidInput("sql must be a query, which begins with SELECT or WITH")
    if "ORDER" in words:
        return text
    advice = f"write ORDER BY {key} into it"
    part = next((word for word in ("LIMIT", "OFFSET", "FETCH") if word in words), None)
    if part or words[1:2] == ["TOP"]:
        raise InvalidInput(
            f"sql takes a part of its rows ({part or 'TOP'}) without an order, so each reading may give others: "
            f"{advice}"
        )
    if "FOR" in words or not _NAME.fullmatch(key):
        raise InvalidInput(f"sql has no order, and none can be added to it here: {advice}")
    return f"{text}\nORDER BY {key}"


def _outer_keywords(sql: str) -> tuple[list[str], str]:
    """Return the keywords of a query that are in no parentheses, in capitals, and its text without a semicolon."""
    from sqlparse import lexer, tokens  # noqa: PLC0415  (comes with the extra)

    words: list[str] = []
    text: list[str] = []
    depth = 0
    is_over = False
    for kind, value in lexer.tokenize(sql):  # type: ignore[no-untyped-call]
        if kind in tokens.Comment or kind in tokens.Whitespace:
            text.append("\n" if kind in tokens.Comment.Single else value)
            continue
        if is_over:
            raise InvalidInput("sql must be one query, and has more after its semicolon")
        if kind is tokens.Punctuation and value in "()":
            depth += 1 if value == "(" else -1
        if kind is tokens.Punctuation and value == ";":
            is_over = True
            continue
        text.append(value)
        # sqlparse takes TOP for a name.
        if depth == 0 and (kind in tokens.Keyword or (words == ["SELECT"] and value.upper() == "TOP")):
            words += value.upper().split()
    return words, "".join(text).strip()
