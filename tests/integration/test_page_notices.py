"""What the page of a task says of Airflow itself: no triggerer runs, a worker is silent, a try was cut off."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil  # type: ignore[import-untyped]  # comes with Airflow
import pytest

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.ui.task_data import TRIGGERER_MISSED_SECONDS, WORKER_MISSED_SECONDS
from tests.harness.browser import BrowserUnavailable, headless, signed_in
from tests.harness.local_airflow import USERNAME, LocalAirflow, RunningAirflow
from tests.harness.process import Process, process_of_task

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(900)]

DAG_ID = "noticed_batches"
#: Waits in the triggerer; the others submit, for longer than these tests take.
DEFERRED = "deferred"
SUBMITTING = ("stopped", "lost", "killed")
FEW_ROWS, MANY_ROWS = 3, 3000
#: After this number of seconds without a sign of the worker Airflow ends a try: later than the page speaks of it.
HEARTBEAT_TIMEOUT_SECONDS = 150
#: What a busy machine may take longer.
LATE_SECONDS = 120.0

NO_TRIGGERER = "The task waits in the triggerer, and needs one that runs: none is running."
NO_WORKER = "The worker has not been heard of"
CUT_OFF = "The latest try was cut off before its last report"


@dataclass
class Batches:
    """The batches of one DAG run, and what their pages say.

    :param local: what Airflow runs in
    :param airflow: the running Airflow
    :param run_id: of the DAG run
    """

    local: LocalAirflow
    airflow: RunningAirflow
    run_id: str

    def task(self, name: str) -> dict[str, str]:
        return {"dag_id": DAG_ID, "run_id": self.run_id, "task_id": name}

    def data(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.airflow.page_data("task", **self.task(name))
        return found

    def until_notice(self, name: str, words: str | None, seconds: float) -> dict[str, Any]:
        """Return the data of a page once its notice begins with these words; for None, once it has no notice."""

        def noticed() -> dict[str, Any] | None:
            data = self.data(name)
            notice = data["notice"]
            is_there = notice is None if words is None else (notice or "").startswith(words)
            return data if is_there else None

        return self.airflow.until(noticed, seconds, f"the notice of {name}: {words}")

    def process(self, name: str) -> psutil.Process:
        """Return the process of a batch that has reported that it submits; its parent supervises it."""
        self.airflow.until(
            lambda: (self.data(name)["report"] or {}).get("phase") == "submitting", 180, f"a report of {name}"
        )
        (instance,) = (one for one in self.airflow.task_instances(DAG_ID, self.run_id) if one.task_id == name)
        return self.airflow.until(lambda: process_of_task(instance.id), 30, f"the process of {name}")


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    """Batches in an Airflow of their own: one that waits, and three that submit slowly."""
    dags, folder = tmp_path_factory.mktemp("dags"), tmp_path_factory.mktemp("batches")
    shutil.copy(Path(__file__).with_name("dags") / f"{DAG_ID}.py", dags)
    for name in (DEFERRED, *SUBMITTING):
        rows = FEW_ROWS if name == DEFERRED else MANY_ROWS
        (folder / f"{name}.csv").write_text("first_name\n" + "".join(f"Ada{row}\n" for row in range(rows)))
    settings = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT_SECONDS),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    with Sandbox() as sandbox, LocalAirflow(dags, sandbox.environment | settings) as local:
        sandbox.fault("latency", seconds=1.0, path="/workflows/run")
        definition = sandbox.define(seconds=3600.0)
        with local.standalone() as airflow:
            run_id = airflow.trigger(DAG_ID, {"folder": str(folder), "definition": definition})
            yield Batches(local, airflow, run_id)


def test_the_page_says_that_a_worker_is_silent_for_as_long_as_it_is(batches: Batches) -> None:
    supervisor = batches.process("stopped").parent()
    before = batches.data("stopped")["notice"]

    supervisor.suspend()
    try:
        silent = batches.until_notice("stopped", NO_WORKER, WORKER_MISSED_SECONDS + LATE_SECONDS)
    finally:
        supervisor.resume()

    assert before is None
    assert (silent["state"], silent["is_over"]) == ("running", False)
    assert batches.until_notice("stopped", None, LATE_SECONDS)["state"] == "running"


def test_the_page_says_that_a_try_whose_worker_was_lost_is_silent_and_then_that_it_was_cut_off(
    batches: Batches,
) -> None:
    process = batches.process("lost")
    supervisor = process.parent()

    for one in (supervisor, process):
        one.kill()

    silent = batches.until_notice("lost", NO_WORKER, WORKER_MISSED_SECONDS + LATE_SECONDS)
    ended = batches.until_notice("lost", CUT_OFF, HEARTBEAT_TIMEOUT_SECONDS + LATE_SECONDS)
    assert silent["state"] == "running"
    assert (ended["state"], ended["report"]["phase"]) == ("failed", "submitting")
    assert ended["buttons"]["repair"] is None


def test_the_page_says_that_a_try_whose_process_was_killed_was_cut_off(batches: Batches) -> None:
    batches.process("killed").kill()

    ended = batches.until_notice("killed", CUT_OFF, LATE_SECONDS)

    assert (ended["state"], ended["report"]["phase"]) == ("failed", "submitting")
    assert ended["buttons"]["repair"] is None
    assert CUT_OFF in shown(batches, "killed")


def test_the_page_says_that_no_triggerer_runs_until_there_is_one(batches: Batches) -> None:
    batches.airflow.until(lambda: batches.data(DEFERRED)["state"] == "deferred", 180, "a batch that waits")
    before = batches.data(DEFERRED)["notice"]

    for process in triggerers(batches.local):
        process.kill()
    alone = batches.until_notice(DEFERRED, NO_TRIGGERER, TRIGGERER_MISSED_SECONDS + LATE_SECONDS)

    assert before is None
    assert (alone["state"], alone["report"]["phase"]) == ("deferred", "waiting")
    assert NO_TRIGGERER in shown(batches, DEFERRED)
    log = batches.local.home / "triggerer.log"
    with Process(["airflow", "triggerer"], batches.local.environment, log):
        assert batches.until_notice(DEFERRED, None, LATE_SECONDS)["state"] == "deferred"


def triggerers(local: LocalAirflow) -> list[psutil.Process]:
    """Return the processes of an Airflow's triggerer."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_its = process.environ().get("AIRFLOW_HOME") == str(local.home)
            if is_its and "triggerer" in " ".join(process.cmdline()):
                found.append(process)
    return found


def shown(batches: Batches, name: str) -> str:
    """Return what a browser shows of a batch's page."""
    url = batches.airflow.url
    try:
        with (
            headless() as browser,
            signed_in(browser, url, USERNAME, batches.local.password) as page,
        ):
            page.goto(f"{url}/workflows/ui/task.html?{urlencode(batches.task(name))}")
            page.get_by_role("heading", name="Progress").wait_for()
            return " ".join(page.locator("main").inner_text().split())
    except BrowserUnavailable as unavailable:
        if os.environ.get("STACK_REQUIRED"):
            raise
        pytest.skip(str(unavailable))
