"""The sandbox as a program."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest
import requests

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.__main__ import main
from tests.unit.sandbox.conftest import CASE, LIMIT_SECONDS, Destination

PROGRAM = [sys.executable, "-m", "airflow_provider_workflows.sandbox"]


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the program on a free port and hand out its process and its greeting."""
    with subprocess.Popen(
        [*PROGRAM, "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            lines: list[str] = []
            for line in iter(process.stdout.readline, ""):
                lines.append(line)
                if "tokens/expire" in line:
                    break
            yield process, "".join(lines)
        finally:
            process.kill()


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_connection_serves_and_ends_at_a_signal(number: signal.Signals) -> None:
    with started() as (process, greeting):
        exports = dict(re.findall(r"export AIRFLOW_CONN_(\w+)=(.*)", greeting))
        connections = {name: json.loads(*shlex.split(text)) for name, text in exports.items()}
        connection = connections["WORKFLOWS_DEFAULT"]
        assert [given["extra"].get("api_generation") for given in connections.values()] == [None, 2, 3]
        assert all(text in greeting for text in (DEFINITION, "organization token", "/openapi.json"))
        url = f"{connection['host']}:{connection['port']}"
        token = {"Authorization": connection["password"]}
        with requests.Session() as session:
            session.trust_env = False
            response = session.post(f"{url}/cases", json={}, headers=token, timeout=LIMIT_SECONDS)
            session.get(f"{url}/cases/85010112345", timeout=LIMIT_SECONDS)
        assert response.status_code == 201
        process.send_signal(number)
        output, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert re.findall(r"\d\d:\d\d:\d\d (.*)", output) == [
        "POST /cases 201",
        "GET /cases/{caseId} 401",
    ]


@pytest.mark.thorough
def test_it_is_quiet_if_asked() -> None:
    with started("--quiet", "--token-seconds", "7") as (process, greeting):
        (url,) = re.findall(r"listens on (\S+)", greeting)
        credentials = dict(re.findall(r"^  (key|secret) +(\S+)$", greeting, re.MULTILINE))
        with requests.Session() as session:
            session.trust_env = False
            response = session.post(f"{url}/auth/authorize", json=credentials, timeout=LIMIT_SECONDS)
        assert response.json()["expiryDuration"] == 7
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert output.strip() == ""


def test_a_port_that_is_taken_is_reported_in_one_line(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], restored_signals: None
) -> None:
    port = sandbox.url.rpartition(":")[2]
    assert main(["--port", port]) == 2
    assert capsys.readouterr().err == (
        f"workflows-sandbox: error: cannot listen on 127.0.0.1:{port}: the port is taken\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--token-seconds", "0"], "token_seconds must be a number of seconds above 0"),
    ],
)
def test_a_setting_that_cannot_be_right_is_reported_in_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str], restored_signals: None
) -> None:
    assert main([*arguments, "--port", "0"]) == 2
    errors = capsys.readouterr().err
    assert reason in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_is_a_number(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--port", port])
    assert "--port: a port is a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.thorough
async def test_the_url_of_webhooks_is_an_option(destination: Destination) -> None:
    program = [*PROGRAM, "--port", "0", "--webhook-url", destination.url]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        (url,) = re.findall(r"listens on (\S+)", (await process.stdout.readline()).decode())
        definition = {"id": str(uuid.uuid4()), "seconds": 0}
        body = {"caseId": CASE, "workflowDefinitionId": definition["id"]}
        headers = {"Authorization": Sandbox().organization_token}
        async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
            await session.post(f"{url}/_sandbox/definitions", json=definition)
            await session.post(f"{url}/workflows/run", json=body)
            await destination.get(1)
    finally:
        process.terminate()
        output, _ = await process.communicate()
    assert re.search(r"webhook of workflow \S+: 204$", output.decode(), re.MULTILINE)


@pytest.fixture
def restored_signals() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
