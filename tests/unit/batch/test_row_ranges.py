"""Ranges of row numbers, read and written."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.manifest import Manifest
from airflow_provider_workflows.batch.row_ranges import read_row_ranges, row_ranges

SHARD = Manifest(rows=100, first_row=101, skipped=0, digest="", has_keys=True)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("101", {101}),
        ("101-103", {101, 102, 103}),
        (" 200 , 101 - 102 ", {101, 102, 200}),
        ("101-103,102-104", {101, 102, 103, 104}),
    ],
)
def test_numbers_and_ranges_are_read(text: str, numbers: set[int]) -> None:
    assert read_row_ranges(text, SHARD) == numbers


@pytest.mark.parametrize("text", ["100", "201", "150-201", "1-50", "103-101", "101-999999999999"])
def test_rows_that_are_not_there_are_refused_by_name_of_those_that_are(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"^rows: {text} is not within .* 101 to 200"):
        read_row_ranges(text, SHARD)


@pytest.mark.parametrize("text", ["", "a", "101,", "-101", "101--103", "101-", "1e3", "٣", "1" * 5000])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no row number and no range") as raised:
        read_row_ranges(text, SHARD)

    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([61, 3, 1, 2, 2], "1-3,61"), ([5], "5"), ([5, 6], "5-6")]
)
def test_numbers_are_written_as_ranges(numbers: list[int], text: str) -> None:
    assert row_ranges(numbers) == text
