"""From the forms of a connection that Airflow knows to a client, and what testing it says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import ConnectionNotFound, InvalidInput
from airflow_provider_workflows.get_provider_info import get_provider_info
from airflow_provider_workflows.hooks.fields import FIELDS
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.project.declared import project_urls

Connect = Callable[..., WorkflowsHook]


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
            (KEY | {"host": "https://example.org", "port": 443}, "https://example.org"),
            (KEY | {"host": "https://example.org:8443", "port": 8443}, "https://example.org:8443"),
            (KEY | {"host": "https://example.org:443/base"}, "https://example.org/base"),
            (KEY | {"host": "http://localhost", "port": 80}, "http://localhost"),
            (KEY | {"host": "http://[::1]:80"}, "http://[::1]"),
            (KEY | {"port": 443}, "https://api.transactionlink.io"),
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
                    "api_generation": 3,
                }
            },
            (
                "workflows://key:swordfish@/?connect_timeout=3&read_timeout=4.5&max_attempts=2&verify=no"
                "&api_generation=3&allow_http=true&success_statuses=DONE,PASSED&failure_statuses=BAD,%20WORSE"
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
        assert settings.api_generation == 3
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
            ({}, "no organization token"),
            ({"login": "key"}, "no organization token"),
            ({"password": "swordfish"}, "no API key"),
            ({"login": "key", "password": "tot_swordfish"}, "beside an organization token"),
            (KEY | {"host": "http://example.org"}, "plain http to example.org"),
            (KEY | {"host": "https://"}, "must be a URL"),
            (KEY | {"host": "https:/a"}, "must be a URL"),
            (KEY | {"host": "https://example.org#"}, "without user"),
            (KEY | {"host": "example.org", "schema": "base"}, "schema must be http or https"),
            (KEY | {"host": "https://example.org", "schema": "base"}, "a path goes into the host"),
            (
                KEY | {"host": "https://example.org:8443", "port": 443},
                "names the port 8443, and its port is 443",
            ),
            (KEY | {"extra": "{not json"}, "extra must be a JSON object"),
            (KEY | {"extra": {"max_attempts": "many"}}, "'max_attempts' must be a whole number"),
            (KEY | {"extra": {"max_attempts": 0}}, "'max_attempts' must be a whole number"),
            (KEY | {"extra": {"max_attempts": 2.5}}, "'max_attempts' must be a whole number"),
            *[
                (KEY | {"extra": {"api_generation": value}}, "'api_generation' must be 1, 2 or 3")
                for value in (0, 4, "two", True, 2.5)
            ],
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

        said = "its extra has what this provider does not use: 'read_timout' (did you mean 'read_timeout'?)"
        assert said in capsys.readouterr().out

    def test_of_a_status_in_another_spelling_than_the_service_s_is_a_warning(
        self, connect: Connect, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _ = connect(KEY | {"extra": {"success_statuses": "completed"}}).settings

        assert (
            "success_statuses names 'completed', which the service writes 'COMPLETED'"
            in capsys.readouterr().out
        )


def test_hooks_of_a_process_share_one_client(connect: Connect, sandbox: Sandbox) -> None:
    clients = {id(connect(sandbox.connection).get_conn()) for _ in range(3)}

    assert len(clients) == 1


def test_a_changed_connection_gets_a_new_client(connect: Connect, sandbox: Sandbox) -> None:
    before = connect(sandbox.connection).get_conn()

    after = connect(sandbox.connection | {"extra": {"max_attempts": 2}}).get_conn()

    assert after is not before


class TestProvider:
    def test_is_found_by_airflow(self) -> None:
        providers = ProvidersManager()

        assert "airflow-provider-workflows" in providers.providers
        assert providers.hooks["workflows"].hook_class_name.endswith("WorkflowsHook")

    def test_names_the_link_of_its_tasks(self) -> None:
        assert "airflow_provider_workflows.links.WorkflowLink" in ProvidersManager().extra_links_class_names

    def test_airflow_s_page_of_providers_leads_to_the_documentation(self) -> None:
        provider = ProvidersManager().providers["airflow-provider-workflows"]

        assert provider.data["documentation-url"] == project_urls()["Documentation"]

    @pytest.mark.thorough
    def test_shows_every_extra_as_a_field_with_a_help_text(self) -> None:
        widgets = ProvidersManager().connection_form_widgets

        for name in FIELDS:
            field = widgets[f"extra__workflows__{name}"].field
            assert field["schema"]["title"]
            assert field["description"]

    def test_shows_the_fields_of_a_group_next_to_each_other(self) -> None:
        widgets = ProvidersManager().connection_form_widgets
        sections = [widgets[f"extra__workflows__{name}"].field["schema"]["section"] for name in FIELDS]

        assert [section for section, _ in itertools.groupby(sections)] == list(dict.fromkeys(sections))
        assert len(set(sections)) == 7

    def test_shows_the_port_without_which_airflow_cannot_test_a_connection(self) -> None:
        behaviour = ProvidersManager().field_behaviours["workflows"]

        assert not [fields for fields in behaviour.values() if isinstance(fields, list) and "port" in fields]
        assert behaviour["placeholders"]["port"].startswith("443")

    def test_asks_for_the_organization_token_first(self) -> None:
        behaviour = ProvidersManager().field_behaviours["workflows"]

        assert behaviour["relabeling"]["password"].startswith("Organization token")
        assert "deprecated" in behaviour["relabeling"]["login"]

    def test_describes_itself_as_airflow_wants_it(self) -> None:
        schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

        jsonschema.validate(get_provider_info(), schema)
