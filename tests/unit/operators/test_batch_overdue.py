"""A batch with runs that are overdue: what a clear, a retry and a person make of their rows, and what is paid."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_workflows.api import expiry
from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.operators.instruction import INSTRUCTION_KEY
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from tests.unit.batch_task import STATUS_PATH, BatchTask
from tests.unit.operators.test_batch_instructions import instruction

pytestmark = pytest.mark.thorough

ROWS = [{"key": f"K{number}", "parameters": {"limit": number}} for number in (1, 2)]
ARGUMENTS: dict[str, Any] = {"workflows_conn_id": CONNECTION_IDS[3], "expires_at": timedelta(days=1)}


class OverdueBatch:
    """A batch of two rows whose runs are past their expiry, and go on as far as the service says.

    :param batch: its task
    :param sandbox: the service
    """

    def __init__(self, batch: BatchTask, sandbox: Sandbox) -> None:
        self.batch = batch
        self.sandbox = sandbox
        sandbox.define(batch.definition_id, seconds=600.0)
        with pytest.raises(BatchFailed) as failed:
            batch.run(ROWS, **ARGUMENTS)
        self.message = str(failed.value)
        self.first = [workflow.id for workflow in sandbox.workflows]
        sandbox.define(batch.definition_id, seconds=0.0)

    def complete(self, workflow_id: str) -> None:
        """Let a run complete now."""
        workflows = self.sandbox._service.workflows
        workflows[workflow_id] = dataclasses.replace(workflows[workflow_id], ends_at=0.0)

    def expire(self) -> None:
        """Let all runs end as EXPIRED now."""
        self.sandbox.expire_runs()

    @property
    def runs(self) -> dict[str, int]:
        """How often a run was paid for each row."""
        return dict(self.sandbox.counts.runs_per_parameter("limit"))


@pytest.fixture
def overdue(batch: BatchTask, connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> OverdueBatch:
    # A run is overdue two days before its expiry.
    monkeypatch.setattr(expiry, "EXPIRY_GRACE_SECONDS", -2 * 86400.0)
    return OverdueBatch(batch, connected)


def test_one_clear_submits_rows_anew_whose_run_has_expired_meanwhile(overdue: OverdueBatch) -> None:
    overdue.expire()
    overdue.batch.clear()

    overdue.batch.run(ROWS, **ARGUMENTS | {"expires_at": timedelta(days=9)})

    assert overdue.runs == {"1": 2, "2": 2}
    assert overdue.batch.outcomes == ["succeeded"] * 2
    assert {row["workflow_id"] for row in overdue.batch.output}.isdisjoint(overdue.first)


def test_a_clear_keeps_a_run_that_has_succeeded_meanwhile(overdue: OverdueBatch) -> None:
    for workflow_id in overdue.first:
        overdue.complete(workflow_id)
    overdue.batch.clear()

    overdue.batch.run(ROWS, **ARGUMENTS)

    assert overdue.runs == {"1": 1, "2": 1}
    assert overdue.batch.outcomes == ["succeeded"] * 2


def test_a_clear_starts_no_run_beside_one_that_is_pending(overdue: OverdueBatch) -> None:
    overdue.batch.clear()

    with pytest.raises(BatchFailed, match="past its expiry"):
        overdue.batch.run(ROWS, **ARGUMENTS)

    assert overdue.runs == {"1": 1, "2": 1}


def test_the_error_of_a_row_says_what_to_do(overdue: OverdueBatch) -> None:
    (error,) = {row["error"].partition("counts as failed. ")[2] for row in overdue.batch.output}

    assert (
        "if the run has failed by then, the row is submitted anew, with expires_at as the DAG has it" in error
    )
    assert "Resubmit these rows" in error


def test_a_row_that_a_person_names_gets_a_run_beside_the_one_that_is_pending(overdue: OverdueBatch) -> None:
    overdue.batch.store.set(INSTRUCTION_KEY, instruction("resubmit", rows="2"))
    overdue.batch.clear()

    with pytest.raises(BatchFailed):
        overdue.batch.run(ROWS, **ARGUMENTS)

    assert overdue.runs == {"1": 1, "2": 2}
    assert overdue.batch.outcomes == ["failed", "succeeded"]


@pytest.mark.parametrize(("resubmit_failed", "runs"), [(False, 1), (True, 2)])
def test_a_retry_submits_an_expired_run_anew_only_where_asked(
    overdue: OverdueBatch, resubmit_failed: bool, runs: int
) -> None:
    overdue.expire()
    overdue.batch.ti.try_number += 1

    try:
        overdue.batch.run(ROWS, **ARGUMENTS, resubmit_failed=resubmit_failed)
    except BatchFailed:
        assert not resubmit_failed

    assert overdue.runs == {"1": runs, "2": runs}


def test_runs_that_cannot_be_asked_about_are_waited_for(overdue: OverdueBatch) -> None:
    overdue.expire()
    overdue.sandbox.fault("server_error", status=503, path=STATUS_PATH)
    overdue.batch.clear()

    with pytest.raises(BatchFailed):
        overdue.batch.run(ROWS, **ARGUMENTS, max_outage=0.1)

    assert overdue.runs == {"1": 1, "2": 1}
    assert overdue.batch.outcomes == ["running"] * 2
