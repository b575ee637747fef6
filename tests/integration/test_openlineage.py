"""The OpenLineage events of a real Airflow, event by event."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openlineage.client import event_v2, generated

from airflow_provider_workflows.lineage.assets import definition_uri
from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION, Sandbox
from tests.harness.local_airflow import RunningAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

#: Events are written by processes of their own.
LATE_SECONDS = 60.0


@dataclass
class Events:
    """The events of the tasks of ``events_of_...``."""

    airflow: RunningAirflow
    file: Path

    def of(self, job: str, last: str = "COMPLETE") -> list[dict[str, Any]]:
        """The events of a task in the order of their writing, once the last one is there."""

        def found() -> list[dict[str, Any]] | None:
            lines = self.file.read_text().splitlines() if self.file.exists() else []
            events = [event for event in map(json.loads, lines) if event["job"]["name"] == job]
            return events if last in {event["eventType"] for event in events} else None

        return self.airflow.until(found, LATE_SECONDS, f"the event {last} of {job}")

    def last(self, job: str, kind: str = "COMPLETE") -> dict[str, Any]:
        return next(event for event in reversed(self.of(job, kind)) if event["eventType"] == kind)


@pytest.fixture(scope="module")
def events(running_airflow: RunningAirflow, events_of: dict[str, str], lineage_file: Path) -> Events:
    assert events_of
    return Events(running_airflow, lineage_file)


@pytest.fixture(scope="module")
def of_definition(airflow_sandbox: Sandbox) -> tuple[str, str]:
    namespace, _, name = definition_uri(airflow_sandbox.url, DEFINITION).partition("/definitions/")
    return namespace, f"definitions/{name}"


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


def facet(event: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = event["run"]["facets"]["workflows_run"]
    return {name: value for name, value in content.items() if not name.startswith("_")}


@pytest.mark.parametrize("mode", ["worker", "triggerer", "killed"])
class TestSuccess:
    def test_of_a_run_names_its_ids_and_its_definition(
        self,
        events: Events,
        events_of: dict[str, str],
        airflow_sandbox: Sandbox,
        of_definition: tuple[str, str],
        mode: str,
    ) -> None:
        dag_id, run_id = f"events_of_{mode}", events_of[mode]

        event = events.last(f"{dag_id}.run")

        assert facet(event) == {
            "host": airflow_sandbox.url,
            "workflowDefinitionId": DEFINITION,
            "workflowId": events.airflow.xcom(dag_id, run_id, "run"),
            "caseId": events.airflow.xcom(dag_id, run_id, "case"),
            "status": "COMPLETED",
        }
        assert (names(event["inputs"]), names(event["outputs"])) == ([], [of_definition])

    def test_of_a_result_names_its_file(
        self, events: Events, events_of: dict[str, str], of_definition: tuple[str, str], mode: str
    ) -> None:
        dag_id = f"events_of_{mode}"

        event = events.last(f"{dag_id}.result")

        handle = events.airflow.xcom(dag_id, events_of[mode], "result")
        assert names(event["outputs"]) == [("file", handle["uri"]), of_definition]
        assert facet(event)["caseId"] == handle["case_id"]

    def test_of_a_batch_names_its_items_its_table_and_its_counts(
        self,
        events: Events,
        events_of: dict[str, str],
        cases_file: Path,
        airflow_sandbox: Sandbox,
        of_definition: tuple[str, str],
        mode: str,
    ) -> None:
        dag_id = f"events_of_{mode}"

        event = events.last(f"{dag_id}.batch")

        summary = events.airflow.xcom(dag_id, events_of[mode], "batch")
        assert names(event["inputs"]) == [("file", str(cases_file))]
        assert names(event["outputs"]) == [("file", summary["output"]), of_definition]
        assert facet(event) == {
            "host": airflow_sandbox.url,
            "workflowDefinitionId": DEFINITION,
            "counts": {"succeeded": 3},
        }


@pytest.mark.parametrize(
    ("task_id", "said"), [("run", "failure status FAILED"), ("batch", "3 of 3 rows did not")]
)
def test_a_failure_says_why_and_of_what(events: Events, task_id: str, said: str) -> None:
    event = events.last(f"events_of_failing.{task_id}", "FAIL")

    assert said in event["run"]["facets"]["errorMessage"]["message"]
    assert facet(event)["workflowDefinitionId"] == FAILING_DEFINITION
    assert not [name for namespace, name in names(event["outputs"]) if namespace != "file"]


def test_a_task_that_was_killed_completes_once_in_its_second_try(events: Events) -> None:
    kinds = [event["eventType"] for event in events.of("events_of_killed.run")]

    assert kinds.count("COMPLETE") == 1


def test_the_processing_engine_is_airflow(events: Events) -> None:
    engine = events.last("events_of_worker.run")["run"]["facets"]["processing_engine"]

    assert engine["name"] == "Airflow"


def test_asset_events_and_datasets_have_one_name(events: Events, of_definition: tuple[str, str]) -> None:
    assets = events.airflow.call("GET", "/assets", uri_pattern="definitions", limit=100)["assets"]

    assert "/".join(of_definition) in {asset["uri"] for asset in assets}


CHECKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "the client reads its run": lambda event: event_v2.Run(runId=event["run"]["runId"]),
    "the client reads its job": lambda event: event_v2.Job(
        namespace=event["job"]["namespace"], name=event["job"]["name"]
    ),
    "the client reads its time and kind": lambda event: event_v2.RunEvent(
        eventTime=event["eventTime"],
        eventType=event_v2.RunState[event["eventType"]],
        run=event_v2.Run(runId=event["run"]["runId"]),
        job=event_v2.Job(namespace=event["job"]["namespace"], name=event["job"]["name"]),
        producer=event["producer"],
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_each_event_is_one_of_openlineage(events: Events, check: Callable[[dict[str, Any]], object]) -> None:
    for mode in ("worker", "triggerer"):
        for event in events.of(f"events_of_{mode}.batch"):
            assert check(event)


def test_each_standard_facet_has_the_fields_of_its_class(events: Events) -> None:
    modules = [
        importlib.import_module(f"{generated.__name__}.{module.name}")
        for module in pkgutil.iter_modules(generated.__path__)
    ]
    read = set()

    events.last("events_of_failing.run", "FAIL")
    for event in map(json.loads, events.file.read_text().splitlines()):
        for content in (event["run"]["facets"] | event["job"]["facets"]).values():
            schema, _, name = content["_schemaURL"].rpartition("#/$defs/")
            if not schema.startswith("https://openlineage.io/spec/facets/"):
                continue
            kind = next(getattr(module, name) for module in modules if hasattr(module, name))
            assert kind(**{key: value for key, value in content.items() if not key.startswith("_")})
            read.add(name)

    assert {"ErrorMessageRunFacet", "ProcessingEngineRunFacet", "ParentRunFacet"} <= read


def test_each_facet_of_ours_fits_its_schema(events: Events) -> None:
    schema = resources.files("airflow_provider_workflows.lineage") / "WorkflowsRunFacet.json"
    validator = Draft202012Validator(json.loads(schema.read_text()))

    lines = events.file.read_text().splitlines()
    ours = [
        event["run"]["facets"]
        for event in map(json.loads, lines)
        if "workflows_run" in event["run"]["facets"]
    ]

    assert ours
    for facets in ours:
        validator.validate({"workflows_run": facets["workflows_run"]})
