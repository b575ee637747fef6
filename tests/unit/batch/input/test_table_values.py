"""Tables as people have them: what their phones and numbers become."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row

EXCEL = """Nr klienta;Imię;Nazwisko;PESEL;Telefon
00001;Łucja;Żak;08211402156;+48 600 700 801
00002;Józef;Śliwa;02250100101;0048600700802
00003;Ewa;Nowak;44051401359;600-700-803
00004;Zoë;Gąska;85010112345;(48) 600 700 804
00005;Jan;Źdźbło;99123198763;
"""
BROKEN_NUMBERS = """key,first_name,personal_number
1,Ewa,44051401359.0
2,Jan,4.4051401359E+10
3,Zoë,"4,40514E+10"
4,Ala,4405140135
5,Ola,44051401359
"""


def test_phones_in_one_column_of_a_spreadsheet_are_split(tmp_path: Path) -> None:
    path = tmp_path / "excel_pl.csv"
    path.write_bytes(EXCEL.replace("\n", "\r\n").encode("utf-8-sig"))
    columns = {
        "Nr klienta": "key",
        "Imię": "first_name",
        "Nazwisko": "last_name",
        "PESEL": "personal_number",
        "Telefon": "phone",
    }

    rows = list(read_items(str(path), InputOptions(columns=columns, default_country_code="48")))

    found = [(row.key, row.case.get("phone")) for row in rows if isinstance(row, Row)]
    assert found == [
        *((f"0000{n}", {"countryCode": "48", "number": f"60070080{n}"}) for n in range(1, 5)),
        ("00005", None),
    ]


def test_numbers_that_a_spreadsheet_has_broken_are_bad_rows(tmp_path: Path) -> None:
    pytest.importorskip("stdnum")
    path = tmp_path / "broken_numbers.csv"
    path.write_text(BROKEN_NUMBERS, encoding="utf-8")

    rows = list(read_items(str(path), InputOptions(checks={"personal_number": "PL-PESEL"})))

    assert [type(row) for row in rows] == [BadRow, BadRow, BadRow, BadRow, Row]
