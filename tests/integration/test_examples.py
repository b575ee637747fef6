"""``make airflow``: each example is green when it is triggered as its form opens, but the one that fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from development.interactive import ALERT_CONNECTION_ID, CONNECTION_ID, Tour, tour
from tests.harness.local_airflow import EXAMPLE_DAGS
from tests.harness.ports import free_ports

from .conftest import logs_of

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1800)]

FAILING = "workflows_fails_on_purpose"
ON_COMPLETION, SINGLE_CASE = "workflows_on_completion", "workflows_single_case"
EXAMPLES = sorted(
    dag_id
    for file in EXAMPLE_DAGS.glob("*.py")
    for dag_id in re.findall(r'^with DAG\(\s*"(\w+)"', file.read_text(), re.MULTILINE)
)


@dataclass
class Pressed:
    """The tour, and the run of each example that was triggered with its form as it opens."""

    tour: Tour
    alerts: list[str]
    runs: dict[str, str] = field(default_factory=dict)

    def trigger(self, dag_id: str) -> str:
        run_id = self.runs[dag_id] = self.tour.airflow.trigger(dag_id)
        return run_id

    def state(self, dag_id: str) -> str:
        return self.tour.airflow.wait(dag_id, self.runs[dag_id], 400)

    def runs_of(self, dag_id: str) -> dict[str, str]:
        """The state of each run of an example, by its id."""
        found = self.tour.airflow.call("GET", f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
        return {run["dag_run_id"]: run["state"] for run in found}


@pytest.fixture(scope="module")
def pressed() -> Iterator[Pressed]:
    (port,) = free_ports(1)
    alerts: list[str] = []
    with tour(port, alerts.append) as running:
        pressed = Pressed(running, alerts)
        for dag_id in (ON_COMPLETION, SINGLE_CASE):
            pressed.trigger(dag_id)
            pressed.state(dag_id)
        running.airflow.until(
            lambda: len(pressed.runs_of(ON_COMPLETION)) > 1, 60, "the webhook to start a run"
        )
        # As the tour says: the batches' rows would start one run each.
        running.airflow.call("PATCH", f"/dags/{ON_COMPLETION}", {"is_paused": True})
        for dag_id in EXAMPLES:
            if dag_id not in pressed.runs:
                pressed.trigger(dag_id)
                # SQLite takes one click at a time: of ten at once, some tasks fail on a busy machine.
                pressed.state(dag_id)
        yield pressed


def test_the_examples_are_all_that_there_are(pressed: Pressed) -> None:
    found = {dag["dag_id"] for dag in pressed.tour.airflow.call("GET", "/dags", limit=100)["dags"]}

    assert found == set(EXAMPLES)


@pytest.mark.parametrize("dag_id", [dag_id for dag_id in EXAMPLES if dag_id != FAILING])
def test_each_is_green(pressed: Pressed, dag_id: str) -> None:
    state = pressed.state(dag_id)

    assert state == "success", logs_of(pressed.tour.airflow, dag_id, pressed.runs[dag_id])
    states = {task.state for task in pressed.tour.airflow.task_instances(dag_id, pressed.runs[dag_id])}
    assert states <= {"success", "skipped"}


def test_the_one_that_fails_on_purpose_shows_an_alert(pressed: Pressed) -> None:
    assert pressed.state(FAILING) == "failed"

    pressed.tour.airflow.until(lambda: pressed.alerts, 60, "the alert")

    (alert,) = pressed.alerts
    assert FAILING in alert
    assert "FAILED" in alert


def test_the_end_of_a_workflow_starts_a_run_by_a_webhook(pressed: Pressed) -> None:
    (run_id,) = set(pressed.runs_of(ON_COMPLETION)) - {pressed.runs[ON_COMPLETION]}
    pressed.tour.airflow.call("PATCH", f"/dags/{ON_COMPLETION}", {"is_paused": False})

    assert pressed.tour.airflow.wait(ON_COMPLETION, run_id) == "success"

    states = pressed.tour.airflow.task_states(ON_COMPLETION, run_id)
    assert states == {"get_result": "success", "print_decision": "success"}


def test_a_batch_starts_the_runs_that_are_scheduled_on_its_results(pressed: Pressed) -> None:
    for dag_id, follower in (
        ("workflows_nightly_batch", "workflows_downstream"),
        ("workflows_daily_batch", "workflows_daily_report"),
    ):
        pressed.state(dag_id)

        def followed(follower: str = follower) -> bool:
            others = [
                state for run, state in pressed.runs_of(follower).items() if run != pressed.runs[follower]
            ]
            return bool(others) and set(others) == {"success"}

        pressed.tour.airflow.until(followed, 120, f"a run of {follower}")


def test_the_connection_can_be_tested_by_its_button(pressed: Pressed) -> None:
    works, said = pressed.tour.airflow.press_test(CONNECTION_ID)

    assert works, said
    assert "with its organization token. Webhooks are on; the endpoint of their keys responds." in said


def test_the_alerts_have_a_connection_that_a_person_can_see(pressed: Pressed) -> None:
    assert pressed.tour.airflow.call("GET", f"/connections/{ALERT_CONNECTION_ID}")["conn_type"] == "generic"


def test_the_results_are_where_the_tour_says(pressed: Pressed) -> None:
    pressed.state("workflows_nightly_batch")

    assert {path.name for path in pressed.tour.results.glob("workflows_*")} >= {
        "workflows_nightly_batch",
        "workflows_results",
    }
    assert list(Path(pressed.tour.results).rglob("results.jsonl"))
