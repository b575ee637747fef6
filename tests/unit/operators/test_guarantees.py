"""What the README guarantees: each of its lines is the name of a test here."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.batch import ownership
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import RESULT_CALL, RUN_CALL, BatchTask, Service, cases
from tests.unit.failing_storage import HttpResponseError, attached_store
from tests.unit.operators.test_batch_stop import (
    CONCURRENCY,
    ENDED,
    ROWS,
    STOPPED,
    begin,
    run_try,
    runs,
    task,
    wait_until,
)

__all__ = ["begin", "task"]

README = Path(__file__).parents[3] / "README.md"
PEOPLE = [{"key": f"K{number}", "first_name": f"Ada{number}"} for number in range(4)]


def lines() -> list[str]:
    """Return the lines of the README's list of guarantees."""
    _, _, rest = README.read_text(encoding="utf-8").partition("## What is guaranteed")
    return re.findall(r"^\d+\. (.+)\.$", rest.partition("\n## ")[0].partition("\n### ")[0], re.MULTILINE)


def test_each_line_of_the_readme_is_the_name_of_a_test() -> None:
    names = ["test_" + re.sub(r"\W+", "_", line.lower()) for line in lines()]

    assert len(names) == 10
    assert [name for name in names if not callable(globals().get(name))] == []


@pytest.mark.thorough
def test_a_killed_try_is_gone_on_with_and_no_row_runs_twice(
    task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
) -> None:
    process = begin(run_try, task)
    wait_until(lambda: runs(connected) >= 20)
    process.kill()
    process.join()

    task.run(cases(ROWS), deferrable=False, max_failed_share=1.0)

    assert set(connected.counts.runs_per_case.values()) == {1}
    assert task.outcomes.count("succeeded") + task.outcomes.count("unknown") == ROWS
    assert task.outcomes.count("unknown") <= CONCURRENCY


@pytest.mark.thorough
def test_a_cleared_batch_keeps_what_has_succeeded_and_submits_only_the_rest(
    batch: BatchTask, sandbox: Sandbox
) -> None:
    batch.definition_id = sandbox.define(seconds=0.0, needs_parameters=True)
    items = [{"first_name": "Ada", "parameters": {}}, {"first_name": "Bob"}, {"first_name": "Eve"}]
    with pytest.raises(BatchFailed):
        batch.run(items)
    sandbox.define(batch.definition_id, seconds=0.0)
    sandbox.counts.reset()
    batch.clear()

    batch.run(items)

    assert batch.outcomes == ["succeeded"] * 3
    assert (sandbox.counts.requests[RUN_CALL], sandbox.counts.requests[RESULT_CALL]) == (2, 3)


def test_a_cleared_run_that_has_succeeded_is_not_paid_for_again(
    connected: Sandbox, context: Any, short_pauses: None
) -> None:
    with connected.client() as client:
        case_id = client.create_case().case_id
    arguments = {"workflow_definition_id": connected.define(seconds=0.0), "case_id": case_id}
    first = RunWorkflowOperator(task_id="run", **arguments).execute(context)
    context["ti"].clear()

    again = RunWorkflowOperator(task_id="run", **arguments).execute(context)

    assert again == first
    assert connected.counts.runs_per_case == {case_id: 1}


@pytest.mark.thorough
def test_starting_over_is_asked_for_by_name_and_says_first_what_is_billed_again(
    batch: BatchTask, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.run(cases(3), on_clear="start_over")
    batch.clear()
    capsys.readouterr()

    batch.run(cases(3), on_clear="start_over")

    assert "submits 3 anew. 3 rows had a run before" in capsys.readouterr().out
    assert sandbox.counts.requests[RUN_CALL] == 6


@pytest.mark.thorough
def test_a_corrected_file_costs_only_its_corrected_rows(batch: BatchTask, sandbox: Sandbox) -> None:
    batch.run(PEOPLE)
    sandbox.counts.reset()
    batch.clear()

    batch.run([PEOPLE[3], PEOPLE[0] | {"first_name": "Corrected"}, PEOPLE[1], PEOPLE[2]])

    assert sandbox.counts.requests[RUN_CALL] == 1
    assert [row["key"] for row in batch.output] == ["K3", "K0", "K1", "K2"]


@pytest.mark.thorough
def test_a_row_that_changes_after_the_check_is_not_sent(batch: BatchTask, sandbox: Sandbox) -> None:
    class Changing(list[Any]):
        """A list whose second row is another each time that it is read."""

        read = 0

        def __iter__(self) -> Any:
            self.read += 1
            return iter([PEOPLE[0], PEOPLE[1] | {"first_name": f"Bob{self.read}"}, PEOPLE[2]])

    with pytest.raises(InvalidInput, match=r"^row 2 of items has changed since the input was checked"):
        batch.run(Changing(PEOPLE[:3]))

    assert sandbox.counts.requests[RUN_CALL] <= 1


@pytest.mark.thorough
def test_a_stopped_task_starts_nothing_more_and_leaves_no_row_unknown_whose_response_comes_in_time(
    task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
) -> None:
    process = begin(run_try, task)
    wait_until(lambda: runs(connected) >= 20)

    process.terminate()
    at_the_signal = runs(connected)
    process.join(20)

    assert process.exitcode == STOPPED
    assert runs(connected) <= at_the_signal + 2 * CONCURRENCY < ROWS
    assert set(task.outcomes) == {"running", "not_submitted"}
    assert task.outcomes.count("running") == runs(connected)


@pytest.mark.thorough
def test_of_two_tries_of_one_task_only_the_latest_acts(
    task: BatchTask, connected: Sandbox, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "CLAIM_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(ownership, "LEASE_SECONDS", 1.0)
    first = begin(run_try, task)
    wait_until(lambda: runs(connected) >= 20)
    task.ti.try_number = 2

    second = begin(run_try, task)
    first.join(20)
    second.join(60)

    assert (first.exitcode, second.exitcode) == (STOPPED, ENDED)
    assert task.outcomes == ["succeeded"] * ROWS
    assert runs(connected) == ROWS


def test_two_runs_cannot_write_to_one_output_at_once(
    batch: BatchTask, sandbox: Sandbox, service: Service
) -> None:
    service.running()
    deferred = batch.operator(cases(3))
    with pytest.raises(TaskDeferred):
        deferred.execute(batch.context)
    other = BatchTask(batch.folder, batch.definition_id)
    other.ti.run_id = "manual__2"
    sandbox.counts.reset()

    with pytest.raises(InvalidInput, match="run 'scheduled__2026-01-31', which has not ended"):
        other.run(cases(2))

    assert sandbox.counts.total_requests == 0


@pytest.mark.thorough
def test_a_failing_write_loses_nothing_that_was_received(
    batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with attached_store() as store:
        put, journals = store.pipe_file, itertools.count(1)

        def fail_second_and_third(path: str, *arguments: Any, **options: Any) -> None:
            if "journal-" in path and next(journals) in (2, 3):
                raise HttpResponseError(503)
            put(path, *arguments, **options)

        monkeypatch.setattr(store, "pipe_file", fail_second_and_third)
        batch.run(cases(20), output_path="s3://bucket/output")
        rows = list(read_output("s3://bucket/output/results.jsonl"))

    assert [row["outcome"] for row in rows] == ["succeeded"] * 20
    assert sandbox.counts.requests[RUN_CALL] == 20
