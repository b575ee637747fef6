"""On real Airflow, what other tasks give is sent as it is, however a task is mapped over it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.harness.local_airflow import LocalAirflow

from .dags.data_is_no_template import TEXTS

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

#: Ways that give one value only.
OF_ONE = ("output", "pulled in a template")
AUTHORS = "template of the author"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "native"])
def test_the_sandbox_receives_data_as_it_came_and_never_the_secret(
    idle_airflow: LocalAirflow, sandbox_of_idle_airflow: Sandbox, tmp_path: Path, kind: str
) -> None:
    sandbox = sandbox_of_idle_airflow

    run = idle_airflow.run_dag(f"data_is_no_template_{kind}", conf={"folder": str(tmp_path)})

    assert run.succeeded, run.output
    ids = json.loads((tmp_path / "ids.json").read_text())
    received = {way: [_person(sandbox, case_id) for case_id in cases] for way, cases in ids["cases"].items()}
    assert received.pop(AUTHORS) == [{"firstName": f"of data_is_no_template_{kind}", "lastName": "Doe"}]
    assert received == {
        way: [{"firstName": text} for text in (TEXTS[:1] if way in OF_ONE else TEXTS)] for way in received
    }
    assert len(received) == 8
    assert [_parameters(sandbox, each) for each in ids["parameters"]] == [
        {"text": text, "deep": [{"text": text}]} for text in TEXTS
    ]
    rows = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert rows == [{"company_name": text} for text in TEXTS]
    assert sandbox.secret not in run.output


def _person(sandbox: Sandbox, case_id: str) -> dict[str, Any]:
    with sandbox.client() as client:
        party = client.read_case(case_id).party_details
    assert party is not None
    return dict(party.personal or {})


def _parameters(sandbox: Sandbox, parameters_id: str) -> Any:
    # Other tests share the sandbox, and need the definition as it is.
    with sandbox.client() as client:
        workflow = client.run_workflow(DEFINITION, client.create_case().case_id, parameters_id)
        while client.read_workflow(workflow.id).status != "COMPLETED":
            time.sleep(0.1)
        return client.read_result(workflow.id).json_object()["parameters"]
