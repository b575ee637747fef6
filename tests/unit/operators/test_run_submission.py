"""A run is submitted once over all tries of a task, and its id is not lost."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from airflow_provider_workflows.api import WorkflowsClient
from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.batch.ownership import CALLS_END_SECONDS, Ownership
from airflow_provider_workflows.operators.records import Records, store_retry
from airflow_provider_workflows.operators.run_record import RunPhase, RunRecord, StartedRun
from airflow_provider_workflows.operators.run_submission import RunSubmission
from airflow_provider_workflows.operators.stop_guard import StopGuard
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.storage_retry import MAX_STORAGE_OUTAGE_SECONDS


class StorageError(Exception):
    """Neither an OSError nor one of Airflow's."""


class Store:
    """Keeps the record in memory, and fails the first few times that a run's id is written."""

    was_cleared = False

    def __init__(self, failures: float = 0, error: type[BaseException] = RuntimeError) -> None:
        self.fields: Any = None
        self.failures = failures
        self.error = error

    def read(self) -> Any:
        return self.fields

    def write(self, fields: Any) -> None:
        if fields["phase"] == RunPhase.SUBMITTED.value and self.failures:
            self.failures -= 1
            raise self.error("the API server is away")
        self.fields = dict(fields)

    def delete(self) -> None:
        self.fields = None


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    with sandbox.client() as made:
        yield made


class Task:
    """A task whose tries share a store, and for which no time passes but in pauses."""

    def __init__(self, client: WorkflowsClient, store: Store) -> None:
        self.client = client
        self.records = Records(store, RunRecord)
        self.case_id = client.create_case().case_id
        self.ownership = Ownership()
        self.moment = 0.0
        self.stops_at = float("inf")

    def sleep(self, seconds: float) -> None:
        self.moment += seconds
        if self.moment >= self.stops_at:
            self.ownership.stop("The task was told to stop")

    def submission(self, *, unknown: bool = False, waits: bool = False) -> RunSubmission:
        log = logging.getLogger(__name__)
        guard = StopGuard(self.ownership)
        return RunSubmission(
            self.client.guarded(guard),
            self.records,
            RunRecord(RunPhase.SUBMITTING, DEFINITION, self.case_id),
            guard=guard,
            start_over=False,
            resubmit_unknown=unknown,
            waits=waits,
            may_have_lost_record=False,
            log=log,
            storage_retry=store_retry(
                "The run's id",
                log,
                is_stopped=lambda: not guard.may_act,
                sleep=self.sleep,
                clock=lambda: self.moment,
                draw=lambda: 1.0,
            ),
        )


def test_a_retry_finds_the_run_of_the_try_before(client: WorkflowsClient, sandbox: Sandbox) -> None:
    task = Task(client, Store())
    first = task.submission().run()

    assert task.submission().run() == first
    assert sandbox.counts.runs_per_case == {task.case_id: 1}


def test_a_run_that_has_failed_is_found_or_submitted_anew_as_asked(
    client: WorkflowsClient, sandbox: Sandbox
) -> None:
    task = Task(client, Store())
    sandbox.define(DEFINITION, seconds=0.0, status="FAILED")
    first = task.submission().run()

    assert task.submission(waits=False).run() == first
    assert task.submission(waits=True).run() != first


@pytest.mark.parametrize("failures", [0, 1, 2, 9])
def test_the_id_is_stored_after_pauses_if_the_store_fails(client: WorkflowsClient, failures: int) -> None:
    task = Task(client, Store(failures))

    run = task.submission().run()

    pauses = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0)
    assert task.moment == sum(pauses[:failures])
    assert task.submission().run() == StartedRun(run.workflow_id, run.started)


@pytest.mark.parametrize("error", [OSError, RuntimeError, StorageError, AirflowTaskTimeout])
def test_an_id_that_cannot_be_stored_is_in_the_log_and_is_not_retried(
    client: WorkflowsClient, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(client, Store(float("inf"), error))

    with pytest.raises((AirflowFailException, AirflowTaskTimeout)):
        task.submission().run()

    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    (workflow_id,) = re.findall(r"Workflow (\S+) was started", line)
    assert client.read_workflow(workflow_id).id == workflow_id
    assert f"case {task.case_id}" in line


def test_an_id_that_cannot_be_stored_for_two_minutes_is_in_the_error(client: WorkflowsClient) -> None:
    task = Task(client, Store(failures=float("inf")))

    with pytest.raises(AirflowFailException) as raised:
        task.submission().run()

    (workflow_id,) = re.findall(r"Workflow (\S+) was started", str(raised.value))
    assert client.read_workflow(workflow_id).id == workflow_id
    assert task.moment == MAX_STORAGE_OUTAGE_SECONDS


def test_after_a_stop_the_store_is_given_a_few_seconds_more(
    client: WorkflowsClient, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(client, Store(failures=float("inf")))
    task.stops_at = 10.0

    with pytest.raises(AirflowFailException):
        task.submission().run()

    assert task.moment <= 10.0 + CALLS_END_SECONDS
    assert "could not store its id" in caplog.text


def test_a_store_that_is_back_a_moment_after_a_stop_gets_the_id(client: WorkflowsClient) -> None:
    task = Task(client, Store(failures=5))
    task.stops_at = 8.0

    run = task.submission().run()

    record = task.records.read()
    assert record is not None
    assert (record.phase, record.workflow_id) == (RunPhase.SUBMITTED, run.workflow_id)
    assert record.started == run.started


def test_after_a_lost_response_a_retry_submits_only_if_asked(
    client: WorkflowsClient, sandbox: Sandbox
) -> None:
    task = Task(client, Store())
    sandbox.fault("cut_after", path="/workflows/run", times=1)
    submission = task.submission()
    with pytest.raises(OutcomeUnknown):
        submission.run()
    assert submission.may_have_started

    with pytest.raises(OutcomeUnknown, match="nobody knows whether there is one"):
        task.submission(unknown=False).run()
    assert sandbox.counts.runs_per_case == {task.case_id: 1}

    assert task.submission(unknown=True).run().workflow_id
    assert sandbox.counts.runs_per_case == {task.case_id: 2}


def test_an_intent_that_could_not_be_written_leaves_nothing_unknown(
    client: WorkflowsClient, sandbox: Sandbox
) -> None:
    class Interrupted(Store):
        """Stores the intent, and loses the response once."""

        has_failed = False

        def write(self, fields: Any) -> None:
            super().write(fields)
            if not self.has_failed:
                self.has_failed = True
                raise RuntimeError("the API server is away")

    task = Task(client, Interrupted())
    with pytest.raises(RuntimeError):
        task.submission().run()

    assert task.submission(unknown=False).run().workflow_id
    assert sandbox.counts.runs_per_case == {task.case_id: 1}
