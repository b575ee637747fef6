"""What each place does about each error, asked of the code: ``docs/retries.md`` has it as a table.

``WRITE_DOCS=1 python -m pytest tests/unit/test_retry_table.py`` writes the table anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api import Settings, endpoints, errors
from airflow_provider_workflows.api.effects import NoResponse, Response, SendRequest, Sleep
from airflow_provider_workflows.api.exchange import Exchange
from airflow_provider_workflows.api.polling import Wait
from airflow_provider_workflows.api.responses import read
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.batch.collect import Collection
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.journal import Journal
from airflow_provider_workflows.batch.manifest import ManifestRow
from airflow_provider_workflows.batch.output_options import OutputOptions
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.batch.submit import FIRST_MAX_OUTAGE_SECONDS, Submission
from airflow_provider_workflows.notifications.delivery import is_repeated
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy
from airflow_provider_workflows.webhooks.public_keys import (
    FAILED_FETCH_PAUSE_SECONDS,
    UNKNOWN_KEY_BURST,
    PublicKeyCache,
)

PAGE = Path(__file__).parents[2] / "docs" / "retries.md"
BEGIN, END = "<!-- written by tests/unit/test_retry_table.py -->", "<!-- end -->"

ID = "63131229-edc5-49d0-888b-7724e65d7d2d"
REPEATABLE = endpoints.read_workflow(ID), endpoints.create_case({}), endpoints.create_parameters(ID, {})
RUN = endpoints.run_workflow(RunDetails(ID, ID))
SETTINGS = Settings(secret="tot_0123456789", retry_seconds=10_000.0)
MAX_OUTAGE = 1000.0
NOT_MET = ""

Reply = Response | NoResponse
REFUSED = NoResponse("refused", arrived=False)


def status(code: int) -> Response:
    return Response(code, {}, b"<html>")


UNDECIDED = [
    *map(status, (500, 502, 408, 425, 101, 600, 999)),
    NoResponse("lost", arrived=True),
]


#: What happened, in words, the error for it, and the replies that bring it about.
ERRORS: list[tuple[str, errors.WorkflowsError, list[Reply]]] = [
    ("no connection could be made", errors.ServiceUnreachable(""), [REFUSED]),
    ("the TLS handshake failed", errors.TlsFailed(""), [NoResponse("tls", arrived=False, tls=True)]),
    ("429", errors.RateLimited(""), [status(429)]),
    ("503", errors.ServiceUnavailable(""), [status(503)]),
    (
        "other 5xx, 408, 425, 101, 600 and above, a lost response: repeatable call",
        errors.ServiceUnavailable(""),
        UNDECIDED,
    ),
    ("the same: the call that starts a run", errors.OutcomeUnknown(""), UNDECIDED),
    ("a redirect", errors.UnexpectedResponse(""), [status(302)]),
    ("a proxy's page, a body cut off: repeatable call", errors.UnexpectedResponse(""), [status(200)]),
    ("the same: the call that starts a run", errors.OutcomeUnknown(""), [status(200)]),
    ("401, also with a new token", errors.AuthenticationFailed(""), [status(401)]),
    ("403", errors.PermissionDenied(""), [status(403)]),
    ("404", errors.NotFound(""), [status(404)]),
    ("any other 4xx", errors.RequestRejected(""), [status(400), status(409), status(422)]),
    ("a wrong argument or setting", errors.InvalidInput(""), []),
    ("Airflow has no such connection", errors.ConnectionNotFound(""), []),
    ("a mistake in code", errors.InternalError(""), []),
    ("the result was asked for too early", errors.WorkflowNotCompleted(""), []),
    ("the workflow ended in a failure status", errors.WorkflowFailed(""), []),
    ("the wait reached its deadline", errors.DeadlineReached(""), []),
    ("too many rows failed, and a retry has work to do", errors.BatchFailed("", retry=Retry.LATER), []),
    ("a database of rows or results could not be used", errors.DatabaseFailed(""), []),
    ("a file to upload, or to download into, could not be used", errors.FileFailed(""), []),
    ("a run has no link", errors.LinkMissing(""), []),
    ("the link of a run was not sent", errors.LinkNotSent(""), []),
    ("the task was stopped, or another try has taken over", errors.Stopped(""), []),
    ("a person has stopped the submission", errors.SubmissionStopped(""), []),
    ("too many rows failed, and a retry has none", errors.BatchFailed("", retry=Retry.NEVER), []),
]
#: Errors that no single call meets.
OF_A_TASK = (
    errors.WorkflowNotCompleted,
    errors.BatchFailed,
    errors.DatabaseFailed,
    errors.FileFailed,
    errors.LinkMissing,
    errors.LinkNotSent,
    errors.Stopped,
    errors.SubmissionStopped,
)
#: Errors that only a wait meets: anywhere else they end the task.
OF_THE_POLLER = (errors.InternalError, errors.ConnectionNotFound)


def met(
    endpoint: endpoints.Endpoint[Any], error: errors.WorkflowsError, replies: list[Reply]
) -> errors.WorkflowsError | None:
    """Return the error that a call meets; None if this call meets another one."""
    if not replies:
        return error
    found: list[errors.WorkflowsError] = []
    for reply in replies:
        with pytest.raises(errors.WorkflowsError) as raised:
            read(endpoint, reply, now=0.0)
        found.append(raised.value)
    kinds = {(type(one), one.retry) for one in found}
    assert len(kinds) == 1
    return found[0] if type(found[0]) is type(error) else None


class Clock:
    """Time that goes on while one sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)


class FailingClient:
    """The service at its worst: each call fails with the same error, and is counted."""

    settings = SETTINGS

    def __init__(self, error: errors.WorkflowsError) -> None:
        self.error = error
        self.calls = 0

    async def perform(self, _: object) -> Any:
        self.calls += 1
        raise self.error

    async def read_result(self, _: str, *__: str | None) -> Any:
        return await self.perform(_)


def flow_control(clock: Clock) -> FlowControl:
    return FlowControl(
        None, max_attempts=3, max_outage=MAX_OUTAGE, clock=clock, sleep=clock.sleep, draw=lambda: 1.0
    )


def call(endpoint: endpoints.Endpoint[Any], error: errors.WorkflowsError, replies: list[Reply]) -> str:
    """Ask the exchange: does it send the request again?"""
    if not replies or met(endpoint, error, replies) is None:
        return NOT_MET
    outcomes = set()
    for reply in replies:
        flow = Exchange(SETTINGS, draw=lambda: 0.5).perform(endpoint)
        assert isinstance(flow.send(None), SendRequest)
        try:
            assert isinstance(flow.send(reply), Sleep)
        except errors.WorkflowsError:
            outcomes.add("raised")
        else:
            outcomes.add("repeated")
    (outcome,) = outcomes
    return outcome


def wait(error: errors.WorkflowsError | None, *, under_way: bool) -> str:
    """Ask the wait: does it go on?"""
    if error is None or isinstance(error, OF_A_TASK):
        return NOT_MET
    event = Wait(ID, 0.0, max_outage=MAX_OUTAGE, under_way=under_way).record_error(error, 0.0)
    return "waited out" if event is None else "ends the wait"


async def submit(error: errors.WorkflowsError | None, folder: Path, *, first: bool, run: bool) -> str:
    """Ask the submission: what becomes of the row, and of those after it?

    :param first: whether no row has a run yet
    :param run: whether each row has its case, so that the call that fails is the one that starts its run
    """
    if error is None or isinstance(error, (OF_THE_POLLER, *OF_A_TASK)):
        return NOT_MET
    clock, client = Clock(), FailingClient(error)
    begun = clock.now
    states = {number: RowState(ID) for number in (1, 2, 3)} if run else {}
    if not first:
        states[1] = RowState(ID, None, "w", 0.0)
    with contextlib.closing(Journal(ObjectStoragePath(str(folder)))) as journal:
        submission = Submission(
            client,  # type: ignore[arg-type]
            journal,
            states,
            flow_control(clock),
            workflow_definition_id=ID,
            parameters=None,
            concurrency=1,
        )
        ended = None
        try:
            await submission.run(iter(read_items([{"first_name": "Ada"}] * 3)))
        except errors.WorkflowsError as raised:
            ended = raised
    if ended is not None:
        assert ended is error
        waited_out = clock.now - begun >= FIRST_MAX_OUTAGE_SECONDS
        return (
            f"tried for {FIRST_MAX_OUTAGE_SECONDS:.0f} s, ends the batch" if waited_out else "ends the batch"
        )
    row = states[2]
    outcome = "unknown" if row.begun is not None else "not submitted"
    return "tried again" if clock.now - begun >= MAX_OUTAGE else f"row {outcome}"


async def collect(error: errors.WorkflowsError | None, folder: Path) -> str:
    """Ask the collection: does it fetch the result again?"""
    if error is None or isinstance(
        error,
        (
            OF_THE_POLLER,
            errors.DeadlineReached,
            errors.BatchFailed,
            errors.DatabaseFailed,
            errors.FileFailed,
            errors.LinkMissing,
            errors.LinkNotSent,
            errors.Stopped,
            errors.SubmissionStopped,
        ),
    ):
        return NOT_MET
    clock, client = Clock(), FailingClient(error)
    states = {1: RowState("c", None, "w", 0.0, status="COMPLETED", ended_at=1.0)}
    collection = Collection(client, flow_control(clock), states, concurrency=1)  # type: ignore[arg-type]
    await collection.run(
        [ManifestRow(1, "1")], partial(writer, ObjectStoragePath(str(folder)), OutputOptions())
    )
    return "tried again" if client.calls > 1 else "row without result"


async def webhook_key(error: errors.WorkflowsError | None) -> str:
    """Ask the key cache: does an error use up a permit to fetch a key that is new?"""
    if error is None or isinstance(error, (OF_THE_POLLER, *OF_A_TASK)):
        return NOT_MET
    failure = error
    clock = Clock()
    cache = PublicKeyCache(clock)
    fetched = 0

    async def fetch(_: str) -> str:
        nonlocal fetched
        fetched += 1
        raise failure

    for number in range(UNKNOWN_KEY_BURST + 1):
        clock.now += FAILED_FETCH_PAUSE_SECONDS
        with contextlib.suppress(Exception):
            await cache.key(str(number), fetch)
    return "fetched again" if fetched > UNKNOWN_KEY_BURST else "counted as a fetch"


def notifier(error: errors.WorkflowsError, replies: list[Reply]) -> str:
    """Ask the notifier: does it post the message again?"""
    if met(RUN, error, replies) is None:
        return NOT_MET
    again = {True: "posted again", False: "given up"}
    responses = {
        again[is_repeated(one.status)] for one in replies if isinstance(one, Response) and one.status >= 300
    }
    lost = {again[is_repeated(None, arrived=one.arrived)] for one in replies if isinstance(one, NoResponse)}
    if responses and lost and responses != lost:
        return f"{', '.join(responses)}; a lost response: {', '.join(lost)}"
    return ", ".join(responses | lost)


def task(error: errors.WorkflowsError | None) -> str:
    """Ask the retry policy: does Airflow try the task again?"""
    if error is None:
        return NOT_MET
    words = {"default": "retried", "retry": "retried", "fail": "fails"}
    return words[WorkflowsRetryPolicy().evaluate(error, 1, 3).action.value]


def of_both(repeatable: str, run: str) -> str:
    """Return what becomes of a repeatable call, and what of the call that starts a run where that differs."""
    if NOT_MET in (repeatable, run) or repeatable == run:
        return repeatable or run
    return f"{repeatable}; starting a run: {run}"


COLUMNS = (
    "what happened",
    "error",
    "repeatable call",
    "the call that starts a run",
    "first poll of a sensor",
    "wait under way",
    "first rows of a batch",
    "later rows",
    "collecting results",
    "webhook key",
    "notifier",
    "task",
)


async def rows(folder: Path) -> list[list[str]]:
    table = []
    for number, (words, error, replies) in enumerate(ERRORS):
        folders = [folder / f"{number}-{place}" for place in range(5)]
        for one in folders:
            one.mkdir()
        repeatable, run = met(REPEATABLE[0], error, replies), met(RUN, error, replies)
        (repeated,) = {call(endpoint, error, replies) for endpoint in REPEATABLE}
        table.append(
            [
                words,
                f"`{type(error).__name__}`",
                repeated,
                call(RUN, error, replies),
                wait(repeatable, under_way=False),
                wait(repeatable, under_way=True),
                of_both(
                    await submit(repeatable, folders[0], first=True, run=False),
                    await submit(run, folders[1], first=True, run=True),
                ),
                of_both(
                    await submit(repeatable, folders[2], first=False, run=False),
                    await submit(run, folders[3], first=False, run=True),
                ),
                await collect(repeatable, folders[4]),
                await webhook_key(repeatable),
                notifier(error, replies),
                of_both(task(repeatable), task(run)),
            ]
        )
    return table


def markdown(table: list[list[str]]) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *table]
    return "\n".join("| " + " | ".join(cell or "-" for cell in line) + " |" for line in lines)


def every_error() -> Iterator[type[errors.WorkflowsError]]:
    classes = [errors.WorkflowsError]
    while classes:
        one = classes.pop()
        yield one
        classes += one.__subclasses__()


def test_has_every_error_of_the_package() -> None:
    assert {type(error) for _, error, _ in ERRORS} == {*every_error()} - {errors.WorkflowsError}


@pytest.mark.thorough
async def test_the_page_has_what_the_code_says(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)

    printed = f"{before}{BEGIN}\n\n{markdown(await rows(tmp_path))}\n\n{END}{after}"

    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(printed, encoding="utf-8")
    assert page == printed or os.environ.get("WRITE_DOCS"), (
        "write it anew, as the docstring of this module says"
    )
