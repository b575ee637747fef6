"""The system under chaos: the stack, the service, the storage, and the tasks that they run."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil  # type: ignore[import-untyped]  # comes with Airflow

from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.storage import ObjectStoragePath
from development.chaos import storage
from development.chaos.logs import TaskLogs
from development.chaos.service import Service
from development.chaos.table import Person, Table
from tests.harness.process import process_of_task
from tests.harness.stack.settings import CHECKOUT
from tests.harness.stack.stack import Stack

if TYPE_CHECKING:
    from typing_extensions import Self

SINGLE_RUNS, BATCH, START_OVER = "chaos_single_runs", "chaos_batch", "chaos_start_over"
CONNECTION = "chaos"
TASK = "run"
#: A run that was started less than this many seconds ago says that its batch submits.
SUBMITTING_SECONDS = 2.0
#: A call that starts a run takes this many seconds at most.
LONGEST_CALL_SECONDS = 15.0
#: An init system ends what has not ended by itself this many seconds after SIGTERM.
GRACE_SECONDS = 30.0

#: Airflow notices dead processes sooner than by default.
_SOONER = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    # A task that a killed worker had taken, and had not begun, is given to another one after this time.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
}


@dataclass(frozen=True, slots=True)
class TaskState:
    """What the metadata database says of a task instance.

    :param id: its id
    :param map_index: its number if it is mapped, else -1
    :param state: ``success``, ``failed``, ...; None before it is scheduled
    :param try_number: number of its try
    """

    id: str
    map_index: int
    state: str | None
    try_number: int


@dataclass(frozen=True)
class Size:
    """How much there is of everything.

    :param single_runs: number of tasks with a run of their own
    :param rows: rows of the batch
    :param start_over_rows: rows of the batch that starts over
    :param requests_per_second: of the batches
    :param run_seconds: bounds of how long a run takes
    :param poll_seconds: bounds of the seconds between two polls of a run
    """

    single_runs: int
    rows: int
    start_over_rows: int
    requests_per_second: float
    run_seconds: tuple[float, float]
    poll_seconds: tuple[float, float]


class System:
    """Everything that chaos happens to, as a context manager that starts all of it and removes it again.

    :param size: how much there is of everything
    :param seed: of what the service draws
    :param generation: of the API
    :raises StackUnavailable: on entering, if this machine has no PostgreSQL or Redis
    :raises AirflowFailed: on entering, when a part does not start
    """

    def __init__(self, size: Size, seed: int, generation: int) -> None:
        self.size = size
        self._generation = generation
        self.service = Service(seed, size.run_seconds)
        self._cleanup = contextlib.ExitStack()
        self._run_ids: dict[str, str] = {}
        self.definitions: dict[str, str] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
            self.storage_flag = self.folder / "storage-fails"
            storage.install(self.folder / "packages")
            cleanup.callback(self.service.stop)
            self.service.start()
            paths = [
                str(self.folder / "packages"),
                str(CHECKOUT),
                *filter(None, [os.environ.get("PYTHONPATH")]),
            ]
            environment = {
                "PYTHONPATH": os.pathsep.join(paths),
                "CHAOS_REQUESTS_PER_SECOND": str(self.size.requests_per_second),
                "CHAOS_POLL_SECONDS": "{} {}".format(*self.size.poll_seconds),
                "CHAOS_GENERATION": str(self._generation),
                storage.FLAG_VARIABLE: str(self.storage_flag),
            }
            self.stack = cleanup.enter_context(
                Stack(Path(__file__).with_name("dags"), environment | _SOONER, workers=2, triggerers=2)
            )
            self.logs = TaskLogs(self.stack.folder / "logs")
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def begin(self) -> None:
        """Start the single runs and the batches."""
        connection = self.service.sandbox.connection_of(self._generation)
        self.stack.running.add_connection(CONNECTION, connection)
        persons = [
            Person(f"Single{number}", "Export1", f"{70_000_000_000 + number}")
            for number in range(self.size.single_runs)
        ]
        self.subject_ids = self.service.create_subjects(persons, self._generation)
        self.service.add_faults()
        # Generation 3 has no cases, and with generation 2 the batches are of these and the single runs of records.
        self.tables = {
            name: Table(self.folder / f"{name}.csv", prefix, rows, of_records=self._generation == 3)
            for name, prefix, rows in (
                (BATCH, "Row", self.size.rows),
                (START_OVER, "Anew", self.size.start_over_rows),
            )
        }
        self.definitions = {name: self.service.define() for name in (SINGLE_RUNS, BATCH, START_OVER)}
        for name, table in self.tables.items():
            table.export()
            conf = {
                "cases": str(table.path),
                "output": f"{storage.SCHEME}://{self.output(name)}",
                "definition": self.definitions[name],
            }
            self._run_ids[name] = self.stack.running.trigger(name, conf)
        subjects = {"subject_ids": self.subject_ids, "definition": self.definitions[SINGLE_RUNS]}
        self._run_ids[SINGLE_RUNS] = self.stack.running.trigger(SINGLE_RUNS, subjects)

    def output(self, name: str) -> Path:
        """Return the folder of a batch's output."""
        return self.folder / "output" / name

    def output_rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a batch's output; empty where it has none."""
        file = self.output(name) / "results.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def tasks(self, name: str) -> list[TaskState]:
        """Return the task instances of a DAG that run workflows, by their map index."""
        rows = self.stack.sql(
            "SELECT id, map_index, state, try_number FROM task_instance"
            " WHERE dag_id = :dag AND run_id = :run AND task_id = :task ORDER BY map_index",
            dag=name,
            run=self._run_ids[name],
            task=TASK,
        )
        return [TaskState(str(id_), *cast("tuple[int, str | None, int]", rest)) for id_, *rest in rows]

    def task(self, name: str) -> TaskState:
        """Return the task instance of a batch."""
        (task,) = self.tasks(name)
        return task

    def has_succeeded(self, name: str) -> bool:
        """Return whether a batch and its DAG run have succeeded.

        A task that is cleared between the two is never scheduled: Airflow then takes its run for ended.
        """
        rows = self.stack.sql("SELECT state FROM dag_run WHERE dag_id = :dag", dag=name)
        return rows == [("success",)] and self.task(name).state == "success"

    def is_submitting(self, name: str) -> bool:
        """Return whether a batch submits rows at this time."""
        if self.task(name).state != "running":
            return False
        since = time.time() - SUBMITTING_SECONDS
        latest = itertools.takewhile(lambda run: run.started > since, reversed(self.service.runs()))
        return any(run.definition_id == self.definitions[name] for run in latest)

    def clear(self, name: str, map_index: int = -1) -> None:
        """Clear a task instance, as a person does."""
        self.stack.running.clear(name, self._run_ids[name], TASK, map_index=map_index)

    def mark_failed(self, name: str, map_index: int = -1) -> None:
        """Mark a task instance as failed, as a person does."""
        self.stack.running.mark(name, self._run_ids[name], TASK, "failed", map_index=map_index)

    def store_token(self) -> None:
        """Store the service's present token in the connection, as a person does."""
        fields = self.service.sandbox.connection_of(self._generation)
        connection = {**fields, "connection_id": CONNECTION, "extra": json.dumps(fields["extra"])}
        self.stack.running.call("PATCH", f"/connections/{CONNECTION}", connection)

    def process(self, task: TaskState) -> psutil.Process | None:
        """Return the process that runs a task instance; its parent is the task's supervisor."""
        return process_of_task(task.id)

    def worker_of(self, process: psutil.Process) -> str | None:
        """Return the name of the worker that a process belongs to."""
        return next((name for name in self._workers() if process.pid in self.stack.members(name)), None)

    def _workers(self) -> list[str]:
        names = self.stack.topology.components
        return [name for name in names if name.startswith("worker") and self.stack.is_running(name)]

    def subjects_under_way(self) -> set[str]:
        """Return the ids of the cases and records whose run is being started, and has no response (yet)."""
        return self._batch_subjects_under_way() | self._single_subjects_under_way()

    def _batch_subjects_under_way(self) -> set[str]:
        return {
            str(row.record_id or row.case_id)
            for name in (BATCH, START_OVER)
            for folder in (self.output(name) / "_state").glob("*")
            for number, row in states(ObjectStoragePath(f"file://{folder}")).items()
            if number and row.begun == "run" and row.workflow_id is None
            # One that is older has lost its response before.
            if (row.submitted_at or 0.0) > time.time() - LONGEST_CALL_SECONDS
        }

    def _single_subjects_under_way(self) -> set[str]:
        states_of_tasks = {task.map_index: task.state for task in self.tasks(SINGLE_RUNS)}
        return {
            self.subject_ids[map_index]
            for map_index, record in self.single_records().items()
            if record["phase"] == "submitting" and states_of_tasks.get(map_index) != "failed"
        }

    def single_records(self) -> dict[int, dict[str, object]]:
        """Return what the tasks of single runs have recorded, by their map index."""
        rows = self.stack.sql(
            "SELECT map_index, value FROM task_state_store WHERE dag_id = :dag AND key = 'workflow_run'",
            dag=SINGLE_RUNS,
        )
        return {int(str(map_index)): json.loads(str(value)) for map_index, value in rows}

    def single_results(self) -> dict[int, str]:
        """Return the ids of workflows that the tasks of single runs have returned, by their map index."""
        rows = self.stack.sql(
            "SELECT map_index, value::text FROM xcom"
            " WHERE dag_id = :dag AND task_id = :task AND key = 'return_value'",
            dag=SINGLE_RUNS,
            task=TASK,
        )
        return {int(str(map_index)): str(json.loads(str(value))) for map_index, value in rows}
