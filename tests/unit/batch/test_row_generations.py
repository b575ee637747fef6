"""What a batch says of its rows depends on what the connection's generation runs them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.checked_columns import each_checked
from airflow_provider_workflows.batch.input.items import read_items, read_together
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.row_generations import rows_of_generation

RECORD_ID = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
OF_CASE = {"first_name": "Ada"}
OF_RECORD = {"record.firstName": "Ada"}
OF_GIVEN_RECORD = {"record_id": RECORD_ID}
BAD = {"record_id": "Ada"}


def read(
    items: Sequence[Mapping[str, Any]], generation: int, *, is_shard: bool = False
) -> tuple[list[Row | BadRow], list[str]]:
    """Return the rows of a batch that has a table, and what is warned of."""
    warnings: list[str] = []
    rows = rows_of_generation(
        read_together(items), generation, has_table=True, is_shard=is_shard, warn=warnings.append
    )
    return list(each_checked(rows)), warnings


@pytest.mark.parametrize(
    ("generation", "words"),
    [
        (1, "has neither a case field nor a case_id"),
        (2, "has no field of a case or a record, and no case_id or record_id"),
        (3, "has neither a field of a record nor a record_id"),
    ],
)
@pytest.mark.parametrize("row", [{"key": "A", "first_name": ""}, {"key": "A", "record.firstName": None}])
def test_a_row_about_nobody_is_told_what_its_generation_may_be_about(
    generation: int, words: str, row: dict[str, Any]
) -> None:
    rows = rows_of_generation(read_together([row]), generation, has_table=False)

    (bad,) = each_checked(rows)

    assert isinstance(bad, BadRow)
    assert (bad.problems, bad.key) == ((("", words),), "A")


def test_parameters_alone_are_about_nobody_in_generation_1() -> None:
    (bad,) = each_checked(
        rows_of_generation(read_together([{"parameters": {"limit": 1}}]), 1, has_table=False)
    )

    assert isinstance(bad, BadRow)
    assert bad.problems == (("", "has neither a case field nor a case_id"),)


def test_where_no_connection_is_known_a_row_about_nobody_is_told_all() -> None:
    (bad,) = read_items([{"key": "A", "record.firstName": None}])

    assert isinstance(bad, BadRow)
    assert bad.problems == (("", "has no field of a case or a record, and no case_id or record_id"),)


@pytest.mark.parametrize("items", [[OF_CASE], [OF_CASE] * 20, [OF_CASE, OF_GIVEN_RECORD]], ids=len)
def test_a_table_beside_rows_of_which_cases_would_be_created_is_refused(items: list[dict[str, str]]) -> None:
    with pytest.raises(InvalidInput, match=r"^table_id .* no row of items has a field of a record, .* cases"):
        read(items, 2)


@pytest.mark.parametrize("generation", [2, 3])
def test_a_table_beside_rows_of_which_none_creates_anything_is_in_a_warning(generation: int) -> None:
    rows, (warning,) = read([OF_GIVEN_RECORD] * 2, generation)

    assert len(rows) == 2
    assert warning.startswith("table_id is not used: no row of items that can be run has a field of a record")


@pytest.mark.parametrize("items", [[OF_CASE] * 20, [OF_GIVEN_RECORD]], ids=len)
def test_a_shard_without_a_row_of_which_a_record_is_created_is_run_with_a_warning(
    items: list[dict[str, str]],
) -> None:
    rows, (warning,) = read(items, 2, is_shard=True)

    assert len(rows) == len(items)
    assert "table_id is not used" in warning


def test_bad_rows_may_be_those_of_which_records_would_be_created() -> None:
    _, (warning,) = read([OF_CASE, BAD], 2)

    assert "that can be run" in warning


@pytest.mark.parametrize(
    "items", [[OF_RECORD], [OF_CASE] * 20 + [OF_RECORD], [OF_GIVEN_RECORD, OF_RECORD]], ids=len
)
def test_a_table_in_which_a_record_is_created_is_no_matter(items: list[dict[str, str]]) -> None:
    rows, warnings = read(items, 2)

    assert (len(rows), warnings) == (len(items), [])
