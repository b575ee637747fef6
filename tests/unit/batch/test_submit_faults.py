"""The fault table of submitting: what is sent again, and the outcome of the row in the end."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import cases

from .submitting import NOT_SUBMITTED, RUNNING, UNKNOWN, Rows

pytestmark = pytest.mark.sampled(3)

WITH_PARAMETERS = {"first_name": "Ada", "parameters": {"limit": 1}}

UNDECIDED: list[Any] = [
    *(
        pytest.param({"name": "server_error", "status": status, "form": form}, id=f"{status}-{form}")
        for status in (500, 502, 504)
        for form in ("json", "html", "empty")
    ),
    pytest.param({"name": "server_error", "status": 500, "work_done": True}, id="500-done"),
    *(
        pytest.param({"name": name}, id=name)
        for name in (
            "cut_before",
            "cut_during",
            "cut_after",
            "truncated_json",
            "missing_fields",
            "html_ok",
        )
    ),
]
REDIRECT = pytest.param({"name": "redirect"}, id="redirect")
NOT_NOW: list[Any] = [
    pytest.param({"name": "rate_limited"}, id="429"),
    pytest.param({"name": "rate_limited", "retry_after": 0}, id="429-seconds"),
    *(
        pytest.param({"name": "server_error", "status": 503, "form": form}, id=f"503-{form}")
        for form in ("json", "html", "empty")
    ),
]


async def submit(rows: Rows, sandbox: Sandbox, path: str, *, times: int = 1, **fault: Any) -> int:
    """Submit three rows, the second with a fault on one of its calls; return how often that call was sent."""
    sandbox.fault(path=path, times=times, **fault)
    # One at a time, so that the fault is the second row's.
    await rows.submit((*cases(1), WITH_PARAMETERS, {"first_name": "Bob"}), concurrency=1, max_outage=30.0)
    others = {"/cases": 1, "/parameters": 0, "/workflows/run": 1}[path]
    return sandbox.counts.requests[f"POST {path}"] - others


class TestCallThatStartsARun:
    PATH = "/workflows/run"

    @pytest.mark.parametrize("fault", UNDECIDED)
    async def test_is_not_tried_again_when_its_outcome_is_unknown(
        self, begun_rows: Rows, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        assert await submit(begun_rows, sandbox, self.PATH, **fault) == 1
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: UNKNOWN, 3: RUNNING}
        assert begun_rows.states[2].error["kind"] == "OutcomeUnknown"  # type: ignore[index]

    async def test_is_not_tried_again_when_it_was_redirected(
        self, begun_rows: Rows, sandbox: Sandbox
    ) -> None:
        assert await submit(begun_rows, sandbox, self.PATH, name="redirect") == 1
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: NOT_SUBMITTED, 3: RUNNING}


@pytest.mark.parametrize("path", ["/cases", "/parameters"])
class TestCallThatIsRepeatable:
    @pytest.mark.parametrize("fault", [*UNDECIDED, REDIRECT])
    async def test_is_tried_again_whether_or_not_it_was_carried_out(
        self, begun_rows: Rows, sandbox: Sandbox, path: str, fault: dict[str, Any]
    ) -> None:
        assert await submit(begun_rows, sandbox, path, times=2, **fault) == 3
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: RUNNING, 3: RUNNING}
        assert begun_rows.states[2].error is None
        assert set(sandbox.counts.runs_per_case.values()) == {1}

    @pytest.mark.thorough
    async def test_leaves_its_row_to_the_next_try_when_it_is_given_up(
        self, begun_rows: Rows, sandbox: Sandbox, path: str
    ) -> None:
        items = [*cases(1), *[WITH_PARAMETERS] * 5]
        sandbox.fault("cut_after", path=path)
        await begun_rows.submit(items)
        assert begun_rows.written == {1: RUNNING} | dict.fromkeys(range(2, 7), NOT_SUBMITTED)
        assert begun_rows.states[2].error["kind"] == "ServiceUnavailable"  # type: ignore[index]
        sandbox.clear_faults()

        await begun_rows.submit(items)

        assert begun_rows.written == dict.fromkeys(range(1, 7), RUNNING)
        assert sandbox.counts.requests["POST /workflows/run"] == 5


@pytest.mark.parametrize("path", ["/cases", "/parameters", "/workflows/run"])
class TestEveryCall:
    async def test_is_not_tried_again_when_it_was_refused(
        self, begun_rows: Rows, sandbox: Sandbox, path: str
    ) -> None:
        assert await submit(begun_rows, sandbox, path, name="forbidden") == 1
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: NOT_SUBMITTED, 3: RUNNING}

    @pytest.mark.parametrize("fault", NOT_NOW)
    async def test_is_tried_again_when_the_service_cannot_do_it_now(
        self, begun_rows: Rows, sandbox: Sandbox, path: str, fault: dict[str, Any]
    ) -> None:
        assert await submit(begun_rows, sandbox, path, times=2, **fault) == 3
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: RUNNING, 3: RUNNING}
        assert begun_rows.states[2].error is None

    async def test_refreshes_an_expired_token(self, begun_rows: Rows, sandbox: Sandbox, path: str) -> None:
        assert await submit(begun_rows, sandbox, path, name="unauthorized") == 2
        assert set(begun_rows.written.values()) == {RUNNING}

    @pytest.mark.thorough
    async def test_starts_no_second_run_for_a_case_whatever_happens(
        self, rows: Rows, sandbox: Sandbox, path: str
    ) -> None:
        for fault in (*UNDECIDED, *NOT_NOW):
            sandbox.fault(path=path, share=0.03, **fault.values[0])

        await rows.submit([WITH_PARAMETERS] * 60)
        await rows.submit([WITH_PARAMETERS] * 60)

        assert max(sandbox.counts.runs_per_case.values(), default=0) <= 1
        assert set(rows.written) == set(range(1, 61))


RECORD = {"record.name": "Ada"}
RECORD_PATH = "/tables/{tableId}/records"
RECORD_CALL = f"POST {RECORD_PATH}"


class TestRecords:
    """The same of rows about records, which generation 2 and 3 start in two ways."""

    async def submit(self, rows: Rows, sandbox: Sandbox, call: str, *, times: int = 1, **fault: Any) -> int:
        """Submit three rows, the second with a fault on one of its calls; return how often that call was sent."""
        sandbox.fault(path=call.removeprefix("POST "), times=times, **fault)
        await rows.submit(
            (RECORD, {**RECORD, "parameters": {"limit": 1}}, RECORD), concurrency=1, max_outage=30.0
        )
        return sandbox.counts.requests[call] - 1

    @staticmethod
    def run_call(rows: Rows) -> str:
        return "POST /workflows" if rows.client.settings.api_generation == 3 else "POST /workflows/run"

    @pytest.mark.parametrize("fault", UNDECIDED)
    async def test_a_start_whose_outcome_is_unknown_is_not_sent_again(
        self, begun_records: Rows, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        assert await self.submit(begun_records, sandbox, self.run_call(begun_records), **fault) == 1
        assert begun_records.outcomes == begun_records.written == {1: RUNNING, 2: UNKNOWN, 3: RUNNING}
        assert begun_records.states[2].record_id is not None
        assert set(sandbox.counts.runs_per_record.values()) == {1}

    @pytest.mark.parametrize("fault", NOT_NOW)
    async def test_a_start_that_the_service_cannot_do_now_is_sent_again(
        self, begun_records: Rows, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        assert await self.submit(begun_records, sandbox, self.run_call(begun_records), times=2, **fault) == 3
        assert begun_records.outcomes == begun_records.written == {1: RUNNING, 2: RUNNING, 3: RUNNING}
        assert set(sandbox.counts.runs_per_record.values()) == {1}

    @pytest.mark.parametrize("fault", [*UNDECIDED, REDIRECT, *NOT_NOW])
    async def test_a_record_is_created_again_whether_or_not_it_was_created(
        self, begun_records: Rows, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        assert await self.submit(begun_records, sandbox, RECORD_CALL, times=2, **fault) == 3
        assert begun_records.outcomes == begun_records.written == {1: RUNNING, 2: RUNNING, 3: RUNNING}
        assert begun_records.states[2].error is None
        assert set(sandbox.counts.runs_per_record.values()) == {1}

    async def test_a_record_that_is_refused_leaves_its_row_without_a_run(
        self, begun_records: Rows, sandbox: Sandbox
    ) -> None:
        assert await self.submit(begun_records, sandbox, RECORD_CALL, name="forbidden") == 1
        assert begun_records.written == {1: RUNNING, 2: NOT_SUBMITTED, 3: RUNNING}

    @pytest.mark.thorough
    async def test_no_record_has_a_second_run_whatever_happens(
        self, begun_records: Rows, sandbox: Sandbox
    ) -> None:
        for fault in (*UNDECIDED, *NOT_NOW):
            for path in (RECORD_PATH, self.run_call(begun_records).removeprefix("POST ")):
                sandbox.fault(path=path, share=0.03, **fault.values[0])

        await begun_records.submit([RECORD] * 60)
        await begun_records.submit([RECORD] * 60)

        assert max(sandbox.counts.runs_per_record.values(), default=0) <= 1
        assert set(begun_records.written) == set(range(1, 61))
