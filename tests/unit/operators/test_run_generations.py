"""A run task by the generation of its connection: what it sends and refuses, and which run a retry goes on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.run_record import RUN_KEY
from airflow_provider_workflows.operators.table_record import CreateRecordOperator
from airflow_provider_workflows.run_report import RunReport
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.tables import TABLE, TYPED_TABLE
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.unit.operators.test_run_modes import OFTEN, drive

NAME = "AIRFLOW_CONN_WORKFLOWS_DEFAULT"
ID = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"
NUMBER = "02211012345"
Connect = Callable[[int], Sandbox]


@pytest.fixture
def connect(connected: Sandbox, monkeypatch: pytest.MonkeyPatch, short_pauses: None) -> Connect:
    """Return a sandbox that the connection leads to, with an ``api_generation``."""
    given = json.loads(connected.environment[NAME])

    def connect(generation: int) -> Sandbox:
        extra = given.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        changed = {**given, "extra": {**extra, "api_generation": generation}}
        monkeypatch.setenv(NAME, json.dumps(changed))
        return connected

    return connect


def run(sandbox: Sandbox, context: dict[str, Any], **arguments: Any) -> str:
    given = {
        "task_id": "run",
        "workflow_definition_id": sandbox.define("3b2d8a4f-91c6-4e07-a5d3-7f1e0b9c6a24", seconds=0.0),
        "wait_for_completion": True,
        "deferrable": False,
        **OFTEN,
        **arguments,
    }
    workflow_id: str = drive(lambda: RunWorkflowOperator(**given), context)
    return workflow_id


def test_generation_3_takes_parameters_locale_and_expiry(connect: Connect, context: dict[str, Any]) -> None:
    sandbox = connect(3)
    given = {"parameters": {"limit": 5}, "locale": "pl", "expires_at": timedelta(minutes=30)}
    run(sandbox, context, **given)
    workflow = sandbox.workflows[0]
    assert (workflow.generation, workflow.parameters) == (3, {"limit": 5})
    assert workflow.details is not None
    assert workflow.details.locale == "pl"


def test_generation_2_needs_no_case(connect: Connect, context: dict[str, Any]) -> None:
    sandbox = connect(2)
    run(sandbox, context)
    assert [workflow.generation for workflow in sandbox.workflows] == [2]


def test_a_retry_with_the_same_goes_on_with_the_run(connect: Connect, context: dict[str, Any]) -> None:
    sandbox = connect(3)
    given = {"parameters": {"limit": 5}, "expires_at": timedelta(hours=1)}
    assert run(sandbox, context, **given) == run(sandbox, context, **given)
    assert len(sandbox.workflows) == 1


@pytest.mark.parametrize("changed", [{"locale": "pl"}, {"expires_at": timedelta(hours=2)}])
def test_a_retry_with_another_locale_or_expiry_goes_on_with_the_run(
    connect: Connect, context: dict[str, Any], changed: dict[str, Any]
) -> None:
    sandbox = connect(3)
    given = {"parameters": {"limit": 5}, "locale": "en", "expires_at": timedelta(hours=1)}
    assert run(sandbox, context, **given) == run(sandbox, context, **given | changed)
    assert len(sandbox.workflows) == 1


def test_a_retry_whose_dag_file_computes_another_moment_of_expiry_goes_on_with_the_run(
    connect: Connect, context: dict[str, Any]
) -> None:
    sandbox = connect(3)
    moments = [datetime.now(timezone.utc) + timedelta(days=1, seconds=seconds) for seconds in (0, 7)]
    first, second = (run(sandbox, context, expires_at=moment) for moment in moments)
    assert first == second
    assert len(sandbox.workflows) == 1


def test_a_retry_after_the_expiry_goes_on_with_the_run(connect: Connect, context: dict[str, Any]) -> None:
    sandbox = connect(3)
    moment = datetime.now(timezone.utc) + timedelta(hours=1)
    workflow_id = run(sandbox, context, expires_at=moment)
    operator = RunWorkflowOperator(
        task_id="run", workflow_definition_id=ID, expires_at=moment - timedelta(hours=2)
    )
    operator._require_input(3)
    assert run(sandbox, context, expires_at=moment) == workflow_id


def test_what_a_run_was_started_with_is_recorded_as_a_digest(
    connect: Connect, context: dict[str, Any]
) -> None:
    run(connect(3), context, parameters={"personalNumber": NUMBER})
    stored = context["task_state_store"].get(RUN_KEY)
    assert stored["inline_digest"]
    assert NUMBER not in json.dumps(stored)


def test_personal_parameters_do_not_show_in_rendered_templates(
    connect: Connect, context: dict[str, Any]
) -> None:
    connect(3)
    operator = RunWorkflowOperator(
        task_id="run", workflow_definition_id=ID, parameters={"personalNumber": "{{ number }}", "limit": 5}
    )
    operator.render_template_fields({"number": NUMBER})  # type: ignore[arg-type]
    shown = str(_serialize_rendered_fields(operator))
    assert NUMBER not in shown
    assert "limit" in shown


@pytest.mark.parametrize(
    ("generation", "given"),
    [
        (1, {"record_id": ID}),
        (1, {"parameters": {"limit": 5}}),
        (2, {"locale": "en"}),
        (2, {"expires_at": timedelta(hours=1)}),
        (3, {"case_id": ID}),
        (3, {"parameters_id": ID}),
    ],
)
def test_an_argument_of_another_generation_is_refused_before_anything_is_sent(
    connect: Connect, context: dict[str, Any], generation: int, given: dict[str, Any]
) -> None:
    sandbox = connect(generation)
    with pytest.raises(errors.InvalidInput, match=f"{next(iter(given))} needs api_generation"):
        run(sandbox, context, **given)
    assert not sandbox.counts.requests


@pytest.mark.parametrize(
    "given",
    [
        {"case_id": ID, "expires_at": timedelta(hours=1)},
        {"parameters_id": ID, "parameters": {"limit": 5}},
        {"expires_at": timedelta(minutes=29)},
        {"expires_at": "2026-11-28"},
    ],
)
def test_what_no_generation_takes_is_refused_as_the_dag_is_parsed(given: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput, match=r"no generation of the API|expires_at"):
        RunWorkflowOperator(task_id="run", workflow_definition_id=ID, **given)


def create(context: dict[str, Any], table_id: str, fields: dict[str, Any]) -> str:
    operator = CreateRecordOperator(task_id="create_record", table_id=table_id, fields=fields)
    operator.render_template_fields(context)  # type: ignore[arg-type]
    assert "Brunhilde" not in str(_serialize_rendered_fields(operator))
    record_id: str = operator.execute(context)  # type: ignore[arg-type]
    return record_id


@pytest.mark.parametrize("generation", [2, 3])
def test_a_run_is_about_the_record_that_was_created(
    connect: Connect, context: dict[str, Any], generation: int
) -> None:
    sandbox = connect(generation)
    record_id = create(context, TABLE, {"firstName": "Brunhilde", "limit": 5})
    run(sandbox, context, record_id=record_id)
    assert [workflow.record_id for workflow in sandbox.workflows] == [record_id]
    assert context["ti"].xcoms["workflow_report"]["record_id"] == record_id
    with sandbox.client(api_generation=generation) as client:
        assert client.read_record(TABLE, record_id).json_object()["firstName"] == "Brunhilde"


def test_a_retry_returns_the_record_that_there_is(connect: Connect, context: dict[str, Any]) -> None:
    sandbox = connect(3)
    assert create(context, TABLE, {"limit": 5}) == create(context, TABLE, {"limit": 5})
    assert sandbox.counts.requests["POST /tables/{tableId}/records"] == 1


def test_a_record_is_refused_by_generation_1_before_anything_is_sent(
    connect: Connect, context: dict[str, Any]
) -> None:
    sandbox = connect(1)
    with pytest.raises(errors.InvalidInput, match="needs api_generation 2 or 3"):
        create(context, TABLE, {"limit": 5})
    assert not sandbox.counts.requests


def test_a_field_of_another_type_is_named_without_its_value(
    connect: Connect, context: dict[str, Any]
) -> None:
    connect(3)
    with pytest.raises(errors.RequestRejected, match="born") as refused:
        create(context, TYPED_TABLE, {"born": "Brunhilde"})
    assert "Brunhilde" not in str(refused.value)


def test_an_expired_run_fails_with_its_own_message(connect: Connect, context: dict[str, Any]) -> None:
    sandbox = connect(3)
    definition = sandbox.define(seconds=0.0, status="EXPIRED")
    with pytest.raises(errors.WorkflowFailed, match="has expired"):
        run(sandbox, context, workflow_definition_id=definition)


def test_the_report_of_a_run_says_when_it_expires(connect: Connect, context: dict[str, Any]) -> None:
    moment = datetime.now(timezone.utc) + timedelta(days=1)

    run(connect(3), context, expires_at=moment)

    report = RunReport.from_json(context["ti"].xcoms[REPORT_KEY])
    assert report.expires_at == pytest.approx(moment.timestamp(), abs=1.0)
