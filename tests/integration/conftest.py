"""Real Airflow against the sandbox."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import EXAMPLE_DAGS, LocalAirflow, RunningAirflow

EXAMPLE = "workflows_single_case"

#: The example's sensor as it stands in the file, and what takes its place for each mode.
SENSOR_ARGUMENT = "deferrable=True"
MODES = {
    "deferrable": SENSOR_ARGUMENT,
    "poke": 'deferrable=False, mode="poke"',
    "reschedule": 'deferrable=False, mode="reschedule"',
}

#: Of the DAGs ``events_of_...``; "killed" is killed once all is done, and tried again.
EVENT_MODES = ("worker", "triggerer", "killed", "failing")


@pytest.fixture(scope="package")
def dags_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example DAGs, those of these tests, and the single case for each mode of the sensor."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copytree(EXAMPLE_DAGS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(__file__).parent / "dags", folder, dirs_exist_ok=True)
    source = (EXAMPLE_DAGS / f"{EXAMPLE}.py").read_text()
    assert source.count(SENSOR_ARGUMENT) == 1
    assert source.count(f'"{EXAMPLE}"') == 1
    for mode, arguments in MODES.items():
        variant = source.replace(SENSOR_ARGUMENT, arguments).replace(f'"{EXAMPLE}"', f'"{EXAMPLE}_{mode}"')
        (folder / f"{EXAMPLE}_{mode}.py").write_text(variant)
    return folder


class ServiceClock:
    """The clock by which runs end: the time, until a test moves it on so that long runs end."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def move_on(self, seconds: float) -> None:
        """Let this many seconds have passed, for the service alone."""
        self._ahead += seconds


@pytest.fixture(scope="package")
def service_clock() -> ServiceClock:
    """The clock of the sandbox that all of these tests share."""
    return ServiceClock()


@pytest.fixture(scope="package")
def airflow_sandbox(service_clock: ServiceClock) -> Iterator[Sandbox]:
    """The sandbox that all of these tests share: Airflow is slow to start."""
    with Sandbox(clock=service_clock) as running:
        yield running


@pytest.fixture(scope="package")
def idle_airflow(dags_folder: Path, sandbox_of_idle_airflow: Sandbox) -> Iterator[LocalAirflow]:
    """An Airflow with a database, of which nothing runs.

    It is for ``dags test``: a scheduler on the same database would run the tasks of that run once more.
    """
    with LocalAirflow(dags_folder, sandbox_of_idle_airflow.environment) as local:
        local.migrate()
        yield local


@pytest.fixture(scope="package")
def sandbox_of_idle_airflow() -> Iterator[Sandbox]:
    """The sandbox that the idle Airflow's connection leads to."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="package")
def lineage_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the running Airflow writes its OpenLineage events, one on a line."""
    return tmp_path_factory.mktemp("openlineage") / "events.jsonl"


@pytest.fixture(scope="package")
def local_airflow(dags_folder: Path, airflow_sandbox: Sandbox, lineage_file: Path) -> Iterator[LocalAirflow]:
    """What the running Airflow runs in."""
    transport = {"type": "file", "log_file_path": str(lineage_file), "append": True}
    environment = {"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    with LocalAirflow(dags_folder, airflow_sandbox.environment | environment) as local:
        yield local


@pytest.fixture(scope="package")
def running_airflow(local_airflow: LocalAirflow) -> Iterator[RunningAirflow]:
    """API server, scheduler with LocalExecutor, DAG processor and triggerer."""
    with local_airflow.standalone() as running:
        yield running


@pytest.fixture(scope="package")
def cases_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases."""
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    path.write_text("".join(f'{{"first_name": "Ada{number}"}}\n' for number in range(3)))
    return path


@pytest.fixture(scope="package")
def events_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``events_of_...`` write to."""
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="package")
def events_of(running_airflow: RunningAirflow, cases_file: Path, events_output: Path) -> dict[str, str]:
    """A run of each ``events_of_...``, by mode: all under way at once, and ended."""
    # Those that wait for events must be known before there are any.
    for dag_id in ("events_are_consumed", "workflows_daily_report", "workflows_downstream"):
        running_airflow.until(
            lambda dag_id=dag_id: running_airflow.call("GET", "/dags", dag_id_pattern=dag_id)["dags"],  # type: ignore[misc]
            120,
            f"the DAG {dag_id}",
        )
        running_airflow.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    conf = {"cases": str(cases_file), "output": str(events_output)}
    ids = {mode: running_airflow.trigger(f"events_of_{mode}", conf) for mode in EVENT_MODES}
    for mode, run_id in ids.items():
        state = running_airflow.wait(f"events_of_{mode}", run_id, 300)
        expected = "failed" if mode == "failing" else "success"
        assert state == expected, logs_of(running_airflow, f"events_of_{mode}", run_id)
    return ids


def logs_of(airflow: RunningAirflow, dag_id: str, run_id: str) -> str:
    """The logs of those tasks of a run that have failed."""
    return "\n".join(
        f"{task.task_id} {task.state}\n"
        + airflow.task_log(
            dag_id, run_id, task.task_id, try_number=max(task.try_number, 1), map_index=task.map_index
        )
        for task in airflow.task_instances(dag_id, run_id)
        # Others that have not succeeded were not begun, and have no log.
        if task.state == "failed"
    )
