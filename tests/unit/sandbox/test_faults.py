"""Which requests a fault applies to, and which faults are refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from airflow_provider_workflows.sandbox import SLOW_DEFINITION, Sandbox
from tests.unit.sandbox.conftest import Caller

RUN = "/workflows/run"
STATUS = "/workflows/{workflowId}"


def run(call: Caller) -> requests.Response:
    return call("POST", RUN, {"caseId": call.case(), "workflowDefinitionId": SLOW_DEFINITION})


def test_latency_delays_and_then_serves(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("latency", seconds=0.05, path=RUN)
    began = time.monotonic()
    assert run(call).status_code == 200
    assert time.monotonic() - began >= 0.05


def test_latency_goes_before_another_fault(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", path=RUN)
    sandbox.fault("latency", seconds=0.05, path=RUN)
    began = time.monotonic()
    assert run(call).status_code == 503
    assert time.monotonic() - began >= 0.05


def test_a_fault_lasts_until_cleared(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", path=RUN)
    during = [run(call).status_code for _ in range(3)]
    sandbox.clear_faults()
    assert [*during, run(call).status_code] == [503, 503, 503, 200]


def test_a_fault_applies_to_a_number_of_requests(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", path=RUN, times=2)
    assert [run(call).status_code for _ in range(3)] == [503, 503, 200]


def test_faults_apply_one_after_the_other(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", path=RUN, times=1)
    sandbox.fault("rate_limited", path=RUN, times=1)
    assert [run(call).status_code for _ in range(3)] == [503, 429, 200]


def test_a_share_of_the_requests_is_the_same_for_the_same_seed() -> None:
    def statuses(seed: int) -> list[int]:
        with Sandbox(seed=seed) as sandbox:
            sandbox.fault("server_error", path="/cases", share=0.5)
            call = Caller(sandbox)
            with call.session:
                return [call("POST", "/cases", {}).status_code for _ in range(40)]

    first = statuses(1)
    assert 5 < first.count(503) < 35
    assert first == statuses(1) != statuses(2)


def test_a_fault_keeps_to_its_path_and_method(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", path=STATUS)
    sandbox.fault("rate_limited", method="GET")
    workflow_id = call.run()
    assert call("GET", f"/workflows/{workflow_id}").status_code == 503
    assert call("GET", f"/workflows/{workflow_id}/result").status_code == 429


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "http_503"}, "name: Input should be 'latency', "),
        ({"name": "latency"}, "latency needs seconds"),
        ({"name": "latency", "seconds": 0}, "seconds"),
        ({"name": "forbidden", "times": 1, "share": 0.5}, "times or share, not both"),
        ({"name": "forbidden", "times": 0}, "times"),
        ({"name": "forbidden", "times": True}, "times"),
        ({"name": "forbidden", "share": 0}, "share"),
        ({"name": "forbidden", "share": 1.1}, "share"),
        ({"name": "forbidden", "status": 503}, "forbidden takes no status"),
        ({"name": "server_error", "status": 404}, "status"),
        ({"name": "server_error", "form": "xml"}, "form"),
        ({"name": "cut_after", "work_done": True}, "cut_after takes no work_done"),
        ({"name": "rate_limited", "retry_after": "1\r\nX: y"}, "must be printable"),
        ({"name": "unknown_status", "path": RUN}, "matches no endpoint"),
        ({"name": "forbidden", "path": "/workflows/1"}, "matches no endpoint"),
        ({"name": "forbidden", "path": "/cases", "method": "PUT"}, "matches no endpoint"),
        ({"name": "forbidden", "paths": "/cases"}, "unknown field; known fields: name, path"),
    ],
)
def test_a_fault_that_cannot_be_right_is_refused(
    sandbox: Sandbox, call: Caller, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sandbox.fault(**fields)
    assert call("POST", "/_sandbox/faults", fields).status_code == 400
    assert run(call).status_code == 200
