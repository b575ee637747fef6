"""A table in parts: the references to the rows of each shard, and the index of all shards' outputs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS, OutputOptions
from airflow_provider_workflows.batch.output_row import OutputRow
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.batch.sharding import read_index, references, write_index

CASE_ID = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
ROWS = [{"first_name": f"Brunhilde-{number}"} for number in range(1, 8)]


def csv(folder: Path, rows: int) -> str:
    path = folder / "cases.csv"
    path.write_text("first_name\n" + "".join(f"Brunhilde-{number}\n" for number in range(1, rows + 1)))
    return str(path)


class TestReferences:
    @pytest.mark.parametrize(
        ("rows", "size", "expected"),
        [
            (1, 1, [(1, 1)]),
            (1, 5000, [(1, 1)]),
            (6, 3, [(1, 3), (4, 3)]),
            (7, 3, [(1, 3), (4, 3), (7, 1)]),
            (7, 7, [(1, 7)]),
            (7, 8, [(1, 7)]),
            (3, 1, [(1, 1), (2, 1), (3, 1)]),
        ],
    )
    def test_they_cover_the_rows_in_order(
        self, tmp_path: Path, rows: int, size: int, expected: list[tuple[int, int]]
    ) -> None:
        uri = csv(tmp_path, rows)

        found = references(uri, size)

        assert [{name: each[name] for name in ("items", "first_row", "rows")} for each in found] == [
            {"items": uri, "first_row": first, "rows": count} for first, count in expected
        ]

    @pytest.mark.parametrize("size", [1, 3, 7, 100])
    def test_their_rows_together_are_those_of_the_whole(self, tmp_path: Path, size: int) -> None:
        uri = csv(tmp_path, 7)

        rows = [row for reference in references(uri, size) for row in read_items(reference)]

        assert rows == list(read_items(uri))

    def test_a_path_keeps_its_connection(self, tmp_path: Path) -> None:
        path = ObjectStoragePath(f"file://my_conn@{csv(tmp_path, 1)}")

        (reference,) = references(path, 5000)

        assert reference["items"] == f"file://my_conn@{tmp_path}/cases.csv"

    @pytest.mark.parametrize("size", [0, -1, 2.0, "5", True, None], ids=repr)
    def test_a_size_that_cannot_be_right_is_refused(self, tmp_path: Path, size: Any) -> None:
        with pytest.raises(InvalidInput, match="size must be a whole number of at least 1"):
            references(csv(tmp_path, 1), size)

    @pytest.mark.parametrize("items", [None, 7, {"items": "/a.csv", "first_row": 1, "rows": 1}, "a.csv", ""])
    def test_items_that_are_neither_a_file_nor_a_list_are_refused(self, items: Any) -> None:
        with pytest.raises(InvalidInput, match=r"^items "):
            references(items, 5000, folder="/nowhere")

    def test_an_unknown_on_bad_row_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="on_bad_row must be 'fail' or 'skip'"):
            references(csv(tmp_path, 1), 5000, on_bad_row="ignore")


class TestNumberOfShards:
    def test_as_many_shards_as_airflow_maps_over_are_fine(self, tmp_path: Path) -> None:
        assert len(references(csv(tmp_path, 6), 2, max_shards=3)) == 3

    def test_one_more_is_refused_with_the_size_that_fits(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput) as refusal:
            references(csv(tmp_path, 7), 2, max_shards=3)

        assert str(refusal.value) == (
            "7 rows in shards of 2 make 4 shards, and Airflow maps over 3 at most ([core] max_map_length): "
            "a size of 3 fits"
        )
        assert len(references(csv(tmp_path, 7), 3, max_shards=3)) == 3


class TestBadRows:
    def test_they_are_all_found_before_the_first_shard_runs(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.csv"
        path.write_text("first_name,key\n" + "".join(f"Jo,{number % 50 + 100}\n" for number in range(80)))

        with pytest.raises(
            InvalidInput,
            match=r"30 of 80 rows(.|\n)*rows 51.80 \(lines 52.81 of the file\): key: is used by an earlier row",
        ):
            references(str(path), 10)

    def test_skipped_they_stay_in_their_shard(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.csv"
        path.write_text("first_name,case_id\nJo,\nJo,no id\nJo,\n")

        second = references(str(path), 1, on_bad_row="skip")[1]

        (row,) = read_items(second)
        assert isinstance(row, BadRow)
        assert row.number == 2

    def test_a_key_that_two_shards_have_is_refused_even_so(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.csv"
        path.write_text("first_name,key\nJo,a\nJo,b\nJo,a\n")

        with pytest.raises(InvalidInput, match=r"row 3: key is used by an earlier row|row 3.*key: is used"):
            references(str(path), 2, on_bad_row="skip")

    def test_columns_are_mapped(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.csv"
        path.write_text("Imię,note\nJo,hello\n")

        assert len(references(str(path), 1, options=InputOptions({"Imię": "first_name", "note": None}))) == 1


class TestLists:
    def test_they_are_written_for_the_shards(self, tmp_path: Path) -> None:
        found = references(ROWS, 3, folder=str(tmp_path / "run"))

        assert [reference["items"] for reference in found] == [f"{tmp_path}/run/items.jsonl"] * 3
        rows = [row for reference in found for row in read_items(reference)]
        assert rows == list(read_items(ROWS))
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["items.jsonl"]

    def test_without_a_folder_they_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="items is a list: give a folder"):
            references(ROWS, 3)

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(InvalidInput, match=r"^folder: .*/file/run cannot be written: Not a directory"):
            references(ROWS, 3, folder=f"{tmp_path}/file/run")

    def test_nothing_is_written_of_bad_ones(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="1 of 1 rows"):
            references([{"first_name": ["Brunhilde"]}], 3, folder=str(tmp_path / "run"))

        assert list((tmp_path / "run").iterdir()) == []

    def test_a_column_that_is_left_out_need_not_be_json(self, tmp_path: Path) -> None:
        rows = [{"first_name": "Jo", "born": dt.date(2000, 1, 1)}]

        (reference,) = references(rows, 3, options=InputOptions({"born": None}), folder=str(tmp_path))

        assert list(read_items(reference, InputOptions({"born": None}))) == list(
            read_items(rows, InputOptions({"born": None}))
        )

    def test_a_mapping_that_is_not_a_dict_is_written(self, tmp_path: Path) -> None:
        (reference,) = references([MappingProxyType(ROWS[0])], 3, folder=str(tmp_path))

        assert list(read_items(reference)) == list(read_items(ROWS[:1]))

    @pytest.mark.parametrize(
        "bad",
        [
            {"first_name": dt.date(2000, 1, 1)},
            {"first_name": float("nan")},
            {"first_name": "Jo", "parameters": {"limit": {1, 2}}},
            {"first_name": "Jo", "parameters": {1: "a"}},
            {"first_name": "Jo", "unknown": "x"},
            {},
        ],
        ids=str,
    )
    def test_a_bad_row_that_is_skipped_stays_bad(self, tmp_path: Path, bad: dict[str, Any]) -> None:
        (reference,) = references([ROWS[0], bad], 3, on_bad_row="skip", folder=str(tmp_path))

        good, row = read_items(reference)

        assert not isinstance(good, BadRow)
        assert isinstance(row, BadRow)
        assert row.number == 2


def summary(output: Path | str, rows: int = 2, first_row: int = 1, **statuses: int) -> dict[str, Any]:
    outcomes = {"succeeded": rows - 1, "failed": 1}
    return {
        "output": str(output),
        "first_row": first_row,
        "rows": rows,
        "outcomes": outcomes,
        "statuses": statuses or {"COMPLETED": rows - 1, "REJECTED": 1},
        "seconds": 1.5,
        "state": "s",
    }


def written(folder: Path, name: str, rows: int = 2, first_row: int = 1, **statuses: int) -> dict[str, Any]:
    """Write the output of a shard, and return its summary."""
    with writer(ObjectStoragePath(f"{folder}/{name}"), OutputOptions()) as writing:
        for row in range(first_row, first_row + rows):
            writing.write(_output_row(row))
    return summary(folder / name / "results.jsonl", rows, first_row, **statuses)


def written_keys(folder: Path, keys: dict[int, str], output_format: str = "jsonl") -> dict[str, Any]:
    """Write the output of a shard, a key by its row number, and return its summary."""
    output, options = ObjectStoragePath(str(folder)), OutputOptions(output_format)
    with writer(output, options) as writing:
        for row, key in keys.items():
            writing.write(dataclasses.replace(_output_row(row), key=key))
    return summary(str(options.path_in(output)), len(keys), min(keys))


class Lazy(Sequence[Any]):
    """Yields its items one by one, as Airflow gives what mapped tasks returned."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        raise AssertionError("each item is a request, and so is their number")


class TestDigest:
    def test_rows_that_have_changed_since_they_were_sharded_are_refused(self, tmp_path: Path) -> None:
        uri = csv(tmp_path, 6)
        reference = references(uri, 3)[1]
        lines = Path(uri).read_text().splitlines(keepends=True)
        Path(uri).write_text("".join([lines[0], *reversed(lines[1:])]))

        with pytest.raises(InvalidInput, match="the rows of this shard are not those that `shard` has read"):
            list(read_items(reference))

    def test_a_change_in_another_shard_does_not_concern_this_one(self, tmp_path: Path) -> None:
        uri = csv(tmp_path, 6)
        reference = references(uri, 3)[0]
        lines = Path(uri).read_text().splitlines(keepends=True)
        Path(uri).write_text("".join([*lines[:-1], lines[1]]))

        assert len(list(read_items(reference))) == 3


class TestSharding:
    def test_a_digest_says_nothing_of_the_rows_and_is_another_each_time(self, tmp_path: Path) -> None:
        uri = csv(tmp_path, 3)

        first, second = references(uri, 3), references(uri, 3)

        assert first[0]["digest"] != second[0]["digest"]
        assert "Brunhilde" not in json.dumps(first)

    def test_the_shards_of_a_table_have_a_salt_in_common_and_tell_the_number_of_all_rows(
        self, tmp_path: Path
    ) -> None:
        found = references(csv(tmp_path, 7), 3)

        assert len({each["digest"].partition(":")[0] for each in found}) == 1
        assert len({each["digest"] for each in found}) == 3
        assert [each["all_rows"] for each in found] == [7, 7, 7]

    @pytest.mark.parametrize("field", ["key", "first_name", "case_id", "parameters"])
    def test_a_change_of_any_field_is_seen(self, tmp_path: Path, field: str) -> None:
        path = tmp_path / "rows.jsonl"
        rows = [
            {"key": f"K{number}", "parameters": {"a": number}}
            | ({"first_name": "Jo"} if number < 3 else {"case_id": CASE_ID})
            for number in range(1, 5)
        ]
        changes = {
            "key": (0, "K9"),
            "first_name": (1, "Al"),
            "case_id": (2, CASE_ID.replace("3", "4")),
            "parameters": (3, {"a": 0}),
        }
        path.write_text("\n".join(map(json.dumps, rows)))
        (reference,) = references(str(path), 4)
        index, value = changes[field]
        rows[index][field] = value
        path.write_text("\n".join(map(json.dumps, rows)))

        with pytest.raises(InvalidInput, match="rows of this shard are not those that `shard` has read"):
            list(read_items(reference))

    def test_other_zero_padding_than_the_shard_was_made_with_is_seen(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_text('{"personal_number": 7}')
        (reference,) = references(str(path), 1, options=InputOptions(zero_pad={"personal_number": 11}))

        assert len(list(read_items(reference, InputOptions(zero_pad={"personal_number": 11})))) == 1
        with pytest.raises(
            InvalidInput,
            match="or columns, zero_pad or another argument that says how items are read differs",
        ):
            list(read_items(reference))

    @pytest.mark.parametrize(
        "wrong",
        [{"digest": 7}, {"digest": None}, {"all_rows": "7"}, {"all_rows": 0}, {"salt": "s"}],
        ids=str,
    )
    def test_a_reference_that_was_changed_is_refused(self, tmp_path: Path, wrong: dict[str, Any]) -> None:
        (reference,) = references(csv(tmp_path, 3), 3)

        with pytest.raises(InvalidInput, match="is a dict but not a shard's reference"):
            read_items(reference | wrong)

    def test_a_decimal_in_a_list_is_padded_in_its_file(self, tmp_path: Path) -> None:
        zero_pad = {"personal_number": 11}

        (reference,) = references(
            [{"PESEL": Decimal(7)}],
            1,
            options=InputOptions({"PESEL": "personal_number"}, zero_pad),
            folder=str(tmp_path),
        )

        (row,) = read_items(reference, InputOptions({"PESEL": "personal_number"}, zero_pad))
        assert isinstance(row, Row)
        assert row.case == {"personalNumber": "00000000007"}

    def test_a_bad_row_of_a_list_that_is_not_json_keeps_its_key_and_its_column(self, tmp_path: Path) -> None:
        rows = [{"key": "K1", "first_name": "Jo"}, {"key": "K2", "first_name": dt.date(2000, 1, 1)}]

        (reference,) = references(rows, 2, on_bad_row="skip", folder=str(tmp_path))

        _, bad = read_items(reference)
        assert isinstance(bad, BadRow)
        assert (bad.key, bad.problems[0][0]) == ("K2", "first_name")


class TestIndex:
    def test_it_sums_and_lists_the_shards(self, tmp_path: Path) -> None:
        first, second = written(tmp_path, "a", 3), written(tmp_path, "b", 2, 4, ARCHIVED=2)

        returned = write_index(Lazy(first, second), str(tmp_path / "out"))

        sums = {
            "rows": 5,
            "outcomes": {"failed": 2, "succeeded": 3},
            "statuses": {"ARCHIVED": 2, "COMPLETED": 2, "REJECTED": 1},
        }
        uri = f"{tmp_path}/out/index.json"
        assert returned == {"index": uri, **sums, "shards": 2}
        assert json.loads(Path(uri).read_text()) == {
            "version": 1,
            **sums,
            "shards": [
                {"output": first["output"], "rows": 3, "outcomes": {"succeeded": 2, "failed": 1}},
                {"output": second["output"], "rows": 2, "outcomes": {"succeeded": 1, "failed": 1}},
            ],
        }

    def test_it_is_the_same_each_time(self, tmp_path: Path) -> None:
        first = written(tmp_path, "a", A=1, B=2)
        second = written(tmp_path, "b", first_row=3, B=2, A=1) | {"seconds": 9.0}

        contents = []
        for order in ({"A": 1, "B": 2}, {"B": 2, "A": 1}):
            write_index([first | {"statuses": order}, second], str(tmp_path))
            contents.append((tmp_path / "index.json").read_bytes())

        assert contents[0] == contents[1]

    def test_nothing_else_is_left_beside_it(self, tmp_path: Path) -> None:
        shard = written(tmp_path / "shards", "a")

        write_index([shard], str(tmp_path / "out"))

        assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.json"]

    @pytest.mark.parametrize(
        ("summaries", "reason"),
        [
            ([], "summaries is empty"),
            (
                [summary("/a"), None, summary("/b"), None],
                r"^2 of the 4 shards have no summary: those with map index 1 and 3\. Their batch tasks failed, ",
            ),
            (
                [summary("/a"), summary("/b")],
                "^row 1 comes after row 2 in the summaries: two of them are of the",
            ),
            ([summary("/a"), {"output": "/b", "rows": 1}], "^shard 1 .*not a summary of a batch task"),
            ([summary("/a"), "/b"], "^shard 1 .*not a summary of a batch task"),
            ([summary("/a") | {"sharding": "x"}], "^shard 0 .*not a summary of a batch task"),
            ([summary("/a"), summary("/b", 2, 3), summary("/a", 2, 5)], "more than one shard wrote /a"),
            ([summary("/a", 2, 1), summary("/c", 2, 5)], "^rows 3 to 4: no summary has them"),
            ([summary("/b", 2, 3)], "^rows 1 to 2: no summary has them"),
            (summary("/a"), "summaries must be a list of summaries, not dict"),
            (None, "summaries must be a list of summaries, not NoneType"),
        ],
    )
    def test_shards_that_are_missing_or_wrong_are_named(
        self, tmp_path: Path, summaries: Any, reason: str
    ) -> None:
        with pytest.raises(InvalidInput, match=reason):
            write_index(summaries, str(tmp_path))

        assert list(tmp_path.iterdir()) == []

    def test_a_key_that_two_shards_have_is_refused_and_not_shown(self, tmp_path: Path) -> None:
        first = written_keys(tmp_path / "a", {1: "Kx1", 2: "Kx2"})
        second = written_keys(tmp_path / "b", {3: "Kx2", 4: "Kx3"})

        with pytest.raises(InvalidInput, match=r"^1 of 4 rows repeat the key of an earlier row") as raised:
            write_index([first, second], str(tmp_path / "out"))

        assert "row 2 of shard 0 and row 3 of shard 1." in str(raised.value)
        assert "Kx" not in str(raised.value)
        assert not (tmp_path / "out" / "index.json").exists()

    @pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
    def test_rows_without_a_key_repeat_none(self, tmp_path: Path, output_format: str) -> None:
        first = written_keys(tmp_path / "a", {1: "", 2: "Kx2"}, output_format)
        second = written_keys(tmp_path / "b", {3: "", 4: "Kx3"}, output_format)

        merged = write_index([first, second], str(tmp_path / "out"))

        assert merged["rows"] == 4
        assert [row["key"] for row in read_index(merged["index"])] == ["", "Kx2", "", "Kx3"]
        assert read_index(merged["index"]).to_arrow()["key"].to_pylist() == ["", "Kx2", "", "Kx3"]

    @pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
    def test_each_key_that_is_there_twice_is_named_by_its_rows_and_shards(
        self, tmp_path: Path, output_format: str
    ) -> None:
        keys = (["Kx1", "Kx2", "Kx3"], ["Kx4", "Kx2", "Kx5"], ["Kx1", "Kx2", "Kx6"])
        shards = [
            written_keys(tmp_path / str(index), dict(enumerate(of_shard, 3 * index + 1)), output_format)
            for index, of_shard in enumerate(keys)
        ]

        with pytest.raises(InvalidInput) as raised:
            write_index(shards, str(tmp_path / "out"))

        assert "3 of 9 rows repeat the key" in str(raised.value)
        assert "row 2 of shard 0 and row 5 of shard 1; row 1 of shard 0 and row 7 of shard 2" in str(
            raised.value
        )
        assert "Kx" not in str(raised.value)

    @pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
    def test_where_rows_were_passed_over_both_rows_of_a_key_have_the_numbers_of_the_file(
        self, tmp_path: Path, output_format: str
    ) -> None:
        first = written_keys(tmp_path / "a", {20: "Kx1", 40: "Kx2"}, output_format)
        second = written_keys(tmp_path / "b", {60: "Kx2", 80: "Kx3"}, output_format)
        before = [{"sharding": {"all_rows": 4, "digest": "s:1", "rows_before": rows}} for rows in (0, 2)]

        with pytest.raises(InvalidInput) as raised:
            write_index([first | before[0], second | before[1]], str(tmp_path / "out"))

        assert "row 40 of shard 0 and row 60 of shard 1." in str(raised.value)

    def test_where_rows_were_passed_over_the_rows_of_a_missing_shard_are_not_called_those_of_the_file(
        self, tmp_path: Path
    ) -> None:
        second = written_keys(tmp_path / "b", {60: "Kx2", 80: "Kx3"})
        sharding = {"all_rows": 4, "digest": "s:1", "rows_before": 2}

        with pytest.raises(
            InvalidInput,
            match=r"^rows 1 to 2, counted without those that where passes over: no",
        ):
            write_index([second | {"sharding": sharding}], str(tmp_path / "out"))

    def test_an_output_that_is_gone_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(
            InvalidInput, match=r"^the output of shard 0 .* is not there any more: /nowhere/a\."
        ):
            write_index([summary("/nowhere/a.jsonl")], str(tmp_path))

    def test_last_rows_that_are_missing_are_named_without_the_references_too(self, tmp_path: Path) -> None:
        shard = written(tmp_path, "a", rows=2) | {"sharding": {"all_rows": 5, "digest": "salt:1"}}

        with pytest.raises(InvalidInput, match=r"^2 of the 3 shards have .* map index 1 to 2, rows 3 to 5\."):
            write_index([shard], str(tmp_path / "out"))

    def test_each_shard_that_is_missing_is_named_by_its_map_index(self, tmp_path: Path) -> None:
        sharding = {"sharding": {"all_rows": 11, "digest": "salt:1"}}
        given = [summary(f"/{first}", 2, first) | sharding for first in (3, 9)]

        with pytest.raises(InvalidInput) as raised:
            write_index(given, str(tmp_path))

        assert str(raised.value) == (
            "4 of the 6 shards have no summary: those with map index 0, 2 to 3 and 5, rows 1 to 2, 5 to 8 and 11. "
            "Their batch tasks failed, were skipped or have not run. Clear these tasks, then merge again: rows "
            "that have succeeded are not submitted again"
        )

    def test_a_shard_that_is_missing_is_not_guessed_where_only_the_last_one_is_there(
        self, tmp_path: Path
    ) -> None:
        given = [summary("/a", 1, 5) | {"sharding": {"all_rows": 5, "digest": "salt:1"}}]

        with pytest.raises(
            InvalidInput, match=r"^rows 1 to 4: no summary has them, .* shards= is what `shard`"
        ):
            write_index(given, str(tmp_path))

    @pytest.mark.parametrize(
        "other", [{"sharding": {"all_rows": 4, "digest": "b:2"}}, {}], ids=["other", "none"]
    )
    def test_shards_of_different_runs_of_shard_are_refused_without_the_references_too(
        self, tmp_path: Path, other: dict[str, Any]
    ) -> None:
        first = written(tmp_path, "a") | {"sharding": {"all_rows": 4, "digest": "a:1"}}
        second = written(tmp_path, "b", first_row=3) | other

        with pytest.raises(InvalidInput, match=r"^shards 0 and 1 .* are of different runs of `shard`"):
            write_index([first, second], str(tmp_path / "out"))

    def test_an_output_with_other_rows_than_its_summary_says_is_refused(self, tmp_path: Path) -> None:
        shard = written(tmp_path, "a", rows=1) | {"rows": 2}

        with pytest.raises(
            InvalidInput, match=r"^the output of shard 0 .* has 1 row, and its summary says 2"
        ):
            write_index([shard], str(tmp_path / "out"))

    def test_a_shard_that_has_run_other_rows_than_were_sharded_last_is_refused(self, tmp_path: Path) -> None:
        references = [{"items": "/i.csv", "first_row": 1, "rows": 2, "all_rows": 2, "digest": "new:1"}]
        shard = written(tmp_path, "a") | {"sharding": {"all_rows": 2, "digest": "old:1"}}

        with pytest.raises(InvalidInput, match=r"^shard 0 .* has run the rows of an earlier run of `shard`"):
            write_index([shard], str(tmp_path / "out"), references)

    def test_a_last_shard_that_is_missing_is_named_where_the_references_tell(self, tmp_path: Path) -> None:
        references = [{"items": "/i.csv", "first_row": first, "rows": 2} for first in (1, 3)]

        with pytest.raises(InvalidInput, match=r"^1 of the 2 shards has .* map index 1, rows 3 to 4\."):
            write_index([summary("/a")], str(tmp_path), references)

    def test_an_output_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(InvalidInput, match=r"^output: .*/file cannot be written: a file is in the way"):
            write_index([summary("/a")], f"{tmp_path}/file")


class TestReadIndex:
    def test_it_yields_the_rows_of_all_shards_in_order(self, tmp_path: Path) -> None:
        summaries = []
        for index, output_format in enumerate(OUTPUT_FORMATS):
            folder = ObjectStoragePath(f"{tmp_path}/{index}")
            with writer(folder, OutputOptions(output_format)) as writing:
                for row in (1, 2):
                    writing.write(_output_row(2 * index + row))
            summaries.append(summary(str(OutputOptions(output_format).path_in(folder)), 2, 2 * index + 1))
        returned = write_index(summaries, str(tmp_path))

        rows = [row["row"] for row in read_index(returned["index"])]

        assert rows == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize(
        "content", ["", "[]", "{", '{"version": 2, "shards": []}', '{"version": 1}', "\udcff"], ids=repr
    )
    def test_another_file_is_not_an_index(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "index.json").write_bytes(content.encode(errors="surrogateescape"))

        with pytest.raises(InvalidInput, match=r"/index.json is not the index of a batch"):
            list(read_index(f"{tmp_path}/index.json"))


def _output_row(number: int) -> OutputRow:
    return OutputRow(str(number), number, "succeeded", "COMPLETED", None, None, None, None, {}, None, None)
