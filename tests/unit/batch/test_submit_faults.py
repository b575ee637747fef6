"""The fault table of submitting: what is sent again, and the outcome of the row in the end."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import cases

from .submitting import NOT_SUBMITTED, RUNNING, UNKNOWN, Rows

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
REFUSED: list[Any] = [pytest.param({"name": name}, id=name) for name in ("forbidden", "redirect")]
NOT_NOW: list[Any] = [
    pytest.param({"name": "rate_limited"}, id="429"),
    pytest.param({"name": "rate_limited", "retry_after": 0}, id="429-seconds"),
    *(
        pytest.param({"name": "server_error", "status": 503, "form": form}, id=f"503-{form}")
        for form in ("json", "html", "empty")
    ),
]


@pytest.mark.parametrize("path", ["/cases", "/parameters", "/workflows/run"])
class TestFaults:
    """The second row meets a fault on one of its calls; the third is well."""

    ITEMS = (*cases(1), WITH_PARAMETERS, {"first_name": "Bob"})

    async def submit(self, rows: Rows, sandbox: Sandbox, path: str, *, times: int = 1, **fault: Any) -> int:
        """Return how often the call was sent that the fault befell."""
        sandbox.fault(path=path, times=times, **fault)
        # One at a time, so that the fault is the second row's.
        await rows.submit(self.ITEMS, concurrency=1)
        others = {"/cases": 1, "/parameters": 0, "/workflows/run": 1}[path]
        return sandbox.counts.requests[f"POST {path}"] - others

    @pytest.mark.parametrize("fault", UNDECIDED)
    async def test_an_outcome_that_nobody_knows_is_not_tried_again(
        self, begun_rows: Rows, sandbox: Sandbox, path: str, fault: dict[str, Any]
    ) -> None:
        assert await self.submit(begun_rows, sandbox, path, **fault) == 1
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: UNKNOWN, 3: RUNNING}
        assert begun_rows.states[2].error["kind"] == "OutcomeUnknown"  # type: ignore[index]

    @pytest.mark.parametrize("fault", REFUSED)
    async def test_a_refusal_is_not_tried_again(
        self, begun_rows: Rows, sandbox: Sandbox, path: str, fault: dict[str, Any]
    ) -> None:
        assert await self.submit(begun_rows, sandbox, path, **fault) == 1
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: NOT_SUBMITTED, 3: RUNNING}

    @pytest.mark.parametrize("fault", NOT_NOW)
    async def test_what_the_service_cannot_do_now_is_tried_again(
        self, begun_rows: Rows, sandbox: Sandbox, path: str, fault: dict[str, Any]
    ) -> None:
        assert await self.submit(begun_rows, sandbox, path, times=2, **fault) == 3
        assert begun_rows.outcomes == begun_rows.written == {1: RUNNING, 2: RUNNING, 3: RUNNING}
        assert begun_rows.states[2].error is None

    async def test_an_expired_token_is_refreshed(self, begun_rows: Rows, sandbox: Sandbox, path: str) -> None:
        assert await self.submit(begun_rows, sandbox, path, name="unauthorized") == 2
        assert set(begun_rows.written.values()) == {RUNNING}

    async def test_no_case_has_two_runs_whatever_happens(
        self, rows: Rows, sandbox: Sandbox, path: str
    ) -> None:
        for fault in (*UNDECIDED, *NOT_NOW):
            sandbox.fault(path=path, share=0.03, **fault.values[0])

        await rows.submit([WITH_PARAMETERS] * 60)
        await rows.submit([WITH_PARAMETERS] * 60)

        assert max(sandbox.counts.runs_per_case.values(), default=0) <= 1
        assert set(rows.written) == set(range(1, 61))
