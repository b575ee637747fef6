"""What each generation of the API sends, what it refuses, and which responses are understood whichever is asked."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_workflows.api import Settings, endpoints, errors, models, token_store
from airflow_provider_workflows.api.exchange import Exchange
from airflow_provider_workflows.api.generations import GENERATIONS, require_some_generation
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.sandbox import SLOW_DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.service import READY_CASES

from .conftest import Driver

Drive = Callable[..., Driver]

ID = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"
NOW = datetime(2026, 11, 28, 4, 0, tzinfo=timezone.utc)
EARLIER = [(number, name) for number in (1, 2) for name in ("parameters", "locale", "expires_at")]
GIVEN: dict[str, Any] = {
    "case_id": ID,
    "record_id": ID,
    "parameters_id": ID,
    "parameters": {"limit": 1},
    "locale": "en",
    "expires_at": timedelta(hours=1),
}


def accepts(number: int, endpoint: endpoints.Endpoint[Any]) -> str:
    settings = Settings(secret="tot_any", api_generation=number)
    effect = next(Exchange(settings).perform(endpoint))
    headers: dict[str, str] = effect.headers  # type: ignore[union-attr]
    return headers["Accept"]


@pytest.mark.parametrize(
    ("number", "accept"),
    [(1, "application/json;version=1"), (2, "application/json;version=2"), (3, "application/json")],
)
def test_each_request_names_its_version(number: int, accept: str) -> None:
    assert accepts(number, endpoints.read_workflow(ID)) == accept


def test_endpoints_without_versions_are_asked_for_none() -> None:
    assert accepts(2, endpoints.authorize("key", "secret")) == "application/json"
    assert accepts(2, endpoints.read_webhook_key(ID)) == "text/plain"


def test_generation_1_sends_what_it_always_sent() -> None:
    endpoint = endpoints.run_workflow(RunDetails(ID, ID, ID))
    assert (endpoint.path, list(endpoint.body or {})) == (
        "/workflows/run",
        ["caseId", "workflowDefinitionId", "parametersId"],
    )


@pytest.mark.parametrize(
    ("number", "name"), [*EARLIER, (1, "record_id"), (3, "case_id"), (3, "parameters_id")]
)
def test_an_argument_that_a_generation_does_not_have_is_refused_by_name(number: int, name: str) -> None:
    details = RunDetails(ID, **{name: GIVEN[name]})
    with pytest.raises(
        errors.InvalidInput, match=rf"^{name} needs api_generation .*; the connection has {number}"
    ):
        endpoints.run_workflow(details, number)


def test_generation_1_needs_a_case() -> None:
    with pytest.raises(errors.InvalidInput, match=r"^case_id is missing"):
        endpoints.run_workflow(RunDetails(ID), 1)


@pytest.mark.parametrize("names", [{"case_id", "expires_at"}, {"parameters_id", "parameters"}])
def test_arguments_that_no_generation_takes_together_are_refused(names: set[str]) -> None:
    with pytest.raises(errors.InvalidInput, match="no generation of the API takes these"):
        require_some_generation(frozenset(names))


@pytest.mark.parametrize("number", GENERATIONS)
def test_what_a_generation_takes_is_accepted_together(number: int) -> None:
    require_some_generation(GENERATIONS[number].run_arguments)


def test_the_number_of_the_latest_generation_is_known_to_the_form() -> None:
    from airflow_provider_workflows.hooks.fields import LATEST_GENERATION  # noqa: PLC0415

    assert max(GENERATIONS) == LATEST_GENERATION


@pytest.mark.parametrize(
    "expires_at",
    [timedelta(minutes=29), timedelta(days=31), NOW, datetime(2026, 11, 28, 5)],  # noqa: DTZ001
)
def test_an_expiry_that_cannot_be_is_refused(expires_at: Any) -> None:
    with pytest.raises(errors.InvalidInput, match=r"^expires_at"):
        RunDetails(ID, expires_at=expires_at).body(3, NOW)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(29, "2026-11-28T04:29:00Z is 29 minutes ahead"), (-5, "2026-11-28T03:55:00Z has passed")],
)
def test_a_moment_that_is_too_near_is_named(minutes: int, words: str) -> None:
    with pytest.raises(errors.InvalidInput, match=rf"must be from 30 minutes to 30 days ahead, and {words}"):
        RunDetails(ID, expires_at=NOW + timedelta(minutes=minutes)).body(3, NOW)


def test_an_expiry_is_sent_as_a_moment_in_utc() -> None:
    body = RunDetails(ID, expires_at=timedelta(hours=2)).body(3, NOW)
    assert body["expiresAt"] == "2026-11-28T06:00:00Z"


def test_a_run_of_generation_3_starts_with_all_that_it_may_have(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(dataclasses.replace(sandbox.settings, api_generation=3))
    started = client(
        "run_workflow",
        SLOW_DEFINITION,
        parameters={"limit": 1},
        locale="pl",
        expires_at=timedelta(minutes=30),
    )
    workflow = client("read_workflow", started.id)
    assert (workflow.status, workflow.origin, workflow.case_id) == ("RUNNING", "API", None)
    assert workflow.json_object()["locale"] == "pl"
    assert sandbox.counts.requests["POST /workflows"] == 1


def test_a_run_of_generation_2_needs_no_case(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(dataclasses.replace(sandbox.settings, api_generation=2))
    started = client("run_workflow", SLOW_DEFINITION)
    assert client("read_workflow", started.id).status == "RUNNING"


@pytest.mark.parametrize("number", GENERATIONS)
def test_a_response_of_generation_3_is_understood_whichever_is_asked(
    drive: Drive, sandbox: Sandbox, number: int
) -> None:
    started = drive(dataclasses.replace(sandbox.settings, api_generation=3))("run_workflow", SLOW_DEFINITION)
    client = drive(dataclasses.replace(sandbox.settings, api_generation=number))
    workflow = client("read_workflow", started.id)
    assert (workflow.execution_version, workflow.case_id) == (1, None)
    assert workflow.revision is not None


def test_a_case_is_refused_by_generation_3_before_anything_is_sent(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(dataclasses.replace(sandbox.settings, api_generation=3))
    with pytest.raises(errors.InvalidInput, match="POST /cases needs api_generation 1 or 2"):
        client("create_case")
    assert not sandbox.counts.requests


def test_link_and_token_of_an_end_user_stay_in_memory() -> None:
    body = {"id": ID, "status": "RUNNING", "link": "https://secret.example/1", "token": "secret"}
    for model in (models.Workflow, models.StartedWorkflow):
        workflow = model.of_fields(body)
        assert workflow.link == body["link"]
        assert "secret" not in repr(workflow)
        assert "secret" not in str(workflow.json_object())


def test_the_log_says_once_that_api_keys_are_deprecated(
    drive: Drive, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    token_store.say_deprecated.cache_clear()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            drive(sandbox.settings)("authorize")
    lines = [record for record in caplog.records if "has deprecated API keys" in record.getMessage()]
    assert [line.levelname for line in lines] == ["INFO"]


def test_an_organization_token_is_not_told_of_api_keys(
    drive: Drive, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    token_store.say_deprecated.cache_clear()
    settings = dataclasses.replace(sandbox.settings, key="", secret=sandbox.organization_token)
    with caplog.at_level(logging.INFO):
        drive(settings)("create_case")
    assert "has deprecated API keys" not in caplog.text


@pytest.mark.parametrize("number", GENERATIONS)
def test_a_token_that_lacks_a_scope_is_told_which_and_starts_nothing(
    drive: Drive, sandbox: Sandbox, number: int
) -> None:
    token = sandbox.issue_organization_token("can_view_workspace")
    settings = dataclasses.replace(sandbox.settings, key="", secret=token, api_generation=number)
    details = RunDetails(SLOW_DEFINITION, case_id=next(iter(READY_CASES)) if number == 1 else None)
    with pytest.raises(errors.PermissionDenied, match="lacks the scope can_run") as refused:
        drive(settings)("start_run", details)
    assert refused.value.code == "FORBIDDEN"
    assert str(refused.value.fingerprint) in str(refused.value)
    assert sandbox.counts.runs == 0


def test_a_version_that_an_endpoint_does_not_know_is_told_with_the_setting_that_chose_it(
    drive: Drive, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = dataclasses.replace(GENERATIONS[2], accept="application/json;version=9")
    monkeypatch.setitem(GENERATIONS, 2, unknown)
    client = drive(dataclasses.replace(sandbox.settings, api_generation=2))
    with pytest.raises(errors.RequestRejected, match=r"406 .*the connection's api_generation stands for"):
        client("run_workflow", SLOW_DEFINITION)
    assert sandbox.counts.runs == 0
