"""Fetching results and writing the output: a row for each row, whole or not at all, the same each time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api import AsyncWorkflowsClient
from airflow_provider_workflows.api.errors import Stopped
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.batch import output_formats
from airflow_provider_workflows.batch.collect import Collection
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.manifest import ManifestRow
from airflow_provider_workflows.batch.output_options import OutputOptions
from airflow_provider_workflows.batch.output_row import OutputRow
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage_retry import failure_reason
from tests.unit.batch_task import RESULT_CALL
from tests.unit.clocks import until
from tests.unit.failing_storage import (
    STORAGE_ERRORS,
    attached_store,
    folder_in_store,
    no_file_longer_than,
)

pytestmark = pytest.mark.sampled(3)

TRIES = 3
RESULT_PATH = "/workflows/{workflowId}/result"
ENDED = 1_800_000_000.0


class Output:
    """Collects into a file, as often as asked."""

    def __init__(self, client: AsyncWorkflowsClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.states: dict[int, RowState] = {}

    async def completed(self, number: int, definition_id: str) -> None:
        """Have a number of rows whose workflows have completed."""
        for row in range(1, number + 1):
            case = await self.client.create_case()
            run = await self.client.run_workflow(definition_id, case.case_id)
            self.states[row] = RowState(
                case.case_id, None, run.id, ENDED, status="COMPLETED", ended_at=ENDED + row
            )

    async def collect(
        self,
        rows: Iterable[ManifestRow],
        *,
        max_outage: float = 30.0,
        ownership: Ownership | None = None,
        fetch: bool = True,
    ) -> Collection:
        flow_control = FlowControl(None, max_attempts=TRIES, max_outage=max_outage)
        collection = Collection(
            self.client, flow_control, self.states, concurrency=2, ownership=ownership, fetch=fetch
        )
        await collection.run(rows, partial(writer, ObjectStoragePath(str(self.folder)), OutputOptions()))
        return collection

    @property
    def bytes(self) -> bytes:
        return (self.folder / "results.jsonl").read_bytes()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.bytes.splitlines()]


def manifest(number: int) -> Iterator[ManifestRow]:
    return (ManifestRow(row, f"key-{row}") for row in range(1, number + 1))


@pytest.fixture
async def output(
    client: AsyncWorkflowsClient, sandbox: Sandbox, tmp_path: Path, short_pauses: None
) -> Output:
    return Output(client, tmp_path)


@pytest.fixture
async def completed(output: Output, sandbox: Sandbox) -> Output:
    """Twenty rows whose workflows have completed."""
    await output.completed(20, sandbox.define(seconds=0.0, result={"decision": "PASS"}))
    sandbox.counts.reset()
    return output


SUBMITTED = {"case_id": "c", "workflow_id": "w", "submitted_at": ENDED}


@pytest.mark.parametrize(
    ("state", "outcome", "code"),
    [
        ({}, "not_submitted", "NotSubmitted"),
        ({"error": {"kind": "PermissionDenied", "message": "no", "code": "F"}}, "not_submitted", "F"),
        ({"error": {"kind": "ServiceUnreachable", "message": "no"}}, "not_submitted", "ServiceUnreachable"),
        ({"begun": "run"}, "unknown", "OutcomeUnknown"),
        ({"begun": "run", "error": {"kind": "OutcomeUnknown", "message": "?"}}, "unknown", "OutcomeUnknown"),
        (SUBMITTED, "running", "DeadlineReached"),
        (
            {**SUBMITTED, "error": {"kind": "ServiceUnavailable", "message": "?"}},
            "running",
            "ServiceUnavailable",
        ),
        ({**SUBMITTED, "ended_at": ENDED, "status": "EXPIRED"}, "failed", "WorkflowFailed"),
        (
            {**SUBMITTED, "ended_at": ENDED, "error": {"kind": "NotFound", "message": "?"}},
            "failed",
            "NotFound",
        ),
    ],
)
async def test_a_row_without_a_result_says_why(
    output: Output, sandbox: Sandbox, state: dict[str, Any], outcome: str, code: str
) -> None:
    output.states[1] = RowState(**state)

    await output.collect(manifest(1))

    (row,) = output.rows
    assert (row["outcome"], row["error_code"]) == (outcome, code)
    assert row["error"]
    assert row["result"] is None
    assert sandbox.counts.total_requests == 0


async def test_a_row_whose_run_has_expired_says_so(output: Output) -> None:
    output.states[1] = RowState(**{**SUBMITTED, "ended_at": ENDED, "status": "EXPIRED"})

    await output.collect(manifest(1))

    (row,) = output.rows
    assert row["error"].startswith("The workflow has expired (status EXPIRED) before it was completed.")


async def test_a_skipped_row_says_what_is_wrong_with_it(output: Output) -> None:
    await output.collect([ManifestRow(1, "1", "email: is not an e-mail address")])

    (row,) = output.rows
    assert (row["outcome"], row["error_code"], row["error"]) == (
        "skipped",
        "BadRow",
        "email: is not an e-mail address",
    )


async def test_each_row_is_there_once_in_its_order_with_its_own_result(
    completed: Output, sandbox: Sandbox
) -> None:
    sandbox.fault("latency", seconds=0.05, path=RESULT_PATH, share=0.3)

    collection = await completed.collect(manifest(20))

    assert [(row["row"], row["key"]) for row in completed.rows] == [(n, f"key-{n}") for n in range(1, 21)]
    assert all(row["result"]["caseId"] == row["case_id"] for row in completed.rows)
    assert collection.outcomes == {"succeeded": 20}
    assert collection.statuses == {"COMPLETED": 20}


async def test_each_result_is_asked_for_once(completed: Output, sandbox: Sandbox) -> None:
    await completed.collect(manifest(20))

    assert sandbox.counts.requests == {RESULT_CALL: 20}


async def test_a_second_writing_gives_the_same_bytes(completed: Output) -> None:
    await completed.collect(manifest(20))
    first = completed.bytes

    await completed.collect(manifest(20))

    assert completed.bytes == first


async def test_what_goes_wrong_in_the_middle_leaves_the_output_as_it_was(completed: Output) -> None:
    await completed.collect(manifest(20))
    first = completed.bytes

    def cut_off() -> Iterator[ManifestRow]:
        yield from manifest(15)
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        await completed.collect(cut_off())

    assert completed.bytes == first
    assert [path.name for path in completed.folder.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize(
    "fault",
    [
        {"name": "server_error", "status": 500},
        {"name": "server_error", "status": 503, "form": "html"},
        {"name": "rate_limited"},
        {"name": "cut_before"},
        {"name": "cut_during"},
        {"name": "truncated_json"},
        {"name": "html_ok"},
        {"name": "unauthorized"},
        {"name": "redirect"},
        {"name": "missing_fields"},
    ],
    ids=lambda fault: fault["name"],
)
async def test_what_may_pass_is_tried_again(
    completed: Output, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.fault(path=RESULT_PATH, times=2, **fault)

    collection = await completed.collect(manifest(20))

    assert collection.outcomes == {"succeeded": 20}


async def test_a_result_that_is_refused_is_missing_and_the_others_are_there(
    completed: Output, sandbox: Sandbox
) -> None:
    sandbox.fault("forbidden", path=RESULT_PATH, times=1)

    collection = await completed.collect(manifest(20))

    assert collection.outcomes == {"succeeded": 19, "result_missing": 1}
    assert sandbox.counts.requests[RESULT_CALL] == 20


@pytest.mark.thorough
async def test_an_outage_leaves_results_missing_without_hammering(
    completed: Output, sandbox: Sandbox
) -> None:
    sandbox.fault("server_error", status=503, path=RESULT_PATH)
    completed.states |= dict.fromkeys(range(21, 501), completed.states[20])

    collection = await completed.collect(manifest(500), max_outage=0.05)

    assert collection.outcomes == {"result_missing": 500}
    assert Counter(row["error_code"] for row in completed.rows) == {"SERVICE_UNAVAILABLE": 500}
    assert sandbox.counts.requests[RESULT_CALL] < 250


@pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
async def test_an_output_that_cannot_be_written_for_a_while_costs_no_second_fetch(
    completed: Output, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.001, 0.001))
    with attached_store() as store:
        store.fail(error, times=5)
        completed.folder = folder_in_store()  # type: ignore[assignment]

        collection = await completed.collect(manifest(20))

        rows = store.cat_file("/bucket/state/results.jsonl").splitlines()
    assert [json.loads(row)["row"] for row in rows] == list(range(1, 21))
    assert collection.outcomes == {"succeeded": 20}
    assert sandbox.counts.requests == {RESULT_CALL: 20}


@pytest.mark.thorough
async def test_a_disk_that_is_full_for_a_while_costs_no_second_fetch(
    completed: Output,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.01, 0.01))
    completed.states |= dict.fromkeys(range(21, 1001), completed.states[20])

    with no_file_longer_than(200_000):
        collecting = asyncio.create_task(completed.collect(manifest(1000)))
        await until(lambda: "cannot be written: OSError (File too large)" in caplog.text)
    await collecting

    assert [row["row"] for row in completed.rows] == list(range(1, 1001))
    assert sandbox.counts.requests == {RESULT_CALL: 1000}


async def test_calls_go_on_while_the_output_cannot_be_written(
    completed: Output, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    write = output_formats.JsonLines.write

    def write_later(rows: Any, row: OutputRow) -> None:
        may_write.wait(30)
        write(rows, row)

    monkeypatch.setattr(output_formats.JsonLines, "write", write_later)

    collecting = asyncio.create_task(completed.collect(manifest(20)))
    await until(lambda: sandbox.counts.requests[RESULT_CALL] >= 2 * 4)
    may_write.set()
    await collecting

    assert len(completed.rows) == 20


async def test_a_stop_begins_no_fetch_and_leaves_the_output_as_it_was(
    completed: Output, sandbox: Sandbox
) -> None:
    await completed.collect(manifest(20))
    first = completed.bytes
    completed.states |= dict.fromkeys(range(21, 501), completed.states[20])
    sandbox.counts.reset()
    ownership = Ownership()

    collecting = asyncio.create_task(completed.collect(manifest(500), ownership=ownership))
    await until(lambda: sandbox.counts.requests[RESULT_CALL] > 50)
    ownership.stop("The task was told to stop")
    at_the_stop = sandbox.counts.requests[RESULT_CALL]
    with pytest.raises(Stopped):
        await collecting

    assert sandbox.counts.requests[RESULT_CALL] <= at_the_stop + 8
    assert completed.bytes == first
    assert [path.name for path in completed.folder.iterdir()] == ["results.jsonl"]


async def test_without_fetching_a_row_that_has_succeeded_says_that_the_task_ended_before(
    completed: Output, sandbox: Sandbox
) -> None:
    ownership = Ownership()
    ownership.stop("The task was told to stop")

    collection = await completed.collect(manifest(20), ownership=ownership, fetch=False)

    assert collection.outcomes == {"result_missing": 20}
    assert {row["error_code"] for row in completed.rows} == {"NotFetched"}
    assert sandbox.counts.total_requests == 0


async def test_a_row_that_was_refused_has_no_time_of_submission(output: Output) -> None:
    output.states[1] = RowState(submitted_at=ENDED, error={"kind": "PermissionDenied", "message": "no"})

    await output.collect(manifest(1))

    assert output.rows[0]["submitted_at"] is None


async def test_unknown_rows_are_listed_with_the_time_of_their_request(output: Output) -> None:
    output.states[2] = RowState(case_id="case-2", begun="run", submitted_at=ENDED)

    await output.collect(manifest(3))

    listed = (output.folder / "unknown.csv").read_text("utf-8-sig").splitlines()
    assert listed == ["key;row;time;case_id;record_id", "key-2;2;2027-01-15T08:00:00.000Z;case-2;"]
    assert "unknown.csv" in output.rows[1]["error"]


@pytest.mark.thorough
async def test_no_more_is_fetched_ahead_than_memory_bears(output: Output, sandbox: Sandbox) -> None:
    await output.completed(1, sandbox.define(seconds=0.0))
    sandbox.fault("latency", seconds=0.1, path=RESULT_PATH)
    taken = []

    collecting = asyncio.create_task(output.collect(taken.append(row) or row for row in manifest(5000)))
    await until(lambda: sandbox.counts.requests[RESULT_CALL])

    assert 0 < len(taken) <= 4 * 2 + 1
    await collecting
    assert len(output.rows) == 5000
