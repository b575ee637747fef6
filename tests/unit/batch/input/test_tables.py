"""Files as people have them: what a spreadsheet, a database or a data frame has written is read as it is."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.options import OPTION_CHECKS

from .people import (
    COLUMNS,
    HEADER,
    PEOPLE,
    good_rows,
    notes_of,
    people_in,
    problems_in,
    refusal_of,
    table,
)

SVETLANA = "\u0421\u0432\u0435\u0442\u043b\u0430\u043d\u0430"
ONE_COLUMN = (
    "has a character that may separate cells, where the header has one column: put the cell in quotes, or say what "
    'separates cells, as in delimiter=","'
)
READ = [row[:4] for row in PEOPLE]


def zstd() -> Any:
    """Return the module of Zstandard, which is Python's own from 3.14 on, and else that of the extra."""
    return pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def zipped(content: bytes, *names: str) -> bytes:
    """Return a zip with files of the same content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


def in_form(form: str, rows: list[dict[str, Any]], folder: Path) -> Any:
    """Return rows as a list, or the path of a file of JSON that has them."""
    if form == "list":
        return rows
    path = folder / "people.json"
    path.write_text(json.dumps(rows) if form == "array" else "\n".join(map(json.dumps, rows)))
    return path


class TestDelimiters:
    @pytest.mark.parametrize("delimiter", [";", ",", "\t", "|", "^", "~", "\x01", "\x1f", "\xa6", ":"])
    def test_are_found_by_the_names_that_they_make(self, delimiter: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(table(delimiter), newline="")

        assert people_in(path) == READ

    def test_of_a_header_count_whatever_stands_in_the_cells(self, tmp_path: Path) -> None:
        path = tmp_path / "firms.csv"
        path.write_text("key;company_name\r\n1;ACME, Inc., and, Sons\r\n2;A|B\t(Ltd)\r\n", newline="")

        rows = good_rows(path)

        assert [row.case["companyName"] for row in rows] == ["ACME, Inc., and, Sons", "A|B\t(Ltd)"]

    def test_may_be_in_quoted_names_and_cells(self, tmp_path: Path) -> None:
        path = tmp_path / "firms.csv"
        path.write_text('"key";"Name; of firm"\n"1";"A;B ""C"""\n"2";"two\nlines"\n')

        rows = good_rows(path, columns={"Name; of firm": "company_name"})

        assert [(row.case["companyName"], row.line) for row in rows] == [('A;B "C"', 2), ("two\nlines", 3)]

    @pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
    def test_may_be_named_by_the_first_line(self, line: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(f"\ufeff{line}\r\n{table()}", newline="")

        assert people_in(path) == READ
        assert good_rows(path, columns=COLUMNS)[0].line == 3

    def test_that_contradict_the_first_line_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(f"sep=;\n{table()}")

        assert "the first line of the file says that ';' is between the cells, and delimiter says ','" in (
            refusal_of(path, delimiter=",", columns=COLUMNS)
        )

    def test_that_are_given_are_taken(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text("key;email,phone;first_name\nk,Jo\n")

        rows = good_rows(path, delimiter=",", columns={"key;email": "key", "phone;first_name": "first_name"})

        assert (rows[0].key, rows[0].case) == ("k", {"firstName": "Jo"})

    def test_two_of_which_would_do_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text("key;email,first_name\nk;x,Jo\n")

        assert "say which with delimiter=" in refusal_of(path)

    @pytest.mark.parametrize("mark", [";", "\t", "|"])
    def test_in_the_rows_of_one_column_make_bad_rows(self, mark: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(f'first_name\nEwa\nJan{mark}Nowak\n"Jan{mark}Maria"\n')

        assert problems_in(path) == [
            (
                2,
                "",
                ONE_COLUMN,
            )
        ]

    def test_a_file_of_one_column_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "people.txt"
        path.write_text("company_name\nACME\n")

        assert [row.case for row in good_rows(path)] == [{"companyName": "ACME"}]

    def test_a_row_with_another_number_of_cells_is_bad(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text("key;first_name\n1;Jan;\n2\n3;Ewa\n")

        assert [row for row, _, _ in problems_in(path)] == [1, 2]


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    @pytest.mark.parametrize("delimiter", [";", "\t"])
    def test_of_unicode_are_found(self, encoding: str, delimiter: str, tmp_path: Path) -> None:
        path = tmp_path / "people.txt"
        path.write_bytes(table(delimiter).encode(encoding))

        assert people_in(path) == READ

    @pytest.mark.parametrize("encoding", ["cp1250", "iso8859-2", "utf-16", "UTF8", "utf-8-sig", "utf_16_le"])
    def test_that_are_given_are_taken(self, encoding: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        # The one letter that ISO 8859-2 and cp1250 share neither place nor existence of is left alone.
        path.write_bytes(table().encode(encoding))

        assert people_in(path, encoding=encoding) == READ

    @pytest.mark.parametrize(
        ("encoding", "words"),
        [
            ("cp1250", 'encoding="cp1250" is likely'),
            ("iso8859-2", '"iso8859-2"'),
            ("cp852", '"cp852"'),
        ],
    )
    def test_that_are_likely_are_named_where_a_file_is_not_utf_8(
        self, encoding: str, words: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "people.csv"
        path.write_bytes(table().encode(encoding))

        message = refusal_of(path, columns=COLUMNS)

        assert "the header is not UTF-8" in message
        assert words in message

    def test_of_cyrillic_are_named_for_cyrillic(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_bytes(f"first_name;last_name\n{SVETLANA};\n".encode("cp1251"))

        ((_, _, reason), *_) = problems_in(path)

        assert 'encoding="cp1251" or' in reason

    def test_that_contradict_the_first_bytes_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_bytes(table().encode("utf-16"))

        assert "items is in UTF-16, as its first bytes say" in refusal_of(path, encoding="cp1250")

    def test_of_which_a_byte_is_missing_make_a_bad_row(self, tmp_path: Path) -> None:
        path = tmp_path / "people.txt"
        path.write_bytes("first_name\nEwa\nJan\n".encode("utf-16")[:-1])

        assert problems_in(path) == [
            (2, "first_name", "is damaged: it is not in UTF-16 as the rest of the file is")
        ]

    @pytest.mark.parametrize("order", ["le", "be"])
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
    def test_that_are_given_need_no_mark_in_the_file(self, encoding: str, order: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_bytes(table().encode(f"{encoding}-{order}"))

        assert people_in(path, encoding=encoding) == READ

    @pytest.mark.parametrize("name", ["people.csv", "people.jsonl"])
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
    def test_that_a_file_in_utf_8_is_not_in_are_refused(
        self, encoding: str, name: str, tmp_path: Path
    ) -> None:
        path = tmp_path / name
        path.write_text('{"first_name": "Ewa"}\n' if name.endswith("jsonl") else table(), "utf-8")

        assert f"items is not in {encoding.upper()}, which encoding says" in refusal_of(
            path, encoding=encoding
        )

    @pytest.mark.parametrize("encoding", ["cp1250", "utf-16"])
    def test_count_for_json_too(self, encoding: str, tmp_path: Path) -> None:
        path = tmp_path / "people.jsonl"
        path.write_bytes('{"first_name": "Łucja"}\n{"first_name": "Ewa"}\n'.encode(encoding))

        rows = good_rows(path, encoding=encoding)

        assert [row.case["firstName"] for row in rows] == ["Łucja", "Ewa"]


COMPRESSED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: zstd().compress(content),
    "zip": lambda content: zipped(content, "people.csv"),
}


class TestCompression:
    @pytest.mark.parametrize("kind", COMPRESSED)
    @pytest.mark.parametrize("name", ["people.csv.{}", "people.csv", "people.{}", "people"])
    def test_is_seen_by_content_whatever_the_name(self, kind: str, name: str, tmp_path: Path) -> None:
        path = tmp_path / name.format(kind)
        path.write_bytes(COMPRESSED[kind](table().encode()))

        assert people_in(path) == READ

    @pytest.mark.parametrize("kind", COMPRESSED)
    def test_that_was_cut_is_refused_before_the_end(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / f"people.csv.{kind}"
        content = COMPRESSED[kind](table(rows=PEOPLE[:1]).encode() + b"k%d;a;b;c;d\r\n" % 7)
        path.write_bytes(content[: len(content) - 12])

        assert "it may be cut or damaged" in refusal_of(path, columns=COLUMNS)

    @pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
    def test_that_is_damaged_is_refused(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / f"people.csv.{kind}"
        content = bytearray(COMPRESSED[kind](table(rows=PEOPLE * 50).encode()))
        content[len(content) // 2 : len(content) // 2 + 20] = bytes(20)
        path.write_bytes(content)

        assert "it may be cut or damaged" in refusal_of(path, columns=COLUMNS)

    def test_of_two_files_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.zip"
        path.write_bytes(zipped(table().encode(), "a.csv", "b.csv"))

        assert "a zip with 2 files: it must hold exactly one" in refusal_of(path, columns=COLUMNS)

    def test_may_hold_what_a_mac_adds(self, tmp_path: Path) -> None:
        path = tmp_path / "people.zip"
        path.write_bytes(zipped(table().encode(), "people.csv", "__MACOSX/._people.csv", ".DS_Store"))

        assert people_in(path) == READ

    def test_of_nothing_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.zip"
        path.write_bytes(zipped(b""))

        assert "a zip with 0 files" in refusal_of(path)

    def test_with_a_password_is_refused(self, tmp_path: Path) -> None:
        content = bytearray(zipped(table().encode(), "people.csv"))
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(mark) + offset] |= 1
        path = tmp_path / "people.zip"
        path.write_bytes(content)

        assert "with a password" in refusal_of(path)

    def test_may_be_within_another(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv.gz"
        path.write_bytes(gzip.compress(zipped(table().encode(), "people.csv")))

        assert people_in(path) == READ


class TestIndexesAndEmptyParts:
    @pytest.mark.parametrize("name", ["", "Unnamed: 0"])
    def test_the_index_of_a_data_frame_is_left_out_with_a_word(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "frame.csv"
        path.write_text(f"{name},key,first_name\n0,00001,Łucja\n1,00002,Józef\n")

        assert [(row.key, row.case) for row in good_rows(path)] == [
            ("00001", {"firstName": "Łucja"}),
            ("00002", {"firstName": "Józef"}),
        ]
        (note,) = notes_of(path)
        assert "index" in note

    def test_empty_rows_at_the_end_are_left_out_with_a_word(self, tmp_path: Path) -> None:
        path = tmp_path / "trailing.csv"
        path.write_text("key,first_name,last_name\n1,Ewa,Nowak\n2,Jan,Kowal\n,,\n , ,\n,\n")

        assert len(good_rows(path)) == 2
        assert notes_of(path) == ["items: 3 empty rows at the end of the table left out"]

    def test_empty_rows_with_others_after_them_are_bad(self, tmp_path: Path) -> None:
        path = tmp_path / "gap.csv"
        path.write_text("key,first_name\na,Ewa\n,\n,\nb,Jan\n,\n")

        assert [(row, reason) for row, _, reason in problems_in(path)] == [
            (2, "has no field of a case or a record, and no case_id or record_id"),
            (3, "has no field of a case or a record, and no case_id or record_id"),
        ]

    def test_columns_without_a_name_are_left_out_where_they_are_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "wide.csv"
        path.write_text("key;first_name;;\n1;Ewa;;\n2;Jan;;x\n")

        assert problems_in(path) == [(2, "", "has a value in a column without a name, at position 4")]

    @pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n", table(rows=[]).encode()])
    def test_a_file_without_rows_is_refused(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_bytes(content)

        assert "items has no rows" in refusal_of(path, columns=COLUMNS if content[5:] else None)


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        [
            "FIRST_NAME,Last Name,PERSONAL_NUMBER",
            "First-Name, LASTNAME ,personal number",
            "firstname,last_name,PersonalNumber",
            "F\u00edrst\u00a0n\u00e4me,LastName,personal\u2011number",
        ],
    )
    def test_are_matched_without_regard_to_case_blanks_and_accents(self, header: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(f"{header}\nEwa,Nowak,44051401359\n")

        (row,) = good_rows(path)

        assert row.case == {"firstName": "Ewa", "lastName": "Nowak", "personalNumber": "44051401359"}

    def test_of_the_user_are_matched_so_too(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(table())

        mapped = {
            "NR_KLIENTA": "key",
            "imie": "first_name",
            "nazwisko": "last_name",
            "Pesel": "personal_number",
        }

        assert people_in(path, columns={**mapped, "TELEFON": None}) == READ

    def test_that_differ_in_case_alone_are_told_apart_where_both_are_mapped(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text("Name,NAME\nEwa,x\n")

        (row,) = good_rows(path, columns={"Name": "first_name", "NAME": None})

        assert row.case == {"firstName": "Ewa"}

    def test_of_json_are_matched_so_too(self, tmp_path: Path) -> None:
        path = tmp_path / "people.jsonl"
        path.write_text('{"First Name": "Ewa"}\n{"FIRST_NAME": "Jan"}\n')

        assert [row.case["firstName"] for row in good_rows(path)] == ["Ewa", "Jan"]

    @pytest.mark.parametrize("content", [table(), "a,b\n1,2\n", "Vorname;Nachname\nX;Y\n", "CUST_NO\nX\n"])
    def test_are_listed_next_to_the_fields_when_none_matches(self, content: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(content)

        message = refusal_of(path)

        names = content.splitlines()[0].replace(";", ",").split(",")
        assert f"Its columns are {', '.join(map(repr, names))}. The fields are first_name, " in message

    @pytest.mark.parametrize(
        "content",
        [
            table().split("\r\n", 1)[1],
            "Brunhilde;Kowalska\nEwa;Nowak\n",
            "Brunhilde,Kowalska,brak\nEwa,Nowak,44051401359\n",
            "Brunhilde\n",
        ],
    )
    def test_that_are_missing_show_nobody(self, content: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(content)

        message = refusal_of(path)

        assert "is its first line a header?" in message
        assert "Brunhilde" not in message

    @pytest.mark.parametrize("form", ["lines", "array", "list"])
    @pytest.mark.parametrize(
        "rows",
        [
            [dict(zip(HEADER, row, strict=True)) for row in PEOPLE],
            [{"Vorname": "Brunhilde", "Nachname": "Kowalska"}],
            [{"CUST_NO": "X1"}, {"CUST_NO": "X2"}],
            [{"wiek": "38"}, {"wiek": None}, {"wiek": 44}],
        ],
    )
    def test_of_json_are_listed_next_to_the_fields_when_none_matches(
        self, form: str, rows: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        found = problems_in(in_form(form, rows, tmp_path))

        (reason,) = {reason for _, _, reason in found}
        assert [number for number, _, _ in found] == [*range(1, len(rows) + 1)]
        assert f"Its names are {', '.join(map(repr, rows[0]))}. The fields are first_name, " in reason
        assert not [value for row in rows for value in row.values() if value and str(value) in reason]

    @pytest.mark.parametrize("form", ["lines", "array", "list"])
    @pytest.mark.parametrize(
        "rows",
        [
            [{"Brunhilde": "600700800"}, {"Ewa": "600700801"}],
            [{"Brunhilde": 600700800}],
            [{"Brunhilde_Kowalska": {"name": "x"}}],
            [{"Brunhilde": "tak", "Ewa": "nie"}, {"Brunhilde": "nie", "Ewa": "nie"}],
            [{"brunhilde@kowalska.pl": "x"}, {"brunhilde@kowalska.pl": "y"}],
            [{"first name Brunhilde 44051401359": 1}],
        ],
    )
    def test_of_json_that_may_be_values_show_nobody(
        self, form: str, rows: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        reasons = {reason for _, _, reason in problems_in(in_form(form, rows, tmp_path))}

        assert reasons == {"has no name that is a field of a case: rename them, or map them with columns"}

    def test_of_which_one_is_unknown_are_refused_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text("key;first_name;shoe size\n1;Ewa;38\n")

        assert "not fields of a case: 'shoe size'" in refusal_of(path)


def test_the_line_below_the_header_of_a_printed_list_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "people.txt"
    people = [f"|{number:<4}|Ewa        |Nowak     |" for number in range(1, 400)]
    path.write_text("\n".join(("|key |first_name |last_name |", "|----|-----------|----------|", *people)))

    assert {row for row, _, _ in problems_in(path)} == {1}


class TestJson:
    ROWS: ClassVar = [dict(zip(HEADER, person, strict=True)) for person in PEOPLE]

    @pytest.mark.parametrize("indent", [None, 1, 4])
    @pytest.mark.parametrize("name", ["people.json", "people.jsonl", "people"])
    def test_of_an_array_is_read(self, indent: int | None, name: str, tmp_path: Path) -> None:
        path = tmp_path / name
        path.write_text(json.dumps(self.ROWS, indent=indent, ensure_ascii=False))

        assert people_in(path) == READ

    def test_of_lines_is_read_whatever_the_name(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text("\n".join(map(json.dumps, self.ROWS)))

        assert people_in(path) == READ

    def test_of_an_array_says_at_which_lines_its_rows_begin(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text('\n[\n {"first_name": "A",\n  "key": "a"},\n\n {"first_name": "B"}]\n')

        assert [row.line for row in good_rows(path)] == [3, 6]

    def test_of_an_array_may_have_brackets_and_quotes_in_its_text(self, tmp_path: Path) -> None:
        names = ['a"}],[{', "\\", 'x\\"', "Zoë \U0001f600", "]"]
        path = tmp_path / "people.json"
        path.write_text(
            json.dumps([{"first_name": f"N{name}", "parameters": {"a": [1, {}]}} for name in names])
        )

        assert [row.case["firstName"] for row in good_rows(path)] == [f"N{name}" for name in names]

    @pytest.mark.thorough
    def test_of_a_long_array_is_read_in_pieces(self, tmp_path: Path) -> None:
        rows = [
            {"first_name": f"N{number}", "company_name": 'x"\\' * (number % 50)} for number in range(5000)
        ]
        path = tmp_path / "people.json"
        path.write_text(json.dumps(rows))

        assert [row.case["firstName"] for row in good_rows(path)] == [row["first_name"] for row in rows]

    def test_of_an_array_with_a_bad_row_has_it_reported_and_the_next_read(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text(
            '[{"first_name": "A"}, 7, {"first_name": NaN}, {"first_name": "' + "x" * 1_100_000 + '"}]'
        )

        assert [(row, reason) for row, _, reason in problems_in(path)] == [
            (2, "is not a JSON object"),
            (3, "holds NaN or Infinity, which JSON cannot express"),
            (4, "has more than 1,000,000 characters"),
        ]

    @pytest.mark.parametrize(
        "content",
        [
            '[{"first_name": "A"}',
            '[{"first_name": "A"},]',
            '[{"first_name": "A"}] x',
            "[",
            '[{"first_name": "A',
        ],
    )
    def test_of_an_array_that_is_not_whole_is_refused(self, content: str, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text(content)

        assert "not a whole JSON array" in refusal_of(path)

    def test_of_an_empty_array_has_no_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text(" [ ] \n")

        assert "items has no rows" in refusal_of(path)

    def test_of_one_object_over_several_lines_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text(json.dumps({"data": self.ROWS}, indent=1))

        assert "neither an object in each line nor an array" in refusal_of(path)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({"data": ROWS}, "within an object, under 'data': write an array of the rows alone, or each row"),
            ({"status": "ok", "count": 2, "rows": ROWS}, "within an object, under 'rows':"),
            ({"d": {"results": ROWS, "__count": "2"}}, "within an object, under 'd.results':"),
            ({"columns": ["first_name"], "index": [0], "data": [["Ewa"]]}, "within an object, under 'data':"),
            ({"Ewa Nowak": ROWS}, "within an object: write"),
        ],
    )
    def test_of_rows_within_an_object_on_one_line_is_refused(
        self, tmp_path: Path, content: dict[str, Any], words: str
    ) -> None:
        path = tmp_path / "people.json"
        path.write_text(json.dumps(content))

        refusal = refusal_of(path)

        assert words in refusal
        assert "Ewa" not in refusal

    @pytest.mark.thorough
    def test_of_many_rows_within_an_object_on_one_line_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text(json.dumps({"status": "ok", "count": 20_000, "data": self.ROWS * 10_000}))

        assert "within an object, under 'data':" in refusal_of(path)

    def test_of_an_object_whose_first_line_ends_in_it_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text('{"data": [\n{"first_name": "Ewa"}\n]}')

        assert "neither an object in each line nor an array" in refusal_of(path)

    def test_of_one_row_with_lists_in_it_is_a_row(self, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        path.write_text('{"parameters": {"accounts": [{"number": 1}]}, "first_name": "Ewa"}')

        assert [row.parameters for row in good_rows(path)] == [{"accounts": [{"number": 1}]}]

    def test_with_a_number_for_an_identifier_is_a_bad_row_and_for_a_key_is_fine(self, tmp_path: Path) -> None:
        path = tmp_path / "ints.jsonl"
        path.write_text('{"key": 0, "first_name": "Łucja", "personal_number": 8211402156}\n')

        ((row, column, reason),) = problems_in(path)

        assert (row, column) == (1, "personal_number")
        assert "zero_pad={'personal_number': 11}" in reason
        assert good_rows(path, zero_pad={"personal_number": 11})[0].case["personalNumber"] == "08211402156"


def _zip_of(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return file.getvalue()


OPEN_DOCUMENT = _zip_of("mimetype", "content.xml", "META-INF/manifest.xml")
BINARY_WORKBOOK = _zip_of("[Content_Types].xml", "xl/workbook.bin", "xl/worksheets/sheet1.bin")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("people.doc", b"", "must be a file in .jsonl"),
        ("people.xls", b"a\tb\n", "people.xls is a spreadsheet in .xls, which is not read here"),
        ("people.XLSB", b"PK\x03\x04", "save it as .xlsx or CSV"),
        ("people.ods.gz", b"", "is a spreadsheet in .ods"),
        *(
            (name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "(.xls): save it as .xlsx or CSV")
            for name in ("people.csv", "people.xlsx", "people")
        ),
        *((name, OPEN_DOCUMENT, "(.ods or .xlsb): save it as .xlsx or CSV") for name in ("a.xlsx", "a.csv")),
        ("people.xlsx", BINARY_WORKBOOK, "(.ods or .xlsb): save it as .xlsx or CSV"),
        ("people.csv", b"%PDF-1.7 x", "is a PDF"),
        ("people.csv", b"<!DOCTYPE html>", "is a page of HTML"),
        ("people", b"Obj\x01", "is an Avro file"),
        ("people.feather", b"FEA1", "Feather file of version 1"),
    ],
)
def test_a_file_of_another_format_is_refused_with_what_to_do(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)

    assert words in refusal_of(tmp_path / name)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("delimiter", ";;", "must be one character that is no letter"),
        ("delimiter", "", "must be one character"),
        ("delimiter", '"', "must be one character"),
        ("delimiter", "a", "must be one character"),
        ("encoding", "cp12500", "must be the name of an encoding"),
        ("encoding", "base64", "must be the name of an encoding"),
        ("encoding", "unicode_escape", "must be the name of an encoding"),
        ("encoding", "", "must be the name of an encoding"),
    ],
)
def test_an_option_that_cannot_be_right_is_refused(option: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        OPTION_CHECKS[option](value)
