"""The hosted checks run the targets of the Makefile, with no more rights than they need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.project.declared import CHECKOUT, section

FOLDER = CHECKOUT / ".github"
MAKEFILE = (CHECKOUT / "Makefile").read_text()
TARGETS = set(re.findall(r"(?m)^([a-z][a-z-]*):", MAKEFILE))
#: What may be done with more than reading, by workflow and job.
RIGHTS = {
    ("documentation.yaml", "publish"): {"id-token": "write", "pages": "write"},
    ("release.yaml", "upload"): {"id-token": "write"},
}

# A source distribution has neither the workflows nor what leads to them.
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="there are no workflows in a source distribution")


def workflows() -> dict[str, dict[str, Any]]:
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("workflows/*.yaml"))}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file, workflow in workflows().items():
        for name, job in workflow["jobs"].items():
            yield file, name, job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for file, name, job in jobs():
        yield from ((f"{file}, {name}", step) for step in job["steps"])


def commands() -> set[str]:
    return {
        command for _, step in steps() for command in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))
    }


def test_each_tier_is_a_target_of_the_makefile() -> None:
    assert {
        "lint",
        "types",
        "test-fast",
        "test-thorough",
        "test-stores",
        "test-airflow",
        "test-lowest",
        "test-all",
        "docs",
        "dist",
    } <= commands()
    assert commands() - TARGETS == set()


def test_git_runs_targets_of_the_makefile_and_fetches_nothing() -> None:
    repositories = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]

    assert {repository["repo"] for repository in repositories} == {"local"}
    assert {hook["entry"].removeprefix("make ") for hook in hooks} - TARGETS == set()
    assert {"make lint", "make types"} <= {hook["entry"] for hook in hooks}


def test_each_python_that_is_declared_is_tried() -> None:
    declared = set(re.findall(r"Python :: (3\.\d+)\"", section("project")))

    tried = workflows()["checks.yaml"]["jobs"]["quick"]["strategy"]["matrix"]["python"]

    assert set(tried) == declared


def test_each_action_of_others_is_pinned_by_its_commit_with_its_version_beside_it() -> None:
    for path in FOLDER.rglob("*.yaml"):
        for use in re.findall(r"(?m)^\s*(?:- )?uses: (.+)$", path.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use


def test_a_job_has_only_the_rights_that_it_needs() -> None:
    assert {
        file: workflow["permissions"] for file, workflow in workflows().items() if workflow["permissions"]
    } == {}
    for file, name, job in jobs():
        assert job["permissions"] == RIGHTS.get((file, name), {"contents": "read"}), (file, name)


def test_a_checkout_leaves_no_credentials_behind() -> None:
    checkouts = [step for _, step in steps() if "actions/checkout" in step.get("uses", "")]

    assert checkouts
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_no_job_runs_for_ever() -> None:
    assert [(file, name) for file, name, job in jobs() if not job.get("timeout-minutes")] == []


def test_what_is_released_is_made_without_what_others_have_cached() -> None:
    released = [step for place, step in steps() if place.startswith("release.yaml")]

    assert released
    assert [step for step in released if "cache" in str(step)] == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("ISSUE_TEMPLATE/[0-9]*.yml")), ids=lambda path: path.name)
def test_a_form_asks_for_no_personal_data(path: Path) -> None:
    form = yaml.safe_load(path.read_text())

    assert form["body"]
    assert "real people" in path.read_text().lower() or "documentation" in form["labels"]
