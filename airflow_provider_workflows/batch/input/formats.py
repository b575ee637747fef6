"""The format of a file: what its first bytes say, and else its name."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.compression import COMPRESSED_SUFFIXES


class Format(enum.Enum):
    """What a file of rows may be."""

    CSV = "CSV"
    JSON = "JSON"
    PARQUET = "Parquet"
    ARROW = "Arrow"
    WORKBOOK = "Excel"


_BY_SUFFIX = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", ".txt"), Format.CSV),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), Format.JSON),
    **dict.fromkeys((".parquet", ".pq"), Format.PARQUET),
    **dict.fromkeys((".arrow", ".arrows", ".feather", ".ipc"), Format.ARROW),
    **dict.fromkeys((".xlsx", ".xlsm"), Format.WORKBOOK),
}
_BY_MARK = {
    b"PAR1": Format.PARQUET,
    b"ARROW1": Format.ARROW,
    b"\xff\xff\xff\xff": Format.ARROW,
    # A zip that is no workbook was taken apart before.
    b"PK\x03\x04": Format.WORKBOOK,
}
#: What cannot be read here, by its first bytes, and what to do.
_UNREAD_MARKS = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (
        "an Excel file with a password, or in the format of before 2007 (.xls): save it as .xlsx or CSV, "
        "without a password"
    ),
    b"FEA1": "a Feather file of version 1: write it in version 2",
    b"Obj\x01": "an Avro file: export the rows as Parquet, JSON or CSV",
    b"ORC": "an ORC file: export the rows as Parquet, JSON or CSV",
    b"%PDF": "a PDF: export the rows as CSV or .xlsx",
    b"<?xml": "XML: export the rows as CSV or JSON",
    b"<html": "a page of HTML, perhaps an error of the server it was fetched from: export the rows as CSV or JSON",
    b"<!DOC": "a page of HTML, perhaps an error of the server it was fetched from: export the rows as CSV or JSON",
}
#: Spreadsheets that cannot be read here, by name: one that is text or HTML within is told by nothing else.
_UNREAD_SPREADSHEETS = frozenset((".xls", ".xlsb", ".xlt", ".ods", ".fods", ".sxc", ".numbers"))
_PREFIX = (
    "items must be a file in .jsonl (or .ndjson, .json), .csv (or .tsv, .txt), .parquet, .arrow (or .feather) or "
    ".xlsx"
)


def require_suffix(name: str, shown_path: str) -> None:
    """Raise for a file whose name says a format that is not read here; one without a suffix may be any.

    :param name: the file's name
    :param shown_path: its path, for the error
    :raises InvalidInput: listing the formats
    """
    suffix = _suffix(name)
    if suffix in _UNREAD_SPREADSHEETS:
        raise InvalidInput(
            f"items: {shown_path} is a spreadsheet in {suffix}, which is not read here: open it in the program "
            "that it is from, and save it as .xlsx or CSV"
        )
    if suffix and suffix not in _BY_SUFFIX:
        raise InvalidInput(f"{_PREFIX}, compressed or not, or a folder of such files; {shown_path} is not")


def format_of(name: str, head: bytes) -> Format:
    """Return a file's format.

    :param name: its name, without what says how it was compressed
    :param head: its first bytes, uncompressed
    :raises InvalidInput: if it is of a format that is not read here
    """
    for mark, reason in _UNREAD_MARKS.items():
        if head.startswith(mark):
            raise InvalidInput(f"items is {reason}")
    for mark, found in _BY_MARK.items():
        if head.startswith(mark):
            return found
    if found_by_name := _BY_SUFFIX.get(_suffix(name)):
        return found_by_name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return Format.JSON if text.startswith((b"{", b"[")) else Format.CSV


def _suffix(name: str) -> str:
    path = PurePosixPath(name)
    while path.suffix.lower() in COMPRESSED_SUFFIXES:
        path = PurePosixPath(path.stem)
    return path.suffix.lower()
