"""Real Airflow against the sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from development.local_airflow import LocalAirflow, RunningAirflow

DAGS = Path(__file__).parents[2] / "dags"
EXAMPLE = "workflows_single_case"

#: The example's sensor as it stands in the file, and what takes its place for each mode.
SENSOR_ARGUMENT = "deferrable=True"
MODES = {
    "deferrable": SENSOR_ARGUMENT,
    "poke": 'deferrable=False, mode="poke"',
    "reschedule": 'deferrable=False, mode="reschedule"',
}


@pytest.fixture(scope="package")
def dags_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example DAGs, those of these tests, and the single case for each mode of the sensor."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copytree(DAGS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(__file__).parent / "dags", folder, dirs_exist_ok=True)
    readme = (DAGS.parent / "README.md").read_text()
    (folder / "readme.py").write_text(readme.split("```python\n")[1].split("```")[0])
    source = (DAGS / f"{EXAMPLE}.py").read_text()
    assert source.count(SENSOR_ARGUMENT) == 1
    assert source.count(f'"{EXAMPLE}"') == 1
    for mode, arguments in MODES.items():
        variant = source.replace(SENSOR_ARGUMENT, arguments).replace(f'"{EXAMPLE}"', f'"{EXAMPLE}_{mode}"')
        (folder / f"{EXAMPLE}_{mode}.py").write_text(variant)
    return folder


@pytest.fixture(scope="package")
def airflow_sandbox() -> Iterator[Sandbox]:
    """The sandbox that all of these tests share: Airflow is slow to start."""
    with Sandbox() as running:
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
def running_airflow(dags_folder: Path, airflow_sandbox: Sandbox) -> Iterator[RunningAirflow]:
    """API server, scheduler with LocalExecutor, DAG processor and triggerer."""
    with LocalAirflow(dags_folder, airflow_sandbox.environment) as local, local.standalone() as running:
        yield running
