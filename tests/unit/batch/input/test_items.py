"""What a batch takes: rows in every spelling and format, and their numbers and keys."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk import ObjectStoragePath
from pyarrow import parquet

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.bad_rows import BadRows
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.keys import DUPLICATE_KEY
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row

CASE_ID = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    """Write rows in the format that the name says, and return the path."""
    path = folder / name
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    elif path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
        path.write_text("\n".join(lines))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def rows_of(items: Any, columns: Mapping[str, str | None] | None = None) -> list[Row]:
    rows = list(read_items(items, InputOptions(columns)))
    assert not [row for row in rows if isinstance(row, BadRow)]
    return rows  # type: ignore[return-value]


FORMATS = ["rows.jsonl", "rows.NDJSON", "rows.csv", "rows.parquet"]
PEOPLE = [{"first_name": f"Jo{number}", "key": f"k{number}"} for number in range(1, 6)]


class TestFormats:
    @pytest.mark.parametrize("name", FORMATS)
    def test_give_the_same_rows_as_a_list(self, name: str, tmp_path: Path) -> None:
        assert rows_of(write(tmp_path, name, PEOPLE)) == rows_of(PEOPLE)

    def test_a_path_of_airflows_is_read_as_its_text(self, tmp_path: Path) -> None:
        path = write(tmp_path, "rows.csv", PEOPLE)

        assert rows_of(ObjectStoragePath(f"file://{path}")) == rows_of(path)

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize(("first_row", "rows"), [(1, 5), (2, 3), (5, 1)])
    def test_a_shard_has_its_rows_with_their_numbers_in_the_whole(
        self, name: str, first_row: int, rows: int, tmp_path: Path
    ) -> None:
        path = write(tmp_path, name, PEOPLE)

        shard = rows_of({"items": path, "first_row": first_row, "rows": rows})

        assert shard == rows_of(path)[first_row - 1 : first_row - 1 + rows]

    @pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
    def test_a_csv_may_have_a_byte_order_mark_blank_lines_and_newlines_in_quotes(
        self, line_end: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "rows.csv"
        lines = ["\ufefffirst_name, company_address ", "", 'Jo,"Long ""Street"" 1', 'Town"', "", "Zoë,"]
        path.write_bytes(line_end.join(lines).encode())

        assert [row.case for row in rows_of(str(path))] == [
            {"firstName": "Jo", "companyAddress": f'Long "Street" 1{line_end}Town'},
            {"firstName": "Zoë"},
        ]

    def test_json_lines_may_have_a_byte_order_mark_and_blank_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_text('\ufeff{"first_name": "Jo"}\r\n\n \n{"first_name": "Al"}\n', newline="")

        assert [(row.number, row.case["firstName"]) for row in rows_of(str(path))] == [(1, "Jo"), (2, "Al")]

    @pytest.mark.thorough
    def test_memory_does_not_grow_with_a_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        path.write_text("first_name\n" + "Brunhilde\n" * 40_000)
        next(read_items(str(path)))
        tracemalloc.start()

        for _ in read_items(str(path)):
            pass

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # A thousand rows at a time: all of them would take four times as much.
        assert peak < 1_600_000

    @pytest.mark.thorough
    @pytest.mark.parametrize(("order", "most_bytes"), [(1, 0), (-1, 40)])
    def test_keys_take_little_memory_and_none_if_they_ascend(
        self, order: int, most_bytes: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "rows.csv"
        lines = [f"Jo,key-{n:0150}\n" for n in range(10_000)]
        path.write_text("first_name,key\n" + "".join(lines[::order]))
        next(read_items(str(path)))
        tracemalloc.start()

        for _ in read_items(str(path)):
            pass

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_800_000 + most_bytes * 10_000


class TestColumns:
    @pytest.mark.parametrize(
        ("cells", "case"),
        [
            ({"first_name": " Jo "}, {"firstName": "Jo"}),
            ({"firstName": "Jo", "last_name": None, "email": " "}, {"firstName": "Jo"}),
            (
                {"personal_number": "07", "companyNumber": "007"},
                {"personalNumber": "07", "companyNumber": "007"},
            ),
            ({"phone": {"countryCode": 48, "number": "6"}}, {"phone": {"countryCode": "48", "number": "6"}}),
            ({"documents": [{"resource_id": "r"}]}, {"documents": [{"resourceId": "r"}]}),
            ({"first_name": "Jo", "phone": {"country_code": None, "number": ""}}, {"firstName": "Jo"}),
        ],
    )
    def test_have_the_names_of_the_operators_or_the_api(
        self, cells: dict[str, Any], case: dict[str, Any]
    ) -> None:
        (row,) = rows_of([cells])

        assert row.case == case

    @pytest.mark.parametrize(
        ("code", "number"),
        [
            ("phone_country_code", "phone_number"),
            ("phoneCountryCode", "phoneNumber"),
            ("phone.country_code", "phone.number"),
            ("phone.countryCode", "phone.number"),
        ],
    )
    @pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
    def test_of_a_table_may_be_the_parts_of_a_phone(
        self, code: str, number: str, name: str, tmp_path: Path
    ) -> None:
        (row,) = rows_of(write(tmp_path, name, [{code: "48", number: "0123"}]))

        assert row.case == {"phone": {"countryCode": "48", "number": "0123"}}

    def test_of_a_csv_hold_objects_as_json(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        path.write_text(
            "phone,documents,parameters\n"
            '"{""country_code"": ""48"", ""number"": 6}","[{""resourceId"": ""r""}]","{""a"": [1, null]}"\n'
        )

        (row,) = rows_of(str(path))

        assert row.case == {
            "phone": {"countryCode": "48", "number": "6"},
            "documents": [{"resourceId": "r"}],
        }
        assert row.parameters == {"a": [1, None]}

    def test_of_parquet_hold_objects_as_they_are(self, tmp_path: Path) -> None:
        rows: list[dict[str, Any]] = [
            {"phone": {"country_code": "48", "number": "6"}, "parameters": {"a": 1}, "first_name": "Jo"},
            {"phone": None, "parameters": None, "first_name": "Al"},
        ]

        assert rows_of(write(tmp_path, "rows.parquet", rows)) == rows_of(rows)

    @pytest.mark.parametrize("name", FORMATS)
    def test_can_be_mapped_and_left_out(self, name: str, tmp_path: Path) -> None:
        path = write(tmp_path, name, [{"PESEL": "007", "note": "x", "Ref": "a"}])

        (row,) = rows_of(path, {"PESEL": "personal_number", "note": None, "Ref": "key"})

        assert (row.key, row.case) == ("a", {"personalNumber": "007"})

    def test_of_a_returning_user_are_a_case_id_and_no_case(self) -> None:
        (row,) = rows_of([{"caseId": f" {CASE_ID} ", "parameters": {"a": 1}}])

        assert (row.case_id, row.case, row.parameters) == (CASE_ID, {}, {"a": 1})


class TestKeys:
    def test_are_the_numbers_of_the_rows_where_none_is_given(self) -> None:
        assert [row.key for row in rows_of([{"last_name": "a"}, {"last_name": "b", "key": " "}])] == [
            "1",
            "2",
        ]

    def test_may_be_numbers(self) -> None:
        assert [
            row.key for row in rows_of([{"last_name": "a", "key": 7}, {"last_name": "b", "key": "07"}])
        ] == [
            "7",
            "07",
        ]

    @pytest.mark.parametrize(
        ("keys", "bad"),
        [
            (["a", "b", "a"], {3: 1}),
            (["a", "a", "a"], {2: 1, 3: 1}),
            ([7, "7"], {2: 1}),
            ([None, None, "1"], {3: 1}),
            ([None, None, "2"], {3: 2}),
            (["2", None], {2: 1}),
            (["3", "x", None], {3: 1}),
            (["2", "1"], {}),
            (["1", "2", None], {}),
            ([None, "02", "9"], {}),
        ],
    )
    def test_are_refused_when_an_earlier_row_has_them(self, keys: list[Any], bad: dict[int, int]) -> None:
        rows = list(read_items([{"last_name": "a", "key": key} for key in keys]))

        refused = {row.number: row for row in rows if isinstance(row, BadRow)}
        assert {number: row.earlier for number, row in refused.items()} == bad
        for row in refused.values():
            ((column, reason),) = row.problems
            assert column == "key"
            assert "earlier row" in reason

    def test_are_those_of_earlier_rows_by_the_numbers_that_the_input_gives_them(self) -> None:
        rows = [{"last_name": "a", "key": key} for key in ("x", "c", "x", "b", "b", "c", "x")]

        read = read_items(rows, InputOptions(where=lambda row: row["key"] != "x"))

        assert [(row.number, row.earlier) for row in read if isinstance(row, BadRow)] == [(5, 4), (6, 2)]

    def test_of_rows_that_are_bad_otherwise_count_too(self) -> None:
        bad, again = read_items([{"email": 1, "key": "a"}, {"last_name": "b", "key": "a"}])

        assert [type(bad), type(again), bad.key] == [BadRow, BadRow, "a"]


class TestHiding:
    def test_the_repr_of_a_row_shows_no_cell(self) -> None:
        (row,) = read_items([{"first_name": "Secret", "key": "Secret", "parameters": {"a": "Secret"}}])

        assert "Secret" not in repr(row)

    def test_the_repr_of_a_bad_row_shows_no_cell(self) -> None:
        (row,) = read_items([{"first_name": ["Secret"], "key": "Secret"}])

        assert "Secret" not in repr(row)


class TestError:
    def test_lists_the_first_twenty_reasons_and_counts_the_other_rows(self) -> None:
        bad = BadRows()
        for number in range(1, 301):
            bad.add(BadRow(number, str(number), (("email", f"is missing {number}"), ("", "is short"))))

        with pytest.raises(InvalidInput) as raised:
            bad.require_none(1000)

        first, *lines, last = str(raised.value).splitlines()
        assert "300 of 1000 rows" in first
        assert 'on_bad_row="skip"' in first
        assert lines == [f"row {number}: email: is missing {number}; is short" for number in range(1, 21)]
        assert last == "and 280 more"

    def test_folds_rows_with_the_same_reason(self) -> None:
        bad = BadRows()
        for number in (*range(1, 51), 61):
            bad.add(BadRow(number, str(number), (("phone", "is no number"),), line=number + 1))
        bad.add(BadRow(70, "70", (("email", "is missing"),), line=75))

        with pytest.raises(InvalidInput) as raised:
            bad.require_none(100)

        to = "\N{EN DASH}"
        assert str(raised.value).splitlines()[1:] == [
            f"rows 1{to}50, 61 (lines 2{to}51, 62 of the file): phone: is no number",
            "row 70 (line 75 of the file): email: is missing",
        ]

    def test_names_the_earlier_rows_whose_keys_are_used_again(self) -> None:
        bad = BadRows()
        for number, earlier in ((7, 1), (8, 2), (9, 1)):
            bad.add(BadRow(number, "a", (("key", DUPLICATE_KEY),), earlier=earlier))

        with pytest.raises(InvalidInput) as raised:
            bad.require_none(9)

        to = "\N{EN DASH}"
        assert str(raised.value).splitlines()[1:] == [
            f"rows 7{to}9: key: is used by an earlier row: rows 1{to}2"
        ]

    def test_says_nothing_of_more_when_all_are_shown(self) -> None:
        bad = BadRows()
        bad.add(BadRow(3, "3", (("", "is short"),)))

        with pytest.raises(InvalidInput) as raised:
            bad.require_none(4)

        assert str(raised.value).endswith("\nrow 3: is short")
