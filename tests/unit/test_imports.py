"""What importing this package costs those who only parse a DAG, as modules beside Airflow's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

#: What a file of DAGs has loaded in any case, by way of the names that it imports from Airflow.
AIRFLOW = "from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator"
MODULES = {
    "hooks.workflows": 20,
    "operators.batch": 75,
    "operators.case": 32,
    "operators.run": 58,
    "sensors.workflow_status": 54,
}


def modules_loaded_by(statement: str) -> set[str]:
    """Return the modules that ``statement`` loads in a fresh process that has loaded Airflow's before."""
    code = f"""
import json, sys
{AIRFLOW}
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    # As a worker has it: without Airflow's own set-up of a database.
    environment = {**os.environ, "_AIRFLOW__AS_LIBRARY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(("module", "at_most"), MODULES.items(), ids=list(MODULES))
def test_importing_what_a_dag_names_loads_no_http_library_and_none_of_airflows_server(
    module: str, at_most: int
) -> None:
    loaded = modules_loaded_by(f"import airflow_provider_workflows.{module}")

    packages = {name.partition(".")[0] for name in loaded}
    assert packages.isdisjoint({"aiohttp", "requests", "jwt", "pyarrow", "jmespath", "fastapi"})
    assert not [name for name in loaded if name.startswith("airflow.models")]
    assert len(loaded) <= at_most, sorted(loaded)


def test_the_clients_are_loaded_when_they_are_named() -> None:
    named = "from airflow_provider_workflows.api import Outcome, Settings, Statuses"

    assert "airflow_provider_workflows.api.client" not in modules_loaded_by(named)
    assert "aiohttp" not in modules_loaded_by(f"{named}, WorkflowsClient")
    assert "aiohttp" in modules_loaded_by(f"{named}, AsyncWorkflowsClient")
