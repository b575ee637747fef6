"""The page on troubleshooting has each error of the package, with messages that the code has."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_workflows
from airflow_provider_workflows.api import errors
from tests.harness.snippets import DOCS

PAGE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS = {
    title: body.partition("\n## ")[0]
    for title, body in re.findall(r"^## (\w+)$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
#: What stands for a value in a message: an ellipsis, or a number.
_VALUE = re.compile(r"\s*\.\.\.\s*|\d+")


def error_classes() -> set[str]:
    kinds = (value for value in vars(errors).values() if isinstance(value, type))
    return {kind.__name__ for kind in kinds if issubclass(kind, errors.WorkflowsError)}


def messages(section: str) -> Iterator[str]:
    for quote in re.findall(r"(?:^> .*\n?)+", section, re.MULTILINE):
        yield " ".join(line.removeprefix("> ") for line in quote.splitlines())
    for row in re.findall(r"^\| (.+?) \|", section, re.MULTILINE):
        yield from re.findall(r"^`(.+)`$", row)


@functools.cache
def texts() -> str:
    """Return all texts of the package, each part of a message between two values on a line of its own."""
    package = Path(airflow_provider_workflows.__file__).parent
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in package.rglob("*.py"))
    constants = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "\n".join(node.value for node in constants if isinstance(node.value, str))


def test_each_error_has_a_section() -> None:
    assert {title for title in SECTIONS if title != "Without an error"} == error_classes()


@pytest.mark.sampled(99)
@pytest.mark.parametrize("name", sorted(error_classes()))
def test_a_section_says_cause_and_cure(name: str) -> None:
    section = SECTIONS[name]

    assert "**Cause.**" in section
    assert "**Cure.**" in section or name == "WorkflowsError"
    assert list(messages(section)) or name == "WorkflowsError"


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(error_classes()))
def test_its_messages_are_those_of_the_code(name: str) -> None:
    parts = [
        part for message in messages(SECTIONS[name]) for part in _VALUE.split(message) if part.strip(" ().,")
    ]

    assert [part for part in parts if part.strip(" ()") not in texts()] == []
