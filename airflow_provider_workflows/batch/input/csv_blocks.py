"""Cells of many rows of a CSV at once, where each of them is a line of its own and has a cell for each column."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

#: Of a single column, a blank line is a row without a cell.
_LEAST_COLUMNS = 2


def columns_of_block(block: str, delimiter: str, width: int) -> Sequence[Sequence[str]] | None:
    """Return the cells of each column of whole lines, as the csv module has them.

    :param block: the lines
    :param delimiter: what is between the cells
    :param width: number of columns
    :return: None where a line is blank, has another number of cells, goes on in the next one, or cannot be read
    """
    if width < _LEAST_COLUMNS or not block or "\0" in block or not _is_decoded(block):
        return None
    if '"' in block:
        return _quoted(block, delimiter, width)
    block = block.replace("\r\n", "\n")
    if "\r" in block:
        return None
    if not block.endswith("\n"):
        block += "\n"
    rows = block.count("\n")
    # A line's end is a cell of its own now, and stands behind each row's if all have the same number.
    cells = block.replace("\n", f"{delimiter}\n{delimiter}").split(delimiter)
    del cells[-1]
    step = width + 1
    if len(cells) != rows * step or cells[width::step].count("\n") != rows:
        return None
    return [cells[place::step] for place in range(width)]


def _quoted(block: str, delimiter: str, width: int) -> Sequence[Sequence[str]] | None:
    reader = csv.reader(io.StringIO(block, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error:
        return None
    if reader.line_num != len(rows) or set(map(len, rows)) != {width}:
        return None
    return list(zip(*rows, strict=True))


def _is_decoded(block: str) -> bool:
    """Return whether no character stands for bytes that could not be decoded."""
    if block.isascii():
        return True
    try:
        block.encode()
    except UnicodeEncodeError:
        return False
    return True
