"""What importing this package costs those who only parse a DAG, as modules beside Airflow's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.thorough

PACKAGE = "airflow_provider_workflows"
#: The most modules that each may load, beside those that a file of DAGs has loaded in any case.
MODULES = {
    "hooks.workflows": 10,
    "operators.batch": 88,
    "operators.case": 32,
    "operators.run": 54,
    "notifications.workflows": 8,
    "operators.result": 40,
    "sensors.workflow_status": 38,
}
OF_THE_API = {
    "neither client": f"from {PACKAGE}.api import Outcome, Settings, Statuses",
    "one client": f"from {PACKAGE}.api import WorkflowsClient",
    "both clients": f"from {PACKAGE}.api import AsyncWorkflowsClient, WorkflowsClient",
}
#: Runs each statement in a fork of a process that has imported from Airflow what any DAG does.
PROBE = """
import json, os, sys
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator

before = set(sys.modules)
for statement in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        exec(statement)
        print(json.dumps(sorted(set(sys.modules) - before)), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The modules that each statement loads, by the statement's name."""
    statements = {module: f"import {PACKAGE}.{module}" for module in MODULES} | OF_THE_API
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(list(statements.values()))],
        # As a worker has it: without the part of Airflow that needs its database.
        env={**os.environ, "_AIRFLOW__AS_LIBRARY": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()[-len(statements) :]
    return {name: set(json.loads(line)) for name, line in zip(statements, lines, strict=True)}


@pytest.mark.parametrize("module", MODULES)
def test_importing_what_a_dag_names_loads_no_http_library_and_nothing_of_airflows_server(
    module: str, loaded: dict[str, set[str]]
) -> None:
    packages = {name.partition(".")[0] for name in loaded[module]}

    assert packages.isdisjoint({"aiohttp", "requests", "urllib3", "jwt", "pyarrow", "jmespath", "fastapi"})
    assert not [name for name in loaded[module] if name.startswith("airflow.models")]
    assert len(loaded[module]) <= MODULES[module], sorted(loaded[module])


def test_each_client_is_loaded_when_it_is_named(loaded: dict[str, set[str]]) -> None:
    http_libraries = {name: modules & {"aiohttp", "requests", "urllib3"} for name, modules in loaded.items()}

    assert http_libraries["neither client"] == set()
    assert http_libraries["one client"] == {"urllib3"}
    assert http_libraries["both clients"] == {"aiohttp", "urllib3"}
