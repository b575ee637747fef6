"""What each version of Airflow lacks: one list in the code, which a log line and ``docs/airflow_versions.md`` say.

``WRITE_DOCS=1 python -m pytest tests/unit/airflow_internals/test_versions.py`` writes the table of the page anew.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk.execution_time import task_runner

from airflow_provider_workflows import airflow_internals
from airflow_provider_workflows.airflow_internals import versions
from airflow_provider_workflows.airflow_internals.feature import Feature
from airflow_provider_workflows.plugin import WorkflowsPlugin

PAGE = Path(__file__).parents[3] / "docs" / "airflow_versions.md"
BEGIN, END = "<!-- written by tests/unit/airflow_internals/test_versions.py -->", "<!-- end -->"


def absent() -> None:
    raise ImportError("it is not there")


@pytest.fixture
def made_for_a_test() -> Iterator[None]:
    """Forget features that the test makes."""
    before = list(Feature.all)
    yield
    Feature.all[:] = before


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_said", [])


def table() -> str:
    lines = ["| this package can | since Airflow | on older ones |", "| --- | --- | --- |"]
    lines += [
        f"| {feature.purpose} | {feature.since} | {feature.without} |" for feature in versions.DIFFERENCES
    ]
    return "\n".join(lines)


def test_the_page_has_the_table_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)

    printed = f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"

    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(printed, encoding="utf-8")
    assert page == printed or os.environ.get("WRITE_DOCS"), (
        "write it anew, as the docstring of this module says"
    )


def test_all_that_some_version_lacks_is_in_the_list() -> None:
    for module in pkgutil.iter_modules(airflow_internals.__path__, f"{airflow_internals.__name__}."):
        importlib.import_module(module.name)

    assert {feature for feature in Feature.all if feature.since} == set(versions.DIFFERENCES)


@pytest.mark.usefixtures("nothing_said", "made_for_a_test")
def test_one_line_says_at_start_up_what_this_airflow_lacks(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = [
        Feature("a", purpose=purpose, without="", find=absent, since="9.9") for purpose in ("fly", "swim")
    ]
    monkeypatch.setattr(versions, "DIFFERENCES", tuple(lacks))
    caplog.set_level(logging.INFO)

    WorkflowsPlugin.on_load()
    WorkflowsPlugin.on_load()

    (line,) = [record.getMessage() for record in caplog.records]
    assert "which cannot: fly; swim." in line
    assert "docs/airflow_versions.md" in line


@pytest.mark.usefixtures("nothing_said", "made_for_a_test")
def test_the_process_of_a_task_says_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = Feature("a", purpose="fly", without="", find=absent, since="9.9")
    monkeypatch.setattr(versions, "DIFFERENCES", (lacks,))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
    caplog.set_level(logging.INFO)

    WorkflowsPlugin.on_load()

    assert caplog.records == []


@pytest.mark.usefixtures("nothing_said")
def test_nothing_is_said_where_airflow_lacks_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "DIFFERENCES", ())
    caplog.set_level(logging.INFO)

    versions.say_what_is_lacking()

    assert caplog.records == []


@pytest.mark.usefixtures("made_for_a_test")
@pytest.mark.parametrize(("error", "warnings"), [(ImportError, 0), (AttributeError, 0), (ValueError, 1)])
def test_a_name_that_has_changed_is_a_warning_and_one_that_is_not_there_yet_is_not(
    caplog: pytest.LogCaptureFixture, error: type[Exception], warnings: int
) -> None:
    def find() -> None:
        raise error("what it is")

    feature = Feature("a", purpose="fly", without="It walks", find=find, since="9.9")

    assert not feature.is_available()

    assert len(caplog.records) == warnings
