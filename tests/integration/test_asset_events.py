"""Asset events on real Airflow: made once by what succeeds, and DAGs that are started by them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.lineage.assets import definition_uri
from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION, Sandbox
from tests.harness.local_airflow import RunningAirflow

from .conftest import EVENT_MODES

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

ROWS = 3
#: Of the examples' file of cases.
NIGHTLY_ROWS = 60
SUCCEEDING = [mode for mode in EVENT_MODES if mode != "failing"]
QUICK_RUNS = 3


@dataclass
class Consumed:
    airflow: RunningAirflow

    def events(self, uri: str) -> list[dict[str, Any]]:
        """The events of an asset."""
        assets = self.airflow.call("GET", "/assets", uri_pattern=uri)["assets"]
        ids = [asset["id"] for asset in assets if asset["uri"] == uri]
        if not ids:
            return []

        # Airflow responds with 500 while a run that an event has caused waits for its start.
        def found() -> tuple[list[dict[str, Any]]]:
            return (self.airflow.call("GET", "/assets/events", asset_id=ids[0], limit=100)["asset_events"],)

        return self.airflow.until(found, 60, f"the events of {uri}")[0]

    def values(self, dag_id: str, task_id: str) -> list[Any]:
        """What the task of each run of a DAG has returned so far."""
        runs = self.airflow.call("GET", f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
        values = [self.airflow.xcom(dag_id, run["dag_run_id"], task_id) for run in runs]
        return [value for value in values if value is not None]


@pytest.fixture(scope="module")
def consumed(running_airflow: RunningAirflow) -> Consumed:
    return Consumed(running_airflow)


def test_every_dag_of_the_examples_can_be_imported(
    events_of: dict[str, str], running_airflow: RunningAirflow
) -> None:
    assert events_of
    errors = running_airflow.call("GET", "/importErrors")["import_errors"]
    dags = {dag["dag_id"] for dag in running_airflow.call("GET", "/dags", limit=100)["dags"]}

    assert errors == []
    assert {"workflows_single_case", "workflows_downstream", "workflows_alerts"} <= dags


@pytest.mark.parametrize("mode", SUCCEEDING)
@pytest.mark.parametrize("task_id", ["run", "result", "batch"])
def test_a_task_that_succeeds_makes_one_event_of_each_asset(
    consumed: Consumed, events_of: dict[str, str], task_id: str, mode: str
) -> None:
    of_outlet = consumed.events(f"{task_id}_{mode}")

    (event,) = of_outlet
    assert event["extra"]["workflow_definition_id"] == DEFINITION
    assert event["source_run_id"] == events_of[mode]


@pytest.mark.parametrize("task_id", ["run", "batch"])
def test_a_task_that_fails_makes_none(consumed: Consumed, events_of: dict[str, str], task_id: str) -> None:
    assert events_of["failing"]
    assert consumed.events(f"{task_id}_failing") == []


def test_a_definition_that_only_failed_has_no_event(
    consumed: Consumed, events_of: dict[str, str], airflow_sandbox: Sandbox
) -> None:
    of_these = [
        event
        for event in consumed.events(definition_uri(airflow_sandbox.url, FAILING_DEFINITION))
        if event["source_run_id"] in events_of.values()
    ]

    assert of_these == []


def test_a_batch_that_is_killed_between_result_and_event_leaves_one_output_and_one_run_of_each_row(
    consumed: Consumed,
    events_of: dict[str, str],
    events_output: Path,
    running_airflow: RunningAirflow,
    airflow_sandbox: Sandbox,
) -> None:
    tasks = running_airflow.task_instances("events_of_killed", events_of["killed"])
    (event,) = consumed.events("batch_killed")

    folder = events_output / "events_of_killed" / "batch"
    outputs = list(folder.glob("results.*"))

    assert {task.task_id: task.try_number for task in tasks} == {"case": 1, "run": 2, "result": 2, "batch": 2}
    assert [str(path) for path in outputs] == [event["extra"]["uri"]]
    rows = [json.loads(line) for line in outputs[0].read_text().splitlines()]
    assert [airflow_sandbox.counts.runs_per_case[row["case_id"]] for row in rows] == [1] * ROWS


def test_a_result_that_is_killed_between_file_and_event_leaves_one_file(
    consumed: Consumed, events_of: dict[str, str], events_output: Path
) -> None:
    assert events_of
    (event,) = consumed.events("result_killed")

    assert [str(path) for path in (events_output / "events_of_killed").glob("*.json")] == [
        event["extra"]["uri"]
    ]


def test_a_dag_that_waits_for_the_definition_sees_every_task(
    consumed: Consumed, events_of: dict[str, str], running_airflow: RunningAirflow, airflow_sandbox: Sandbox
) -> None:
    made = [
        event["extra"]
        for event in consumed.events(definition_uri(airflow_sandbox.url, DEFINITION))
        if event["source_dag_id"].startswith("events_of_")
    ]
    assert len(made) == 3 * len(SUCCEEDING)
    assert events_of

    def all_seen() -> bool:
        seen = [extra for value in consumed.values("events_are_consumed", "workflows") for extra in value]
        return all(extra in seen for extra in made)

    running_airflow.until(all_seen, 60, "each event to be seen downstream")


def test_each_of_three_quick_runs_of_the_nightly_batch_reaches_the_example_downstream(
    consumed: Consumed, events_of: dict[str, str], running_airflow: RunningAirflow, tmp_path: Path
) -> None:
    assert events_of
    ids = [
        running_airflow.trigger("workflows_nightly_batch", {"output": str(tmp_path)})
        for _ in range(QUICK_RUNS)
    ]
    for run_id in ids:
        assert running_airflow.wait("workflows_nightly_batch", run_id, 300) == "success"
    tables = {str(path) for path in tmp_path.rglob("results.jsonl")}
    assert len(tables) == 2 * QUICK_RUNS

    def counted() -> dict[str, dict[str, int]] | None:
        found: dict[str, dict[str, int]] = {}
        for value in consumed.values("workflows_downstream", "count_decisions"):
            found |= value
        return {table: found[table] for table in tables} if tables <= found.keys() else None

    decisions = running_airflow.until(counted, 90, "each table to be counted downstream")
    assert sorted(counts.get("PASS", 0) for counts in decisions.values()) == [0] * 3 + [54] * 3
    assert {sum(counts.values()) for counts in decisions.values()} == {NIGHTLY_ROWS}


@pytest.mark.slow
def test_each_of_three_quick_batches_of_a_day_reaches_the_example_s_report_of_that_day(
    consumed: Consumed, events_of: dict[str, str], running_airflow: RunningAirflow, tmp_path: Path
) -> None:
    assert events_of
    conf = {"output": str(tmp_path)}
    ids = [running_airflow.trigger("workflows_daily_batch", conf) for _ in range(QUICK_RUNS)]
    for run_id in ids:
        assert running_airflow.wait("workflows_daily_batch", run_id, 300) == "success"
    expected = {str(path): NIGHTLY_ROWS for path in tmp_path.rglob("results.jsonl")}
    assert len(expected) == QUICK_RUNS

    def reported() -> dict[str, int] | None:
        found: dict[str, int] = {}
        for value in consumed.values("workflows_daily_report", "count_rows"):
            found |= value
        return found if expected.keys() <= found.keys() else None

    assert running_airflow.until(reported, 90, "each table to be in the report of its day") == expected
    reports = running_airflow.call("GET", "/dags/workflows_daily_report/dagRuns")["dag_runs"]
    begun = running_airflow.call("GET", f"/dags/workflows_daily_batch/dagRuns/{ids[0]}")["run_after"]
    assert begun[:10] in {report["partition_key"] for report in reports}
    assert {len(report["partition_key"]) for report in reports} == {len("2026-11-30")}
