"""The user's functions choose and change rows; what they do wrong is said without a word of the row."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import OPTION_CHECKS, InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row

SECRET = "Kowalska"


def read(items: Any, **options: Any) -> list[Row | BadRow]:
    return list(read_items(items, InputOptions(**options)))


def names(rows: list[Row | BadRow]) -> list[str]:
    return [row.case["firstName"] for row in rows if isinstance(row, Row)]


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "rows.csv"
    path.write_text("Name,State\nAda,new\nBob,old\nCleo,new\n\nDan,new\n")
    return str(path)


COLUMNS = {"Name": "first_name", "State": None}


class TestWhere:
    def test_sees_each_column_by_its_name_also_those_that_are_left_out(self, table: str) -> None:
        rows = read(table, columns=COLUMNS, where=lambda row: row["State"] == "new")

        assert names(rows) == ["Ada", "Cleo", "Dan"]

    def test_leaves_rows_and_lines_the_numbers_that_they_have_in_the_file(self, table: str) -> None:
        rows = read(table, columns=COLUMNS, where=lambda row: row["State"] == "new")

        assert [(row.number, row.key, row.line) for row in rows] == [(1, "1", 2), (3, "3", 4), (4, "4", 6)]

    def test_is_not_asked_about_a_row_that_cannot_be_read(self) -> None:
        rows = read([SECRET, {"first_name": "Ada"}], where=lambda row: "first_name" in row)

        assert [type(row) for row in rows] == [BadRow, Row]

    def test_gives_the_number_of_rows_that_it_has_passed_over(self, table: str) -> None:
        notes: list[str] = []
        options = InputOptions(columns=COLUMNS, where=lambda row: row["State"] == "new")

        list(read_items(table, options, note=notes.append))

        assert notes == ["items: where has passed over 1 row, as if not in the input"]

    def test_that_passes_over_all_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match=r"where has passed over all of items \(1 row\)"):
            read([{"first_name": "Ada"}], where=lambda _: False)

    @pytest.mark.parametrize("returned", [None, 1, "yes", []])
    def test_that_returns_something_else_is_refused(self, returned: Any) -> None:
        with pytest.raises(
            InvalidInput, match=r"where must return True or False, and returned .* for row 1 of items"
        ):
            read([{"first_name": SECRET}], where=lambda _: returned)


class TestTransform:
    def test_makes_the_row_that_is_checked(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        path.write_text("Person\nAda Lovelace\n")

        def split(row: dict[str, Any]) -> dict[str, Any]:
            first, last = row["Person"].split()
            return {"first_name": first, "last_name": last}

        (row,) = read(str(path), transform=split)

        assert isinstance(row, Row)
        assert row.case == {"firstName": "Ada", "lastName": "Lovelace"}

    def test_gets_a_copy(self) -> None:
        items = [{"first_name": "Ada", "parameters": {"limits": [1]}}]

        def change(row: dict[str, Any]) -> dict[str, Any]:
            row["parameters"]["limits"].append(2)
            row["first_name"] = "Bob"
            return row

        first, second = (read(items, transform=change) for _ in range(2))

        assert first == second
        assert items == [{"first_name": "Ada", "parameters": {"limits": [1]}}]

    def test_that_gives_the_same_dict_for_each_row_changes_no_row_before(self) -> None:
        shared: dict[str, Any] = {"parameters": {}}

        def reuse(row: dict[str, Any]) -> dict[str, Any]:
            shared["first_name"] = shared["parameters"]["name"] = row["first_name"]
            return shared

        rows = read([{"first_name": "Ada"}, {"first_name": "Bob"}], transform=reuse)

        assert [row.parameters for row in rows if isinstance(row, Row)] == [{"name": "Ada"}, {"name": "Bob"}]

    @pytest.mark.parametrize("returned", [None, SECRET, [("first_name", SECRET)]])
    def test_that_returns_something_else_is_refused(self, returned: Any) -> None:
        with pytest.raises(
            InvalidInput, match="transform must return the row as a dict, and returned"
        ) as raised:
            read([{"first_name": SECRET}], transform=lambda _: returned)

        assert SECRET not in str(raised.value)

    def test_columns_that_it_leaves_and_that_are_no_fields_make_a_bad_row(self, table: str) -> None:
        rows = read(table, transform=lambda row: {"first_name": row["Name"], "State": row["State"]})

        assert {row.problems for row in rows if isinstance(row, BadRow)} == {
            (("State", "is not a field of a case: rename it, or map or drop it with columns"),)
        }


def fails_with(error: type[Exception]) -> Callable[[dict[str, Any]], Any]:
    def fail(row: dict[str, Any]) -> Any:
        raise error(f"{row['first_name']} is wrong")

    return fail


@pytest.mark.parametrize("argument", ["where", "transform"])
class TestFailures:
    def test_end_the_check_with_row_exception_and_line_and_without_its_text(self, argument: str) -> None:
        with pytest.raises(InvalidInput) as raised:
            read([{"first_name": SECRET}], **{argument: fails_with(KeyError)})

        message = str(raised.value)
        assert message.startswith(f"{argument} raised KeyError in line ")
        assert "of test_row_functions.py for row 1 of items" in message
        assert SECRET not in message
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None

    def test_with_a_value_error_make_a_bad_row(self, argument: str) -> None:
        (row,) = read([{"first_name": SECRET}], **{argument: fails_with(ValueError)})

        assert isinstance(row, BadRow)
        ((column, reason),) = row.problems
        assert (column, reason.partition(" in line")[0]) == ("", f"{argument} raised ValueError")
        assert SECRET not in reason

    def test_a_function_that_gives_something_else_each_time_is_found_before_anything_is_sent(
        self, argument: str
    ) -> None:
        count = itertools.count()
        functions: dict[str, Callable[[dict[str, Any]], Any]] = {
            "where": lambda _: next(count) % 2 == 0,
            "transform": lambda row: {**row, "key": next(count)},
        }

        with pytest.raises(
            InvalidInput, match=rf"^{argument} must give the same each time .* did not for row 1"
        ):
            read([{"first_name": SECRET}], **{argument: functions[argument]})

    @pytest.mark.parametrize("value", ["name", 7, {"first_name": "Ada"}, lambda: True, lambda _, __: True])
    def test_what_takes_no_row_is_refused_when_the_dag_is_parsed(self, argument: str, value: Any) -> None:
        with pytest.raises(InvalidInput, match=f"^{argument} must be a function"):
            OPTION_CHECKS[argument](value)

    def test_an_async_function_and_a_generator_are_refused(self, argument: str) -> None:
        async def wait(_: dict[str, Any]) -> bool:
            return True

        def give(row: dict[str, Any]) -> Any:
            yield row

        for function in (wait, give):
            with pytest.raises(InvalidInput, match=f"^{argument} is a"):
                OPTION_CHECKS[argument](function)


class TestDefaults:
    def test_stand_in_for_what_a_row_lacks(self) -> None:
        rows = read(
            [{"first_name": "Ada", "company_name": " "}, {"company_name": "Other"}],
            defaults={"company_name": "Acme"},
        )

        assert [row.case.get("companyName") for row in rows if isinstance(row, Row)] == ["Acme", "Other"]

    def test_make_no_row_of_an_empty_one(self) -> None:
        (row,) = read([{"first_name": "", "key": "7"}], defaults={"company_name": "Acme"})

        assert isinstance(row, BadRow)
        assert row.problems == (("", "has no field of a case or a record, and no case_id or record_id"),)

    def test_are_not_for_a_case_that_exists(self) -> None:
        case_id = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"

        (row,) = read([{"case_id": case_id}], defaults={"company_name": "Acme"})

        assert isinstance(row, Row)
        assert (row.case_id, row.case) == (case_id, {})

    @pytest.mark.parametrize(
        "defaults",
        [
            [],
            *(
                {name: "7"}
                for name in ("key", "case_id", "personal_number", "phone", "phone_number", "nothing")
            ),
            {"company_name": 7},
            {"company_name": ""},
            {"company_number": 7},
        ],
    )
    def test_that_cannot_be_right_are_refused(self, defaults: Any) -> None:
        with pytest.raises(InvalidInput, match=r"^defaults"):
            OPTION_CHECKS["defaults"](defaults)


class TestScalars:
    @pytest.mark.parametrize("form", ["numpy", "pandas"])
    def test_of_data_frames_are_plain_values_and_missing_ones_are_missing(self, form: str) -> None:
        pandas = pytest.importorskip("pandas")
        numpy = pytest.importorskip("numpy")
        missing: list[Any] = (
            [numpy.nan, numpy.float32("nan"), numpy.datetime64("NaT")]
            if form == "numpy"
            else [pandas.NA, pandas.NaT, float("nan")]
        )
        items = [
            {
                "key": numpy.int64(7),
                "first_name": numpy.str_("Ada"),
                "last_name": nothing,
                "personal_number": nothing,
                "parameters": {"limit": numpy.int64(5), "open": numpy.bool_(True)},
            }
            for nothing in missing
        ]

        rows = [read([row])[0] for row in items]

        for row in rows:
            assert isinstance(row, Row)
            assert (row.key, row.case, row.parameters) == (
                "7",
                {"firstName": "Ada"},
                {"limit": 5, "open": True},
            )

    def test_an_integer_of_numpy_in_an_identifier_is_a_bad_row(self) -> None:
        numpy = pytest.importorskip("numpy")

        (row,) = read([{"personal_number": numpy.int64(44051401359)}])

        assert isinstance(row, BadRow)
        assert "zero_pad" in row.problems[0][1]
