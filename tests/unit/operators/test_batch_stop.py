"""A batch in a process of its own that is told to stop, is overtaken by another try, or loses its supervisor."""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout
from asgiref.sync import SyncToAsync

from airflow_provider_workflows.api.errors import Stopped
from airflow_provider_workflows.batch import ownership
from airflow_provider_workflows.batch.claim import Claim
from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.batch.process import has_ended
from airflow_provider_workflows.operators.batch_record import CLAIM_KEY
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import (
    CASE_CALL,
    PARAMETERS_CALL,
    RESULT_CALL,
    RESULT_PATH,
    RUN_CALL,
    STATUS_CALL,
    STATUS_PATH,
    BatchTask,
    cases,
)

ROWS = 400
FEW_ROWS = 20
#: Of a try whose ``execution_timeout`` passes: longer than it takes to submit the few rows, and shorter than the
#: pause after which a wait writes what has ended.
TIMEOUT_SECONDS = 4
CONCURRENCY = 8
ENDED, FAILED, STOPPED, TIMED_OUT = 0, 1, 3, 4
#: Fork: the child has all modules, and the constants that a test has changed.
PROCESSES = multiprocessing.get_context("fork")


class FileStore:
    """A task state store that several processes share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("{}")

    def get(self, key: str) -> Any:
        with self._locked() as stored:
            return stored.get(key)

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        with self._locked() as stored:
            stored[key] = value

    def delete(self, key: str) -> None:
        with self._locked() as stored:
            stored.pop(key, None)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stored = json.loads(self.path.read_text())
            yield stored
            # At one stroke: the process may be killed.
            written = self.path.with_suffix(".new")
            written.write_text(json.dumps(stored))
            written.replace(self.path)


def run_try(task: BatchTask, rows: int = ROWS, arguments: Mapping[str, Any] | None = None) -> None:
    """Run a try as Airflow's task process does: SIGTERM calls ``on_kill``, and nothing more."""
    # The threads of the parent's pool are not there after a fork.
    SyncToAsync.single_thread_executor = ThreadPoolExecutor(1)
    given = {"deferrable": False, "max_concurrency": CONCURRENCY, **(arguments or {})}
    operator = task.operator(cases(rows), **given)
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    try:
        operator.execute(task.context)
    except Stopped:
        os._exit(STOPPED)
    except AirflowTaskTimeout:
        os._exit(TIMED_OUT)
    except BaseException:  # noqa: BLE001
        os._exit(FAILED)
    os._exit(ENDED)


def run_try_with_timeout(task: BatchTask) -> None:
    """Run a try as Airflow does where ``execution_timeout`` is set; a test says by SIGALRM when that has passed."""
    with timeout(3600):
        run_try(task)


def run_few_rows_until_timeout(task: BatchTask) -> None:
    """Run a try as Airflow does, with an ``execution_timeout`` that passes."""
    arguments = {"execution_timeout": timedelta(seconds=TIMEOUT_SECONDS)}
    with timeout(TIMEOUT_SECONDS):
        run_try(task, FEW_ROWS, arguments)


def run_supervisor(task: BatchTask) -> None:
    """Stand for a supervisor: the task's process is its child."""
    child = PROCESSES.Process(target=run_try, args=(task,))
    child.start()
    child.join()


@pytest.fixture
def task(batch: BatchTask, connected: Sandbox, tmp_path: Path) -> BatchTask:
    batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
    connected.fault("latency", seconds=0.02)
    return batch


@pytest.fixture
def waiting(task: BatchTask, connected: Sandbox) -> BatchTask:
    """A task whose runs do not end."""
    connected.clear_faults()
    connected.define(task.definition_id, seconds=3600.0)
    return task


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


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.005)


def runs(sandbox: Sandbox) -> int:
    return sum(sandbox.counts.runs_per_case.values())


@pytest.mark.thorough
class TestSigterm:
    def test_a_retry_goes_on_at_once_and_no_row_runs_twice(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        process = begin(run_try, task)
        wait_until(lambda: runs(connected) >= 20)
        os.kill(process.pid, signal.SIGTERM)
        process.join(20)
        assert task.store.get(CLAIM_KEY)["is_released"]

        connected.clear_faults()
        task.run(cases(ROWS), deferrable=False)

        assert task.outcomes == ["succeeded"] * ROWS
        assert set(connected.counts.runs_per_case.values()) == {1}
        assert runs(connected) == ROWS

    def test_calls_whose_responses_do_not_come_are_given_up_and_their_rows_alone_are_unknown(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        process = begin(run_try, task)
        wait_until(lambda: runs(connected) >= 20)
        connected.fault("latency", seconds=3600.0, path="/workflows/run")
        wait_until(lambda: connected.counts.requests[RUN_CALL] == runs(connected) + CONCURRENCY)

        os.kill(process.pid, signal.SIGTERM)
        process.join(20)

        assert process.exitcode == STOPPED
        assert task.store.get(CLAIM_KEY)["is_released"]
        submitted = runs(connected)
        assert Counter(task.outcomes) == {
            "running": submitted,
            "unknown": CONCURRENCY,
            "not_submitted": ROWS - submitted - CONCURRENCY,
        }

    @pytest.mark.parametrize("path", [RESULT_PATH, STATUS_PATH], ids=["fetching", "waiting"])
    def test_while_responses_do_not_come_that_start_no_run_ends_in_order(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any], path: str
    ) -> None:
        connected.fault("latency", seconds=3600.0, path=path)
        process = begin(run_try, task, FEW_ROWS)
        wait_until(lambda: connected.counts.requests[f"GET {path}"] > 0)

        os.kill(process.pid, signal.SIGTERM)
        process.join(20)

        assert process.exitcode == STOPPED
        assert task.store.get(CLAIM_KEY)["is_released"]
        assert set(task.outcomes) == {"result_missing" if path == RESULT_PATH else "running"}

    def test_while_fetching_ends_in_order_and_leaves_no_half_output(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        results = "GET /workflows/{workflowId}/result"
        process = begin(run_try, task)
        wait_until(lambda: connected.counts.requests[results] >= 20)

        os.kill(process.pid, signal.SIGTERM)
        process.join(20)

        assert process.exitcode == STOPPED
        assert connected.counts.requests[results] < ROWS
        assert task.outcomes == ["result_missing"] * ROWS

    def test_while_fetching_again_leaves_the_output_with_results_of_before(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        results = "GET /workflows/{workflowId}/result"
        connected.clear_faults()
        task.run(cases(ROWS), deferrable=False)
        task.clear()
        connected.fault("latency", seconds=0.02)
        connected.counts.reset()
        process = begin(run_try, task)
        wait_until(lambda: connected.counts.requests[results] >= 20)

        os.kill(process.pid, signal.SIGTERM)
        process.join(20)

        assert process.exitcode == STOPPED
        assert task.outcomes == ["succeeded"] * ROWS

    def test_while_waiting_ends_in_order_and_leaves_an_output(
        self, waiting: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        process = begin(run_try, waiting)
        wait_until(lambda: connected.counts.requests[STATUS_CALL] > 0)

        os.kill(process.pid, signal.SIGTERM)
        process.join(20)

        assert process.exitcode == STOPPED
        assert waiting.store.get(CLAIM_KEY)["is_released"]
        assert waiting.outcomes == ["running"] * ROWS


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("call", "arguments"),
    [(CASE_CALL, {}), (PARAMETERS_CALL, {"parameters": {"limit": 1}})],
    ids=["a case", "parameters"],
)
def test_a_kill_during_a_call_that_costs_nothing_leaves_no_row_unknown(
    task: BatchTask, connected: Sandbox, begin: Callable[..., Any], call: str, arguments: dict[str, Any]
) -> None:
    connected.fault("latency", seconds=3600.0, path=call.removeprefix("POST "))
    process = begin(run_try, task, FEW_ROWS, arguments)
    wait_until(lambda: connected.counts.requests[call] > 0)

    process.kill()
    process.join()

    connected.clear_faults()
    task.run(cases(FEW_ROWS), deferrable=False, **arguments)
    assert task.outcomes == ["succeeded"] * FEW_ROWS
    assert runs(connected) == FEW_ROWS


def run_try_without_a_disk(task: BatchTask, log: Path) -> None:
    """Run a try whose disk refuses everything, from the id of a run on that comes after the first ones."""
    sync, has_failed = os.fsync, False

    def fsync(file: Any) -> None:
        nonlocal has_failed
        written = Path(f"/proc/self/fd/{file}").read_bytes()
        ids = written.count(b'"workflow_id":"')
        has_failed = has_failed or (ids >= 20 and b'"workflow_id":"' in written.splitlines()[-1])
        if has_failed:
            raise OSError(5, "Input/output error")
        sync(file)

    os.fsync = fsync
    sys.stdout = log.open("w", buffering=1)
    run_try(task)


@pytest.mark.thorough
def test_sigterm_while_the_journal_cannot_be_written_leaves_each_run_in_the_log(
    task: BatchTask, connected: Sandbox, begin: Callable[..., Any], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = begin(run_try_without_a_disk, task, log)
    wait_until(lambda: log.exists() and "cannot be written" in log.read_text())

    os.kill(process.pid, signal.SIGTERM)
    process.join(20)

    in_the_journal = {
        state.workflow_id
        for folder in task.state_folders
        for state in states(ObjectStoragePath(str(folder))).values()
    }
    in_the_log = set(re.findall(r"Workflow (\S+) was started for row", log.read_text()))
    assert process.exitcode in (STOPPED, FAILED)
    assert len(in_the_log) > 0
    assert len((in_the_journal | in_the_log) - {None}) == runs(connected)


class TestExecutionTimeout:
    @pytest.mark.thorough
    def test_calls_under_way_end_no_row_is_unknown_and_the_task_has_timed_out(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        connected.fault("latency", seconds=0.3, path="/workflows/run")
        process = begin(run_try_with_timeout, task)
        # The process waits for the responses to these.
        wait_until(lambda: connected.counts.requests[RUN_CALL] >= runs(connected) + CONCURRENCY)

        os.kill(process.pid, signal.SIGALRM)
        at_the_timeout = runs(connected)
        process.join(20)

        assert process.exitcode == TIMED_OUT
        assert runs(connected) <= at_the_timeout + 2 * CONCURRENCY < ROWS
        assert set(task.outcomes) == {"running", "not_submitted"}
        assert task.outcomes.count("running") == runs(connected)

    def test_the_wait_ends_in_order_and_the_output_has_what_ended_in_it(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        connected.clear_faults()
        connected.define(task.definition_id, seconds=(0.0, 2.0 * TIMEOUT_SECONDS))
        process = begin(run_few_rows_until_timeout, task)

        process.join(30)

        assert process.exitcode == TIMED_OUT
        # Those that have ended have no result yet: it is fetched after the wait.
        assert set(task.outcomes) == {"running", "result_missing"}


@pytest.mark.thorough
class TestTwoTries:
    def test_a_try_that_is_stopped_while_it_waits_for_another_ends_in_order(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        of_another_machine = Claim("first", 1, "another machine:1", has_begun=True)
        task.store.set(CLAIM_KEY, {"format": 1, "clears": 0, **of_another_machine.to_json()})
        process = begin(run_try, task)
        wait_until(lambda: task.store.get(CLAIM_KEY)["token"] != "first")

        os.kill(process.pid, signal.SIGTERM)
        process.join(20)

        assert process.exitcode == STOPPED
        claim = task.store.get(CLAIM_KEY)
        assert (claim["is_released"], claim["has_begun"]) == (True, False)
        assert connected.counts.total_requests == 0

    def test_a_task_that_was_told_to_stop_before_it_began_claims_nothing(
        self, task: BatchTask, connected: Sandbox
    ) -> None:
        operator = task.operator(cases(3))
        operator.on_kill()

        with pytest.raises(Stopped):
            operator.execute(task.context)

        assert (task.store.get(CLAIM_KEY), connected.counts.total_requests) == (None, 0)

    def test_a_try_whose_process_is_dead_is_not_waited_for(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ownership, "LEASE_SECONDS", 3600.0)
        process = begin(run_try, task)
        wait_until(lambda: runs(connected) >= 20)
        process.kill()
        process.join()

        task.run(cases(ROWS), deferrable=False, on_unknown_outcome="fail", max_failed_share=1.0)

        assert task.outcomes.count("unknown") <= CONCURRENCY
        assert set(task.outcomes) <= {"succeeded", "unknown"}


@pytest.mark.thorough
class TestOrphan:
    def test_starts_nothing_more_soon_after_its_supervisor_is_gone(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connected.fault("latency", seconds=0.05)
        supervisor = begin(run_supervisor, task)
        wait_until(lambda: runs(connected) >= 20)

        supervisor.kill()
        supervisor.join()
        at_its_death = runs(connected)
        # The next call of each row that is under way finds that the supervisor is gone.
        wait_until(lambda: _has_ended(task))

        assert runs(connected) <= at_its_death + 2 * CONCURRENCY < ROWS
        assert not (task.folder / "results.jsonl").exists()

    def test_that_fetches_results_ends_without_an_output_and_the_next_try_writes_it(
        self, task: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        supervisor = begin(run_supervisor, task)
        wait_until(lambda: connected.counts.requests[RESULT_CALL] >= 20)

        supervisor.kill()
        supervisor.join()
        wait_until(lambda: _has_ended(task))

        assert connected.counts.requests[RESULT_CALL] < ROWS
        assert not (task.folder / "results.jsonl").exists()
        connected.clear_faults()
        task.run(cases(ROWS), deferrable=False)
        assert task.outcomes == ["succeeded"] * ROWS
        assert runs(connected) == ROWS

    def test_ends_soon_also_where_it_waits_for_runs(
        self, waiting: BatchTask, connected: Sandbox, begin: Callable[..., Any]
    ) -> None:
        supervisor = begin(run_supervisor, waiting)
        wait_until(lambda: connected.counts.requests[STATUS_CALL] > 0)

        supervisor.kill()
        supervisor.join()

        wait_until(lambda: _has_ended(waiting))
        assert not (waiting.folder / "results.jsonl").exists()


def _has_ended(task: BatchTask) -> bool:
    """Return whether the process of the latest try has ended, whose parent is not there any more."""
    return has_ended(task.store.get(CLAIM_KEY)["process"])
