"""Who else submits cases and runs: ``python -m benchmarks.candidates.submitters ARGUMENTS``.

Two calls for each row and nothing more: nothing is checked, written down, repeated, or renewed.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import requests

from airflow_provider_workflows.api import WorkflowsClient, endpoints
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from benchmarks.harness.processes import MEASURED_PLACE, peak_bytes, pin
from benchmarks.harness.sandbox import CASE_PATH, RUN_PATH

_CONCURRENCY = 32
_CASE_FIELDS = ("firstName", "lastName", "personalNumber", "email")


class _Target:
    """Where the calls go.

    :param definition_id: of the workflow
    """

    def __init__(self, definition_id: str) -> None:
        settings = WorkflowsHook().settings
        # An organization token is sent as it is, and authorizes no call for another.
        authorization = settings.secret
        if settings.key:
            with WorkflowsClient(settings) as client:
                response = client.perform(endpoints.authorize(settings.key, settings.secret))
            authorization = f"Bearer {response.access_token}"
        self.headers = {"Authorization": authorization}
        self.case_url, self.run_url = settings.host + CASE_PATH, settings.host + RUN_PATH
        self.ca_file = settings.verify
        self._definition_id = definition_id

    def run_of(self, case: dict[str, Any]) -> dict[str, str]:
        return {"caseId": case["caseId"], "workflowDefinitionId": self._definition_id}


def _pair(session: requests.Session, target: _Target, row: dict[str, str]) -> None:
    case = session.post(target.case_url, json=row, timeout=60)
    case.raise_for_status()
    session.post(target.run_url, json=target.run_of(case.json()), timeout=60).raise_for_status()


def _session(target: _Target) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = target.ca_file
    session.headers.update(target.headers)
    return session


def one_session(rows: list[dict[str, str]], target: _Target) -> None:
    """Submit the rows one after the other."""
    with _session(target) as session:
        for row in rows:
            _pair(session, target, row)


def threads(rows: list[dict[str, str]], target: _Target) -> None:
    """Submit in 32 threads, each with a session of its own."""
    own = threading.local()

    def begin() -> None:
        own.session = _session(target)

    with ThreadPoolExecutor(_CONCURRENCY, initializer=begin) as pool:
        list(pool.map(lambda row: _pair(own.session, target, row), rows))


def floor(rows: list[dict[str, str]], target: _Target) -> None:
    """Submit with as many tasks as ours has, on one ``aiohttp.ClientSession``."""
    asyncio.run(_floor(rows, target))


async def _floor(rows: list[dict[str, str]], target: _Target) -> None:
    left = iter(rows)
    connector = aiohttp.TCPConnector(limit=_CONCURRENCY, ssl=_tls(target))
    async with aiohttp.ClientSession(
        connector=connector, headers=target.headers, raise_for_status=True
    ) as session:

        async def work() -> None:
            for row in left:
                async with session.post(target.case_url, json=row) as response:
                    case = await response.json()
                async with session.post(target.run_url, json=target.run_of(case)) as response:
                    await response.json()

        await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))


def _tls(target: _Target) -> Any:
    return ssl.create_default_context(cafile=target.ca_file) if isinstance(target.ca_file, str) else True


_SUBMITTERS = {"requests.Session": one_session, f"{_CONCURRENCY} threads": threads, "bare aiohttp": floor}


def _main(arguments: dict[str, Any]) -> None:
    with Path(arguments["items"]).open() as file:
        rows = [{name: row[name] for name in _CASE_FIELDS} for row in map(json.loads, file)]
    target = _Target(arguments["definition"])
    begin, cpu = time.monotonic(), time.process_time()
    _SUBMITTERS[arguments["submitter"]](rows, target)
    found = {"seconds": time.monotonic() - begin, "cpu": time.process_time() - cpu, "peak": peak_bytes()}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    pin(MEASURED_PLACE)
    _main(json.loads(sys.argv[1]))
