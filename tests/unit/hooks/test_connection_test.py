"""What "Test connection" says: whether the service accepts the credentials, and what is wrong with the fields."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.models.connection import Connection as StoredConnection
from airflow.sdk import Connection

from airflow_provider_workflows.airflow_internals.connection_test import is_temporary_name
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.sandbox import Sandbox

Connect = Callable[[dict[str, Any]], WorkflowsHook]

KEY = {"login": "key", "password": "swordfish"}
KEYS_PATH = "/auth/webhooks/key/{kid}"
WORKFLOW_PATH = "/workflows/{workflowId}"


def with_token(sandbox: Sandbox, **extra: Any) -> dict[str, Any]:
    """A connection that the service likes best, with more in its extra."""
    return sandbox.connection | {"extra": sandbox.connection["extra"] | extra}


class TestWell:
    def test_authorizes_for_real_each_time(self, connect: Connect, sandbox: Sandbox) -> None:
        hook = connect(sandbox.connection_with_key)

        results = [hook.test_connection()[0], hook.test_connection()[0]]

        assert results == [True, True]
        assert sandbox.counts.requests["POST /auth/authorize"] == 2

    def test_uses_an_organization_token(self, connect: Connect, sandbox: Sandbox) -> None:
        worked, said = connect(with_token(sandbox)).test_connection()

        assert worked
        assert said == (
            f"Connection 'workflows_default' is accepted at {sandbox.url} (generation 1 of the API), with its "
            "organization token. Webhooks are off; the endpoint of their keys responds."
        )
        assert sandbox.counts.requests["POST /auth/authorize"] == 0

    def test_says_that_a_key_and_its_secret_are_deprecated(self, connect: Connect, sandbox: Sandbox) -> None:
        worked, said = connect(sandbox.connection_with_key).test_connection()

        assert worked
        assert "which the service has deprecated: an organization token takes their place" in said

    def test_starts_and_creates_nothing(self, connect: Connect, sandbox: Sandbox) -> None:
        connect(with_token(sandbox)).test_connection()

        assert set(sandbox.counts.requests) == {
            "POST /auth/refresh",
            "GET /workflows/{workflowId}",
            "GET /auth/webhooks/key/{kid}",
        }


class TestCredentialsAndHost:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"password": "not-the-secret"}, "Credentials rejected"),
            ({"login": "", "password": "tot_wrong"}, "Credentials rejected"),
            ({"host": "https://nowhere.invalid", "port": 443}, "Host unreachable"),
            ({"password": ""}, "no organization token"),
        ],
    )
    def test_says_what_is_wrong(
        self, connect: Connect, sandbox: Sandbox, change: dict[str, str], message: str
    ) -> None:
        worked, said = connect(sandbox.connection_with_key | change).test_connection()

        assert not worked
        assert said.startswith("Connection 'workflows_default': ")
        assert message in said

    @pytest.mark.parametrize(
        "credentials", [{}, {"login": "", "password": "tot_wrong"}], ids=["key", "token"]
    )
    def test_says_that_the_base_url_is_wrong_where_nothing_is_found(
        self, connect: Connect, sandbox: Sandbox, credentials: dict[str, str]
    ) -> None:
        elsewhere = {"host": f"{sandbox.connection['host']}/elsewhere"}

        worked, said = connect(sandbox.connection_with_key | credentials | elsewhere).test_connection()

        assert not worked
        assert f"Wrong base URL: there is no Workflows API at {sandbox.url}/elsewhere" in said
        assert "such as https://api.transactionlink.io" in said

    def test_says_that_nobody_listens(self, connect: Connect) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]

        worked, said = connect(KEY | {"host": f"http://127.0.0.1:{port}"}).test_connection()

        assert not worked
        assert "Host unreachable" in said
        assert "refused" in said

    @pytest.mark.parametrize("fault", ["html_ok", "missing_fields", "redirect"])
    def test_says_that_it_is_not_the_workflows_api(
        self, connect: Connect, sandbox: Sandbox, fault: str
    ) -> None:
        sandbox.fault(fault)

        worked, said = connect(sandbox.connection_with_key).test_connection()

        assert not worked
        assert "Not the Workflows API" in said

    def test_says_that_tls_failed(self, connect: Connect, tls_sandbox: Sandbox) -> None:
        trusting = connect(tls_sandbox.connection).test_connection()
        doubting = connect(tls_sandbox.connection | {"extra": {}}).test_connection()

        assert trusting[0]
        assert not doubting[0]
        assert "TLS failure" in doubting[1]

    @pytest.fixture
    def tls_sandbox(self) -> Iterator[Sandbox]:
        with Sandbox(tls=True) as running:
            yield running

    def test_says_that_there_is_no_such_connection(self) -> None:
        worked, said = WorkflowsHook("no_such_connection").test_connection()

        assert not worked
        assert "There is no connection 'no_such_connection'" in said


class TestFields:
    @pytest.mark.parametrize(
        ("extra", "message"),
        [
            ({"read_timout": 5}, "'read_timout' (did you mean 'read_timeout'?)"),
            ({"Webhooks": True}, "'Webhooks' (did you mean 'webhooks'?)"),
            ({"shoe_size": 5}, "Its extra has what this provider does not use: 'shoe_size'."),
            (
                {"success_statuses": "completed"},
                "Success_statuses names 'completed', which the service writes",
            ),
            ({"failure_statuses": "Timed out"}, "which the service writes 'TIMED_OUT'"),
            ({"success_statuses": "RUNNING"}, "which is the status of a workflow that goes on"),
            ({"connect_timeout": -3}, "its extra 'connect_timeout' must be a number above 0"),
            ({"max_attempts": "nope"}, "its extra 'max_attempts' must be a whole number from 1"),
            ({"hash_secret": "short"}, "hash_secret must have at least 32 characters"),
            ({"dashboard_url": "https://example.org"}, "dashboard_url must have {workflow_id} in it"),
            ({"dashboard_url": "{host}/workflows/{workflow_id}"}, "Dashboard_url leads to the API itself"),
        ],
    )
    def test_that_cannot_be_right_are_named(
        self, connect: Connect, sandbox: Sandbox, extra: dict[str, Any], message: str
    ) -> None:
        given = {
            name: value.replace("{host}", sandbox.url) if isinstance(value, str) else value
            for name, value in extra.items()
        }

        worked, said = connect(with_token(sandbox, **given)).test_connection()

        assert not worked
        assert message in said

    def test_that_cannot_be_right_are_named_together(self, connect: Connect, sandbox: Sandbox) -> None:
        wrong = {"connect_timeout": -3, "max_attempts": "nope", "read_timout": 5}

        _, said = connect(with_token(sandbox, **wrong)).test_connection()

        assert [name in said for name in wrong] == [True] * 3

    @pytest.mark.parametrize("status", ["DONE", "Approved by hand"])
    def test_may_name_statuses_that_nobody_here_knows(
        self, connect: Connect, sandbox: Sandbox, status: str
    ) -> None:
        assert connect(with_token(sandbox, success_statuses=f"COMPLETED, {status}")).test_connection()[0]

    def test_are_never_repeated_where_they_are_wrong(self, connect: Connect, sandbox: Sandbox) -> None:
        _, said = connect(
            with_token(sandbox, hash_secret="swordfish", max_attempts="swordfish")
        ).test_connection()

        assert "swordfish" not in said


class TestPermissions:
    @pytest.mark.parametrize("credentials", ["key", "token"])
    def test_that_may_be_missing_are_a_warning(
        self, connect: Connect, sandbox: Sandbox, credentials: str
    ) -> None:
        sandbox.fault("forbidden", path=WORKFLOW_PATH)

        worked, said = connect(
            sandbox.connection if credentials == "token" else sandbox.connection_with_key
        ).test_connection()

        assert worked
        assert (
            "It may lack the permission to read workflows (the service responded with 403 FORBIDDEN)" in said
        )
        assert "give it can_run on the definitions, or can_view_workspace" in said


class TestWebhooks:
    @pytest.mark.parametrize(("webhooks", "state"), [(True, "on"), (False, "off")])
    def test_says_that_the_endpoint_of_their_keys_responds(
        self, connect: Connect, sandbox: Sandbox, webhooks: bool, state: str
    ) -> None:
        worked, said = connect(with_token(sandbox, webhooks=webhooks)).test_connection()

        assert worked
        assert f"Webhooks are {state}; the endpoint of their keys responds." in said

    @pytest.mark.parametrize("fault", ["server_error", "forbidden", "html_ok", "cut_after"])
    def test_fails_if_they_are_on_and_their_keys_cannot_be_fetched(
        self, connect: Connect, sandbox: Sandbox, fault: str
    ) -> None:
        sandbox.fault(fault, path=KEYS_PATH)

        worked, said = connect(with_token(sandbox, webhooks=True)).test_connection()

        assert not worked
        assert "Webhooks are on, and none would be taken, because the endpoint of their keys does not" in said

    def test_works_if_they_are_off_and_says_that_their_keys_cannot_be_fetched(
        self, connect: Connect, sandbox: Sandbox
    ) -> None:
        sandbox.fault("server_error", path=KEYS_PATH)

        worked, said = connect(with_token(sandbox)).test_connection()

        assert worked
        assert "Webhooks are off; the endpoint of their keys does not respond as it should" in said


class TestNames:
    def test_of_a_connection_in_a_task_are_its_own(self, sandbox: Sandbox) -> None:
        fields = {name: value for name, value in sandbox.connection.items() if name != "extra"}

        worked, said = Connection(conn_id="unsaved", **fields).test_connection()

        assert worked
        assert said.startswith("Connection 'unsaved' is accepted")

    @pytest.mark.thorough
    def test_that_airflow_makes_up_for_a_test_are_called_so(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As the API server does it.
        fields = sandbox.connection | {"extra": "{}"}
        connection = StoredConnection(conn_id="ZTH8qxFw", **fields)
        monkeypatch.setenv("AIRFLOW_CONN_ZTH8QXFW", connection.get_uri())

        worked, said = connection.test_connection()

        assert worked
        assert said.startswith(
            "The connection (which Airflow tests under the temporary name ZTH8qxFw) is accepted"
        )

    @pytest.mark.parametrize(
        "conn_id",
        ["workflows_default", "sandbox1", "KYC_prod", "Workflows_Default", "Kyc", str(uuid.UUID(int=0))],
    )
    def test_that_a_person_has_chosen_are_not_taken_for_made_up_ones(self, conn_id: str) -> None:
        assert not is_temporary_name(conn_id)
