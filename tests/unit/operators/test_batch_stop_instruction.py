"""A batch whose submission a person stops: how far it still goes, and what submits the rest."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api import retry
from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.batch import ownership, submission_stop
from airflow_provider_workflows.batch.submission_stop import SubmissionStop
from airflow_provider_workflows.operators.batch_record import BATCH_KEY
from airflow_provider_workflows.operators.instruction import INSTRUCTION_KEY
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import STATUS_CALL, BatchTask, cases
from tests.unit.operators.test_batch_instructions import instruction, shard
from tests.unit.operators.test_batch_repair import lines
from tests.unit.operators.test_batch_stop import PROCESSES, FileStore, run_try, runs, wait_until

ROWS = 600


@pytest.fixture
def task(batch: BatchTask, connected: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BatchTask:
    """A task of which a test stops the submission from another process, and that sees it soon."""
    batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
    monkeypatch.setattr(ownership, "CLAIM_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(submission_stop, "_NAP_SECONDS", 0.05)
    return batch


@pytest.fixture
def begin() -> Iterator[Callable[..., Any]]:
    processes = []

    def begin(target: Callable[..., None], *arguments: Any) -> Any:
        process = PROCESSES.Process(target=target, args=arguments)
        process.start()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.join()


def stop(task: BatchTask) -> None:
    """Do what the button does: no clear comes with it."""
    task.store.set(INSTRUCTION_KEY, instruction("stop") | {"asked_at": time.time()})


@pytest.fixture
def stopped(task: BatchTask, connected: Sandbox, begin: Callable[..., Any]) -> Callable[..., int]:
    """Have a person stop a try that submits 600 rows, and return how many runs there are in the end."""

    def stop_while_submitting(**arguments: Any) -> int:
        connected.fault("latency", seconds=0.02)
        process = begin(run_try, task, ROWS, arguments)
        wait_until(lambda: runs(connected) >= 40)
        stop(task)
        process.join(60)
        connected.clear_faults()
        return runs(connected)

    return stop_while_submitting


@pytest.mark.thorough
class TestWhileSubmitting:
    def test_no_further_row_begins_what_runs_is_waited_for_and_no_row_is_unknown(
        self, task: BatchTask, connected: Sandbox, stopped: Callable[..., int]
    ) -> None:
        submitted = stopped()

        assert 40 <= submitted < ROWS
        assert task.outcomes.count("succeeded") == submitted
        assert task.outcomes.count("not_submitted") == ROWS - submitted
        unsent = next(
            row for row in task.output if row["outcome"] == "not_submitted" and row["case_id"] is None
        )
        assert unsent["error"].startswith("A person stopped the submission")
        assert set(connected.counts.runs_per_case.values()) == {1}
        record = task.store.get(BATCH_KEY)
        assert (record["phase"], record["stopped_by"]) == ("failed", "ada")

    @pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "gone"])
    def test_no_retry_submits_anything_and_the_next_clear_submits_the_rest_once(
        self, task: BatchTask, connected: Sandbox, stopped: Callable[..., int], is_stored: bool
    ) -> None:
        submitted = stopped()
        if not is_stored:
            # After a day it is not followed any more, or another version has removed it.
            task.store.delete(INSTRUCTION_KEY)
        task.ti.try_number += 1

        with pytest.raises(BatchFailed) as raised:
            task.run(cases(ROWS), deferrable=False, resubmit_failed=True, on_unknown_outcome="resubmit")

        assert runs(connected) == submitted
        assert raised.value.retry is Retry.NEVER
        assert re.search(
            rf"{ROWS - submitted} (rows )?were not sent because a person said so", str(raised.value)
        )
        task.clear()
        task.run(cases(ROWS), deferrable=False)
        assert task.outcomes == ["succeeded"] * ROWS
        assert set(connected.counts.runs_per_case.values()) == {1}
        assert task.store.get(INSTRUCTION_KEY) is None

    def test_ends_as_the_failure_policy_says(
        self, task: BatchTask, connected: Sandbox, stopped: Callable[..., int]
    ) -> None:
        submitted = stopped(max_failed_share=1.0)

        record = task.store.get(BATCH_KEY)
        assert record["phase"] == "done"
        assert record["summary"]["outcomes"] == {"not_submitted": ROWS - submitted, "succeeded": submitted}

    def test_ends_also_where_all_rows_wait_for_a_service_that_is_away(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(600.0))
        process = begin(run_try, task, ROWS, {"max_outage": 3600.0})
        wait_until(lambda: runs(connected) >= 40)
        connected.fault("server_error", status=503, path="/cases")
        connected.fault("server_error", status=503, path="/workflows/run")
        time.sleep(0.2)

        stop(task)
        process.join(60)

        assert process.exitcode is not None
        assert task.outcomes.count("succeeded") == runs(connected)
        assert set(task.outcomes) == {"succeeded", "not_submitted"}


class TestBeforeItSubmits:
    @pytest.mark.thorough
    def test_a_try_submits_nothing_and_the_next_clear_submits_all(
        self, batch: BatchTask, connected: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stop(batch)

        with pytest.raises(BatchFailed) as raised:
            batch.run(cases(3))

        assert (connected.workflows, batch.outcomes) == ([], ["not_submitted"] * 3)
        assert raised.value.retry is Retry.NEVER
        (line,) = lines(capsys, "This try submits nothing")
        assert "stop, for which ada has asked at" in line
        batch.clear()
        batch.run(cases(3))
        assert len(connected.workflows) == 3
        assert batch.store.get(INSTRUCTION_KEY) is None
        assert len(lines(capsys, "The task was cleared, which ends an instruction: stop")) == 1

    @pytest.mark.thorough
    def test_after_the_clear_it_holds_for_the_try_that_has_begun(
        self, batch: BatchTask, connected: Sandbox, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("failed")
        batch.clear()
        # It comes while the try waits for an earlier one to end.
        batch.store.set(INSTRUCTION_KEY, instruction("stop"))
        before = len(connected.workflows)

        with pytest.raises(BatchFailed):
            batch.run(cases(3), on_clear="start_over")

        assert len(connected.workflows) == before
        assert batch.outcomes == ["failed"] * 3

    @pytest.mark.thorough
    def test_a_map_index_is_stopped_alone(self, batch: BatchTask, connected: Sandbox) -> None:
        first, second = shard(batch, 0), shard(batch, 1)
        stop(first)

        with pytest.raises(BatchFailed):
            first.run(cases(2))
        second.run(cases(2))

        assert len(connected.workflows) == 2


def test_a_process_that_begins_after_the_stop_was_followed_does_not_say_that_the_task_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = SubmissionStop(lambda: "ada", log=logging.getLogger())
    stop.was_followed()

    stop.check()

    assert (stop.asked_by, caplog.records) == (None, [])


class TestAfterItHasSubmitted:
    @pytest.mark.thorough
    def test_while_waiting_it_changes_nothing_and_is_logged(
        self,
        task: BatchTask,
        connected: Sandbox,
        begin: Callable[..., Any],
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        connected.define(task.definition_id, seconds=1.0)
        process = begin(run_try, task, 3, {})
        wait_until(lambda: connected.counts.requests[STATUS_CALL] > 0)

        stop(task)
        process.join(60)

        assert (process.exitcode, task.outcomes) == (0, ["succeeded"] * 3)
        assert "No row is being submitted, so the task goes on" in capfd.readouterr().out

    @pytest.mark.thorough
    def test_no_retry_submits_what_has_failed_since(
        self, batch: BatchTask, connected: Sandbox, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("failed")
        before = len(connected.workflows)
        stop(batch)

        with pytest.raises(BatchFailed) as raised:
            batch.run(cases(3), resubmit_failed=True)

        assert raised.value.retry is Retry.NEVER
        assert len(connected.workflows) == before
