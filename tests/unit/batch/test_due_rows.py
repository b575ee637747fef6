"""The rows that are due are handed out in order; one that has changed since the check is refused at its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.due_rows import DueRows
from airflow_provider_workflows.batch.input.items import read_together
from airflow_provider_workflows.batch.input_check import write_manifest
from airflow_provider_workflows.batch.manifest import read_checked_rows
from airflow_provider_workflows.batch.row_digests import Common
from airflow_provider_workflows.storage import ObjectStoragePath

COMMON = Common("definition", None)
HEADER = "key,first_name,email\n"


def line(number: int, first_name: str = "Ada") -> str:
    return f"C{number:03},{first_name},ada@example.com\n"


class Case:
    """A table of 40 rows that was checked, of which the 30th is bad.

    :param folder: where all is written
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cases.csv"
        self.lines = [line(number) for number in range(1, 41)]
        self.lines[29] = line(30, "NULL")
        self._write()
        self._folder = ObjectStoragePath(str(folder / "state"))
        self._manifest = write_manifest(
            self._folder, read_together(str(self.path)), common=COMMON, skip_bad_rows=True
        )

    def change(self, number: int, text: str) -> None:
        """Have another line for a row, or none."""
        self.lines[number - 1] = text
        self._write()

    def read(self, is_due: Callable[[int], bool] = lambda _: True) -> tuple[list[int], str]:
        """Return the numbers of the rows that were handed out, and why no other was."""
        checked = read_checked_rows(self._folder, self._manifest, common=COMMON)
        due = DueRows(read_together(str(self.path)), is_due, checked)
        found: list[int] = []

        async def take() -> None:
            while (row := await due.next()) is not None:
                found.append(row.number)
            due.require_all()

        try:
            asyncio.run(take())
        except InvalidInput as error:
            return found, str(error)
        return found, ""

    def _write(self) -> None:
        self.path.write_text(HEADER + "".join(self.lines))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_those_that_are_due_come_in_order_without_the_bad_ones(case: Case) -> None:
    assert case.read() == ([*range(1, 30), *range(31, 41)], "")
    assert case.read(lambda number: number in (7, 30, 35)) == ([7, 35], "")


@pytest.mark.parametrize("number", [1, 7, 29, 31, 40])
def test_one_that_has_changed_is_refused_and_those_before_it_are_handed_out(case: Case, number: int) -> None:
    case.change(number, line(number, "Eve"))

    found, error = case.read()

    assert found == [each for each in range(1, number) if each != 30]
    assert f"row {number} (line {number + 1} of the file) of items has changed" in error


def test_one_that_has_changed_and_is_not_due_is_of_no_account(case: Case) -> None:
    case.change(7, line(7, "Eve"))

    assert case.read(lambda number: number > 35) == ([36, 37, 38, 39, 40], "")


def test_one_that_was_bad_and_is_not_any_more_is_refused(case: Case) -> None:
    case.change(30, line(30))

    found, error = case.read()

    assert found == [*range(1, 30)]
    assert "row 30 (line 31 of the file) of items has changed" in error


def test_one_that_has_become_bad_is_refused(case: Case) -> None:
    case.change(7, line(7, "NULL"))

    found, error = case.read()

    assert "row 7 (line 8 of the file) of items has changed" in error
    assert 7 not in found


def test_an_input_that_ends_before_is_refused(case: Case) -> None:
    case.change(40, "")

    found, error = case.read()

    assert len(found) == 38
    assert "items ends with row 39 now, and ended with row 40" in error


def test_an_input_that_goes_on_is_refused(case: Case) -> None:
    case.lines.append(line(41))
    case.change(1, line(1))

    found, error = case.read()

    assert len(found) == 39
    assert "row 41 (line 42 of the file) of items has changed" in error
