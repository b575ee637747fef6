"""Workflow definitions that a test makes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.sandbox import SCREENING_DEFINITION, Sandbox
from tests.unit.sandbox.conftest import Caller


def status_of(call: Caller, definition: str) -> str:
    return str(call("GET", f"/workflows/{call.run(definition)}").json()["status"])


def test_each_run_takes_its_own_time_within_the_bounds(sandbox: Sandbox, call: Caller) -> None:
    definition = sandbox.define(seconds=(0, 3600))
    assert status_of(call, definition) == "RUNNING"
    assert status_of(call, sandbox.define(seconds=(0, 0))) == "COMPLETED"


def test_a_definition_has_the_id_that_it_is_given(sandbox: Sandbox, call: Caller) -> None:
    assert sandbox.define("mine", seconds=0, status="DONE") == "mine"
    assert status_of(call, "mine") == "DONE"


def test_replacing_a_definition_does_not_change_its_runs(sandbox: Sandbox, call: Caller) -> None:
    definition = sandbox.define(seconds=0, status="FIRST")
    workflow_id = call.run(definition)
    sandbox.define(definition, seconds=0, status="SECOND")
    assert call("GET", f"/workflows/{workflow_id}").json()["status"] == "FIRST"
    assert status_of(call, definition) == "SECOND"


def test_a_run_in_any_status_has_the_result_that_is_given(sandbox: Sandbox, call: Caller) -> None:
    workflow_id = call.run(sandbox.define(seconds=0, status="DONE", result={"caseId": None}))
    assert call("GET", f"/workflows/{workflow_id}/result").json()["caseId"] is None


def test_each_run_has_one_of_several_results(sandbox: Sandbox, call: Caller) -> None:
    definition = sandbox.define(seconds=0, results=[{"score": 1}, {"score": 2}])
    runs = [call.run(definition) for _ in range(20)]
    scores = [call("GET", f"/workflows/{run}/result").json()["score"] for run in runs]
    assert set(scores) == {1, 2}
    assert call("GET", f"/workflows/{runs[0]}/result").json()["score"] == scores[0]


def test_a_screening_has_hits_with_codes_and_statuses(sandbox: Sandbox, call: Caller) -> None:
    (ready,) = (ready for ready in sandbox.definitions if ready.id == SCREENING_DEFINITION)
    sandbox.define(ready.id, seconds=0, results=ready.results)
    results = [call("GET", f"/workflows/{call.run(ready.id)}/result").json() for _ in range(20)]
    assert {result["screening"]["status"] for result in results} == {"CLEAR", "POSSIBLE_HIT", "HIT"}
    for result in results:
        hits = [hit for entry in result["screening"]["lists"] for hit in entry["hits"]]
        assert len(hits) == result["screening"]["hitCount"]
        assert all(hit["code"] and hit["status"] for hit in hits)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seconds": -1}, "seconds"),
        ({"seconds": (2, 1)}, "higher bound first"),
        ({"seconds": float("inf")}, "seconds"),
        ({"status": ""}, "status"),
        ({"result": []}, "result"),
        ({"result": {}, "results": [{}]}, "give result or results, not both"),
        ({"may_runn": False}, "unknown field; known fields: id, seconds"),
    ],
)
def test_a_definition_that_cannot_be_right_is_refused(
    sandbox: Sandbox, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sandbox.define(**fields)
