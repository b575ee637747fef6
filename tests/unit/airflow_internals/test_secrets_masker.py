"""Airflow masks what is secret or personal, and warns of nothing that is too short for it to mask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import _secrets_masker, redact
from airflow.sdk._shared.secrets_masker.secrets_masker import SecretsMasker
from airflow.sdk.log import mask_secret

from airflow_provider_workflows.airflow_internals import secrets_masker
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.notifications.workflows import WorkflowsNotifier
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask

WARNING = "too short"
#: As Airflow's UI stores it for a connection without extra, and as a URI brings it: all values are text.
EXTRAS = ["{}", '{"verify": "true", "connect_timeout": "5", "hash_secret": "' + "s" * 32 + '"}']


@pytest.fixture(autouse=True)
def warnings(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[], Any]]:
    """Return the masker's warnings, of which it logs one in a process."""
    monkeypatch.setattr(SecretsMasker, "_has_warned_short_secret", False)
    _secrets_masker().reset_masker()
    yield lambda: [text for text in caplog.messages if WARNING in text]
    _secrets_masker().reset_masker()


@pytest.fixture(params=EXTRAS, ids=["no extra", "extra as text"])
def with_extra(request: pytest.FixtureRequest, connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connected.connection | {"extra": request.param}
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connection))


def test_airflow_itself_warns_of_such_connections(with_extra: None, warnings: Callable[[], Any]) -> None:
    assert BaseHook.get_connection("workflows_default").extra_dejson is not None

    assert len(warnings()) == 1


def test_a_connection_is_read_without_a_warning(with_extra: None, warnings: Callable[[], Any]) -> None:
    settings = WorkflowsHook().settings

    assert asyncio.run(WorkflowsHook().aget_settings()) == settings
    assert warnings() == []


@pytest.mark.thorough
def test_tasks_run_without_a_warning_of_short_values(
    with_extra: None,
    batch: BatchTask,
    sandbox: Sandbox,
    context: dict[str, Any],
    warnings: Callable[[], Any],
) -> None:
    definition_id = sandbox.define(seconds=0.0, result={"personalNumber": "77", "firstName": "Jo"})
    with sandbox.client() as client:
        workflow_id = client.run_workflow(definition_id, client.create_case().case_id).id
    row = {"first_name": "Jo", "phone": {"country_code": "48", "number": "666666666"}}

    for operator in (
        CreateCaseOperator(task_id="case", **row),
        CreateParametersOperator(
            task_id="parameters", workflow_definition_id=definition_id, parameters={"personalNumber": "77"}
        ),
        GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id),
    ):
        operator.render_template_fields(context)
        operator.execute(context)
    batch.run([row])

    assert warnings() == []


@pytest.mark.thorough
def test_an_alert_is_sent_without_a_warning(
    monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], Any]
) -> None:
    connection = {"conn_type": "http", "password": "http://127.0.0.1:1/services/0123", "extra": "{}"}
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_ALERTS", json.dumps(connection))

    with pytest.raises(Exception, match="was not sent"):
        asyncio.run(WorkflowsNotifier().async_notify({"dag_run": {}, "deadline": {}}))  # type: ignore[typeddict-unknown-key]

    assert warnings() == []
    assert redact("http://127.0.0.1:1/services/0123") == "***"


@pytest.mark.parametrize(
    ("value", "text", "masked"),
    [
        ("swordfish", "a swordfish", "a ***"),
        (["48", "swordfish"], "48 swordfish", "48 ***"),
        ({"secret": "swordfish", "verify": "true"}, "true swordfish", "true ***"),
        ({"list": [{"password": "swordfish", "pin": "12"}]}, "12 swordfish", "12 ***"),
        ("12345", "12345", "***"),
        ("1234", "1234", "1234"),
        (None, "None", "None"),
        ([], "[]", "[]"),
    ],
)
def test_what_is_long_enough_is_masked(
    value: Any, text: str, masked: str, warnings: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_secrets_masker(), "sensitive_variables_fields", ["secret", "password"])

    secrets_masker.mask(value)

    assert redact(text) == masked
    assert warnings() == []


def test_a_warning_of_somebody_else_s_secret_is_logged(warnings: Callable[[], Any]) -> None:
    with secrets_masker.quiet_about_short_secrets():
        secrets_masker._find_log().warning("The secret is %s", WARNING)
    mask_secret("1234")

    assert len(warnings()) == 2
