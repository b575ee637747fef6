"""The DAGs of the documentation run as they stand, with real Airflow against the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.harness.local_airflow import LocalAirflow
from tests.harness.snippets import CHECKOUT, Snippet, snippets

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

DAGS = [snippet for snippet in snippets("python") if snippet.mark == "dag"]


def dag_id(snippet: Snippet) -> str:
    found = re.search(r"with DAG\(\s*\"(\w+)\"|@dag\([^)]*\)\ndef (\w+)", snippet.text)
    assert found is not None, f"{snippet.id} has no DAG"
    return found[1] or found[2]


def http_default(sandbox: Sandbox) -> dict[str, str]:
    """Return the connection of the DAG that is to be migrated, as an environment variable."""
    url = urlsplit(sandbox.url)
    connection = {
        "conn_type": "http",
        "schema": url.scheme,
        "host": url.hostname,
        "port": url.port,
        "extra": {"Authorization": sandbox.organization_token},
    }
    return {"AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(connection)}


def open_links(sandbox: Sandbox, ended: threading.Event) -> None:
    """Do what the end users of runs do, until all has ended: open the link of each run that has one."""
    opened: set[str] = set()
    while not ended.wait(0.1):
        links = {one.details.link for one in sandbox.workflows if one.details and one.details.link}
        for link in links - opened:
            httpx.get(link).raise_for_status()
        opened |= links


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How the runs of all DAGs have ended: one process of Airflow runs them, for it takes long to start."""
    folder, working_folder = tmp_path_factory.mktemp("dags"), tmp_path_factory.mktemp("working")
    for number, snippet in enumerate(DAGS):
        # /data is a folder of the user's machine.
        text = snippet.text.replace('"/data/', f'"{working_folder}/data/')
        (folder / f"snippet_{number}.py").write_text(text, encoding="utf-8")
    with Sandbox() as sandbox, LocalAirflow(folder, sandbox.environment | http_default(sandbox)) as airflow:
        sandbox.define(id=DEFINITION, seconds=0.1, result={"decision": "PASS", "score": 0.97})
        airflow.migrate()
        ended = threading.Event()
        end_users = threading.Thread(target=open_links, args=(sandbox, ended))
        end_users.start()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.integration.run_dag_snippets"],
                env={**airflow.environment, "PYTHONPATH": os.fspath(CHECKOUT)},
                cwd=working_folder,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            ended.set()
            end_users.join()
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) | {"output": done.stdout}
    return found


def test_every_dag_can_be_imported(report: dict[str, Any]) -> None:
    assert report["import_errors"] == {}
    assert sorted(report["states"]) == sorted(map(dag_id, DAGS))


@pytest.mark.parametrize("snippet", DAGS, ids=lambda snippet: snippet.id)
def test_the_dag_of_a_page_runs_as_it_stands(report: dict[str, Any], snippet: Snippet) -> None:
    assert report["states"].get(dag_id(snippet)) == "success", report["output"][-8000:]


def test_the_batches_have_written_what_the_pages_say(report: dict[str, Any]) -> None:
    names = {Path(name).name for name in report["files"]}

    assert {"results.jsonl", "results.parquet", "index.json"} <= names
