"""Ranges of row numbers, as a person writes them: ``1-50,61``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.manifest import Manifest

_RANGE = re.compile(r"\s*([0-9]{1,12})\s*(?:-\s*([0-9]{1,12})\s*)?", re.ASCII)
#: An error repeats this many characters of a text that is no range.
_SHOWN_CHARACTERS = 40


def read_row_ranges(text: str, manifest: Manifest) -> frozenset[int]:
    """Return the numbers of the rows that a text names.

    :param text: numbers and ranges, both ends included, such as ``"1-50,61"``
    :param manifest: the checked input, whose rows there are
    :raises InvalidInput: if it is no such text, or names a row that the input does not have
    """
    first, last = manifest.first_row, manifest.last
    numbers: set[int] = set()
    for part in text.split(","):
        if (match := _RANGE.fullmatch(part)) is None:
            raise InvalidInput(
                f"rows: {part.strip()[:_SHOWN_CHARACTERS]!r} is no row number and no range. Write numbers and "
                "ranges with commas in between, such as 1-50,61"
            )
        begin, end = int(match[1]), int(match[2] or match[1])
        if not first <= begin <= end <= last:
            raise InvalidInput(
                f"rows: {part.strip()} is not within the rows of this batch, which are {first:,} to {last:,}"
            )
        # Only now: a range of any length may be written.
        numbers.update(range(begin, end + 1))
    return frozenset(numbers)


def row_ranges(numbers: Iterable[int]) -> str:
    """Return row numbers as a text that ``read_row_ranges`` reads.

    :param numbers: the numbers, in any order
    """
    runs = itertools.groupby(enumerate(sorted(set(numbers))), lambda pair: pair[1] - pair[0])
    texts = []
    for _, run in runs:
        together = [number for _, number in run]
        texts.append(str(together[0]) if len(together) == 1 else f"{together[0]}-{together[-1]}")
    return ",".join(texts)
