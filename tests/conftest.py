"""What all tests share."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# All that is imported and collected stays until the end: to search it for garbage again and again takes a third of
# the time of collecting the tests, and a tenth of that of running them.
gc.disable()

# Airflow reads its settings when it is imported: they must be there before.
_HOME = Path(tempfile.mkdtemp(prefix="airflow-provider-workflows-tests-"))
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(_HOME / "dags"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
)

from airflow_provider_workflows.sandbox import Sandbox  # noqa: E402

#: The folder whose tests share one running Airflow, and those of its modules that have one of their own.
_SHARING_FOLDER = "tests/integration/"
_WITH_AIRFLOW_OF_THEIR_OWN = (
    "test_dags_test.py",
    "test_nightly_batch.py",
    "test_notifier.py",
    "test_stopped_batches.py",
)
#: What takes longest, first: whatever begins last goes on alone when all else has ended.
_LONGEST_FIRST = (
    _SHARING_FOLDER,
    "tests/stack/test_webhooks.py",
    "tests/stack/test_pages.py",
    "tests/stack/test_chaos.py",
    "tests/stack/test_batch.py",
    "tests/integration/test_nightly_batch.py",
    "tests/integration/test_stopped_batches.py",
    "tests/stack/test_topology.py",
    "tests/stack/test_many_runs.py",
    "tests/stack/test_receiver_under_attack.py",
    "tests/stack/test_webhooks_xcom_backend.py",
    "tests/integration/test_notifier.py",
)


class _OneProcessForEachAirflow(LoadScopeScheduling):
    """Has tests that share an Airflow run in one process, side by side with those of another."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        first = next((scope for scope in _LONGEST_FIRST if scope in self.workqueue), None)
        if first is not None:
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        # A process begins its last test only when it knows the one after it. Until then another process may
        # be the first that has time for the next Airflow.
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(_SHARING_FOLDER) and not file.endswith(_WITH_AIRFLOW_OF_THEIR_OWN):
            return _SHARING_FOLDER
        return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return _OneProcessForEachAirflow(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_finish() -> None:
    gc.freeze()
    # A tenth as often as by default: each full collection goes through what the tests have imported since.
    gc.set_threshold(10_000)
    gc.enable()


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox of the test's own."""
    with Sandbox() as running:
        yield running
