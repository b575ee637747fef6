"""The sheets of a workbook (``.xlsx``), and which of them has the rows."""

from __future__ import annotations

import posixpath
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.columns import named
from airflow_provider_workflows.batch.input.sheet_cells import of_no_program

_NUMBER_FORMATS = {
    **dict.fromkeys((14, 15, 16, 17, 30), "yyyy-mm-dd"),
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd hh:mm",
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    49: "@",
    37: "#,##0",
    38: "#,##0",
    39: "#,##0.00",
    40: "#,##0.00",
    45: "mm:ss",
    46: "[h]:mm:ss",
}
"""The formats that a workbook names by number alone; those of a date differ by country: ISO 8601 is shown."""


#: Of what a workbook says of itself, which is read as a whole.
_MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Sheet:
    """A sheet of a workbook.

    :param name: as a person sees it
    :param file: its file within the workbook's
    """

    name: str
    file: str


@dataclass(frozen=True)
class Workbook:
    """What a workbook says of itself.

    :param sheets: its sheets of cells, in order
    :param strings: the file of the texts that its sheets have in common; None without such texts
    :param formats: how a number is shown, by the style of a cell
    :param begins_1904: whether its days are counted from 1904, as on old Macs
    """

    sheets: tuple[Sheet, ...]
    strings: str | None
    formats: tuple[str, ...]
    begins_1904: bool


def read_workbook(archive: zipfile.ZipFile) -> Workbook:
    """Return what a workbook says of itself.

    :param archive: its file
    :raises InvalidInput: if it is one of another program, or says too much
    :raises LookupError: if it is damaged
    """
    names = archive.namelist()
    if "[Content_Types].xml" not in names or any(name.endswith("workbook.bin") for name in names):
        raise InvalidInput(
            "items is a spreadsheet of another format than .xlsx (.ods or .xlsb): save it as .xlsx or CSV"
        )
    root = _related(archive, "").get("officeDocument", {})
    if not root or not next(iter(root.values())).endswith("workbook.xml"):
        raise InvalidInput("items is an Office file, but not a workbook: export the rows as .xlsx or CSV")
    main = next(iter(root.values()))
    related = _related(archive, main)
    workbook = parsed(archive, main)
    files = related.get("worksheet", {})
    sheets = [
        Sheet(sheet.get("name", ""), files[relation])
        for sheet in _all(workbook, "sheet")
        for attribute, relation in sheet.attrib.items()
        if _local(attribute) == "id" and relation in files
    ]
    styles = next(iter(related.get("styles", {}).values()), None)
    return Workbook(
        tuple(sheets),
        next(iter(related.get("sharedStrings", {}).values()), None),
        () if styles is None else _formats(parsed(archive, styles)),
        any(each.get("date1904") in ("1", "true") for each in _all(workbook, "workbookPr")),
    )


def chosen_sheet(workbook: Workbook, name: str | None, has_rows: Callable[[Sheet], bool]) -> Sheet:
    """Return the sheet that has the rows.

    :param workbook: what ``read_workbook`` returned
    :param name: the sheet's name; None for the only one with rows
    :param has_rows: returns whether a sheet has a cell
    :raises InvalidInput: if there is no such sheet, or more than one
    """
    listed = ", ".join(named(sheet.name) for sheet in workbook.sheets)
    if name is not None:
        # A spreadsheet program takes two names that differ in case for one.
        found = [sheet for sheet in workbook.sheets if sheet.name.casefold() == name.casefold()]
        if not found:
            raise InvalidInput(f"items has no sheet {named(name)}; it has {listed}")
        return found[0]
    filled = [sheet for sheet in workbook.sheets if has_rows(sheet)]
    if len(filled) > 1:
        raise InvalidInput(
            f"items has {len(filled)} sheets with rows: name one with sheet=...; it has {listed}"
        )
    if not filled:
        raise InvalidInput("items has no rows: there is nothing to run")
    return filled[0]


def parsed(archive: zipfile.ZipFile, name: str) -> ET.Element:
    """Return one of the small files of a workbook.

    :param archive: the workbook's file
    :param name: the file's name within it
    """
    with archive.open(name) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InvalidInput(
            "items is a workbook with too many styles or sheets: copy the rows into a new one, or export CSV"
        )
    if b"<!DOCTYPE" in content:
        raise of_no_program("it defines entities")
    return ET.fromstring(content)  # noqa: S314  (entities were refused)


def _related(archive: zipfile.ZipFile, name: str) -> dict[str, dict[str, str]]:
    """Return the files that one file of a workbook refers to: by their kind, the file by its id."""
    folder, base = posixpath.split(name)
    found: dict[str, dict[str, str]] = {}
    for relation in parsed(archive, posixpath.join(folder, "_rels", f"{base}.rels")):
        target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", ""))).lstrip("/")
        kind = relation.get("Type", "").rpartition("/")[2]
        found.setdefault(kind, {})[relation.get("Id", "")] = target
    return found


def _formats(styles: ET.Element) -> tuple[str, ...]:
    own = {each.get("numFmtId"): each.get("formatCode", "") for each in _all(styles, "numFmt")}
    cells = next(iter(_all(styles, "cellXfs")), None)
    numbers = [] if cells is None else [each.get("numFmtId", "0") for each in cells]
    return tuple(own.get(number) or _NUMBER_FORMATS.get(int(number), "General") for number in numbers)


def _all(element: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in element.iter() if _local(each.tag) == name]


def _local(name: Any) -> str:
    return str(name).rpartition("}")[2]
