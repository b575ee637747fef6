"""The service that all pollers talk to: three status calls over TLS, served as cheaply as Python can.

When a run ends is written in its id, so the service keeps no runs and all candidates are served alike.
Started by ``python -m benchmarks.harness.poll_service FOLDER``, in which it puts its certificate and its counters;
it prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple, cast

from airflow_provider_workflows.sandbox.sockets import Certificate
from benchmarks.harness.processes import SERVICE_PLACE, pin

COUNTERS_FILE, CERTIFICATE_FILE = "counters", "certificate.pem"
#: The end of a run that does not end.
NEVER = 0
_MAX_RUNS = 100_000
_COUNTERS_BYTES = 3 * 8
_TOKENS = {
    "accessToken": "a" * 400,
    "refreshToken": "r" * 100,
    "expiryDuration": 86_400,
    "tokenType": "Bearer",
}
_DATABRICKS_STATES = (
    {"life_cycle_state": "RUNNING", "state_message": "In run"},
    {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": ""},
)


def workflow_id(ordinal: int, end: int) -> str:
    """Return the id of a workflow that ends at ``end``, in milliseconds since the epoch."""
    return f"5c0e3b7a-0000-4000-{ordinal:04x}-{end:012x}"


def run_id(ordinal: int, end: int) -> int:
    """Return the id of a run of dbt Cloud or Databricks that ends at ``end``."""
    return end * _MAX_RUNS + ordinal


class Counts(NamedTuple):
    """What the service had counted at one moment.

    :param polls: status calls that got a response
    :param connections: TLS connections that were opened
    :param distinct: runs that were polled at least once
    """

    polls: int
    connections: int
    distinct: int


class Counters:
    """Counts in a file that both processes have in memory: reading them costs neither a call nor a connection.

    :param file: where they are; created with zeros if it does not exist
    """

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(_COUNTERS_BYTES))
        with file.open("r+b") as opened:
            self._numbers = memoryview(mmap.mmap(opened.fileno(), _COUNTERS_BYTES)).cast("Q")

    def write(self, polls: int, connections: int, distinct: int) -> None:
        """Publish the counts."""
        self._numbers[0], self._numbers[1], self._numbers[2] = polls, connections, distinct

    def read(self) -> Counts:
        """Return the counts."""
        return Counts(*self._numbers)


class PollService:
    """The responses, and what is counted of them.

    :param counters: where the counts are published
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._seen: set[bytes] = set()
        self._polls = self._connections = 0

    def connected(self) -> None:
        """Count a connection whose TLS handshake is done."""
        self._connections += 1
        self._publish()

    def response(self, path: bytes, body: bytes) -> bytes:
        """Return the body of the response, and count the poll."""
        if path.startswith(b"/workflows/"):
            name = path[11:]
            status = b"COMPLETED" if _has_ended(int(name[-12:], 16)) else b"RUNNING"
            response = b'{"id":"%b","status":"%b","caseId":"0d0cbd31-96b0-4f19-9b8a-5f4a0c8b8f10"}' % (
                name,
                status,
            )
        elif path.startswith(b"/api/v2/accounts/"):
            name = path.split(b"/")[6]
            status = b"10" if _has_ended(int(name) // _MAX_RUNS) else b"3"
            response = b'{"status":{"code":200,"is_success":true},"data":{"id":%b,"status":%b}}' % (
                name,
                status,
            )
        elif path.startswith(b"/api/2.2/jobs/runs/get"):
            number = json.loads(body)["run_id"]
            name = b"%d" % number
            state = _DATABRICKS_STATES[_has_ended(number // _MAX_RUNS)]
            response = json.dumps({"run_id": number, "state": state}).encode()
        else:
            return json.dumps(_TOKENS).encode()
        self._polls += 1
        self._seen.add(name)
        self._publish()
        return response

    def _publish(self) -> None:
        self._counters.write(self._polls, self._connections, len(self._seen))


def _has_ended(end: int) -> bool:
    return end != NEVER and time.time() * 1000 >= end


class _Connection(asyncio.Protocol):
    def __init__(self, service: PollService) -> None:
        self._service = service
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._service.connected()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _content_length(head)
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            response = self._service.response(head.split(b" ", 2)[1], body)
            assert self._transport is not None  # noqa: S101
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(response), response)
            )


def _content_length(head: bytes) -> int:
    _, found, value = head.lower().partition(b"\r\ncontent-length:")
    return int(value.partition(b"\r\n")[0]) if found else 0


async def _serve(folder: Path) -> None:
    certificate = Certificate("127.0.0.1")
    # Its own folder is removed at once: the benchmark kills this process.
    (folder / CERTIFICATE_FILE).write_bytes(certificate.ca_file.read_bytes())
    certificate.remove()
    service = PollService(Counters(folder / COUNTERS_FILE))
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(service), "127.0.0.1", 0, ssl=certificate.context, backlog=8192
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    pin(SERVICE_PLACE)
    with contextlib.suppress(ImportError):  # it comes with Airflow, and serves half as many requests again
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_serve(Path(sys.argv[1])))
    os._exit(0)  # thousands of connections need no goodbye
