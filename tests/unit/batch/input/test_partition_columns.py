"""Columns by the names of folders, as Hive and Spark write them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items, version_of
from airflow_provider_workflows.batch.input.rows import Row
from airflow_provider_workflows.batch.sharding import references
from tests.unit.failing_storage import FailingStore, attached_store

from .people import good_rows, notes_of, problems_in, refusal_of

MISSING = "__HIVE_DEFAULT_PARTITION__"


def csv(path: Path, *rows: str, header: str = "key,first_name") -> Path:
    """Write a CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def cases_in(path: Path | str, **options: Any) -> dict[str, dict[str, Any]]:
    """Return the case of each row by its key."""
    return {row.key: dict(row.case) for row in good_rows(path, **options)}


def write_csv(path: Path, columns: Mapping[str, Any]) -> None:
    csv(path, ",".join(map(str, columns.values())), header=",".join(columns))


def write_json(path: Path, columns: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(columns))


def write_parquet(path: Path, columns: Mapping[str, Any]) -> None:
    parquet.write_table(pa.table({name: [value] for name, value in columns.items()}), path)


def write_feather(path: Path, columns: Mapping[str, Any]) -> None:
    feather.write_feather(pa.table({name: [value] for name, value in columns.items()}), path)


class TestValues:
    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("part-0.csv", write_csv),
            ("part-0.jsonl", write_json),
            ("part-0.parquet", write_parquet),
            ("part-0.feather", write_feather),
        ],
    )
    def test_are_in_each_row_whatever_the_format(
        self, name: str, write: Callable[[Path, Mapping[str, Any]], None], tmp_path: Path
    ) -> None:
        for key, folder in (("a", "company_name=PL"), ("b", "company_name=DE")):
            (tmp_path / folder).mkdir()
            write(tmp_path / folder / name, {"key": key, "first_name": "Ewa"})

        assert cases_in(tmp_path) == {
            "a": {"firstName": "Ewa", "companyName": "PL"},
            "b": {"firstName": "Ewa", "companyName": "DE"},
        }

    @pytest.mark.parametrize(
        ("folder", "value"),
        [
            ("last_name=Nowak%2FKowal%3A", "Nowak/Kowal:"),
            ("last_name=%C5%BBak", "Żak"),
            ("last_name=Żak+Nowak", "Żak+Nowak"),
            ("last_name=a=b", "a=b"),
            ("last_name=0x12", "0x12"),
            ("last%5Fname=a%", "a%"),
            ("Last Name=Nowak", "Nowak"),
            (f"last_name={MISSING}", None),
            ("last_name=", None),
        ],
    )
    def test_are_the_text_that_the_name_stands_for(
        self, folder: str, value: str | None, tmp_path: Path
    ) -> None:
        csv(tmp_path / folder / "part-0.csv", "a,Ewa")

        assert cases_in(tmp_path)["a"].get("lastName") == value

    def test_are_of_each_folder_on_the_way(self, tmp_path: Path) -> None:
        csv(tmp_path / "company_name=PL" / "last_name=Nowak" / "part-0.csv", "a,Ewa")
        csv(tmp_path / "company_name=PL" / "last_name=Zięba" / "part-0.csv", "b,Jan")

        assert [case["companyName"] + case["lastName"] for case in cases_in(tmp_path).values()] == [
            "PLNowak",
            "PLZięba",
        ]

    def test_may_be_mapped_and_seen_by_functions(self, tmp_path: Path) -> None:
        for day in ("2026-01-01", "2026-01-02"):
            csv(tmp_path / f"day={day}" / "Kraj=PL" / "part-0.csv", f"{day},Ewa")

        cases = cases_in(
            tmp_path,
            columns={"day": None, "Kraj": "company_name"},
            where=lambda row: row["day"] > "2026-01-01",
        )

        assert cases == {"2026-01-02": {"firstName": "Ewa", "companyName": "PL"}}

    def test_make_bad_rows_where_they_are_wrong(self, tmp_path: Path) -> None:
        csv(tmp_path / "email=none" / "part-0.csv", "a,Ewa")
        csv(tmp_path / "email=ewa@example.com" / "part-0.csv", "b,Ewa")

        assert [problem[:2] for problem in problems_in(tmp_path)] == [(2, "email")]

    @pytest.mark.parametrize("name", ["part-0.csv", "part-0.json"])
    def test_without_a_field_are_not_sent_as_the_log_says(self, name: str, tmp_path: Path) -> None:
        write = write_csv if name.endswith("csv") else write_json
        (tmp_path / "day=2026-01-31").mkdir()
        write(tmp_path / "day=2026-01-31" / name, {"key": "a", "first_name": "Ewa"})

        assert cases_in(tmp_path) == {"a": {"firstName": "Ewa"}}
        assert notes_of(tmp_path) == [
            "items: columns by the names of folders: 'day'",
            "items: columns by the names of folders that have no field are not sent: 'day'",
        ]

    def test_leave_an_empty_row_of_a_csv_one(self, tmp_path: Path) -> None:
        rows = ["1,Nowak", "2,", "3,Żak", "4,"]
        csv(tmp_path / "company_name=Bank" / "part-0.csv", *rows, header="Lp,last_name")

        assert [row for row, _, _ in problems_in(tmp_path, columns={"Lp": None})] == [2]

    def test_leave_an_empty_row_of_parquet_one(self, tmp_path: Path) -> None:
        (tmp_path / "company_name=Bank").mkdir()
        names = pa.array(["Nowak", None, " "])
        parquet.write_table(
            pa.table({"Lp": [1, 2, 3], "last_name": names}), tmp_path / "company_name=Bank" / "part-0.parquet"
        )

        assert [row for row, _, _ in problems_in(tmp_path, columns={"Lp": None})] == [2, 3]

    def test_come_with_shards(self, tmp_path: Path) -> None:
        for country in ("DE", "PL"):
            csv(tmp_path / f"company_name={country}" / "part-0.csv", f"{country},Ewa")

        shards = references(str(tmp_path), 1)

        assert [
            [row.case["companyName"] for row in read_items(shard) if isinstance(row, Row)] for shard in shards
        ] == [["DE"], ["PL"]]

    def test_are_noted_by_their_columns_only(self, tmp_path: Path) -> None:
        csv(tmp_path / "last_name=Kowalska" / "part-0.csv", "a,Ewa")

        assert notes_of(tmp_path) == ["items: columns by the names of folders: 'last_name'"]

    def test_name_each_file_by_its_place_in_the_folder_without_values_of_people(self, tmp_path: Path) -> None:
        for day in ("2026-01-30", "2026-01-31"):
            csv(tmp_path / f"day={day}" / "last_name=Kowalska" / "part-0.csv", f"{day},Ewa", ",")

        notes = notes_of(tmp_path)

        first, second = (f"day=2026-01-{day}/last_name=***/part-0.csv" for day in (30, 31))
        assert notes[2:] == [
            f"items: 1 empty row at the end of the table left out: {first}",
            f"items: 1 empty row at the end of the table left out: {second}",
            f"items: 2 files were read, in this order: {first} has rows 1 to 1; {second} has rows 2 to 2",
        ]


class TestPlaces:
    @pytest.mark.parametrize("items", ["", "*", "*/part-*.csv", "company_name=*/*", "company_name=[PD]*"])
    @pytest.mark.parametrize("store", ["local", "memory"])
    def test_are_those_that_a_folder_or_a_pattern_finds(self, store: str, items: str, tmp_path: Path) -> None:
        files = {
            f"company_name={name}/part-0.csv": f"key,first_name\n{name},Ewa\n".encode()
            for name in ("P%4C", "DE")
        }
        with attached_store("s3", FailingStore) as memory:
            for name, content in files.items():
                if store == "memory":
                    memory.pipe_file(f"/bucket/due/{name}", content)
                else:
                    (tmp_path / name).parent.mkdir()
                    (tmp_path / name).write_bytes(content)
            base = "s3://bucket/due" if store == "memory" else str(tmp_path)
            path = f"{base}/{items}"

            assert {key: case["companyName"] for key, case in cases_in(path).items()} == {
                "DE": "DE",
                "P%4C": "PL",
            }
            assert version_of(path) == version_of(path)

    @pytest.mark.parametrize("items", ["", "part-0.csv", "*.csv"])
    def test_that_items_name_themselves_make_no_column(self, items: str, tmp_path: Path) -> None:
        csv(tmp_path / "day=2026-01-01" / "part-0.csv", "a,Ewa")

        assert cases_in(f"{tmp_path}/day=2026-01-01/{items}") == {"a": {"firstName": "Ewa"}}


class TestSameColumn:
    @pytest.mark.parametrize(
        ("folder", "value"),
        [
            ("day=2026-01-31", dt.date(2026, 1, 31)),
            ("day=2026-01-31", "2026-01-31"),
            ("day=07", 7),
            ("day=7", Decimal("7.00")),
            ("day=true", True),
            (f"day={MISSING}", None),
            ("day=", ""),
        ],
    )
    def test_in_a_file_may_have_the_same_value(self, folder: str, value: object, tmp_path: Path) -> None:
        (tmp_path / folder).mkdir()
        write_parquet(tmp_path / folder / "part-0.parquet", {"key": "a", "first_name": "Ewa", "Day": value})
        seen: list[Any] = []

        cases_in(
            tmp_path,
            columns={"Day": "last_name"},
            where=lambda row: seen.append(row["Day"]) or True,  # type: ignore[func-returns-value]
            transform=lambda row: {"key": row["key"], "first_name": "Ewa"},
        )

        assert seen[0] == (value.isoformat() if isinstance(value, dt.date) else value)

    @pytest.mark.parametrize(
        ("folder", "value"),
        [("7", 8), ("7", "x"), ("x", 7), ("true", False), (MISSING, "x"), ("x", None), ("x", "")],
    )
    def test_in_a_file_with_another_value_is_refused(
        self, folder: str, value: object, tmp_path: Path
    ) -> None:
        (tmp_path / f"last_name={folder}").mkdir()
        (tmp_path / f"last_name={folder}" / "part-0.json").write_text(
            json.dumps([{"key": "a", "lastName": value, "first_name": "Ewa"}])
        )

        assert refusal_of(tmp_path) == (
            "items: row 1 of a file has another value in 'lastName' than the name of its folder says: correct the "
            "file or the folder, or leave both out, as in columns={'lastName': None}"
        )

    def test_in_a_shard_with_another_value_is_refused_by_its_row_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "last_name=x" / "part-0.csv"
        csv(path, "a,x", "b,x", "c,x", header="key,last_name")
        shard = references(str(tmp_path), 1)[2]
        csv(path, "a,x", "b,x", "c,y", header="key,last_name")

        with pytest.raises(InvalidInput, match="row 3 of a file has another value"):
            list(read_items(shard))

    def test_in_a_file_with_another_value_may_be_left_out(self, tmp_path: Path) -> None:
        csv(tmp_path / "day=1" / "part-0.csv", "a,Ewa,2", header="key,first_name,day")

        assert cases_in(tmp_path, columns={"day": None}) == {"a": {"firstName": "Ewa"}}


class TestRefusal:
    def test_of_files_beside_folders_names_the_file(self, tmp_path: Path) -> None:
        csv(tmp_path / "company_name=PL" / "part-0.csv", "a,Ewa")
        csv(tmp_path / "last_name=Kowalska" / "part-0.csv", "b,Ewa")

        message = refusal_of(tmp_path)

        assert "in folders of other columns than the files before it" in message
        assert "last_name=***/part-0.csv" in message
        assert "Kowalska" not in message

    @pytest.mark.parametrize(
        ("folders", "words"),
        [
            ("last_name=a/Last%20Name=b", "two folders, one in the other, are of the column 'Last Name'"),
            ("last_name=%FF", "'last_name'=..., has bytes behind % that are not UTF-8"),
            ("last_name=a/old", "has folders in it"),
        ],
    )
    def test_of_folders_that_cannot_be_right(self, folders: str, words: str, tmp_path: Path) -> None:
        csv(tmp_path / folders / "part-0.csv", "a,Ewa")

        assert words in refusal_of(tmp_path)

    def test_of_two_columns_for_a_field(self, tmp_path: Path) -> None:
        csv(tmp_path / "Kraj=PL" / "part-0.csv", "a,Ewa,PL", header="key,first_name,company_name")

        assert "more than one column for 'company_name'" in refusal_of(
            tmp_path, columns={"Kraj": "company_name"}
        )
