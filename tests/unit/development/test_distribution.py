"""What ``make dist`` refuses to have uploaded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from development.distribution.contents import (
    problems_of_source,
    problems_of_wheel,
    tracked_files,
    uncommitted_changes,
)
from development.distribution.trial import Trial, TrialFailed

ABOUT = {"airflow_provider_workflows-0.1.0.dist-info/METADATA"}
PACKAGE = {"airflow_provider_workflows/__init__.py", "airflow_provider_workflows/py.typed"}
TRACKED = PACKAGE | {"tests/test_x.py", "docs/pages.md", ".ci/run", ".github/workflows/checks.yml"}
SOURCE = PACKAGE | {"tests/test_x.py", "docs/pages.md", "PKG-INFO", "site/index.html"}


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        (PACKAGE | ABOUT, []),
        (PACKAGE | ABOUT | {"tests/test_x.py"}, ["The wheel has tests/test_x.py, which is not to be in it."]),
        (
            ABOUT | {"airflow_provider_workflows/__init__.py"},
            ["The wheel lacks airflow_provider_workflows/py.typed."],
        ),
        (
            PACKAGE | ABOUT | {"airflow_provider_workflows/notes.txt"},
            ["The wheel has airflow_provider_workflows/notes.txt, which is not to be in it."],
        ),
    ],
)
def test_a_wheel_has_the_package_and_nothing_else(names: set[str], problems: list[str]) -> None:
    assert list(problems_of_wheel(names, TRACKED)) == problems


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        (SOURCE, []),
        (SOURCE | {"site/pages.html"}, []),
        (
            SOURCE - {"site/index.html"},
            ["The source distribution lacks the documentation that `make docs` builds."],
        ),
        (SOURCE - {"docs/pages.md"}, ["The source distribution lacks docs/pages.md."]),
        (SOURCE | {".env"}, ["The source distribution has .env, which is not to be in it."]),
        (SOURCE | {".ci/run"}, ["The source distribution has .ci/run, which is not to be in it."]),
    ],
)
def test_a_source_distribution_has_all_that_is_under_version_control(
    tmp_path: Path, names: set[str], problems: list[str]
) -> None:
    assert list(problems_of_source(names, TRACKED, tmp_path)) == problems


def test_a_link_is_left_out_of_a_source_distribution(tmp_path: Path) -> None:
    examples = tmp_path / "airflow_provider_workflows" / "example_dags"
    examples.mkdir(parents=True)
    (examples / "single.py").touch()
    (tmp_path / "dags").symlink_to(examples)
    tracked = {"dags", "airflow_provider_workflows/example_dags/single.py"}

    names = {"airflow_provider_workflows/example_dags/single.py", "site/index.html"}

    assert list(problems_of_source(names, tracked, tmp_path)) == []


def test_a_change_that_is_not_committed_is_found(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "committed.py").touch()
    git("add", ".")
    git("-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "--message", "First")
    before = uncommitted_changes(tmp_path)

    (tmp_path / "new file.py").touch()

    assert before == []
    assert uncommitted_changes(tmp_path) == ["new file.py"]
    assert tracked_files(tmp_path) == {"committed.py"}


def test_a_program_that_fails_ends_the_trial_with_what_it_has_printed(tmp_path: Path) -> None:
    programs = tmp_path / "environment" / "bin"
    programs.mkdir(parents=True)
    (programs / "airflow").write_text("#!/bin/sh\necho no such table: dag\nexit 3\n")
    (programs / "airflow").chmod(0o755)
    trial = Trial(tmp_path, tmp_path / "x.whl", tmp_path / "constraints.txt")

    with pytest.raises(TrialFailed, match=r"(?s)`airflow db migrate` has failed.*no such table: dag"):
        trial.run("airflow", "db", "migrate")


def test_a_trial_is_told_nothing_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/somewhere/else")
    programs = tmp_path / "environment" / "bin"
    programs.mkdir(parents=True)
    (programs / "env").write_text("#!/bin/sh\nexec /usr/bin/env\n")
    (programs / "env").chmod(0o755)
    trial = Trial(tmp_path, tmp_path / "x.whl", tmp_path / "constraints.txt")

    printed = trial.run("env", "")

    assert "/somewhere/else" not in printed
    assert f"TMPDIR={tmp_path / 'tmp'}" in printed
