"""Submitting: what the service sees, what the journal holds, and the outcome of each row in the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api import errors, retry
from airflow_provider_workflows.api.retry import LOST_RESPONSES_BEFORE_OPEN
from airflow_provider_workflows.batch import submit as submit_module
from airflow_provider_workflows.batch.journal import Journal, entries, states
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.submit import FIRST_ROWS, WHOLE_BATCH
from airflow_provider_workflows.sandbox import FORBIDDEN_DEFINITION, Sandbox
from tests.unit.batch_task import AUTHORIZE_CALL, CASE_CALL, PARAMETERS_CALL, RUN_CALL, cases
from tests.unit.clocks import FastLoop, until
from tests.unit.failing_storage import (
    STORAGE_ERRORS,
    FailingStore,
    HttpResponseError,
    attached_store,
    folder_in_store,
)

from .submitting import NOT_SUBMITTED, RUNNING, UNKNOWN, Rows

pytestmark = pytest.mark.sampled(2)

WITH_PARAMETERS = {"first_name": "Ada", "parameters": {"limit": 1}}


class TestRequests:
    @pytest.mark.parametrize(
        ("row", "parameters", "expected"),
        [
            ({"first_name": "Ada"}, None, {CASE_CALL: 6, RUN_CALL: 6}),
            ({"case_id": "?"}, None, {RUN_CALL: 6}),
            ({"first_name": "Ada"}, {"limit": 1}, {CASE_CALL: 6, PARAMETERS_CALL: 1, RUN_CALL: 6}),
            (WITH_PARAMETERS, None, {CASE_CALL: 6, PARAMETERS_CALL: 6, RUN_CALL: 6}),
            (WITH_PARAMETERS, {"limit": 2}, {CASE_CALL: 6, PARAMETERS_CALL: 7, RUN_CALL: 6}),
        ],
        ids=["case", "returning user", "parameters of the batch", "of each row", "of both"],
    )
    async def test_are_no_more_than_each_row_needs(
        self,
        rows: Rows,
        sandbox: Sandbox,
        row: dict[str, Any],
        parameters: dict[str, Any] | None,
        expected: dict[str, int],
    ) -> None:
        case_ids = [(await rows.client.create_case()).case_id for _ in range(6)]
        sandbox.counts.reset()
        items = [{**row, "case_id": case_id} if "case_id" in row else row for case_id in case_ids]

        await rows.submit(items, parameters=parameters)

        assert sandbox.counts.requests == expected
        assert set(rows.outcomes.values()) == {RUNNING}
        assert set(sandbox.counts.runs_per_case.values()) == {1}

    @pytest.mark.parametrize(("own", "used"), [({}, "batch"), ({"parameters": {"of": "row"}}, "row")])
    async def test_a_run_has_its_rows_parameters_or_else_the_batchs(
        self, rows: Rows, own: dict[str, Any], used: str
    ) -> None:
        await rows.submit([{"first_name": "Ada", **own}], parameters={"of": "batch"})

        result = await rows.client.read_result(rows.states[1].workflow_id or "")
        assert result.json_object()["parameters"] == {"of": used}

    @pytest.mark.thorough
    async def test_are_as_many_at_once_as_permitted(self, rows: Rows, sandbox: Sandbox) -> None:
        sandbox.fault("latency", seconds=0.02)

        await rows.submit(cases(40), concurrency=5)

        assert sandbox.counts.total_connections == 5

    async def test_are_not_repeated_for_what_is_submitted(self, rows: Rows, sandbox: Sandbox) -> None:
        await rows.submit(cases(5), parameters={"limit": 1})
        sandbox.counts.reset()

        await rows.submit(cases(5), parameters={"limit": 1})

        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    async def test_keep_to_the_cap_on_their_rate(self, rows: Rows, sandbox: Sandbox) -> None:
        begun = time.monotonic()

        await rows.submit(cases(10), rate=50)

        assert time.monotonic() - begun >= (sandbox.counts.total_requests - 1) / 50


class TestPause:
    LOOP = FastLoop

    @pytest.mark.thorough
    async def test_all_stop_for_as_long_as_the_service_asks(self, rows: Rows, sandbox: Sandbox) -> None:
        sandbox.fault("latency", seconds=0.005)
        submitting = asyncio.create_task(rows.submit(cases(400), concurrency=8, max_outage=30))
        await until(lambda: sandbox.counts.total_requests > 50)
        sandbox.fault("rate_limited", retry_after=2, times=1)
        await until(lambda: any(seen.status == 429 for seen in sandbox.requests_seen))

        await asyncio.sleep(0.5)  # What is on its way arrives.
        when_quiet = sandbox.counts.total_requests
        await asyncio.sleep(0.7)

        assert sandbox.counts.total_requests == when_quiet
        await submitting
        assert set(rows.outcomes.values()) == {RUNNING}


class TestFirstRows:
    @pytest.mark.parametrize(
        ("definition_id", "error"),
        [
            ("00000000-0000-0000-0000-000000000000", errors.NotFound),
            (FORBIDDEN_DEFINITION, errors.PermissionDenied),
        ],
    )
    async def test_a_definition_that_cannot_be_run_is_found_out_by_one_row(
        self, rows: Rows, sandbox: Sandbox, definition_id: str, error: type[Exception]
    ) -> None:
        rows.definition_id = definition_id

        with pytest.raises(error):
            await rows.submit(cases(50))

        assert sandbox.counts.requests == {CASE_CALL: 1, RUN_CALL: 1}

    async def test_a_host_that_leads_elsewhere_is_found_out_by_one_row(
        self, rows: Rows, sandbox: Sandbox
    ) -> None:
        sandbox.fault("redirect", path="/cases")

        with pytest.raises(errors.UnexpectedResponse):
            await rows.submit(cases(50))

        assert set(rows.states) - {WHOLE_BATCH} == {1}
        assert set(sandbox.counts.requests) == {CASE_CALL}

    async def test_a_redirect_of_the_call_that_starts_a_run_is_found_out_by_one_row(
        self, rows: Rows, sandbox: Sandbox
    ) -> None:
        sandbox.fault("redirect", path="/workflows/run")

        with pytest.raises(errors.UnexpectedResponse):
            await rows.submit(cases(50))

        assert sandbox.counts.requests == {CASE_CALL: 1, RUN_CALL: 1}

    async def test_parameters_of_an_unknown_definition_are_found_out_before_any_row(
        self, rows: Rows, sandbox: Sandbox
    ) -> None:
        rows.definition_id = "00000000-0000-0000-0000-000000000000"

        with pytest.raises(errors.NotFound):
            await rows.submit(cases(50), parameters={"limit": 1})

        assert sandbox.counts.requests == {PARAMETERS_CALL: 1}

    async def test_a_rejected_key_ends_the_batch_before_a_row_is_sent(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        async with sandbox.async_client(secret="wrong", max_attempts=1) as client:
            with pytest.raises(errors.AuthenticationFailed):
                await Rows(client, tmp_path, sandbox.define()).submit(cases(50))

        assert sandbox.counts.requests == {AUTHORIZE_CALL: 1}

    @pytest.mark.parametrize("parameters", [None, {"limit": 1}], ids=["case", "parameters"])
    async def test_a_service_that_is_away_is_not_waited_for_as_long_as_in_an_outage(
        self,
        rows: Rows,
        sandbox: Sandbox,
        parameters: dict[str, Any] | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(submit_module, "FIRST_MAX_OUTAGE_SECONDS", 0.1)
        sandbox.fault("server_error", status=503)

        with pytest.raises(errors.ServiceUnavailable):
            await asyncio.wait_for(rows.submit(cases(50), parameters=parameters, max_outage=3600), timeout=10)

        assert sandbox.counts.cases == 0

    async def test_one_that_is_refused_for_itself_stops_no_other(self, rows: Rows, sandbox: Sandbox) -> None:
        rows.definition_id = sandbox.define(seconds=0.0, needs_parameters=True)

        await rows.submit([*cases(4), *[WITH_PARAMETERS] * 10])

        assert Counter(rows.outcomes.values()) == {NOT_SUBMITTED: 4, RUNNING: 10}

    async def test_a_returning_user_whom_the_service_does_not_have_stops_no_other(
        self, rows: Rows, sandbox: Sandbox
    ) -> None:
        await rows.submit([{"case_id": "00000000-0000-0000-0000-000000000000"}, *cases(5)])

        assert Counter(rows.outcomes.values()) == {NOT_SUBMITTED: 1, RUNNING: 5}

    @pytest.mark.thorough
    async def test_are_sent_one_by_one(self, rows: Rows, sandbox: Sandbox) -> None:
        sandbox.fault("latency", seconds=0.1, times=2)

        submitting = asyncio.create_task(rows.submit(cases(50), concurrency=8))
        await until(lambda: sandbox.counts.requests[RUN_CALL] == 1)

        assert sandbox.counts.cases == 1
        await submitting

    async def test_lost_responses_of_the_first_rows_are_theirs_alone(
        self, rows: Rows, sandbox: Sandbox
    ) -> None:
        sandbox.fault("cut_after", path="/workflows/run", times=FIRST_ROWS)

        await rows.submit(cases(10))

        assert Counter(rows.outcomes.values()) == {UNKNOWN: FIRST_ROWS, RUNNING: 10 - FIRST_ROWS}


class TestJournal:
    @pytest.mark.parametrize(
        ("path", "begun"), [("/cases", "case"), ("/parameters", "parameters"), ("/workflows/run", "run")]
    )
    async def test_a_call_is_written_down_before_it_goes_out(
        self, rows: Rows, sandbox: Sandbox, path: str, begun: str
    ) -> None:
        sandbox.fault("latency", seconds=0.1, path=path)
        submitting = asyncio.create_task(rows.submit([WITH_PARAMETERS]))

        await until(lambda: sandbox.counts.requests[f"POST {path}"] == 1)

        assert states(rows.folder)[1].begun == begun
        await submitting
        assert states(rows.folder)[1].begun is None

    async def test_what_a_call_brought_is_written_down_before_the_next_one(
        self, rows: Rows, sandbox: Sandbox
    ) -> None:
        sandbox.fault("latency", seconds=0.1, path="/workflows/run")
        submitting = asyncio.create_task(rows.submit([WITH_PARAMETERS]))

        await until(lambda: sandbox.counts.requests[RUN_CALL] == 1)

        assert states(rows.folder)[1].case_id is not None
        assert states(rows.folder)[1].parameters_id is not None
        await submitting

    async def test_only_rows_in_flight_are_unknown_after_a_kill(self, rows: Rows, sandbox: Sandbox) -> None:
        sandbox.fault("latency", seconds=0.02)
        submitting = asyncio.create_task(rows.submit(cases(100), concurrency=8))
        await until(lambda: sandbox.counts.requests[RUN_CALL] > 20)

        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)

        assert 1 <= Counter(rows.written.values())[UNKNOWN] <= 8
        assert Counter(rows.written.values())[RUNNING] > 20 - 8

    @pytest.mark.thorough
    async def test_is_written_far_less_often_than_there_are_entries(
        self, rows: Rows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        appended: list[int] = []
        append = Journal._append
        monkeypatch.setattr(
            Journal, "_append", lambda self, lines: (appended.append(1), append(self, lines))[1]
        )

        await rows.submit(cases(200), concurrency=32)

        assert len(list(entries(rows.folder))) >= 800
        assert len(appended) < 400

    async def test_that_cannot_be_written_ends_the_submission(
        self, rows: Rows, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        append = Journal._append

        def full_after_twenty(self: Journal, lines: bytes) -> None:
            if sandbox.counts.requests[RUN_CALL] > 20:
                raise OSError(28, "No space left on device")
            append(self, lines)

        monkeypatch.setattr(Journal, "_append", full_after_twenty)
        monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.0)

        with pytest.raises(OSError, match="No space left"):
            await rows.submit(cases(200), concurrency=8)

        assert sandbox.counts.requests[RUN_CALL] <= 21 + 8


class TestFailingJournal:
    """Rows whose journal is in an object store that fails for a while."""

    @pytest.fixture
    def store(self, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingStore]:
        monkeypatch.setattr(storage_retry, "BACKOFF", retry.Backoff(0.01, 0.01))
        with attached_store() as store:
            rows.folder = folder_in_store()
            yield store

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "error", [error for error, _ in STORAGE_ERRORS], ids=storage_retry.failure_reason
    )
    async def test_lets_no_new_call_begin_until_it_can_be_written_and_leaves_no_row_unknown(
        self, rows: Rows, sandbox: Sandbox, store: FailingStore, error: Exception
    ) -> None:
        submitting = asyncio.create_task(rows.submit(cases(100), concurrency=4))
        await until(lambda: sandbox.counts.requests[RUN_CALL] > 20)

        store.fail(error)
        await until(lambda: store.failed)
        at_the_failure = sandbox.counts.total_requests
        failed = store.failed
        await until(lambda: store.failed > failed + 10)
        while_failing = sandbox.counts.total_requests - at_the_failure
        store.away.clear()
        await submitting

        assert while_failing <= 4
        assert list(rows.written.values()) == [RUNNING] * 100
        assert sandbox.counts.requests[RUN_CALL] == 100
        assert set(sandbox.counts.runs_per_case.values()) == {1}

    @pytest.mark.thorough
    async def test_that_fails_for_too_long_ends_the_try_and_leaves_each_lost_id_in_the_log(
        self,
        rows: Rows,
        sandbox: Sandbox,
        store: FailingStore,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.2)
        submitting = asyncio.create_task(rows.submit(cases(100), concurrency=4))
        await until(lambda: sandbox.counts.requests[RUN_CALL] > 20)

        store.fail(HttpResponseError(503))
        with pytest.raises(HttpResponseError):
            await submitting

        written = {state.workflow_id for state in states(rows.folder).values() if state.workflow_id}
        logged = {record.args[0] for record in caplog.records if record.levelno == logging.CRITICAL}
        started = {state.workflow_id for state in rows.states.values() if state.workflow_id}
        assert len(written | logged) == sandbox.counts.requests[RUN_CALL]
        assert written | logged == started

    async def test_makes_no_call_after_a_stop_that_came_while_it_could_not_be_written(
        self, rows: Rows, sandbox: Sandbox, store: FailingStore
    ) -> None:
        ownership = Ownership()
        submitting = asyncio.create_task(rows.submit(cases(100), concurrency=4, ownership=ownership))
        await until(lambda: sandbox.counts.requests[RUN_CALL] > 20)
        store.fail(OSError(5, "Input/output error"))
        await until(lambda: store.failed)
        failed, requests = store.failed, sandbox.counts.total_requests
        await until(lambda: store.failed > failed + 10)

        ownership.stop("The task was told to stop")
        store.away.clear()
        with pytest.raises(errors.Stopped):
            await submitting

        assert sandbox.counts.total_requests <= requests + 4
        assert set(rows.written.values()) <= {RUNNING, NOT_SUBMITTED}
        assert Counter(rows.written.values())[RUNNING] == sandbox.counts.requests[RUN_CALL]


@pytest.mark.thorough
class TestOutage:
    async def test_leaves_the_rest_unsent_without_hammering_and_the_next_try_goes_on(
        self, rows: Rows, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(0.05))
        submitting = asyncio.create_task(rows.submit(cases(300), concurrency=8, max_outage=0.3))
        await until(lambda: sandbox.counts.requests[RUN_CALL] > 20)

        await asyncio.to_thread(sandbox.stop)
        before = attempts(rows)
        await submitting

        assert attempts(rows) - before < 8 * 20
        first = Counter(rows.written.values())
        assert first[NOT_SUBMITTED] > 100
        assert first[UNKNOWN] <= 8

        sandbox.counts.reset()
        await asyncio.to_thread(sandbox.start)
        await rows.submit(cases(300), concurrency=8)

        assert sandbox.counts.requests[RUN_CALL] == first[NOT_SUBMITTED]
        assert Counter(rows.written.values()) == {
            RUNNING: first[RUNNING] + first[NOT_SUBMITTED],
            **({UNKNOWN: first[UNKNOWN]} if first[UNKNOWN] else {}),
        }
        assert max(sandbox.counts.runs_per_case.values()) == 1

    async def test_at_whose_edge_another_row_was_served_gives_no_row_up(
        self, begun_rows: Rows, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(0.002, longest_seconds=0.02))
        case_id = (await begun_rows.client.create_case()).case_id
        # The row of the returning user is served while the others fail for the first time, and they go on failing.
        sandbox.fault("server_error", status=503, path="/cases", times=24)

        await begun_rows.submit([*cases(3), {"case_id": case_id}], max_outage=3600)

        assert set(begun_rows.written.values()) == {RUNNING}

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "fault", [{"name": "server_error", "status": 502, "form": "html"}, {"name": "cut_before"}]
    )
    async def test_in_which_responses_are_lost_costs_few_rows_and_the_next_try_goes_on(
        self, rows: Rows, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
    ) -> None:
        monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(0.05))
        await rows.submit(cases(300)[:1])
        sandbox.fault(**fault, path="/workflows/run")

        await rows.submit(cases(300), concurrency=8, max_outage=0.3)

        first = Counter(rows.written.values())
        assert first[UNKNOWN] <= 8 + LOST_RESPONSES_BEFORE_OPEN + 5
        assert first[NOT_SUBMITTED] == 299 - first[UNKNOWN]

        sandbox.clear_faults()
        await rows.submit(cases(300), concurrency=8)

        assert Counter(rows.written.values()) == {RUNNING: 300 - first[UNKNOWN], UNKNOWN: first[UNKNOWN]}

    async def test_in_which_responses_are_lost_is_got_over_when_it_is_short(
        self, rows: Rows, sandbox: Sandbox
    ) -> None:
        sandbox.fault("server_error", status=504, path="/workflows/run", times=10)

        await rows.submit(cases(300), concurrency=8, max_outage=30)

        assert Counter(rows.written.values()) == {RUNNING: 290, UNKNOWN: 10}


def attempts(rows: Rows) -> int:
    return sum(1 for entry in entries(rows.folder) if entry.get("begun") is not None)
