"""A run is submitted once over all tries of a task, and its id is not lost."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api import WorkflowsClient
from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.operators.records import Records, RunPhase, RunRecord
from airflow_provider_workflows.operators.run_submission import (
    STORE_PAUSES_SECONDS,
    RunSubmission,
    StartedRun,
)
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox


class Store:
    """Keeps the record in memory, and fails the first few times that a run's id is written."""

    was_cleared = False

    def __init__(self, failures: int = 0) -> None:
        self.fields: Any = None
        self.failures = failures

    def read(self) -> Any:
        return self.fields

    def write(self, fields: Any) -> None:
        if fields["phase"] == RunPhase.SUBMITTED.value and self.failures:
            self.failures -= 1
            raise RuntimeError("the API server is away")
        self.fields = dict(fields)

    def delete(self) -> None:
        self.fields = None


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    with sandbox.client() as made:
        yield made


class Task:
    """A task whose tries share a store."""

    def __init__(self, client: WorkflowsClient, store: Store) -> None:
        self.client = client
        self.records = Records(store, RunRecord)
        self.case_id = client.create_case().case_id
        self.pauses: list[float] = []

    def submission(self, *, unknown: bool = False, failed: bool = False) -> RunSubmission:
        return RunSubmission(
            self.client,
            self.records,
            workflow_definition_id=DEFINITION,
            case_id=self.case_id,
            parameters_id=None,
            resubmit_unknown=unknown,
            resubmit_failed=failed,
            log=logging.getLogger(__name__),
            sleep=self.pauses.append,
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

    assert task.submission(failed=False).run() == first
    assert task.submission(failed=True).run() != first


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_the_id_is_stored_after_pauses_if_the_store_fails(client: WorkflowsClient, failures: int) -> None:
    task = Task(client, Store(failures))

    run = task.submission().run()

    assert task.pauses == list(STORE_PAUSES_SECONDS[:failures])
    assert task.submission().run() == StartedRun(run.workflow_id, run.started)


def test_an_id_that_cannot_be_stored_is_in_the_error_and_is_not_retried(client: WorkflowsClient) -> None:
    task = Task(client, Store(failures=len(STORE_PAUSES_SECONDS)))

    with pytest.raises(AirflowFailException) as raised:
        task.submission().run()

    (workflow_id,) = re.findall(r"Workflow (\S+) was started", str(raised.value))
    assert client.read_workflow(workflow_id).id == workflow_id
    assert task.pauses == list(STORE_PAUSES_SECONDS)


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
