"""The tour that ``make airflow`` prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_workflows.plugin import WorkflowsPlugin
from airflow_provider_workflows.sandbox import Sandbox
from development.interactive import (
    ALERT_CONNECTION_ID,
    CONNECTION_ID,
    RECORDS_CONNECTION_ID,
    Tour,
    _greeting,
)
from tests.harness.local_airflow import EXAMPLE_DAGS
from tests.harness.running_airflow import RunningAirflow


@pytest.fixture
def greeting(sandbox: Sandbox) -> str:
    airflow = RunningAirflow("http://127.0.0.1:8080", "admin", "swordfish")
    return _greeting(Tour(airflow, sandbox, Path("/tmp/airflow-x/tmp")))


def dag_ids() -> set[str]:
    sources = [file.read_text() for file in EXAMPLE_DAGS.glob("*.py")]
    return {dag_id for text in sources for dag_id in re.findall(r'^with DAG\(\s*"(\w+)"', text, re.MULTILINE)}


def test_it_names_no_dag_and_no_connection_that_is_not_there(greeting: str) -> None:
    named = set(re.findall(r"\bworkflows_\w+", greeting))

    assert named - {CONNECTION_ID, RECORDS_CONNECTION_ID, ALERT_CONNECTION_ID} <= dag_ids()


def test_it_leads_to_every_example_but_the_one_that_shows_nothing(greeting: str) -> None:
    assert dag_ids() - {"workflows_alerts"} == {dag_id for dag_id in dag_ids() if dag_id in greeting}


@pytest.mark.parametrize(
    "step",
    [
        "Connection",
        "Single case",
        "Record",
        "Batch",
        "Page",
        "Repair",
        "Assets",
        "Webhook",
        "Alert",
        "Trouble",
    ],
)
def test_it_has_a_step_for_each_thing_that_there_is_to_see(greeting: str, step: str) -> None:
    assert re.search(rf"^ +\d+\. {step}: ", greeting, re.MULTILINE)


def test_its_pages_are_called_as_airflow_shows_them(greeting: str) -> None:
    names = {view["destination"]: view["name"] for view in WorkflowsPlugin.external_views}

    assert f"tab, {names['task_instance']}." in greeting
    assert f"or {names['nav']} in the navigation" in greeting


def test_it_says_where_airflow_is_who_to_log_in_as_and_where_the_results_are(greeting: str) -> None:
    for text in ("http://127.0.0.1:8080", "user admin", "swordfish", "/tmp/airflow-x/tmp/workflows_..."):
        assert text in greeting


def test_it_fits_a_terminal(greeting: str) -> None:
    assert [line for line in greeting.splitlines() if len(line) > 116] == []
