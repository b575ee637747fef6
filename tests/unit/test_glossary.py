"""The glossary's retired words are gone from code, messages, tests and documentation."""

from __future__ import annotations

import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
GLOSSARY = CHECKOUT / "docs" / "glossary.md"
FOLDERS = ("airflow_provider_workflows", "benchmarks", "changelog.d", "development", "docs", "tests")
#: Names that say nothing of what they hold.
RETIRED_NAMES = frozenset(
    {"known", "told", "facts", "AT_ONCE", "REMEMBERED", "Masked", "Failing", "Timetable"}
)
#: Names of others: Airflow's timetable for partitioned assets, its form's fields, an attribute of Excel's rows,
#: an option of Sphinx's lists of contents, a property of a browser's document, a figure of older benchmarks, and a
#: file of tests.
FOREIGN = re.compile(
    r"(?m)PartitionedAssetTimetable|hidden-fields|get\(.hidden.\)|row_dimensions\[3\]\.hidden|:hidden:"
    r"|document, .hidden.|look_ups|test_receiver_under_attack"
)


def retired_words() -> list[str]:
    table = GLOSSARY.read_text().split("## Retired words")[1]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    without_remarks = (re.sub(r"\(.*?\)", "", cell) for cell in cells if not cell.startswith(" ---"))
    return [word.strip() for cell in without_remarks for word in cell.split(",")]


def files(*suffixes: str) -> list[Path]:
    found = [path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*") if path.suffix in suffixes]
    further = list(CHECKOUT.glob("*.md")) if ".md" in suffixes else []
    left_out = {GLOSSARY, Path(__file__)}
    return sorted(
        path for path in found + further if path not in left_out and "__pycache__" not in path.parts
    )


@functools.cache
def texts() -> dict[Path, str]:
    return {path: FOREIGN.sub("", path.read_text()) for path in files(".py", ".md")}


@functools.cache
def spaced() -> dict[Path, str]:
    return {path: text.lower().replace("_", " ") for path, text in texts().items()}


def occurrences(word: str, pattern: re.Pattern[str]) -> Iterator[str]:
    for path, text in texts().items():
        # Most files have none of it, and to search one by a pattern takes long.
        if word.lower() not in spaced()[path]:
            continue
        for match in pattern.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(CHECKOUT)}:{number}: {match[0]}"


def test_the_glossary_lists_what_is_retired() -> None:
    assert {"look", "answer", "borne", "is none"} <= set(retired_words())


@pytest.mark.parametrize("word", retired_words())
def test_a_retired_word_is_used_nowhere(word: str) -> None:
    # Names join words by underscores, and test names by nothing else.
    flags = 0 if word.startswith("is ") else re.IGNORECASE
    pattern = re.compile(rf"(?<![A-Za-z]){word.replace(' ', '[ _]')}(?![A-Za-z])", flags)

    assert list(occurrences(word, pattern)) == []


@pytest.mark.thorough
def test_no_name_is_one_that_says_nothing() -> None:
    # Most files have none of them, in prose or otherwise, and to take a file apart takes long.
    anywhere = re.compile(rf"\b({'|'.join(sorted(RETIRED_NAMES))})\b")
    found = [
        f"{path.relative_to(CHECKOUT)}:{token.start[0]}: {token.string}"
        for path in files(".py")
        if anywhere.search(text := path.read_text())
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME and token.string in RETIRED_NAMES
    ]

    assert found == []
