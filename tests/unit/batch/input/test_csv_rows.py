"""What can be wrong with a CSV: a row of it, or the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.rows import Row

from .test_rows import NOT_UTF_8, SECRET, bad_rows, refusal

HEADER = b"first_name,last_name\n"
ROW = f"{SECRET},{SECRET}\n".encode()


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (b"Kowalska\n", "", "has 1 cells where the header has 2"),
        (b"Kowalska,a,b\n", "", "has 3 cells where the header has 2"),
        (b",\n", "", "has no field of a case or a record, and no case_id or record_id"),
        (b"Kowalska,W\xf3jcik\n", "last_name", NOT_UTF_8),
        (b"Kowalska\0,a\n", "first_name", "holds a NUL byte"),
        (b"%s,a\n" % (b"x" * 100_001), "first_name", "has more than 100,000 characters"),
        (b"%s,a\n" % (b"x" * 1_000_000), "", "has more than 1,000,000 characters"),
        (b"%s,a\r\n" % (b"x" * 3_000_000), "", "has more than 1,000,000 characters"),
        (b'"%s",a\n' % (b'x,"",\r\n' * 300_000), "", "has more than 1,000,000 characters"),
        (b'Kowalska,"%s"\n' % (b"\xf3\n" * 600_000), "", "has more than 1,000,000 characters"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_a_bad_row_of_a_csv_is_reported_by_row_and_column_and_the_next_is_read(
    row: bytes, column: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER + ROW + row + ROW)

    assert bad_rows(str(path)) == [(2, column, reason)]
    assert len(list(read_items(str(path)))) == 3


@pytest.mark.parametrize("cell", [SECRET, '"{""a"": 1, ""a"": 2}"', '"{""a"": Infinity}"', "[1]"])
def test_text_that_is_not_a_json_object_is_reported_in_its_column(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"first_name,parameters\n{SECRET},{cell}\n")

    ((row, column, _),) = bad_rows(str(path))

    assert (row, column) == (1, "parameters")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no rows"),
        (b"\n\n", "has no rows"),
        (b"first_name\n", "has no rows"),
        (b'first_name,email\nKowalska,a\nKowalska,"a\nKowalska', "a quote in row 2 (line 3 of the file) is"),
        (b'first_name\n"Kowalska"a\n', "a quote in row 1 (line 2 of the file) is never closed, or"),
        (b'first_name\n"%s' % (b"Kowalska" * 300_000), "a quote in row 1 (line 2 of the file) is"),
        (b'"first_name\nKowalska', "a quote in the header is never closed"),
        (b"%s\n" % (b"x" * 2_000_000), "the header has more than 1,000,000 characters"),
        (b"first_name,Stra\xdfe\n", "the header is not UTF-8"),
        (b"first_name\0\n", "the header holds a NUL byte"),
        (b"first_name,email,first_name\n", "more than one column 'first_name'"),
        (b"first_name,firstName\n", "more than one column for 'first_name'"),
        (b"first_name,PESEL,note\n", "not fields of a case: 'PESEL', 'note'; rename them"),
        (b"sep=;\n", "has no rows"),
        (b"key;email,phone\nKowalska\n", "with ';' or ',' between the cells: say which with delimiter="),
        (b"first_name,compny_number\n", "'compny_number' (did you mean company_number?); rename them"),
        (b"Kowalska,Kowalska\n", "has no known column: is its first line a header?"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_a_csv_that_cannot_be_read_as_a_whole_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)

    assert reason in refusal(str(path))


@pytest.mark.parametrize(
    "header",
    [
        "record.name;record.nip",
        "key;record.name",
        "record.name;key",
        "record.name\tkey",
        "record.name|record.city",
    ],
)
def test_a_header_of_fields_of_records_shows_what_is_between_the_cells(header: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n{header.replace('record.', '').replace('key', '1')}\n")

    (row,) = read_items(str(path))

    assert isinstance(row, Row)
    assert row.record is not None


def test_a_field_of_a_record_may_have_a_comma_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('"record.name, full";key\nAcme;1\n')

    (row,) = read_items(str(path))

    assert isinstance(row, Row)
    assert row.record == {"name, full": "Acme"}
