"""Random tables, such as people have them: mostly right, with what may be wrong in a cell, a row or a line."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

from airflow_provider_workflows.batch.input.options import InputOptions

_HEADERS = (
    ("key", "first_name", "last_name", "email", "personal_number", "phone_country_code", "phone_number"),
    ("Key", "First Name", "company_name", "company_number", "company_address"),
    ("first_name", "last_name", "email"),
    ("", "key", "first_name", "personal_number"),
    ("first_name", "", "email", "phone"),
    ("key", "phone", "last_name", "phone_number"),
    ("key", "first_name", "phone", "parameters", "note"),
    ("key", "case_id", "first_name"),
    *(("key", "record_id", "parameters"),) * 2,
    *(("key", "record.name", "record.limit"),) * 2,
    ("key", "Record ID", "first_name", "last_name"),
    ("key", "record.firstName", "Record. limit ", "record.PESEL"),
    ("record.first_name", "first_name", "email"),
    ("key", "record", "record.name"),
    ("parameters", "key"),
    ("key", "first_name", "document_files"),
    ("email",),
    ("first_name", "unknown"),
    ("Kowalska", "Nowak"),
)
_ODD_CELLS = (
    *(
        "",
        " ",
        "  ",
        "\t",
        "NULL",
        "nan",
        "#N/A",
        "N/A",
        "null",
        "\u00a0",
        "\u200b",
        "a\u200bb",
        " Ada",
        "Ada ",
    ),
    *(
        "1.0",
        "1E+10",
        "12E10",
        "'007",
        "\u02bc007",
        "0048",
        "+48",
        "00",
        "0",
        "7 7",
        "²",
        "\u0663",
        "-a",
        "a-b",
    ),
    *(
        "a_b",
        "_",
        "x" * 201,
        "y" * 200,
        "z" * 100_001,
        "7" * 300,
        "a|b",
        " |",
        "a@b@c",
        "@",
        "a@",
        "@b",
        "a b@c",
        "ż@b",
        "a,b",
        "a;b",
    ),
    *(
        'say "ah"',
        "two\nlines",
        "two\r\nlines",
        "a\rb",
        "a\0b",
        "{}",
        '{"a": 1}',
        "+48 600 700 800",
        "48600700800",
    ),
    *(
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "90010112345",
        "1",
        "2",
        "3",
        "12",
        "\x1f",
        "\u2028",
        "\x85",
        "é",
        "😀",
    ),
)
_NAMES = ("Ada", "Łukasz", "O'Neil", "Zoë", "Jan Maria", "李", "Nowak-Lee")


def random_table(draw: random.Random) -> tuple[bytes, InputOptions]:
    """Return the content of a CSV, and how it is read.

    :param draw: by which all is chosen
    """
    header = draw.choice(_HEADERS)
    delimiter = draw.choice(",,,;\t|")
    oddness = draw.choice((0.0, 0.002, 0.02, 0.2))
    text = io.StringIO(newline="")
    end = draw.choice(("\n", "\r\n", "\n", "\r"))
    is_quoted = draw.random() < 0.3
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL,
    )
    writer.writerow(header)
    keys = draw.choice((_ascending, _descending, _number, _any_key))
    for number in range(1, draw.choice((0, 1, 9, 60, 200)) + 1):
        row = [_cell(name, number, draw, oddness, keys) for name in header]
        if draw.random() < oddness / 4:
            draw.choice((row.clear, row.pop, lambda row=row: row.append("x")))()
        if draw.random() < oddness / 8:
            row = [""] * len(header)
        if draw.random() < oddness / 16:
            text.write(draw.choice(('a"b', '"a"b', "\r", end, '"never closed', "a\n")))
        writer.writerow(row) if row else text.write(end)
    for _ in range(draw.choice((0, 0, 0, 2))):
        text.write(draw.choice((end, f"{delimiter * (len(header) - 1)}{end}")))
    content = text.getvalue()
    if draw.random() < 0.2:
        content = content.removesuffix(end)
    encoding = draw.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1250"))
    return content.encode(encoding, errors="replace"), _options(header, draw, encoding)


def random_columns(draw: random.Random) -> tuple[dict[str, list[Any]], InputOptions]:
    """Return the values of the columns of a typed file, and how it is read.

    :param draw: by which all is chosen
    """
    header = tuple(name for name in draw.choice(_HEADERS) if name)
    oddness = draw.choice((0.0, 0.002, 0.02, 0.2))
    keys = draw.choice((_ascending, _descending, _number, _any_key))
    columns: dict[str, list[Any]] = {name: [] for name in header}
    for number in range(1, draw.choice((0, 1, 9, 60, 1500)) + 1):
        for name, column in columns.items():
            column.append(None if draw.random() < oddness else _cell(name, number, draw, oddness, keys))
    for name, column in columns.items():
        if draw.random() < 0.1:
            columns[name] = [draw.choice((None, 7, 90010112345)) for _ in column]
    return columns, _options(header, draw, "utf-8")


def random_rows(draw: random.Random) -> tuple[list[Any], InputOptions]:
    """Return a list of rows, each with the names of its own columns, and how it is read.

    :param draw: by which all is chosen
    """
    columns, options = random_columns(draw)
    rows: list[Any] = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    oddness = draw.choice((0.0, 0.01, 0.3))
    for place, row in enumerate(rows):
        if draw.random() < oddness:
            rows[place] = draw.choice(
                (
                    None,
                    {},
                    {"first_name": "Ada"},
                    {**row, "unknown": "x"},
                    dict(reversed(row.items())),
                    {**row, "phone": {"country_code": "48", "number": "600700800"}},
                )
            )
    return rows, options


def _cell(name: str, number: int, draw: random.Random, oddness: float, keys: Any) -> str:
    if draw.random() < oddness:
        return draw.choice(_ODD_CELLS)
    name = name.lower().replace(" ", "_")
    if name == "key":
        return str(keys(number, draw, oddness))
    if name in ("case_id", "", "note"):
        return ""
    if name == "record_id":
        return draw.choice(("", "1e9f4b62-c7a8-4d03-a5f6-80b2d3e7916c"))
    if name == "parameters":
        return draw.choice(("", "", '{"limit": 1}'))
    if name == "document_files":
        return draw.choice(("", "", "/scans/ada.pdf", '["/scans/ada.pdf", "/scans/bob.pdf"]'))
    if name == "record":
        return draw.choice(("", '{"limit": 1}', '{"name": "Ada"}'))
    if name.startswith("record.") and draw.random() < 0.3:
        return ""
    if name == "phone":
        return draw.choice(
            ("", "+48 600 700 800", "0048600700800", "+39 06 6982", "(22) 600-70-80", "+1 212 555 0100")
        )
    return {
        "email": f"person{number}@example.com",
        "personal_number": f"{draw.randrange(10 ** draw.choice((11, 9))):0{draw.choice((11, 11, 1))}}",
        "company_number": f"{draw.randrange(10**10):010}",
        "phone_country_code": draw.choice(("48", "48", "49", "1")),
        "phone_number": f"{draw.randrange(500_000_000, 800_000_000)}",
    }.get(name, draw.choice(_NAMES))


def _ascending(number: int, draw: random.Random, oddness: float) -> str:
    return f"C{number - (draw.random() < oddness):05}"


def _descending(number: int, draw: random.Random, oddness: float) -> str:
    return f"C{1000 - number + (draw.random() < oddness)}"


def _number(number: int, draw: random.Random, oddness: float) -> str:
    return draw.choice(("", str(number))) if draw.random() >= oddness else str(number - 1)


def _any_key(number: int, draw: random.Random, oddness: float) -> str:
    return draw.choice((f"{number}-{draw.randrange(10**6)}", "", f"A_{number}", str(draw.randrange(10**9))))


def _options(header: tuple[str, ...], draw: random.Random, encoding: str) -> InputOptions:
    given: dict[str, Any] = {}
    if encoding == "cp1250" and draw.random() < 0.7:
        given["encoding"] = encoding
    if "note" in header or draw.random() < 0.1:
        given["columns"] = {header[-1]: None} if "note" in header else {header[0]: "first_name"}
    if draw.random() < 0.2:
        given["zero_pad"] = {"personal_number": 11, "company_number": 10}
    if draw.random() < 0.2:
        given["checks"] = {"personal_number": "PL-PESEL", "email": "EMAIL"}
    if draw.random() < 0.1:
        given["defaults"] = draw.choice(
            (
                {"last_name": "Nowak", "company_name": "Nowak & Sons"},
                {"first_name": " Ada "},
                {"company_number": 7},
                {"documents": [{"resource_id": "r"}]},
            )
        )
    if draw.random() < 0.1:
        given["default_country_code"] = "48"
    if draw.random() < 0.15:
        given["where"] = lambda row: len("".join(map(str, row.values()))) % 3 > 0
    if draw.random() < 0.15:
        given["transform"] = lambda row: {**row, next(iter(row), "first_name"): "Ada"}
    if draw.random() < 0.2:
        given["bad_row_values"] = True
    return InputOptions(**given)
