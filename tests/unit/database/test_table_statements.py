"""The statements of each dialect: parsed as that database would, and free of values."""

from __future__ import annotations

import re

import pytest

from airflow_provider_workflows.database.dialects import COLUMN_TYPES, DIALECTS
from airflow_provider_workflows.database.table_statements import TableLayout, TableStatements

sqlglot = pytest.importorskip("sqlglot")

LAYOUT = TableLayout(
    "kyc.Results",
    "select",
    "batch_id",
    (("select", "key"), *((f"a_{kind}", kind) for kind in COLUMN_TYPES), ("batch_id", "key")),
)
#: The name of each dialect where sqlglot has another.
NAMES = {"postgresql": "postgres", "mssql": "tsql"}
STAGING = "0123456789abcdef"


def statements_of(name: str) -> dict[str, str]:
    statements = TableStatements(DIALECTS[name], LAYOUT, STAGING)
    dialect = DIALECTS[name]
    placeholder = dialect.placeholder or ("?" if name in ("sqlite", "mssql") else "%s")
    alone = {"append": statements.take_place(placeholder), "replace": statements.take_place(None)}
    of_transactions = {
        "delete": statements.delete(placeholder),
        "delete all": statements.delete_all,
        "insert all": statements.insert_all,
    }
    return {
        "create": statements.create(unique=True),
        "probe": statements.probe,
        "create staging": statements.create_staging,
        "insert": statements.insert(2, placeholder),
        **(of_transactions if dialect.has_transactions else alone),
        **{f"add {number}": text for number, text in enumerate(statements.add(["a_json"]))},
        **{f"merge {number}": text for number, text in enumerate(statements.merge)},
    }


@pytest.mark.sampled(99)
@pytest.mark.parametrize("name", DIALECTS)
def test_each_statement_is_one_of_the_dialect(name: str) -> None:
    for what, text in statements_of(name).items():
        parsed = sqlglot.parse(re.sub(r"%(\(:\w+\))?s", "?", text), dialect=NAMES.get(name, name))

        assert len([each for each in parsed if each is not None]) == 1, what
        # What sqlglot does not know it takes for a command, whose text it does not read.
        assert not isinstance(parsed[0], sqlglot.exp.Command), (what, text)


@pytest.mark.sampled(99)
@pytest.mark.parametrize("name", DIALECTS)
def test_a_merge_has_each_column_changed_but_the_key_and_all_of_them_added(name: str) -> None:
    quoted = DIALECTS[name].quoted
    merge = " ".join(text for what, text in statements_of(name).items() if what.startswith("merge"))

    for column in LAYOUT.names:
        changed = re.findall(rf"(?:SET|,) (?:t\.)?{re.escape(quoted(column))} = s\.", merge)
        assert len(changed) == (column != LAYOUT.key), column
        assert f"s.{quoted(column)}" in merge.rpartition("INSERT")[2], column
    assert merge.count("INSERT") == 1


#: A merge into the table ``t`` with the columns ``id`` and ``batch_id``, in quotes as the database has them.
MERGES = {
    "postgresql": """
        UPDATE "t" AS t SET "batch_id" = s."batch_id" FROM "workflows_staging_7" AS s WHERE t."id" = s."id";
        INSERT INTO "t" ("id", "batch_id") SELECT s."id", s."batch_id" FROM "workflows_staging_7" AS s
        WHERE NOT EXISTS (SELECT 1 FROM "t" AS t WHERE t."id" = s."id")
    """,
    "mysql": """
        UPDATE `t` AS t JOIN `workflows_staging_7` AS s ON t.`id` = s.`id` SET t.`batch_id` = s.`batch_id`;
        INSERT INTO `t` (`id`, `batch_id`) SELECT s.`id`, s.`batch_id` FROM `workflows_staging_7` AS s
        WHERE NOT EXISTS (SELECT 1 FROM `t` AS t WHERE t.`id` = s.`id`)
    """,
    "mssql": """
        MERGE INTO [t] WITH (HOLDLOCK) AS t USING [#workflows_staging_7] AS s
        ON t.[id] = s.[id] COLLATE Latin1_General_100_BIN2
        WHEN MATCHED THEN UPDATE SET [batch_id] = s.[batch_id]
        WHEN NOT MATCHED THEN INSERT ([id], [batch_id]) VALUES (s.[id], s.[batch_id]);
    """,
    "snowflake": """
        MERGE INTO "T" AS t USING "WORKFLOWS_STAGING_7" AS s ON t."ID" = s."ID"
        WHEN MATCHED THEN UPDATE SET "BATCH_ID" = s."BATCH_ID"
        WHEN NOT MATCHED THEN INSERT ("ID", "BATCH_ID") VALUES (s."ID", s."BATCH_ID")
    """,
    "bigquery": """
        MERGE INTO `t` AS t USING `workflows_staging_7` AS s ON t.`id` = s.`id`
        WHEN MATCHED THEN UPDATE SET `batch_id` = s.`batch_id`
        WHEN NOT MATCHED THEN INSERT (`id`, `batch_id`) VALUES (s.`id`, s.`batch_id`)
    """,
}


@pytest.mark.parametrize("name", MERGES)
def test_a_merge_is_written_as_the_database_has_it(name: str) -> None:
    layout = TableLayout("t", "id", "batch_id", (("id", "key"), ("batch_id", "key")))

    merge = "; ".join(TableStatements(DIALECTS[name], layout, "7").merge)

    assert merge == " ".join(MERGES[name].split())


@pytest.mark.parametrize(("name", "bound"), [("bigquery", "%(:STRING)s"), ("databricks", "?")])
def test_without_transactions_one_statement_appends_or_replaces(name: str, bound: str) -> None:
    layout = TableLayout("t", "id", "batch_id", (("id", "key"), ("n", "integer"), ("batch_id", "key")))
    statements = TableStatements(DIALECTS[name], layout, "7")

    append = statements.take_place(DIALECTS[name].placeholder)
    replace = statements.take_place(None)

    merged = """
        MERGE INTO `t` AS t USING `workflows_staging_7` AS s ON t.`id` = s.`id` AND t.`batch_id` = s.`batch_id`
        WHEN MATCHED THEN UPDATE SET `n` = s.`n`
        WHEN NOT MATCHED THEN INSERT (`id`, `n`, `batch_id`) VALUES (s.`id`, s.`n`, s.`batch_id`)
        WHEN NOT MATCHED BY SOURCE
    """
    assert append == " ".join(f"{merged} AND t.`batch_id` = {bound} THEN DELETE".split())
    assert replace == " ".join(f"{merged} THEN DELETE".split())


@pytest.mark.parametrize(
    ("name", "collation"), [("mysql", "utf8mb4_bin"), ("mssql", "Latin1_General_100_BIN2")]
)
def test_keys_that_differ_in_case_are_two_where_the_server_would_take_them_for_one(
    name: str, collation: str
) -> None:
    statements = statements_of(name)

    for what in ("create", "create staging"):
        assert re.search(rf"select. N?VARCHAR\(200\) .*?COLLATE {collation} NOT NULL", statements[what]), what
