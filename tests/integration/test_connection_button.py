"""The button "Test connection", as Airflow's list of connections presses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import RunningAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

Press = Callable[..., tuple[bool, str]]


@pytest.fixture
def press(running_airflow: RunningAirflow, request: pytest.FixtureRequest) -> Press:
    """Store a connection, press its button, and return what that says."""

    def press(connection: dict[str, Any]) -> tuple[bool, str]:
        connection_id = f"button_{request.node.name.partition('[')[0]}"
        running_airflow.add_connection(connection_id, connection)
        request.addfinalizer(lambda: running_airflow.call("DELETE", f"/connections/{connection_id}"))
        return running_airflow.press_test(connection_id)

    return press


def test_it_works_for_the_connection_that_the_sandbox_gives(airflow_sandbox: Sandbox, press: Press) -> None:
    works, said = press(json.loads(airflow_sandbox.connection_json))

    assert works, said
    assert said.startswith("The connection (which Airflow tests under the temporary name ")
    assert f"is accepted at {airflow_sandbox.url}" in said


def test_it_works_for_an_organization_token_and_webhooks(airflow_sandbox: Sandbox, press: Press) -> None:
    token = {"login": None, "password": airflow_sandbox.organization_token, "extra": {"webhooks": True}}

    works, said = press(airflow_sandbox.connection | token)

    assert works, said
    assert "Webhooks are on; the endpoint of their keys responds." in said


def test_it_names_a_field_that_is_misspelled(airflow_sandbox: Sandbox, press: Press) -> None:
    works, said = press(airflow_sandbox.connection | {"extra": {"read_timout": 5}})

    assert not works
    assert "'read_timout' (did you mean 'read_timeout'?)" in said


def test_it_says_that_the_base_url_is_wrong(airflow_sandbox: Sandbox, press: Press) -> None:
    works, said = press(airflow_sandbox.connection | {"host": f"{airflow_sandbox.connection['host']}/v2"})

    assert not works
    assert "Wrong base URL" in said
