"""Texts that are no name, no address and no identifier are bad rows, and names as people have them are sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow

from .people import good_rows, problems_in

#: Rows that are seen together, column by column, and one by one.
LENGTHS = pytest.mark.parametrize("before", [0, 20])
NOBODY = "has totals of the table, and is about nobody: remove it"


def file(folder: Path, field: str, text: str, before: int, ordinary: str) -> Path:
    """Return a CSV with a text in one of its rows."""
    path = folder / "people.csv"
    rows = [f"k{number};{ordinary}\n" for number in range(before)]
    path.write_text("".join([f"key;{field}\n", *rows, f'odd;"{text}"\n']), encoding="utf-8")
    return path


def problem_of(path: Path, before: int) -> str:
    """Return what is wrong with the row behind some others."""
    ((number, _, reason),) = problems_in(path)
    assert number == before + 1
    return reason


@LENGTHS
@pytest.mark.parametrize("field", ["first_name", "last_name"])
@pytest.mark.parametrize("text", ["44051401359", "2", "7.5", "440514 01359", "(48) 600"])
def test_digits_without_a_letter_are_no_name_of_a_person(
    field: str, text: str, before: int, tmp_path: Path
) -> None:
    path = file(tmp_path, field, text, before, "Ada")

    assert "has digits and no letter" in problem_of(path, before)


@LENGTHS
@pytest.mark.parametrize("field", ["first_name", "company_name", "company_address"])
@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        (name, encoding)
        for name in ("Józef", "Müller & Söhne", "Łucja", "Čapek", "Ústí")
        for encoding in ("cp1252", "cp1250", "latin-1")
        # Where the encoding lacks one of the bytes, the file is refused as such.
        if name.encode().decode(encoding, "ignore").encode(encoding) == name.encode()
    ],
)
def test_utf_8_that_was_read_in_another_encoding_is_no_name(
    name: str, field: str, encoding: str, before: int, tmp_path: Path
) -> None:
    path = file(tmp_path, field, name.encode().decode(encoding), before, "Ada")

    assert problem_of(path, before).startswith(("is text in UTF-8 that was read in another", "holds a char"))


@LENGTHS
@pytest.mark.parametrize("field", ["first_name", "company_name", "email"])
@pytest.mark.parametrize("mark", ["\ufeff", "\u200b", "\u00ad", "\u202a", "\x1a", "\x0b"])
def test_a_character_that_does_not_show_is_in_no_name(
    field: str, mark: str, before: int, tmp_path: Path
) -> None:
    path = file(tmp_path, field, f"{mark}a{mark}@b.pl", before, "a@b.pl")

    assert "holds a character that does not show" in problem_of(path, before)


@LENGTHS
@pytest.mark.parametrize(
    "text",
    [
        *("jan", "jan@", "@b.pl", "jan@@b.pl", "jan@b.pl; ewa@b.pl", "jan@b.pl,ewa@b.pl", "jan @b.pl"),
        *("Jan <jan@b.pl>", "mailto:jan@b.pl", "unknown", "brak"),
    ],
)
def test_what_is_not_one_address_is_no_email(text: str, before: int, tmp_path: Path) -> None:
    path = file(tmp_path, "email", text, before, "a@b.pl")

    assert problem_of(path, before) == "is not written as one e-mail address"


@LENGTHS
@pytest.mark.parametrize("field", ["personal_number", "company_number"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "has no digit") for text in ("brak", "TRUE", "unknown", "nie dotyczy")),
        *((text, "has marks in place of digits") for text in ("*******1359", "4405140****", "XXX-XX-1359")),
        *(
            (text, "has a mark before or behind")
            for text in ("{44051401359}", "44051401359;", "#44051401359")
        ),
        ("\uff14\uff14051401359", "has digits of another script"),
    ],
)
def test_what_has_no_number_is_no_identifier(
    field: str, text: str, reason: str, before: int, tmp_path: Path
) -> None:
    path = file(tmp_path, field, text, before, "44051401359")

    assert problem_of(path, before).startswith(reason)


@LENGTHS
@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("first_name", text) for text in ("Jan 2", "X Æ A-12", "नेहा\u200d", "-", ".", "Jan\tMaria")),
        *(("last_name", text) for text in ("JOÃO", "Ångström", "PĂŞCU", "Âle", "Ä", "O\u2019Brien", "Łódź")),
        *(("company_name", text) for text in ("4711", "3M", "ACME\nLtd", "CAFÉ\u2019S", "NESTLÉ®", "1&1")),
        *(("email", text) for text in ("a+b@c.pl", "ł@żółw.pl", "JAN@X")),
        *(("personal_number", text) for text in ("PL44051401359", "440514/1359", "RSSMRA85T10A562S")),
        *(("company_number", text) for text in ("HRB 1234 (B)", "133/8150/8159", "XAXX010101000")),
    ],
)
def test_what_people_and_companies_have_is_sent(field: str, text: str, before: int, tmp_path: Path) -> None:
    ordinary = {"email": "a@b.pl", "personal_number": "1", "company_number": "1"}.get(field, "Ada")
    path = file(tmp_path, field, text, before, ordinary)

    rows = good_rows(path)

    assert list(rows[-1].case.values()) == [text]


class TestTotals:
    @LENGTHS
    @pytest.mark.parametrize("last", ["Total,2,", "Razem:,,2", "Summe,1 234.50,", ",Suma,7", "GRAND TOTAL,,"])
    def test_of_a_table_are_about_nobody(self, last: str, before: int, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        rows = [f"k{number},Ada,Nowak\n" for number in range(before)]
        path.write_text("".join(["key,first_name,last_name\n", *rows, f"{last}\n"]))

        assert problems_in(path) == [(before + 1, "", NOBODY)]

    @LENGTHS
    @pytest.mark.parametrize("last", ["Suma,Devi,", "Total,,0403053608", "7,Total,"])
    def test_are_not_seen_in_a_row_of_somebody(self, last: str, before: int, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        rows = [f"k{number},Ada,1234567890\n" for number in range(before)]
        path.write_text("".join(["key,company_name,company_number\n", *rows, f"{last}\n"]))

        read = list(read_items(str(path), InputOptions()))

        assert len(read) == before + 1
        assert not [row for row in read if isinstance(row, BadRow) and row.problems == (("", NOBODY),)]
