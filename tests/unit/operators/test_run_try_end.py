"""The end of a try that starts no run: what it says of the run of an earlier try, and of the cost of a repair."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.operators.test_run_generations import NAME, Connect, connect
from tests.unit.operators.test_run_modes import OFTEN, drive

__all__ = ["connect"]

PARAMETERS = {"limit": 5}


class Task:
    """A task with a run of generation 3, which a connection of generation 1 refuses."""

    def __init__(self, connect: Connect, context: dict[str, Any], seconds: float = 600.0, **arguments: Any):
        self.connect = connect
        self.context = context
        self.arguments = arguments
        self.sandbox: Sandbox = connect(3)
        self.definition_id = self.sandbox.define(seconds=seconds)

    def operator(self, **arguments: Any) -> RunWorkflowOperator:
        given = {"parameters": PARAMETERS, "deferrable": False, **OFTEN, **self.arguments, **arguments}
        return RunWorkflowOperator(task_id="run", workflow_definition_id=self.definition_id, **given)

    def run(self, **arguments: Any) -> str:
        workflow_id: str = drive(lambda: self.operator(**arguments), self.context)
        return workflow_id

    def refused_block(self) -> list[str]:
        """Return the block of a try that is refused, after a clear."""
        self.context["ti"].clear()
        self.connect(1)
        operator = self.operator()
        with pytest.raises(errors.InvalidInput, match="api_generation"):
            operator.execute(self.context)  # type: ignore[arg-type]
        self.connect(3)
        assert operator.try_end is not None
        return operator.try_end.lines


def repair_of(block: list[str]) -> str:
    (line,) = (line for line in block if line.startswith("A repair"))
    return line


def test_names_the_run_that_goes_on_with_which_a_repair_does_too(
    connect: Connect, context: dict[str, Any]
) -> None:
    task = Task(connect, context)
    workflow_id = task.run()

    block = task.refused_block()

    assert f"workflow {workflow_id} was submitted" in block[0]
    assert repair_of(block).endswith(
        f": no run billed if the input is that of the earlier try; goes on with workflow {workflow_id}."
    )
    assert task.run() == workflow_id


def test_names_the_run_that_has_succeeded_which_a_repair_keeps(
    connect: Connect, context: dict[str, Any]
) -> None:
    task = Task(connect, context, seconds=0.0)
    workflow_id = task.run(wait_for_completion=True)

    block = task.refused_block()

    assert f"workflow {workflow_id} has succeeded" in block[0]
    assert repair_of(block).endswith(
        f": no run billed if the input is that of the earlier try; keeps workflow {workflow_id}."
    )


def test_says_where_a_run_may_have_been_submitted(connect: Connect, context: dict[str, Any]) -> None:
    task = Task(connect, context)
    task.sandbox.fault("cut_after", path="/workflows", times=1)
    with pytest.raises(AirflowFailException):
        task.run()

    block = task.refused_block()

    assert "a run may have been submitted" in block[0]
    assert "no run billed; submits nothing as long as it is not known" in repair_of(block)


def test_bills_a_run_where_that_of_the_earlier_try_has_failed(
    connect: Connect, context: dict[str, Any]
) -> None:
    task = Task(connect, context)
    task.sandbox.define(task.definition_id, seconds=0.0, status="FAILED")
    with pytest.raises(errors.WorkflowFailed):
        task.run(wait_for_completion=True)

    assert repair_of(task.refused_block()).endswith(": 1 run billed; submits the run.")


@pytest.mark.parametrize("arguments", [{}, {"durable": False}], ids=["nothing recorded", "not durable"])
def test_bills_a_run_where_nothing_is_recorded(
    connect: Connect, context: dict[str, Any], arguments: dict[str, Any]
) -> None:
    task = Task(connect, context, **arguments)
    if arguments:
        task.run()

    block = task.refused_block()

    assert block[0] == "Try 2 has failed: no run was started."
    assert ": 1 run billed; " in repair_of(block)


def test_bills_a_run_where_a_clear_was_to_start_over(connect: Connect, context: dict[str, Any]) -> None:
    task = Task(connect, context, on_clear="start_over")
    task.run()

    block = task.refused_block()

    assert repair_of(block).endswith(": 1 run billed; submits the run.")


def test_names_the_run_at_another_host_where_the_connection_leads_elsewhere(
    connect: Connect, context: dict[str, Any], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(connect, context)
    workflow_id = task.run()
    context["ti"].clear()
    elsewhere = Sandbox()
    operator = task.operator()
    with elsewhere:
        given = {**json.loads(elsewhere.environment[NAME]), "extra": {"api_generation": 3}}
        monkeypatch.setenv(NAME, json.dumps(given))
        with pytest.raises(errors.InvalidInput, match="The connection leads to"):
            operator.execute(context)  # type: ignore[arg-type]

    assert operator.try_end is not None
    assert repair_of(operator.try_end.lines).endswith(f"goes on with workflow {workflow_id}.")
