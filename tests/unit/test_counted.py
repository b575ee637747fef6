"""Numbers of things have the words of one thing, or of several."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_workflows
from airflow_provider_workflows.counted import counted

#: A number in a log line or an error with a noun behind it that is always of several: "1 rows".
_ALWAYS_SEVERAL = re.compile(
    r"(?:%d|:,\}) (?:rows|polls|runs|webhooks|items|bytes|tasks|tries|retries|responses|requests)\b"
)
_PACKAGE = Path(airflow_provider_workflows.__file__).parent


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (2000, ("row",), "2,000 rows"),
        (1, ("retry is", "retries are"), "1 retry is"),
        (2, ("retry is", "retries are"), "2 retries are"),
    ],
)
def test_a_number_has_the_words_of_one_or_of_several(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text


def test_no_text_counts_one_as_several() -> None:
    found = [
        f"{file.relative_to(_PACKAGE)}: {line.strip()}"
        for file in _PACKAGE.rglob("*.py")
        for line in file.read_text().splitlines()
        # What a debugger shows of a table is no sentence.
        if _ALWAYS_SEVERAL.search(line) and 'return f"<' not in line
    ]

    assert found == []
