"""What the documents for contributors name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.project.declared import CHECKOUT, project_urls

DOCUMENTS = [
    CHECKOUT / name
    for name in (
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/containers.md",
        "docs/kubernetes.md",
        "docs/releasing.md",
    )
]
TARGETS = set(re.findall(r"(?m)^([a-z][a-z-]*):", (CHECKOUT / "Makefile").read_text()))
#: What is written as code and is a path of the checkout, or of the package.
PATH = re.compile(
    r"`((?:airflow_internals|airflow_provider_workflows|api|deploy|development|docs|operators|sandbox|tests|\.github)"
    r"/[\w./-]+)`"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).is_file()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_path_that_is_named_is_there(document: Path) -> None:
    places = (CHECKOUT, CHECKOUT / "airflow_provider_workflows")
    # A source distribution has no workflows.
    is_checkout = (CHECKOUT / ".github").is_dir()
    paths = [
        path for path in PATH.findall(document.read_text()) if is_checkout or not path.startswith(".github/")
    ]

    assert [path for path in paths if not any((place / path).exists() for place in places)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_target_of_make_that_is_named_is_there(document: Path) -> None:
    # Inline code, and lines of blocks: prose may "make sure" of something.
    code = re.findall(r"(?m)`(make [a-z][^`\n]*)`|^ *(make [a-z].*)$", document.read_text())
    commands = [first or second for first, second in code]
    targets = {
        word
        for command in commands
        for word in re.findall(r"(?<= )[a-z][a-z-]*(?= |$)", command.split("#")[0])
    }

    assert targets - TARGETS == set()


def test_a_report_is_made_at_the_declared_repository() -> None:
    assert f"{project_urls()['Source']}/security/advisories/new" in (CHECKOUT / "SECURITY.md").read_text()
