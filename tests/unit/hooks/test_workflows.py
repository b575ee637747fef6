"""From the forms of a connection that Airflow knows to a client, and what testing it says."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import Connection

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import ConnectionNotFound, InvalidInput
from airflow_provider_workflows.get_provider_info import get_provider_info
from airflow_provider_workflows.hooks.fields import FIELDS
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.sandbox import Sandbox

Connect = Callable[..., WorkflowsHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define the connection ``workflows_default`` and return its hook."""

    def connect(value: dict[str, Any] | str) -> WorkflowsHook:
        text = value if isinstance(value, str) else json.dumps({"conn_type": "workflows", **value})
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", text)
        return WorkflowsHook()

    return connect


KEY = {"login": "key", "password": "swordfish"}


class TestForms:
    @pytest.mark.parametrize(
        ("connection", "host"),
        [
            (KEY, "https://api.transactionlink.io"),
            (KEY | {"host": "https://example.org"}, "https://example.org"),
            (KEY | {"host": "https://example.org/"}, "https://example.org"),
            (KEY | {"host": "example.org"}, "https://example.org"),
            (KEY | {"host": "example.org", "port": 8443}, "https://example.org:8443"),
            (KEY | {"host": "127.0.0.1", "port": 8099, "schema": "http"}, "http://127.0.0.1:8099"),
            (KEY | {"host": "http://localhost:8099"}, "http://localhost:8099"),
            ("workflows://key:swordfish@example.org", "https://example.org"),
            ("workflows://key:swordfish@example.org:8443", "https://example.org:8443"),
            ("workflows://key:swordfish@127.0.0.1:8099/http", "http://127.0.0.1:8099"),
            ("workflows://key:swordfish@https%3A%2F%2Fexample.org", "https://example.org"),
            ("workflows://https://key:swordfish@example.org", "https://example.org"),
            ("workflows://key:swordfish@", "https://api.transactionlink.io"),
            ("workflows://key:swordfish@[::1]:8099/http", "http://[::1]:8099"),
            (KEY | {"host": "https://example.org/base", "port": 8443}, "https://example.org:8443/base"),
        ],
    )
    def test_of_the_host(self, connect: Connect, connection: dict[str, Any] | str, host: str) -> None:
        settings = connect(connection).settings

        assert (settings.host, settings.key, settings.secret) == (host, "key", "swordfish")

    @pytest.mark.parametrize(
        "connection",
        [
            KEY
            | {
                "extra": {
                    "connect_timeout": 3,
                    "read_timeout": 4.5,
                    "max_attempts": 2,
                    "success_statuses": ["DONE", "PASSED"],
                    "failure_statuses": "BAD, WORSE",
                    "verify": False,
                    "allow_http": True,
                }
            },
            (
                "workflows://key:swordfish@/?connect_timeout=3&read_timeout=4.5&max_attempts=2&verify=no"
                "&allow_http=true&success_statuses=DONE,PASSED&failure_statuses=BAD,%20WORSE"
            ),
        ],
        ids=["json", "uri"],
    )
    def test_of_the_extras(self, connect: Connect, connection: dict[str, Any] | str) -> None:
        settings = connect(connection).settings

        assert settings.connect_timeout == 3
        assert settings.read_timeout == 4.5
        assert settings.max_attempts == 2
        assert settings.verify is False
        assert settings.allow_http is True
        assert settings.statuses.success == {"DONE", "PASSED"}
        assert settings.statuses.failure == {"BAD", "WORSE"}

    def test_of_a_form_with_every_extra_left_empty(self, connect: Connect) -> None:
        empty = dict.fromkeys(FIELDS, None) | {"verify": "", "success_statuses": ""}

        settings = connect(KEY | {"extra": empty}).settings

        assert settings == connect(KEY).settings
        assert settings.statuses.outcome("COMPLETED") is Outcome.SUCCESS

    def test_of_the_organization_token(self, connect: Connect) -> None:
        assert connect({"password": "tot_abc"}).settings.organization_token == "tot_abc"

    def test_of_the_sandbox_are_ready_to_use(self, connect: Connect, sandbox: Sandbox) -> None:
        for connection in (sandbox.connection_json, sandbox.connection_uri):
            assert connect(connection).get_conn().create_case().case_id

    async def test_are_read_alike_without_blocking(self, connect: Connect) -> None:
        hook = connect(KEY | {"extra": {"max_attempts": "7"}})

        assert await hook.aget_settings() == hook.settings


class TestRefusals:
    @pytest.mark.parametrize(
        ("connection", "message"),
        [
            ({}, "no secret"),
            ({"login": "key"}, "no secret"),
            ({"password": "swordfish"}, "no API key"),
            (KEY | {"host": "http://example.org"}, "plain http to example.org"),
            (KEY | {"host": "https://"}, "must be a URL"),
            (KEY | {"host": "https:/a"}, "must be a URL"),
            (KEY | {"host": "https://example.org#"}, "without user"),
            (KEY | {"host": "example.org", "schema": "base"}, "schema must be http or https"),
            (KEY | {"host": "https://example.org", "schema": "base"}, "a path goes into the host"),
            (KEY | {"extra": "{not json"}, "extra must be a JSON object"),
            (KEY | {"extra": {"max_attempts": "many"}}, "'max_attempts' must be a whole number"),
            (KEY | {"extra": {"max_attempts": 0}}, "'max_attempts' must be a whole number"),
            (KEY | {"extra": {"max_attempts": 2.5}}, "'max_attempts' must be a whole number"),
            (KEY | {"extra": {"read_timeout": "long"}}, "'read_timeout' must be a number above 0"),
            (KEY | {"extra": {"read_timeout": True}}, "'read_timeout' must be a number above 0"),
            (KEY | {"extra": {"allow_http": "perhaps"}}, "'allow_http' must be true or false"),
            (KEY | {"extra": {"verify": "no-such.pem"}}, "CA file that does not exist"),
            (KEY | {"extra": {"success_statuses": [1]}}, "'success_statuses' must be names"),
            (KEY | {"extra": {"success_statuses": "A", "failure_statuses": "A"}}, "both name A"),
        ],
    )
    async def test_name_the_connection_and_what_is_wrong(
        self, connect: Connect, connection: dict[str, Any], message: str
    ) -> None:
        hook = connect(connection)

        for read in (lambda: hook.settings, hook.get_conn):
            with pytest.raises(InvalidInput, match=message) as raised:
                read()
        with pytest.raises(InvalidInput, match=message):
            await hook.aget_settings()

        assert "Connection 'workflows_default'" in str(raised.value)
        assert "swordfish" not in str(raised.value)

    async def test_of_an_unknown_connection(self) -> None:
        said = r"There is no connection 'no_such_connection': add one of the type Workflows"

        with pytest.raises(ConnectionNotFound, match=said):
            _ = WorkflowsHook("no_such_connection").settings
        with pytest.raises(ConnectionNotFound, match=said):
            await WorkflowsHook("no_such_connection").aget_settings()

    def test_of_an_unknown_extra_is_a_warning(
        self, connect: Connect, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _ = connect(KEY | {"extra": {"read_timout": 5}}).settings

        assert "extra fields that this provider does not use: read_timout" in capsys.readouterr().out


def test_hooks_of_a_process_share_one_client(connect: Connect, sandbox: Sandbox) -> None:
    clients = {id(connect(sandbox.connection).get_conn()) for _ in range(3)}

    assert len(clients) == 1


def test_a_changed_connection_gets_a_new_client(connect: Connect, sandbox: Sandbox) -> None:
    before = connect(sandbox.connection).get_conn()

    after = connect(sandbox.connection | {"extra": {"max_attempts": 2}}).get_conn()

    assert after is not before


class TestTestConnection:
    def test_authorizes_for_real_each_time(self, connect: Connect, sandbox: Sandbox) -> None:
        hook = connect(sandbox.connection)

        results = [hook.test_connection(), hook.test_connection()]

        assert results == [(True, f"Authorized at {sandbox.url}.")] * 2
        assert sandbox.counts.requests == {"POST /auth/authorize": 2}

    def test_uses_an_organization_token(self, connect: Connect, sandbox: Sandbox) -> None:
        hook = connect(sandbox.connection | {"login": "", "password": sandbox.organization_token})

        assert hook.test_connection() == (True, f"The organization token is accepted at {sandbox.url}.")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"password": "wrong"}, "Key rejected"),
            ({"login": "", "password": "tot_wrong"}, "Key rejected"),
            ({"host": "https://nowhere.invalid"}, "Host unreachable"),
            ({"password": ""}, "no secret"),
        ],
    )
    def test_says_what_is_wrong(
        self, connect: Connect, sandbox: Sandbox, change: dict[str, str], message: str
    ) -> None:
        worked, said = connect(sandbox.connection | change).test_connection()

        assert not worked
        assert message in said

    def test_does_not_take_any_404_for_the_service(self, connect: Connect, sandbox: Sandbox) -> None:
        elsewhere = {"login": "", "password": "tot_wrong", "host": f"{sandbox.url}/elsewhere"}

        worked, _ = connect(sandbox.connection | elsewhere).test_connection()

        assert not worked

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

        worked, said = connect(sandbox.connection).test_connection()

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

    def test_works_through_airflow(self, sandbox: Sandbox) -> None:
        connection = Connection(
            conn_id="unsaved",
            **{name: value for name, value in sandbox.connection.items() if name != "extra"},
        )

        assert connection.test_connection() == (True, f"Authorized at {sandbox.url}.")


class TestProvider:
    def test_is_found_by_airflow(self) -> None:
        providers = ProvidersManager()

        assert "airflow-provider-workflows" in providers.providers
        assert providers.hooks["workflows"].hook_class_name.endswith("WorkflowsHook")

    def test_shows_every_extra_as_a_field_with_a_help_text(self) -> None:
        widgets = ProvidersManager().connection_form_widgets

        for name in FIELDS:
            field = widgets[f"extra__workflows__{name}"].field
            assert field["schema"]["title"]
            assert field["description"]

    def test_describes_itself_as_airflow_wants_it(self) -> None:
        schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

        jsonschema.validate(get_provider_info(), schema)
