"""What a database says has gone wrong, without the values of rows that its own words repeat.

A driver's message quotes what it was given: ``Key (personal_number)=(90010112345) already exists``. Only messages
that can name nothing but tables, columns and types are repeated.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from airflow_provider_workflows.api.errors import (
    DatabaseFailed,
    InvalidInput,
    WorkflowsError,
    from_exception,
    is_mistake,
)
from airflow_provider_workflows.api.redaction import one_line
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.storage_retry import failure_reason

#: SQLSTATEs whose message names a table, a column, a schema or the types of an operator: 42P01 and 42S02 no such
#: table, 42703 and 42S22 no such column, 42501 no permission, 42702 ambiguous column, 42883 no such operator.
_NAMING = frozenset({"42P01", "42S02", "42703", "42S22", "42501", "42702", "42883", "3F000"})
#: The same for drivers without SQLSTATE: the beginnings of such messages.
_NAMING_BEGINNINGS = (
    "no such table",
    "no such column",
    "ambiguous column name",
    "unknown database",
    "cannot modify",
    "Catalog Error",
)
#: The classes of SQLSTATE in which another try would meet the same: feature, data, catalogue, schema, syntax.
_LASTING_CLASSES = frozenset({"0A", "22", "3D", "3F", "42"})
#: The classes of errors of which that is so where there is no SQLSTATE: three of DB-API's, and what psycopg2 raises
#: for a text with a NUL, or with a character that the connection's encoding lacks.
_LASTING_NAMES = frozenset({"ProgrammingError", "DataError", "NotSupportedError", "ValueError"})
#: What SQLite says of a statement that it can never run: its class is that of a lock as well.
_LASTING_IN_SQLITE = "SQLITE_ERROR"
_SHOWN_CHARACTERS = 200
#: Databricks has the SQLSTATE in its words, which stay unsaid.
_STATE_IN_WORDS = re.compile(r"SQLSTATE: ([0-9A-Z]{5})\b")
#: BigQuery has a status of HTTP in the error that its driver's error holds: 400 a statement that cannot be run, 404
#: no such table or data set.
_LASTING_STATUSES = frozenset({400, 404})


def database_failure(argument: str, conn_id: str, error: Exception) -> WorkflowsError:
    """Return the error for one of a database or its driver.

    :param argument: name of the argument that the database is of
    :param conn_id: id of the connection
    :param error: what the driver raised
    :return: ``InvalidInput`` where another try would meet the same, else ``DatabaseFailed``
    """
    state = _sqlstate(error)
    kind = f"{type(error).__name__}, SQLSTATE {state}" if state else type(error).__name__
    if naming := _naming_message(error, state):
        return InvalidInput(f"{argument}: the database of connection {conn_id!r} says: {naming} ({kind})")
    left_out = "its own words are left out, because they may repeat values of rows"
    if _is_lasting(error, state):
        return InvalidInput(
            f"{argument}: the database of connection {conn_id!r} refused the statement: {kind}; {left_out}. Run "
            "the statement in the database's own client to see them"
        )
    return DatabaseFailed(
        f"{argument}: the database of connection {conn_id!r} could not be used: {kind}; {left_out}. Another try "
        "goes on from here: nothing is lost, and no row runs twice"
    )


@contextlib.contextmanager
def not_of_the_database(doing: str) -> Iterator[None]:
    """Say of errors in the block that they are not the database's, although it is connected.

    :param doing: what the block does, as the subject of a sentence: ``result_table: reading the output``
    :raises WorkflowsError: in place of any other error, without its text: that of storage may name a key
    """
    try:
        yield
    except WorkflowsError:
        raise
    except Exception as error:
        if is_mistake(error):
            raise from_exception(error, doing) from error
        raise WorkflowsError(
            f"{doing} failed, and not the database: {failure_reason(error)}. Another try goes on from here: "
            "nothing is lost, and no row runs twice",
            retry=Retry.LATER,
        ) from None


def _sqlstate(error: Exception) -> str:
    for name in ("sqlstate", "pgcode"):
        state = getattr(error, name, None)
        if isinstance(state, str) and len(state) == 5 and state.isalnum():
            return state
    return ""


def _naming_message(error: Exception, state: str) -> str:
    # psycopg has the message without what it quotes of the statement and of rows.
    text = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    text = one_line(text.partition("\n")[0], _SHOWN_CHARACTERS)
    return text if state in _NAMING or (not state and text.startswith(_NAMING_BEGINNINGS)) else ""


def _is_lasting(error: Exception, state: str) -> bool:
    if not state and (found := _STATE_IN_WORDS.findall(str(error))):
        # A value could only come before the server's own.
        state = found[-1]
    if state:
        return state[:2] in _LASTING_CLASSES
    if any(getattr(cause, "code", None) in _LASTING_STATUSES for cause in error.args):
        return True
    if getattr(error, "sqlite_errorname", None) == _LASTING_IN_SQLITE:
        return True
    return any(kind.__name__ in _LASTING_NAMES for kind in type(error).__mro__)
