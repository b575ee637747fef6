"""How databases differ in the statements that write results into a table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from airflow_provider_workflows.api.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: The types that a column of results may have, as the user names them.
COLUMN_TYPES = ("text", "integer", "number", "decimal", "boolean", "timestamp", "date", "json")

_ANSI = {
    "key": "VARCHAR(200)",
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE PRECISION",
    "decimal": "DECIMAL(38, 9)",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "json": "VARCHAR",
}


@dataclass(frozen=True)
class SqlDialect:
    """How one database writes what differs.

    :param name: of the database
    :param types: its type for each of ``COLUMN_TYPES``, and for a ``key``
    :param quotes: what stands before and after a name
    :param has_capitals: whether a name without quotes is one in capitals
    :param merges: how rows with a known key are changed: by ``MERGE``, ``UPDATE ... FROM``, or ``UPDATE ... JOIN``
    :param same_key: how a row of the table is found by its key in the staging table, with the key's column in the
        place of ``{0}``
    :param staging: the words that create the staging table
    :param staging_name: the staging table's name, without the digits that end it
    :param has_transactions: whether several statements can be one transaction; where not, one statement merges,
        replaces or appends
    :param commits_each_statement: whether the driver commits each statement by itself until one at the cursor
        begins a transaction, which the connection's ``commit`` does not end
    :param has_primary_keys: whether a table that is created gets a primary key
    :param locks: a statement that has other writers of the table wait, with the table in the place of ``{}``
    :param times: how a timestamp is bound: with its time zone, as UTC without one, or as text
    :param placeholder: of a bound value, where the hook does not know it, with the value's type in the place of
        ``{}``
    :param most_values: the most values that a statement may bind
    """

    name: str
    types: Mapping[str, str] = field(default_factory=lambda: _ANSI)
    quotes: str = '""'
    has_capitals: bool = False
    merges: Literal["merge", "update_from", "update_join"] = "merge"
    same_key: str = "t.{0} = s.{0}"
    staging: str = "CREATE TEMPORARY TABLE"
    staging_name: str = "workflows_staging_"
    has_transactions: bool = True
    commits_each_statement: bool = False
    has_primary_keys: bool = True
    locks: str = ""
    times: Literal["aware", "utc", "text"] = "aware"
    placeholder: str = ""
    most_values: int = 1000

    def quoted(self, name: str) -> str:
        """Return a name as statements have it: in quotes, so that it may be a word of SQL.

        It names what it would name without them. A name with capitals is taken as it is spelled.
        """
        return f"{self.quotes[0]}{name.upper() if self.has_capitals and name.islower() else name}{self.quotes[1]}"

    def table(self, name: str) -> str:
        """Return the name of a table, which may have its schema before a dot."""
        return ".".join(map(self.quoted, name.split(".")))


_POSTGRESQL = SqlDialect(
    "postgresql",
    {**_ANSI, "text": "TEXT", "decimal": "NUMERIC", "json": "JSONB"},
    merges="update_from",
    locks="LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
)
#: Its own tells "a1" from "A1" in no key, and its temporary tables have that of another database, ``tempdb``.
_MSSQL_BINARY = "Latin1_General_100_BIN2"
_NO_TEMPORARY_TABLES = SqlDialect(
    "",
    quotes="``",
    staging="CREATE OR REPLACE TABLE",
    has_transactions=False,
    has_primary_keys=False,
)
#: By the name that the hook gives its dialect, or by its type of connection.
DIALECTS: Mapping[str, SqlDialect] = {
    each.name: each
    for each in (
        _POSTGRESQL,
        replace(
            _POSTGRESQL,
            name="redshift",
            types={**_ANSI, "text": "VARCHAR(65535)", "timestamp": "TIMESTAMPTZ", "json": "VARCHAR(65535)"},
            has_primary_keys=False,
            locks="LOCK {}",
        ),
        replace(
            _POSTGRESQL,
            name="duckdb",
            types={**_ANSI, "json": "JSON"},
            commits_each_statement=True,
            locks="",
            placeholder="?",
        ),
        SqlDialect(
            "sqlite",
            {
                **_ANSI,
                **dict.fromkeys(("key", "text", "decimal", "timestamp", "date", "json"), "TEXT"),
                "integer": "INTEGER",
                "number": "REAL",
            },
            merges="update_from",
            times="text",
            most_values=900,
        ),
        SqlDialect(
            "mysql",
            {
                **_ANSI,
                # The server's own collation takes "a1" and "A1" for one key. In a comparison with a column that has
                # such a one, MySQL goes by the binary one.
                "key": "VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                "text": "LONGTEXT",
                "number": "DOUBLE",
                "timestamp": "DATETIME(3)",
                "json": "JSON",
            },
            quotes="``",
            merges="update_join",
            times="utc",
        ),
        SqlDialect(
            "mssql",
            {
                **_ANSI,
                "key": f"NVARCHAR(200) COLLATE {_MSSQL_BINARY}",
                **dict.fromkeys(("text", "json"), "NVARCHAR(MAX)"),
                "number": "FLOAT",
                "boolean": "BIT",
                "timestamp": "DATETIMEOFFSET(3)",
            },
            quotes="[]",
            # SQL Server compares columns of two collations only where one is named, and a table that is there
            # already has the collation of its database.
            same_key=f"t.{{0}} = s.{{0}} COLLATE {_MSSQL_BINARY}",
            staging="CREATE TABLE",
            staging_name="#workflows_staging_",
        ),
        SqlDialect(
            "snowflake",
            {**_ANSI, "number": "FLOAT", "timestamp": "TIMESTAMP_TZ"},
            has_capitals=True,
            has_primary_keys=False,
        ),
        replace(
            _NO_TEMPORARY_TABLES,
            name="bigquery",
            types={
                **dict.fromkeys(("key", "text", "json"), "STRING"),
                "integer": "INT64",
                "number": "FLOAT64",
                "decimal": "NUMERIC",
                "boolean": "BOOL",
                "timestamp": "TIMESTAMP",
                "date": "DATE",
            },
            # Without a type, the driver refuses None.
            placeholder="%(:{})s",
        ),
        replace(
            _NO_TEMPORARY_TABLES,
            name="databricks",
            types={
                **_ANSI,
                **dict.fromkeys(("key", "text", "json"), "STRING"),
                "number": "DOUBLE",
                "timestamp": "TIMESTAMP",
            },
            placeholder="?",
            # The server takes 256.
            most_values=250,
        ),
    )
}
_CONNECTION_TYPES = {"postgres": "postgresql", "gcpbigquery": "bigquery"}


def dialect_of(hook: DbApiHook) -> SqlDialect:
    """Return how a hook's database writes statements.

    :param hook: the hook
    :raises InvalidInput: if that is not known
    """
    conn_type = str(hook.conn_type)
    for name in (_CONNECTION_TYPES.get(conn_type, conn_type), hook.dialect_name):
        if name in DIALECTS:
            return DIALECTS[name]
    raise InvalidInput(
        f"result_table: no statements are known for a database of type {conn_type!r}; those that are: "
        f"{', '.join(sorted(DIALECTS))}"
    )
