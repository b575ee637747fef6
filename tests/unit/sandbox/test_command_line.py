"""The sandbox as a program."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.__main__ import main

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_reach_it_serves_and_ends_at_a_signal(number: signal.Signals) -> None:
    with started() as (process, greeting):
        (export,) = re.findall(r"export AIRFLOW_CONN_WORKFLOWS_DEFAULT=(.*)", greeting)
        connection = json.loads(*shlex.split(export))
        assert all(text in greeting for text in (DEFINITION, "organization token", "/openapi.json"))
        credentials = {"key": connection["login"], "secret": connection["password"]}
        with requests.Session() as session:
            session.trust_env = False
            response = session.post(f"{connection['host']}/auth/authorize", json=credentials, timeout=5)
            session.get(f"{connection['host']}/cases/85010112345", timeout=5)
        assert response.status_code == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")
    assert re.findall(r"\d\d:\d\d:\d\d (.*)", output) == [
        "POST /auth/authorize 200",
        "GET /cases/{caseId} 401",
    ]


def test_it_is_quiet_when_told_so() -> None:
    with started("--quiet", "--token-seconds", "7") as (process, greeting):
        (url,) = re.findall(r"listens on (\S+)", greeting)
        credentials = dict(re.findall(r"^  (key|secret) +(\S+)$", greeting, re.MULTILINE))
        with requests.Session() as session:
            session.trust_env = False
            response = session.post(f"{url}/auth/authorize", json=credentials, timeout=5)
        assert response.json()["expiryDuration"] == 7
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=5)
    assert output.strip() == ""


def test_a_port_that_is_taken_is_told_in_one_line(
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
def test_a_setting_that_cannot_be_right_is_told_in_one_line(
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
    assert "--port" in capsys.readouterr().err


@pytest.fixture
def restored_signals() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
