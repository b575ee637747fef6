"""The README is short, true, and has no dead link, neither in a checkout nor on the package index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.snippets import CHECKOUT, DOCS, snippets_of
from tests.unit.batch_task import BatchTask
from tests.unit.project.declared import project_urls

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
#: What is behind `](`, in links and pictures.
LINKS = re.findall(r"\]\(([^)]+)\)", README)


def guarantees(text: str) -> list[str]:
    return re.findall(r"^\d+\. .+$", text, re.MULTILINE)


def on_the_package_index() -> str:
    """Return the README as the build makes it."""
    declared = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    text = README
    for pattern, replacement in re.findall(
        r"^pattern = '(.+)'\nreplacement = '(.+)'$", declared, re.MULTILINE
    ):
        text = re.sub(pattern, replacement, text)
    return text


def test_it_has_120_lines_at_most() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.sampled(99)
@pytest.mark.parametrize("link", sorted({link for link in LINKS if not link.startswith(("http", "#"))}))
def test_a_link_leads_to_a_file_of_the_checkout(link: str) -> None:
    path, _, anchor = link.partition("#")

    assert (CHECKOUT / path).is_file()
    headings = (
        re.findall(r"^#+ (.+)$", (CHECKOUT / path).read_text(encoding="utf-8"), re.MULTILINE)
        if anchor
        else []
    )
    assert not anchor or anchor in {
        re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings
    }


def test_every_link_is_absolute_on_the_package_index() -> None:
    source = project_urls()["Source"]
    raw = source.replace("https://github.com/", "https://raw.githubusercontent.com/")

    links = re.findall(r"\]\(([^)]+)\)", on_the_package_index())

    assert len(links) == len(LINKS)
    assert [link for link in links if not link.startswith((f"{source}/blob/main/", f"{raw}/main/"))] == []
    assert [link for link in links if link.startswith(raw) != link.endswith((".png", ".svg"))] == []


def test_it_guarantees_what_the_documentation_guarantees() -> None:
    page = (DOCS / "guarantees.md").read_text(encoding="utf-8")

    assert guarantees(README) == guarantees(page)


@pytest.mark.thorough
def test_its_dag_runs_with_what_its_install_line_installs(
    batch: BatchTask, connected: Sandbox, tmp_path: Path
) -> None:
    (snippet,) = [each for each in snippets_of(CHECKOUT / "README.md") if each.mark == "dag"]
    (tmp_path / "people.csv").write_text("first_name,last_name\nJohanna,Nowakowska\nPiotr,\n")
    text = snippet.text.replace("/data/", f"{tmp_path}/").replace("catchup=False):", "catchup=False) as dag:")

    assert "://" not in text
    namespace: dict[str, DAG] = {}
    exec(compile(text, snippet.id, "exec"), namespace)
    (task,) = namespace["dag"].tasks
    connected.define(task.workflow_definition_id, seconds=0.0)
    task.deferrable = False
    task.render_template_fields({**batch.context, "ds": "2026-01-31"})
    summary = task.execute(batch.context)

    assert summary["outcomes"] == {"succeeded": 2}
    assert (tmp_path / "results" / "2026-01-31" / "results.jsonl").is_file()
