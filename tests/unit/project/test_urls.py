"""The project's addresses stand in ``pyproject.toml``, and whatever else names one agrees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.project.declared import CHECKOUT, project_urls

NAME = "airflow-provider-workflows"
#: What may name one: all that is written by hand, at the top and below these folders.
FOLDERS = (".github", "airflow_provider_workflows", "changelog.d", "dags", "deploy", "development", "docs")
SUFFIXES = {".cfg", ".css", ".html", ".js", ".md", ".py", ".svg", ".toml", ".yaml", ".yml"}


def written_files() -> Iterator[Path]:
    yield from (path for path in CHECKOUT.iterdir() if path.is_file() and path.suffix in SUFFIXES)
    for folder in FOLDERS:
        yield from (
            path
            for path in (CHECKOUT / folder).rglob("*")
            if path.suffix in SUFFIXES and not {"__pycache__", "_build"} & set(path.parts)
        )


def addresses() -> Iterator[tuple[str, str]]:
    for path in written_files():
        for match in re.finditer(rf"https?://[^\s\"'<>()\]`]*{NAME}[^\s\"'<>()\]`]*", path.read_text()):
            yield str(path.relative_to(CHECKOUT)), match[0]


def permitted() -> tuple[str, ...]:
    urls = project_urls()
    owner = urls["Source"].removeprefix("https://github.com/")
    return (
        *urls.values(),
        f"{urls['Source']}/",
        f"https://raw.githubusercontent.com/{owner}/",
        f"https://pypi.org/project/{NAME}",
        "https://img.shields.io/pypi/",
    )


@pytest.mark.parametrize("name", ["Documentation", "Source", "Changelog", "Issues"])
def test_a_page_of_the_package_index_links_to_it(name: str) -> None:
    assert project_urls()[name].startswith("https://")


def test_all_addresses_at_the_forge_are_of_one_repository() -> None:
    urls = project_urls()

    elsewhere = [url for url in urls.values() if "github.com" in url and not url.startswith(urls["Source"])]

    assert elsewhere == []


def test_whatever_names_the_project_names_a_declared_address() -> None:
    found = list(addresses())

    assert ("pyproject.toml", project_urls()["Source"]) in found
    assert (".airflow-registry.yaml", project_urls()["Documentation"]) in found
    assert [one for one in found if not one[1].startswith(permitted())] == []
