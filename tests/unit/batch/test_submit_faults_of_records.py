"""The fault table of submitting, for rows about records in the later generations of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.generations import GENERATIONS
from airflow_provider_workflows.sandbox import Sandbox

from .submitting import NOT_SUBMITTED, RUNNING, UNKNOWN, Rows

pytestmark = pytest.mark.sampled(2)

RECORD_PATH = "/tables/{tableId}/records"
RUN_PATHS = {number: GENERATIONS[number].run_path for number in (2, 3)}
#: One fault of each kind: the table of generation 1 has all of them.
UNDECIDED: list[Any] = [
    pytest.param({"name": "server_error", "status": 500}, id="500"),
    pytest.param({"name": "server_error", "status": 500, "work_done": True}, id="500-done"),
    *(pytest.param({"name": name}, id=name) for name in ("cut_before", "cut_after", "truncated_json")),
]
NOT_NOW: list[Any] = [
    pytest.param({"name": "rate_limited"}, id="429"),
    pytest.param({"name": "server_error", "status": 503}, id="503"),
]


def row(number: int) -> dict[str, Any]:
    return {"record.firstName": f"Ada{number}", "parameters": {"row": number}}


class Records:
    """Rows about records of their own, of which the first is submitted, in a generation of the API."""

    def __init__(self, rows: Rows, sandbox: Sandbox) -> None:
        self.rows = rows
        self.sandbox = sandbox
        self.run_path = RUN_PATHS[rows.client.settings.api_generation]

    async def submit(self, path: str, fault: dict[str, Any], times: int = 1) -> int:
        """Submit three rows, the second with a fault on one of its calls; return how often that call was sent."""
        await self.rows.submit([row(1)])
        self.sandbox.counts.reset()
        self.sandbox.fault(path=path, times=times, **fault)
        await self.rows.submit([row(number) for number in (1, 2, 3)], concurrency=1, max_outage=30.0)
        return self.sandbox.counts.requests[f"POST {path}"] - 1

    @property
    def outcomes(self) -> list[Any]:
        assert self.rows.outcomes == self.rows.written
        return list(self.rows.outcomes.values())

    @property
    def runs(self) -> dict[str, int]:
        """How many runs there are for each row, without those of before the fault."""
        return self.sandbox.counts.runs_per_parameter("row")


@pytest.fixture(params=RUN_PATHS)
async def records(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, short_pauses: None
) -> Any:
    async with sandbox.async_client(max_attempts=1, api_generation=request.param) as client:
        await client.authorize()
        yield Records(Rows(client, tmp_path, sandbox.define(seconds=0.0)), sandbox)


@pytest.mark.parametrize("fault", UNDECIDED)
async def test_a_run_is_not_started_again_when_its_outcome_is_unknown(
    records: Records, fault: dict[str, Any]
) -> None:
    assert await records.submit(records.run_path, fault) == 1

    assert records.outcomes == [RUNNING, UNKNOWN, RUNNING]
    assert records.runs.get("2", 0) <= 1


@pytest.mark.parametrize("fault", UNDECIDED)
async def test_a_record_is_created_again_whether_or_not_it_was_carried_out(
    records: Records, fault: dict[str, Any]
) -> None:
    assert await records.submit(RECORD_PATH, fault, times=2) == 3

    assert records.outcomes == [RUNNING] * 3
    assert records.runs == {"2": 1, "3": 1}


@pytest.mark.parametrize("call", ["record", "run"])
@pytest.mark.parametrize("fault", NOT_NOW)
async def test_a_call_is_made_again_when_the_service_cannot_do_it_now(
    records: Records, fault: dict[str, Any], call: str
) -> None:
    path = RECORD_PATH if call == "record" else records.run_path

    assert await records.submit(path, fault, times=2) == 3

    assert records.outcomes == [RUNNING] * 3
    assert records.runs == {"2": 1, "3": 1}


@pytest.mark.parametrize("call", ["record", "run"])
async def test_a_call_is_not_made_again_when_it_was_refused(records: Records, call: str) -> None:
    path = RECORD_PATH if call == "record" else records.run_path

    assert await records.submit(path, {"name": "forbidden"}) == 1

    assert records.outcomes == [RUNNING, NOT_SUBMITTED, RUNNING]
    assert records.runs == {"3": 1}
