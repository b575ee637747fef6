"""The example DAG on real Airflow in one process, by `airflow dags test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import LocalAirflow

from .conftest import EXAMPLE
from .test_single_case import PERSON, STATUS_CALL, conf_in

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture
def conf(tmp_path: Path) -> dict[str, str]:
    return conf_in(tmp_path)


@pytest.mark.parametrize("mode", [pytest.param("poke", marks=pytest.mark.slow), "deferrable"])
def test_dags_test_runs_the_flow_with_the_calls_that_it_needs(
    idle_airflow: LocalAirflow, sandbox_of_idle_airflow: Sandbox, conf: dict[str, str], mode: str
) -> None:
    # On a busy machine the first poll may come when the run has ended: two say that it has not.
    sandbox_of_idle_airflow.fault("unknown_status", path="/workflows/{workflowId}", times=2)
    sandbox_of_idle_airflow.counts.reset()

    run = idle_airflow.run_dag(f"{EXAMPLE}_{mode}", conf=conf)

    assert run.succeeded, run.output
    requests = dict(sandbox_of_idle_airflow.counts.requests)
    assert requests.pop(STATUS_CALL) >= 3
    assert requests == {
        "POST /cases": 1,
        "POST /parameters": 1,
        "POST /workflows/run": 1,
        "GET /workflows/{workflowId}/result": 1,
    }
    assert "'decision': 'PASS'" in run.output
    assert not [value for value in PERSON.values() if value in run.output]
