"""What both clients do alike: the flow, tokens, trust, and the errors that a caller gets."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_workflows.api import Settings, errors, retry
from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION, Sandbox

from .conftest import Driver

Drive = Callable[..., Driver]

CONCURRENT_CALLS = 200


@pytest.fixture
def tls_sandbox() -> Iterator[Sandbox]:
    """A sandbox with a certificate of its own."""
    with Sandbox(tls=True) as running:
        yield running


def test_the_flow_needs_one_authorize_and_no_call_besides_its_steps(drive: Drive, sandbox: Sandbox) -> None:
    definition = sandbox.define(seconds=0.0, result={"decision": "PASS"})
    client = drive(sandbox.settings)

    case = client("create_case", first_name="Johanna", personal_number="02211012345")
    parameters = client("create_parameters", definition, {"limit": 1.5})
    workflow = client("run_workflow", definition, case.case_id, parameters.id)
    status = client("read_workflow", workflow.id).status
    result = client("read_result", workflow.id).json_object()

    assert status == "COMPLETED"
    assert result["decision"] == "PASS"
    assert result["partyDetails"]["personal"]["personalNumber"] == "02211012345"
    assert sandbox.counts.requests == {
        "POST /auth/authorize": 1,
        "POST /cases": 1,
        "POST /parameters": 1,
        "POST /workflows/run": 1,
        "GET /workflows/{workflowId}": 1,
        "GET /workflows/{workflowId}/result": 1,
    }
    assert sandbox.counts.total_connections == 1


def test_an_organization_token_is_sent_as_it_is_and_without_authorize(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(dataclasses.replace(sandbox.settings, key="", secret=sandbox.organization_token))

    client("create_case")

    assert sandbox.counts.requests == {"POST /cases": 1}


def test_a_rejected_organization_token_is_not_tried_again(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(dataclasses.replace(sandbox.settings, key="", secret="tot_wrong"))

    with pytest.raises(errors.AuthenticationFailed):
        client("create_case")

    assert sandbox.counts.requests == {"POST /cases": 1}


def test_a_rejected_key_is_not_tried_again(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(dataclasses.replace(sandbox.settings, secret="wrong"))

    with pytest.raises(errors.AuthenticationFailed, match="Check the organization token"):
        client("create_case")

    assert sandbox.counts.requests == {"POST /auth/authorize": 1}


def test_a_rejected_key_is_sent_once_in_a_step_of_the_backoff(
    drive: Drive, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "BACKOFF", retry.Backoff())
    now = 1000.0
    client = drive(dataclasses.replace(sandbox.settings, secret="wrong"), clock=lambda: now)
    sent = []

    for _ in range(100):
        with pytest.raises(errors.AuthenticationFailed, match="Check the organization token"):
            client("create_case")
        sent.append(sandbox.counts.requests["POST /auth/authorize"])
        now += 0.25

    # At 0, 0.5, 1.5, 3.5, 7.5, 15.5 seconds.
    assert [sent.index(number) / 4 for number in range(1, 7)] == [0, 0.5, 1.5, 3.5, 7.5, 15.5]
    assert sent[-1] == 6


def test_a_rejected_key_that_is_accepted_later_is_used(drive: Drive, sandbox: Sandbox) -> None:
    now = 1000.0
    client = drive(sandbox.settings, clock=lambda: now)
    sandbox.fault("unauthorized", path="/auth/authorize", times=1)
    with pytest.raises(errors.AuthenticationFailed):
        client("create_case")

    now += 60.0
    client("create_case")

    assert sandbox.counts.requests == {"POST /auth/authorize": 2, "POST /cases": 1}
    assert client.client.seconds_until_authorize() == 0.0


def test_a_token_is_refreshed_before_it_expires(drive: Drive, sandbox: Sandbox) -> None:
    sandbox.token_seconds = 100.0
    now = 0.0
    client = drive(sandbox.settings, clock=lambda: now)
    client("authorize")

    now = 95.0
    client("create_case")

    assert sandbox.counts.requests == {
        "POST /auth/authorize": 1,
        "POST /auth/refresh": 1,
        "POST /cases": 1,
    }


@pytest.mark.thorough
class TestTwoHundredCallsAtOnce:
    """An expired token is renewed once, whichever call notices it."""

    @pytest.mark.parametrize("refresh_expired", [False, True])
    async def test_async(self, sandbox: Sandbox, refresh_expired: bool) -> None:
        async with sandbox.async_client() as client:
            case_id = (await client.create_case()).case_id
            sandbox.expire_tokens(refresh=refresh_expired)
            sandbox.counts.reset()

            await asyncio.gather(*(client.read_case(case_id) for _ in range(CONCURRENT_CALLS)))

        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert sandbox.counts.requests["POST /auth/authorize"] == int(refresh_expired)

    @pytest.mark.parametrize("refresh_expired", [False, True])
    def test_sync(self, sandbox: Sandbox, refresh_expired: bool) -> None:
        with sandbox.client() as client:
            case_id = client.create_case().case_id
            sandbox.expire_tokens(refresh=refresh_expired)
            sandbox.counts.reset()
            threads = [
                threading.Thread(target=client.read_case, args=(case_id,)) for _ in range(CONCURRENT_CALLS)
            ]

            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert sandbox.counts.requests["POST /auth/authorize"] == int(refresh_expired)
        assert sandbox.counts.requests["GET /cases/{caseId}"] <= 2 * CONCURRENT_CALLS

    async def test_a_rejected_key_is_asked_about_once(self, sandbox: Sandbox) -> None:
        async with sandbox.async_client(secret="wrong") as client:
            outcomes = await asyncio.gather(
                *(client.create_case() for _ in range(CONCURRENT_CALLS)), return_exceptions=True
            )

        assert {type(outcome) for outcome in outcomes} == {errors.AuthenticationFailed}
        assert sandbox.counts.requests == {"POST /auth/authorize": 1}

    async def test_connections_are_bounded_by_the_pool(self, sandbox: Sandbox) -> None:
        async with sandbox.async_client() as client:
            case_id = (await client.create_case()).case_id

            await asyncio.gather(*(client.read_case(case_id) for _ in range(CONCURRENT_CALLS)))

        assert sandbox.counts.total_connections <= 32


class TestResult:
    """The status is requested only if the workflow has no result."""

    def test_of_a_running_workflow_is_an_error_that_says_the_status(
        self, client: Driver, sandbox: Sandbox
    ) -> None:
        workflow_id = client("run_workflow", DEFINITION, client("create_case").case_id).id

        with pytest.raises(errors.WorkflowNotCompleted, match="RUNNING") as raised:
            client("read_result", workflow_id)

        assert type(raised.value) is errors.WorkflowNotCompleted
        assert raised.value.workflow_status == "RUNNING"

    def test_of_a_failed_workflow_is_an_error_that_says_the_status(
        self, client: Driver, sandbox: Sandbox
    ) -> None:
        sandbox.define(FAILING_DEFINITION, seconds=0.0, status="FAILED")
        workflow_id = client("run_workflow", FAILING_DEFINITION, client("create_case").case_id).id

        with pytest.raises(errors.WorkflowFailed, match="FAILED"):
            client("read_result", workflow_id)

    def test_of_an_unknown_workflow_is_not_found(self, client: Driver) -> None:
        with pytest.raises(errors.NotFound):
            client("read_result", DEFINITION)


def test_the_synchronous_client_starts_no_thread(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def counted(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    with sandbox.client() as client:
        case_id = client.create_case().case_id
        monkeypatch.setattr(threading.Thread, "start", counted)

        for _ in range(50):
            client.read_case(case_id)

    assert sandbox.counts.requests["GET /cases/{caseId}"] == 50
    assert started == []


class TestUnreachable:
    """The caller learns what is wrong, and that nothing was sent."""

    def test_nobody_listens(self, drive: Drive, sandbox: Sandbox) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        client = drive(dataclasses.replace(sandbox.settings, host=f"http://127.0.0.1:{port}", max_attempts=2))

        with pytest.raises(errors.ServiceUnreachable, match="refused"):
            client("create_case")

    def test_unknown_host(self, drive: Drive) -> None:
        client = drive(Settings(host="https://nowhere.invalid", key="k", secret="s", max_attempts=1))

        with pytest.raises(errors.ServiceUnreachable, match="name is not known"):
            client("create_case")

    def test_no_tls_where_tls_is_expected(self, drive: Drive, sandbox: Sandbox) -> None:
        settings = sandbox.settings
        client = drive(
            dataclasses.replace(settings, host=settings.host.replace("http:", "https:"), max_attempts=1)
        )

        with pytest.raises(errors.TlsFailed):
            client("create_case")

    def test_silence_ends_at_the_read_timeout(self, drive: Drive, silent_server: str) -> None:
        client = drive(Settings(host=silent_server, key="k", secret="s", max_attempts=1, read_timeout=0.2))

        with pytest.raises(errors.ServiceUnavailable, match="timed out"):
            client("authorize")

    def test_a_closing_service_during_the_tls_handshake_was_not_reached(
        self, drive: Drive, closing_server: str
    ) -> None:
        host = closing_server.replace("http:", "https:")
        client = drive(Settings(host=host, key="", secret="tot_x", max_attempts=1))

        with pytest.raises(errors.ServiceUnreachable):
            client("create_case")


class TestTrust:
    """``verify`` as True, False and a CA file."""

    def test_a_private_certificate_is_refused_by_default(self, drive: Drive, tls_sandbox: Sandbox) -> None:
        client = drive(dataclasses.replace(tls_sandbox.settings, verify=True, max_attempts=1))

        with pytest.raises(errors.TlsFailed, match="verify"):
            client("create_case")

    @pytest.mark.parametrize("verify", ["the CA file", False])
    def test_a_private_certificate_is_accepted_where_the_connection_says_so(
        self, drive: Drive, tls_sandbox: Sandbox, verify: str | bool
    ) -> None:
        trusted = tls_sandbox.ca_file if verify else False
        client = drive(dataclasses.replace(tls_sandbox.settings, verify=trusted or False))

        assert client("create_case").case_id


class TestEnvironment:
    """Proxies come from the usual variables; passwords from nowhere but the connection."""

    def test_a_proxy_is_used(self, drive: Drive, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        # The sandbox stands in for the proxy: a proxied plain request reaches it with the whole URL.
        monkeypatch.setenv("http_proxy", sandbox.url)
        monkeypatch.delenv("no_proxy", raising=False)
        client = drive(
            dataclasses.replace(
                sandbox.settings, host="http://service.invalid", allow_http=True, max_attempts=1
            )
        )

        client("create_case")

        assert sandbox.counts.requests["POST /cases"] == 1

    def test_tls_goes_through_a_tunnel(
        self, drive: Drive, tunnelling_proxy: str, tls_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", tunnelling_proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        client = drive(tls_sandbox.settings)

        case_id = client("create_case").case_id

        assert client("read_case", case_id).case_id == case_id
        assert tls_sandbox.counts.total_connections == 1

    def test_an_unusable_proxy_is_said_at_once(self, drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")

        with pytest.raises(errors.InvalidInput, match="socks5"):
            drive(Settings(key="k", secret="s"))

    def test_a_netrc_does_not_replace_the_token(
        self,
        drive: Drive,
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        netrc = tmp_path_factory.mktemp("home") / ".netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password else\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        client = drive(sandbox.settings)

        assert client("create_case").case_id


class TestMessages:
    """What an error shows of what came, and what it must not show."""

    def test_html_is_shown_with_the_status(self, client: Driver, sandbox: Sandbox) -> None:
        sandbox.fault("html_ok")

        with pytest.raises(errors.UnexpectedResponse, match=r"200 with: <") as raised:
            client("read_workflow", DEFINITION)

        assert "validation error" not in str(raised.value)

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("truncated_json", errors.UnexpectedResponse),
            ("missing_fields", errors.UnexpectedResponse),
            ("cut_during", errors.ServiceUnavailable),
            ("html_ok", errors.UnexpectedResponse),
        ],
    )
    def test_no_personal_value_of_a_case_is_shown(
        self,
        client: Driver,
        sandbox: Sandbox,
        caplog: pytest.LogCaptureFixture,
        fault: str,
        error: type[Exception],
    ) -> None:
        sandbox.fault(fault)

        with pytest.raises(error) as raised:
            client("create_case", first_name="Brunhilde", email="brunhilde@example.org")

        assert "runhilde" not in str(raised.value)
        assert "Trying again" in caplog.text
        assert "runhilde" not in caplog.text

    def test_missing_fields_are_named(self, client: Driver, sandbox: Sandbox) -> None:
        workflow_id = client("run_workflow", DEFINITION, client("create_case").case_id).id
        sandbox.fault("missing_fields")

        with pytest.raises(errors.UnexpectedResponse, match=r"has no valid id, status"):
            client("read_workflow", workflow_id)

    def test_a_service_that_repeats_a_personal_value_is_not_quoted(
        self, drive: Drive, echoing_server: str
    ) -> None:
        client = drive(Settings(host=echoing_server, secret="tot_x", max_attempts=1))

        with pytest.raises(errors.RequestRejected) as raised:
            client("create_case", first_name="Jo", personal_number="02211012345")

        assert "02211012345" not in str(raised.value)
        assert "02211012345" not in (raised.value.detail or "")
        assert "***" in str(raised.value)
        assert raised.value.code == "INVALID"
        assert raised.value.fingerprint == "abc"


class TestBadInput:
    """Nothing is sent, and the error names the argument and the problem, never a personal value."""

    @pytest.mark.parametrize(
        ("method", "arguments", "message"),
        [
            ("read_workflow", {"workflow_id": ""}, "workflow_id is empty"),
            ("read_workflow", {"workflow_id": "  "}, "workflow_id is empty"),
            ("read_workflow", {"workflow_id": "None"}, "workflow_id is the text 'None'"),
            ("read_workflow", {"workflow_id": None}, "workflow_id must be an id as text, not NoneType"),
            ("read_workflow", {"workflow_id": "{{ x }}"}, "workflow_id still holds a template"),
            ("read_workflow", {"workflow_id": "../cases"}, "workflow_id has 8 characters and not"),
            ("read_case", {"case_id": "02211012345"}, "case_id has 11 characters and not"),
            (
                "run_workflow",
                {"workflow_definition_id": "x", "case_id": DEFINITION},
                "workflow_definition_id has 1 character ",
            ),
            (
                "run_workflow",
                {"workflow_definition_id": DEFINITION, "case_id": DEFINITION, "parameters_id": ""},
                "parameters_id is empty",
            ),
            ("create_case", {"firstname": "Brunhilde"}, "firstname is not a field of the API"),
            ("create_case", {"first_name": 5}, "first_name must be text, not int"),
            ("create_case", {"personal_number": 1.5}, "personal_number must be text, not float"),
            ("create_case", {"personal_number": True}, "personal_number must be text, not bool"),
            (
                "create_case",
                {"personal_number": 7},
                "personal_number: is a number, so its leading zeros may be",
            ),
            (
                "create_case",
                {"companyNumber": 7},
                "companyNumber: is a number, so its leading zeros may be lost",
            ),
            ("create_case", {"phone": {"number": "666666666"}}, "phone.country_code is missing"),
            (
                "create_case",
                {"phone": {"country_code": "48", "number": ""}},
                "phone.number is empty",
            ),
            ("create_case", {"phone": "48666666666"}, "phone must be an object, not str"),
            ("create_case", {"documents": {"a": 1}}, "documents must be a list, not dict"),
            (
                "create_case",
                {"documents": [{"name": "passport"}]},
                "documents.0.name is not a field of the API",
            ),
            (
                "create_parameters",
                {"workflow_definition_id": DEFINITION, "parameters": [1]},
                "parameters must be a dict of JSON values, not list",
            ),
            (
                "create_parameters",
                {"workflow_definition_id": DEFINITION, "parameters": {"a": {"b": [1, {2}]}}},
                r"parameters\.a\.b\[1\] is set, which is not a JSON value",
            ),
            (
                "create_parameters",
                {"workflow_definition_id": DEFINITION, "parameters": {"a": float("nan")}},
                r"parameters\.a is nan, which JSON cannot express",
            ),
            (
                "create_parameters",
                {"workflow_definition_id": DEFINITION, "parameters": {0: "a"}},
                "parameters has a name that is int, not text",
            ),
        ],
    )
    def test_is_refused_before_anything_is_sent(
        self,
        client: Driver,
        sandbox: Sandbox,
        method: str,
        arguments: dict[str, object],
        message: str,
    ) -> None:
        with pytest.raises(errors.InvalidInput, match=message) as raised:
            client(method, **arguments)

        assert sandbox.counts.total_requests == 0
        assert "Brunhilde" not in str(raised.value)
        assert "02211012345" not in str(raised.value)
