"""Nobody pays twice for a batch, whatever people and machines do to it: runs per row, counted at the service."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # comes with Airflow
import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import LocalAirflow, RunningAirflow, TaskInstance
from tests.harness.process import process_of_task

from .conftest import logs_of

# SQLite refuses a change, now and then, while a busy Airflow writes: the API server responds with 500.
pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

DAG_ID, SHARED = "stopped_batches", "shared_output"

#: The kinds of batches: those that are ended while they submit, that are cleared while they wait, or once they have
#: ended.
SUBMITTING = (
    "cleared_while_submitting",
    "marked_while_submitting",
    "terminated_while_submitting",
    "orphaned_while_submitting",
    "timed_out_while_submitting",
)
WAITING = ("cleared_while_deferred", "cleared_while_waiting")
ENDED = ("cleared_after_failure", "cleared_after_success", "started_over")
TOLD_TO_STOP = ("cleared_while_submitting", "marked_while_submitting", "terminated_while_submitting")
#: Of those that submit; it takes them a quarter of a second for each.
ROWS = 60
#: Of the others.
FEW_ROWS = 3
#: Those that a person clears; Airflow tries the others again by itself.
CLEARED = (
    *("cleared_while_submitting", "marked_while_submitting", "timed_out_while_submitting"),
    *WAITING,
    *ENDED,
)
#: How the first of two runs with one output ends.
WAYS_TO_END = ("succeeded", "failed", "deleted")
#: A batch is ended once it has this many runs.
RUNS_BEFORE_THE_END = 4
#: The argument ``max_concurrency`` of each batch.
CALLS_UNDER_WAY = 2
#: An orphan starts nothing more this many seconds after its supervisor's death.
ORPHAN_SECONDS = 10.0


@dataclass
class SharedOutput:
    """An output, a first run with it, and a second one that is begun while the first has not ended.

    :param definitions: the definition of each of the two
    :param refusal: what the second one's first try has logged
    :param state: how the second one has ended
    """

    folder: Path
    definitions: tuple[str, str]
    first: str = ""
    second: str = ""
    refusal: str = ""
    state: str = ""


@dataclass
class Batches:
    """The batches, and what was seen of them on the way.

    :param slow_sandbox: the service of those that submit, or end by themselves
    :param waiting_sandbox: the service of those that wait
    :param definitions: the definition of each kind
    :param folder: holds the inputs and the outputs
    :param killed_at: when the supervisor was killed, in seconds since the epoch
    :param runs_at: number of runs that a batch had when its first try was gone
    :param outcomes_at: the outcomes in the output that a first try has left
    :param shared: the outputs of two runs each, by how the first one ends
    """

    airflow: RunningAirflow
    slow_sandbox: Sandbox
    waiting_sandbox: Sandbox
    definitions: dict[str, str]
    folder: Path
    run_id: str = ""
    state: str = ""
    killed_at: float = 0.0
    runs_at: dict[str, int] = field(default_factory=dict)
    outcomes_at: dict[str, Counter[str]] = field(default_factory=dict)
    shared: dict[str, SharedOutput] = field(default_factory=dict)

    @property
    def workflows(self) -> list[Any]:
        return [*self.slow_sandbox.workflows, *self.waiting_sandbox.workflows]

    def run_times(self, kind: str) -> list[float]:
        """Return when each run of a batch was started, in seconds since the epoch."""
        return [_seconds(one.created_date) for one in self._workflows(kind)]

    def runs_per_row(self, kind: str) -> Counter[str]:
        return Counter(one.case["partyDetails"]["personal"]["firstName"] for one in self._workflows(kind))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        file = self.folder / kind / "results.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def tasks(self) -> dict[str, TaskInstance]:
        return {one.task_id: one for one in self.airflow.task_instances(DAG_ID, self.run_id)}

    def log(self, kind: str, try_number: int = 2) -> str:
        return self.airflow.task_log(DAG_ID, self.run_id, kind, try_number=try_number)

    def logged_at(self, kind: str, text: str, try_number: int) -> float:
        """Return when a try has logged a text first, in seconds since the epoch."""
        lines = [line for line in self.log(kind, try_number).splitlines() if text in line]
        return _seconds(lines[0].split()[0])

    def runs_before_second_try(self, kind: str) -> int:
        """Return the number of runs that a batch had when its second try went on with it."""
        text = "Cleared: " if kind in CLEARED else "Going on with the batch of an earlier try"
        second_at = self.logged_at(kind, text, 2)
        return sum(moment < second_at for moment in self.run_times(kind))

    def until(
        self, *kinds: str, states: tuple[str, ...] | None = None, tries: int = 1, runs: int = 0
    ) -> None:
        """Wait until the task of each kind has one of these states, and tries and runs enough."""

        def there() -> bool:
            tasks = self.tasks()
            return all(
                (states is None or tasks[kind].state in states)
                and tasks[kind].try_number >= tries
                and len(self.run_times(kind)) >= runs
                for kind in kinds
            )

        self.airflow.until(there, 120, f"{', '.join(kinds)}: {states or 'any state'}, {tries=}, {runs=}")

    def clear(self, *kinds: str) -> None:
        self.airflow.clear_all(DAG_ID, self.run_id, kinds)

    def process(self, kind: str) -> psutil.Process:
        return self.airflow.until(
            lambda: process_of_task(self.tasks()[kind].id), 30, f"the process of {kind}"
        )

    def note_end(self, kind: str) -> None:
        """Note what a first try has left, which is gone."""
        self.runs_at[kind] = len(self.run_times(kind))
        self.outcomes_at[kind] = Counter(row["outcome"] for row in self.rows(kind))

    def _workflows(self, kind: str) -> list[Any]:
        return [one for one in self.workflows if one.definition.id == self.definitions[kind]]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def _write_items(folder: Path, kind: str) -> None:
    rows = [
        {"key": f"K{number}", "first_name": f"Row{number}"}
        for number in range(ROWS if kind in SUBMITTING else FEW_ROWS)
    ]
    # The definition of the batch that fails needs parameters at first: a single row of it succeeds.
    lines = [json.dumps(row | ({} if number else {"parameters": {}})) for number, row in enumerate(rows)]
    (folder / f"{kind}.jsonl").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def running_airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    """An Airflow of their own, which notices a dead supervisor soon; all of these batches keep it busy at once."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copy(Path(__file__).with_name("dags") / f"{DAG_ID}.py", folder)
    environment = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    with LocalAirflow(folder, environment) as local, local.standalone() as running:
        yield running


@pytest.fixture(scope="module")
def slow_sandbox(running_airflow: RunningAirflow) -> Iterator[Sandbox]:
    """A sandbox that takes its time to start a run."""
    with Sandbox() as sandbox:
        sandbox.fault("latency", seconds=0.5, path="/workflows/run")
        _connect(running_airflow, "slow", sandbox)
        yield sandbox


@pytest.fixture(scope="module")
def waiting_sandbox(running_airflow: RunningAirflow) -> Iterator[Sandbox]:
    """A sandbox whose runs are pending until its faults are cleared."""
    with Sandbox() as sandbox:
        sandbox.fault("unknown_status", path="/workflows/{workflowId}")
        _connect(running_airflow, "waiting", sandbox)
        yield sandbox


def _connect(airflow: RunningAirflow, connection_id: str, sandbox: Sandbox) -> None:
    fields = {**sandbox.connection, "extra": json.dumps(sandbox.connection["extra"])}
    airflow.call("POST", "/connections", {"connection_id": connection_id, **fields})


@pytest.fixture(scope="module")
def batches(
    running_airflow: RunningAirflow,
    slow_sandbox: Sandbox,
    waiting_sandbox: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Batches:
    """Each batch, ended and cleared as its name says, and its whole DAG run at its end."""
    folder = tmp_path_factory.mktemp("batches")
    definitions = {kind: slow_sandbox.define(seconds=0.0) for kind in (*SUBMITTING, *ENDED)}
    slow_sandbox.define(definitions["cleared_after_failure"], seconds=0.0, needs_parameters=True)
    definitions |= {kind: waiting_sandbox.define(seconds=0.0) for kind in WAITING}
    for kind in definitions:
        _write_items(folder, kind)
    batches = Batches(running_airflow, slow_sandbox, waiting_sandbox, definitions, folder)
    for way in WAYS_TO_END:
        both = waiting_sandbox.define(seconds=0.0), waiting_sandbox.define(seconds=0.0)
        batches.shared[way] = SharedOutput(tmp_path_factory.mktemp("shared"), both)
    batches.run_id = running_airflow.trigger(DAG_ID, {"folder": str(folder), "definitions": definitions})
    for shared in batches.shared.values():
        shared.first = _begin_shared(running_airflow, shared, 0)

    _end_while_submitting(batches)
    _begin_second(batches)
    _clear_others(batches)
    slow_sandbox.clear_faults()
    batches.until(*WAITING, states=("running", "deferred"), tries=2)
    waiting_sandbox.clear_faults()
    _end_first_and_clear_second(batches)
    batches.state = running_airflow.wait(DAG_ID, batches.run_id, 180)
    for shared in batches.shared.values():
        shared.state = running_airflow.wait(SHARED, shared.second, 120)
    return batches


def _end_while_submitting(batches: Batches) -> None:
    """End each batch that is to be ended while it submits, in the order in which they begin to."""
    left = [kind for kind in SUBMITTING if not kind.startswith("timed_out")]
    ended: dict[str, psutil.Process] = {}
    while left:
        kind = batches.airflow.until(
            lambda: next((one for one in left if len(batches.run_times(one)) >= RUNS_BEFORE_THE_END), None),
            120,
            f"one of these to submit: {', '.join(left)}",
        )
        left.remove(kind)
        process = ended[kind] = batches.process(kind)
        if kind.startswith("orphaned"):
            process.parent().kill()
            batches.killed_at = time.time()
        elif kind.startswith("terminated"):
            process.terminate()
        elif kind.startswith("marked"):
            batches.airflow.mark(DAG_ID, batches.run_id, kind, "failed")
        else:
            batches.clear(kind)
    batches.airflow.until(
        lambda: not any(process.is_running() for process in ended.values()), 60, "their processes to end"
    )
    batches.note_end("marked_while_submitting")


def _clear_others(batches: Batches) -> None:
    """Clear what waits, what has ended by itself, and what was ended without a retry."""
    batches.until("cleared_while_deferred", states=("deferred",))
    batches.until("cleared_while_waiting", states=("running",), runs=FEW_ROWS)
    batches.until(*ENDED, states=("success", "failed"))
    batches.until("timed_out_while_submitting", states=("failed",))
    for kind in ("timed_out_while_submitting", *ENDED):
        batches.note_end(kind)
    (batches.folder / "cleared_after_success" / "results.jsonl").unlink()
    batches.slow_sandbox.define(batches.definitions["cleared_after_failure"], seconds=0.0)
    batches.clear(*WAITING, *ENDED, "marked_while_submitting", "timed_out_while_submitting")


def _begin_shared(airflow: RunningAirflow, shared: SharedOutput, number: int) -> str:
    conf = {"folder": str(shared.folder), "definition": shared.definitions[number]}
    return airflow.trigger(SHARED, conf)


def _begin_second(batches: Batches) -> None:
    """Begin a second run with each output once the first one waits, and keep what it says."""
    airflow = batches.airflow
    for shared in batches.shared.values():
        airflow.until(
            lambda shared=shared: airflow.task_states(SHARED, shared.first) == {"run": "deferred"},  # type: ignore[misc]
            120,
            "a first run to be deferred",
        )
        shared.second = _begin_shared(airflow, shared, 1)
    for shared in batches.shared.values():
        shared.state = airflow.wait(SHARED, shared.second)
        shared.refusal = airflow.task_log(SHARED, shared.second, "run")


def _end_first_and_clear_second(batches: Batches) -> None:
    airflow, shared = batches.airflow, batches.shared
    airflow.mark(SHARED, shared["failed"].first, "run", "failed")
    airflow.delete_run(SHARED, shared["deleted"].first)
    assert airflow.wait(SHARED, shared["succeeded"].first) == "success"
    for one in shared.values():
        airflow.clear(SHARED, one.second, "run")


ONE_RUN_A_ROW = tuple(kind for kind in (*SUBMITTING, *WAITING, *ENDED) if kind != "started_over")


@pytest.mark.parametrize("kind", ONE_RUN_A_ROW)
def test_each_row_has_one_run_and_succeeds(batches: Batches, kind: str) -> None:
    rows = batches.rows(kind)

    assert batches.state == "success", logs_of(batches.airflow, DAG_ID, batches.run_id)
    assert [row["key"] for row in rows] == [f"K{n}" for n in range(ROWS if kind in SUBMITTING else FEW_ROWS)]
    assert {row["outcome"] for row in rows} == {"succeeded"}, batches.log(kind)
    assert set(batches.runs_per_row(kind).values()) == {1}
    assert len(batches.run_times(kind)) == len(rows)


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("cleared_while_deferred", f"keeps 0, waits for {FEW_ROWS}, submits 0 anew."),
        ("cleared_while_waiting", f"keeps 0, waits for {FEW_ROWS}, submits 0 anew."),
        ("cleared_after_failure", f"keeps 1, waits for 0, submits {FEW_ROWS - 1} anew."),
        ("cleared_after_success", f"keeps {FEW_ROWS}, waits for 0, submits 0 anew."),
        ("started_over", f"keeps 0, waits for 0, submits {FEW_ROWS} anew. {FEW_ROWS} rows had a run before"),
    ],
)
def test_a_clear_says_first_what_it_keeps_and_submits(batches: Batches, kind: str, counts: str) -> None:
    (line,) = [line for line in batches.log(kind).splitlines() if "Cleared" in line]

    assert " warning " in line
    assert counts in line


@pytest.mark.parametrize("kind", [kind for kind in SUBMITTING if kind in CLEARED])
def test_a_clear_waits_for_each_run_of_a_batch_that_was_ended_while_it_submitted(
    batches: Batches, kind: str
) -> None:
    runs = batches.runs_before_second_try(kind)

    # The runs have ended at once, but nobody has polled them before the clear.
    words = f"Cleared: {ROWS - runs} runs billed: keeps 0, waits for {runs}, submits {ROWS - runs} anew."
    assert words in batches.log(kind)


@pytest.mark.parametrize("kind", TOLD_TO_STOP)
def test_a_batch_that_is_told_to_stop_only_ends_the_calls_under_way(batches: Batches, kind: str) -> None:
    told_at = batches.logged_at(kind, "The task was told to stop: no new row begins", 1)
    runs = batches.runs_before_second_try(kind)

    assert runs - sum(moment <= told_at for moment in batches.run_times(kind)) <= CALLS_UNDER_WAY
    assert runs < ROWS


@pytest.mark.parametrize("kind", ["marked_while_submitting", "timed_out_while_submitting"])
def test_a_try_that_no_retry_follows_leaves_an_output_with_no_row_unknown(
    batches: Batches, kind: str
) -> None:
    runs = batches.runs_at[kind]

    assert batches.outcomes_at[kind] == Counter(running=runs, not_submitted=ROWS - runs)


def test_an_orphan_starts_nothing_more_and_a_retry_goes_on(batches: Batches) -> None:
    kind = "orphaned_while_submitting"
    last_run_at = batches.killed_at + ORPHAN_SECONDS

    runs = batches.runs_before_second_try(kind)

    assert runs == sum(moment <= last_run_at for moment in batches.run_times(kind)) < ROWS
    assert batches.tasks()[kind].try_number == 2


def test_a_batch_that_is_cleared_after_success_starts_no_run_and_writes_its_output_again(
    batches: Batches,
) -> None:
    kind = "cleared_after_success"

    assert batches.runs_at[kind] == len(batches.run_times(kind)) == FEW_ROWS
    assert len(batches.rows(kind)) == FEW_ROWS


def test_a_batch_that_starts_over_runs_each_row_again(batches: Batches) -> None:
    assert set(batches.runs_per_row("started_over").values()) == {2}
    assert f"{FEW_ROWS} rows had a run before" in batches.log("started_over")


@pytest.mark.parametrize("way", WAYS_TO_END)
def test_a_second_run_with_an_output_is_refused_by_the_first_one_s_name_until_that_has_ended(
    batches: Batches, way: str
) -> None:
    shared = batches.shared[way]
    runs = Counter(one.definition.id for one in batches.workflows)

    first = f"task 'run' of DAG '{SHARED}', run '{shared.first}', which has not ended"
    assert f"is the output of {first}" in shared.refusal
    assert "Nothing was sent" in shared.refusal
    assert shared.state == "success", logs_of(batches.airflow, SHARED, shared.second)
    assert [runs[definition] for definition in shared.definitions] == [1, 1]
