"""Which asset events a task asks Airflow for, and what they carry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.execution_time.task_runner import _serialize_outlet_events

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.lineage.assets import definition
from airflow_provider_workflows.lineage.events import partition_key_of
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.operators.test_run_modes import OFTEN, drive

PERSON = {"first_name": "Zdzisława", "personal_number": "84121201234"}
RESULTS = Asset("results")


@pytest.fixture(autouse=True)
def connection(sandbox: Sandbox, short_pauses: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)


def events_of(context: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What Airflow is sent when the task succeeds: the extras of the events, by the asset's URI."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in _serialize_outlet_events(context["outlet_events"]):
        found.setdefault(event["dest_asset_key"]["uri"], []).append(event["extra"])  # type: ignore[index,call-overload]
    return found


def ran(sandbox: Sandbox, context: dict[str, Any], **arguments: Any) -> tuple[str, str, str]:
    """Run a workflow in a task; return the ids of the definition, the case and the workflow."""
    definition_id = arguments.pop("definition_id", None) or sandbox.define(seconds=0.06)
    with sandbox.client() as client:
        case_id = client.create_case(**PERSON).case_id
    given = {"task_id": "run", "workflow_definition_id": definition_id, "case_id": case_id}
    given |= {"wait_for_completion": True, **OFTEN, **arguments}
    operators: list[RunWorkflowOperator] = []

    def operator() -> RunWorkflowOperator:
        operators.append(RunWorkflowOperator(**given))
        return operators[-1]

    workflow_id = drive(operator, context)
    context["outlets"] = operators[-1].outlets
    return definition_id, case_id, workflow_id


@pytest.mark.parametrize("mode", [{"deferrable": False}, {"deferrable": True}], ids=["worker", "triggerer"])
def test_a_run_is_an_event_of_its_definition_and_of_the_outlets(
    sandbox: Sandbox, context: dict[str, Any], mode: dict[str, Any]
) -> None:
    definition_id, case_id, workflow_id = ran(sandbox, context, outlets=[RESULTS], **mode)

    extra = {
        "workflow_definition_id": definition_id,
        "workflow_id": workflow_id,
        "case_id": case_id,
        "status": "COMPLETED",
    }
    assert events_of(context) == {"results": [extra], definition(definition_id, sandbox.url).uri: [extra]}


def test_a_run_that_ended_before_the_first_poll_is_an_event_too(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    definition_id, *_ = ran(sandbox, context, definition_id=sandbox.define(seconds=0.0), deferrable=True)

    assert list(events_of(context)) == [definition(definition_id, sandbox.url).uri]


def test_what_the_dag_s_author_adds_to_an_event_stays(sandbox: Sandbox, context: dict[str, Any]) -> None:
    context["outlet_events"][RESULTS].extra = {"team": "risk", "status": "as I say"}

    ran(sandbox, context, outlets=[RESULTS])

    (extra,) = events_of(context)["results"]
    assert (extra["team"], extra["status"]) == ("risk", "as I say")


def test_a_definition_that_is_an_outlet_itself_has_one_event(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    definition_id = sandbox.define(seconds=0.0)
    asset = Asset("checks", uri=definition(definition_id, sandbox.url).uri)

    ran(sandbox, context, definition_id=definition_id, outlets=[asset])

    assert [len(events) for events in events_of(context).values()] == [1]


def test_an_alias_among_the_outlets_gets_the_definition_s_event(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    ran(sandbox, context, outlets=[AssetAlias("mine")])

    by_alias = [
        event for event in _serialize_outlet_events(context["outlet_events"]) if "source_alias_name" in event
    ]
    assert [event["source_alias_name"] for event in by_alias] == ["mine"]


def test_a_definition_s_event_is_of_an_asset_among_the_outlets_and_of_no_alias_of_ours(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    # Airflow creates the assets of aliases, and fails the second of two tasks that have it do so at once.
    definition_id, *_ = ran(sandbox, context)

    assert context["outlets"] == [definition(definition_id, sandbox.url)]


@pytest.mark.parametrize("mode", [{"deferrable": False}, {"deferrable": True}], ids=["worker", "triggerer"])
def test_a_failure_is_no_event(sandbox: Sandbox, context: dict[str, Any], mode: dict[str, Any]) -> None:
    definition_id = sandbox.define(seconds=0.06, status="FAILED")

    with pytest.raises(errors.WorkflowFailed):
        ran(sandbox, context, definition_id=definition_id, outlets=[RESULTS], **mode)

    assert events_of(context) == {}


def test_a_run_that_is_not_waited_for_is_no_event_of_ours(sandbox: Sandbox, context: dict[str, Any]) -> None:
    ran(sandbox, context, wait_for_completion=False)

    assert events_of(context) == {}


def test_a_result_in_a_file_is_an_event_with_its_uri(
    sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    definition_id, case_id, workflow_id = ran(sandbox, context | {"outlet_events": context["outlet_events"]})
    before = len(events_of(context)[definition(definition_id, sandbox.url).uri])

    handle = GetWorkflowResultOperator(
        task_id="result", workflow_id=workflow_id, output_path=str(tmp_path), outlets=[RESULTS]
    ).execute(context)

    assert events_of(context)["results"] == [
        {"workflow_id": workflow_id, "case_id": case_id, "status": "COMPLETED", "uri": handle["uri"]}
    ]
    assert before == 1


def test_a_result_knows_the_definition_of_the_run_that_it_is_given(sandbox: Sandbox) -> None:
    definition_id = sandbox.define()
    with DAG("dag"):
        run = RunWorkflowOperator(
            task_id="run", workflow_definition_id=definition_id, case_id="{{ params.case }}"
        )
        result = GetWorkflowResultOperator(task_id="result", workflow_id=run.output)

    assert result.workflow_definition_id == definition_id


@pytest.mark.parametrize("definition_id", ["", "None", "no id"])
def test_a_definition_that_is_not_an_id_is_refused_before_anything_is_sent(
    sandbox: Sandbox, context: dict[str, Any], definition_id: str
) -> None:
    *_, workflow_id = ran(sandbox, dict(context))
    sandbox.counts.reset()
    result = GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id)
    result.workflow_definition_id = definition_id

    with pytest.raises(errors.InvalidInput, match="workflow_definition_id"):
        result.execute(context)

    assert not sandbox.counts.requests


def test_an_event_of_a_result_carries_nothing_of_the_person(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    definition_id, _, workflow_id = ran(sandbox, dict(context))

    result = GetWorkflowResultOperator(
        task_id="result", workflow_id=workflow_id, workflow_definition_id=definition_id, outlets=[RESULTS]
    ).execute(context)

    sent = json.dumps(events_of(context), ensure_ascii=False)
    assert PERSON["first_name"] in json.dumps(result, ensure_ascii=False)
    assert not [value for value in PERSON.values() if value in sent]
    assert events_of(context)["results"][0]["status"] == "COMPLETED"


def test_a_result_that_nobody_is_told_of_costs_one_request(sandbox: Sandbox, context: dict[str, Any]) -> None:
    *_, workflow_id = ran(sandbox, dict(context))
    sandbox.counts.reset()

    GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id).execute(context)

    assert sandbox.counts.requests["GET /workflows/{workflowId}"] == 0


@pytest.mark.parametrize("value", ["", " ", "None", None, 5, "x" * 251])
def test_a_partition_key_that_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(errors.InvalidInput, match="partition_key"):
        partition_key_of(value)
