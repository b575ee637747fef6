"""Parquet and Arrow as warehouses write them: values are what they were, in the form that JSON has for them."""

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from .people import good_rows, notes_of, problems_in, refusal_of

DAY = dt.date(2026, 1, 31)


def written(path: Path, columns: dict[str, Any]) -> Path:
    """Write a table as Parquet."""
    parquet.write_table(pa.table(columns), path)
    return path


def as_file(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=1)


def as_stream(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_stream(path, table.schema) as file:
        file.write_table(table, max_chunksize=1)


class TestArrow:
    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("people.arrow", as_file),
            ("people.feather", lambda path, table: feather.write_feather(table, path)),
            ("people.arrows", as_stream),
            ("people", as_file),
        ],
    )
    def test_is_read(self, name: str, write: Any, tmp_path: Path) -> None:
        write(tmp_path / name, pa.table({"key": ["1", "2"], "first_name": ["Ewa", "Jan"]}))

        assert [(row.key, row.case) for row in good_rows(tmp_path / name)] == [
            ("1", {"firstName": "Ewa"}),
            ("2", {"firstName": "Jan"}),
        ]

    def test_views_of_bytes_are_text_as_bytes_are(self, tmp_path: Path) -> None:
        as_file(tmp_path / "people.arrow", pa.table({"first_name": pa.array([b"Ewa"], pa.binary_view())}))

        assert [row.case for row in good_rows(tmp_path / "people.arrow")] == [{"firstName": "Ewa"}]

    @pytest.mark.parametrize("write", [as_file, as_stream])
    def test_that_was_cut_is_refused(self, write: Any, tmp_path: Path) -> None:
        path = tmp_path / "people.arrow"
        write(path, pa.table({"first_name": ["Ewa" * 100, "Jan" * 100]}))
        path.write_bytes(path.read_bytes()[:-500])

        assert "not a whole Arrow file" in refusal_of(path)


class TestParquet:
    @pytest.mark.parametrize(
        "name", ["people.parquet", "people.pq", "people", "people.csv", "people.parquet.gz"]
    )
    def test_is_read_whatever_the_name(self, name: str, tmp_path: Path) -> None:
        path = written(tmp_path / name, {"first_name": ["Ewa"]})
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(path.read_bytes()))

        assert [row.case for row in good_rows(path)] == [{"firstName": "Ewa"}]

    @pytest.mark.parametrize("scale", [0, 2])
    def test_has_whole_decimals_as_whole_numbers(self, scale: int, tmp_path: Path) -> None:
        kind = pa.decimal128(20, scale)
        path = written(
            tmp_path / "people.parquet",
            {"KEY": pa.array([1, 2], kind), "FIRST_NAME": ["Ewa", "Jan"]},
        )

        assert [row.key for row in good_rows(path)] == ["1", "2"]

    def test_has_a_number_for_an_identifier_as_a_bad_row_unless_it_is_padded(self, tmp_path: Path) -> None:
        numbers = pa.array([8211402156, None], pa.int64())
        path = written(
            tmp_path / "people.parquet", {"first_name": ["Ewa", "Jan"], "personal_number": numbers}
        )

        assert [(row, column) for row, column, _ in problems_in(path)] == [(1, "personal_number")]
        assert [
            row.case.get("personalNumber") for row in good_rows(path, zero_pad={"personal_number": 11})
        ] == [
            "08211402156",
            None,
        ]

    def test_has_maps_as_objects(self, tmp_path: Path) -> None:
        kind = pa.map_(pa.string(), pa.int64())
        maps = pa.array([[("limit", 1), ("depth", 2)], None, []], kind)
        path = written(tmp_path / "people.parquet", {"first_name": ["a", "b", "c"], "parameters": maps})

        assert [row.parameters for row in good_rows(path)] == [{"limit": 1, "depth": 2}, None, {}]

    def test_has_nested_values_as_json_has_them(self, tmp_path: Path) -> None:
        kind = pa.struct(
            [
                ("since", pa.date32()),
                ("at", pa.timestamp("ms", "UTC")),
                ("limits", pa.list_(pa.decimal128(9, 2))),
                ("texts", pa.map_(pa.string(), pa.dictionary(pa.int8(), pa.string()))),
                ("nothing", pa.string()),
            ]
        )
        value = {
            "since": DAY,
            "at": dt.datetime.combine(DAY, dt.time(6), dt.timezone.utc),
            "limits": [Decimal(1), Decimal("2.50")],
            "texts": [("a", "b")],
            "nothing": None,
        }
        path = written(tmp_path / "p.parquet", {"first_name": ["Ewa"], "parameters": pa.array([value], kind)})

        assert good_rows(path)[0].parameters == {
            "since": "2026-01-31",
            "at": "2026-01-31T06:00:00+00:00",
            "limits": [1, 2.5],
            "texts": {"a": "b"},
            "nothing": None,
        }

    @pytest.mark.parametrize(
        "values",
        [
            pa.array(["Ewa", None, "Jan"]).dictionary_encode(),
            pa.array([b"Ewa", None, b"Jan"], pa.binary()),
            pa.array(["Ewa", None, "Jan"], pa.large_string()),
        ],
    )
    def test_has_text_however_it_is_stored(self, values: Any, tmp_path: Path) -> None:
        path = written(tmp_path / "people.parquet", {"first_name": values, "last_name": ["a", "b", "c"]})

        assert [row.case.get("firstName") for row in good_rows(path)] == ["Ewa", None, "Jan"]

    def test_has_dates_as_text(self, tmp_path: Path) -> None:
        path = written(tmp_path / "p.parquet", {"key": pa.array([DAY]), "first_name": ["Ewa"]})

        assert good_rows(path)[0].key == "2026-01-31"

    @pytest.mark.parametrize(
        ("pairs", "kind", "reason"),
        [
            ([("a", 1), ("a", 2)], pa.map_(pa.string(), pa.int64()), "is a map that has a key twice"),
            ([(1, 1)], pa.map_(pa.int64(), pa.int64()), "is a map whose keys are not text"),
        ],
    )
    def test_has_a_map_that_is_no_object_as_a_bad_row(
        self, pairs: Any, kind: Any, reason: str, tmp_path: Path
    ) -> None:
        maps = pa.array([pairs], kind)
        path = written(tmp_path / "people.parquet", {"first_name": ["a"], "parameters": maps})

        assert problems_in(path) == [(1, "parameters", reason)]

    def test_has_its_columns_listed_when_none_matches(self, tmp_path: Path) -> None:
        path = written(tmp_path / "people.parquet", {"Brunhilde": ["x"], "number": ["1"]})

        assert "Its columns are 'Brunhilde', 'number'. The fields are first_name" in refusal_of(path)

    def test_leaves_the_index_of_a_data_frame_out_with_a_word(self, tmp_path: Path) -> None:
        path = written(tmp_path / "frame.parquet", {"first_name": ["Ewa"], "__index_level_0__": [7]})

        assert good_rows(path)[0].case == {"firstName": "Ewa"}
        assert notes_of(path) == ["items: the index of a data frame is not read: '__index_level_0__'"]
