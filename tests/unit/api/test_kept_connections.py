"""A call that makes something takes a new connection, or one that was used within the last few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings, http_rules
from airflow_provider_workflows.api.http_rules import idle_seconds
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.sockets import Certificate
from tests.harness.hostile_server import HostileServer, Pieces, ReceivedRequest, json_response

from .conftest import Driver

Drive = Callable[..., Driver]

WORKFLOW = "11111111-1111-4111-8111-111111111111"
CASE = "22222222-2222-4222-8222-222222222222"
MAKING = {
    "create_case": [],
    "create_parameters": [DEFINITION, {"limit": 1}],
    "run_workflow": [DEFINITION, CASE],
}


class ClosingServer(HostileServer):
    """Responds once on each connection, and closes it as the next request comes, as a proxy may.

    :param headers: of its responses
    """

    def __init__(self, *headers: str) -> None:
        self._served: set[int] = set()
        self._headers = headers
        super().__init__(self._once)

    def _once(self, request: ReceivedRequest) -> Pieces:
        if request.connection in self._served:
            self.requests.remove(request)
            return [None]
        self._served.add(request.connection)
        body = {"id": WORKFLOW, "caseId": CASE, "status": "RUNNING"}
        return [json_response(body, *self._headers)]


def settings(server: HostileServer) -> Settings:
    return Settings(host=server.host, secret="tot_x", max_attempts=1, read_timeout=3.0)


class Clock:
    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("call", MAKING)
def test_a_connection_that_was_idle_is_not_used(drive: Drive, call: str, clock: Clock) -> None:
    with ClosingServer() as server:
        client = drive(settings(server), clock=clock)
        client("read_workflow", WORKFLOW)

        clock.moment += http_rules.MAX_IDLE_SECONDS_BEFORE_MAKING + 0.1
        client(call, *MAKING[call])

        assert len(server.requests) == server.connections == 2


@pytest.mark.parametrize("call", MAKING)
def test_a_connection_that_the_service_closes_soon_is_not_used(drive: Drive, call: str) -> None:
    with ClosingServer("Keep-Alive: timeout=1") as server:
        client = drive(settings(server))
        client("read_workflow", WORKFLOW)

        client(call, *MAKING[call])

        assert len(server.requests) == server.connections == 2


def test_a_connection_that_was_just_used_is_used(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(sandbox.settings)

    for _ in range(10):
        case = client("create_case")
        client("create_parameters", DEFINITION, {"limit": 1})
        client("run_workflow", DEFINITION, case.case_id)

    assert sandbox.counts.total_connections == 1


def test_a_connection_that_was_idle_is_used_for_a_poll(drive: Drive, sandbox: Sandbox, clock: Clock) -> None:
    client = drive(sandbox.settings, clock=clock)
    workflow = client("run_workflow", DEFINITION, client("create_case").case_id)

    for _ in range(5):
        clock.moment += 30
        client("read_workflow", workflow.id)

    assert sandbox.counts.total_connections == 1


@pytest.mark.thorough
def test_a_response_that_comes_unasked_is_not_taken_for_that_of_the_next_call(drive: Drive) -> None:
    other = "33333333-3333-4333-8333-333333333333"

    def respond(request: ReceivedRequest) -> Pieces:
        own = {"caseId": request.path.rpartition("/")[2]}
        return [json_response(own), 0.05, json_response({"caseId": other})]

    with HostileServer(respond) as server:
        client = drive(settings(server))
        client("read_case", CASE)
        ThreadPoolExecutor(1).submit(time.sleep, 0.3).result()

        assert client("read_case", WORKFLOW).case_id == WORKFLOW


@pytest.fixture
def certificate() -> Iterator[Certificate]:
    made = Certificate("localhost")
    yield made
    made.remove()


def end_tls(connection: socket.socket) -> None:
    """Send the end of TLS, and leave the connection below it open."""
    assert isinstance(connection, ssl.SSLSocket)
    connection.settimeout(0.2)
    with contextlib.suppress(OSError):
        connection.unwrap()


class TestTls:
    """What TLS has decrypted no longer shows on the socket."""

    def test_a_second_response_in_one_record_is_not_taken_for_that_of_the_next_call(
        self, drive: Drive, certificate: Certificate
    ) -> None:
        def respond(request: ReceivedRequest) -> Pieces:
            if request.path.endswith(WORKFLOW):
                return [json_response({"id": WORKFLOW, "status": "NEXT"})]
            own = {"caseId": CASE, "padding": "x" * 9000}
            return [json_response(own) + json_response({"id": WORKFLOW, "status": "UNASKED"})]

        with HostileServer(respond, certificate.context) as server:
            client = drive(replace(settings(server), verify=str(certificate.ca_file)))
            client("read_case", CASE)

            assert client("read_workflow", WORKFLOW).status == "NEXT"

    def test_a_connection_whose_tls_has_ended_is_not_used(
        self, drive: Drive, certificate: Certificate
    ) -> None:
        def respond(request: ReceivedRequest) -> Pieces:
            body = b'{"id": "%s", "caseId": "%s", "status": "RUNNING"}' % (WORKFLOW.encode(), CASE.encode())
            if request.method == "POST":
                return [json_response(body)]
            return [b"HTTP/1.1 200 OK\r\n\r\n" + body, end_tls, 5.0]

        with HostileServer(respond, certificate.context) as server:
            client = drive(replace(settings(server), verify=str(certificate.ca_file)))
            client("read_workflow", WORKFLOW)

            assert client("run_workflow", DEFINITION, CASE).id == WORKFLOW


@pytest.mark.parametrize(
    ("method", "keep_alive", "seconds"),
    [
        ("GET", None, 60),
        ("POST", None, 2),
        ("GET", "timeout=5", 4),
        ("POST", "timeout=5", 2),
        ("POST", "timeout=2, max=100", 1),
        ("POST", "max=100, Timeout = 2", 1),
        ("POST", "timeout=1", 0),
        ("POST", "timeout=0", -1),
        ("POST", "timeout=300", 2),
        ("POST", "timeout=-1", 2),
        ("POST", "timeout=1e9", 2),
        ("POST", "timeout=²", 2),
        ("POST", "timeout", 2),
        ("POST", "", 2),
    ],
)
def test_how_long_a_connection_may_have_been_idle(
    method: str, keep_alive: str | None, seconds: float
) -> None:
    assert idle_seconds(method, keep_alive) == seconds


async def test_rows_that_are_submitted_together_share_connections(sandbox: Sandbox) -> None:
    async def submit() -> None:
        case = await client.create_case()
        parameters = await client.create_parameters(DEFINITION, {"limit": 1})
        await client.run_workflow(DEFINITION, case.case_id, parameters.id)

    async with AsyncWorkflowsClient(sandbox.settings, pool_size=4) as client:
        await asyncio.gather(*[submit() for _ in range(50)])

    assert sandbox.counts.requests["POST /workflows/run"] == 50
    assert sandbox.counts.total_connections <= 4


def test_a_slow_response_does_not_age_its_connection(drive: Drive, clock: Clock) -> None:
    def respond(_: ReceivedRequest) -> Pieces:
        clock.moment += 3.0
        return [json_response({"caseId": CASE})]

    with HostileServer(respond) as server:
        client = drive(settings(server), clock=clock)

        for _ in range(5):
            client("create_case")

        assert len(server.requests) == 5
        assert server.connections == 1
