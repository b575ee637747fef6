"""An Airflow whose pages the browser tests open, and the batches that they show."""

from __future__ import annotations

import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, FrameLocator, Page, expect

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.harness.local_airflow import RunningAirflow

BATCH = "pages_batch"
ROWS = 40
MAX_SMALL_BATCH = 10
VIEWER = "vera"
#: What a page waits for takes seconds on a busy machine.
LONG_MILLISECONDS = 120_000
expect.set_options(timeout=LONG_MILLISECONDS)


@dataclass
class Pages:
    """An Airflow whose paths begin with one of its own, and the users of it.

    :param airflow: the running Airflow
    :param url: its base URL, with a path
    :param passwords: by the names of users
    :param sandbox: the service
    :param folder: of inputs and outputs
    :param browser: shows the pages
    """

    airflow: RunningAirflow
    url: str
    passwords: dict[str, str]
    sandbox: Sandbox
    folder: Path
    browser: Browser

    def batch(self, rows: int = ROWS, *, definition: str = DEFINITION) -> str:
        """Start a batch, and return the id of its DAG run."""
        name = uuid.uuid4().hex
        cases = self.folder / f"{name}.csv"
        cases.write_text("first_name\n" + "".join(f"Ada{row}\n" for row in range(rows)))
        conf = {"cases": str(cases), "output": str(self.folder / name), "definition": definition}
        return self.airflow.trigger(BATCH, conf)

    def half_failed(self, rows: int = ROWS) -> str:
        """Run a batch of which the runs fail from about the middle on, and return the id of its DAG run.

        The first row is sent alone, and few others all at once: of these all fail.
        """
        is_small = rows <= MAX_SMALL_BATCH
        definition = self.sandbox.define(seconds=0.5)
        self.sandbox.fault("latency", path="/workflows/run", seconds=2.0 if is_small else 0.3)
        self.sandbox.counts.reset()
        run_id = self.batch(rows, definition=definition)
        succeeds = 1 if is_small else rows // 2
        self.airflow.until(
            lambda: len(self.sandbox.counts.runs_per_case) >= succeeds, 120, "the runs that succeed"
        )
        self.sandbox.define(definition, seconds=0.5, status="FAILED")
        assert self.airflow.wait(BATCH, run_id) == "failed"
        self.sandbox.define(definition, seconds=0.5)
        self.sandbox.clear_faults()
        return run_id

    def wait(self, run_id: str, state: str) -> None:
        """Wait until the batch has a state."""
        self.airflow.until(
            lambda: self.airflow.task_states(BATCH, run_id).get("batch") == state,
            180,
            f"the batch to be {state}",
        )

    def report(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.airflow.xcom(BATCH, run_id, "batch", "workflow_report")
        return found

    def open(self, page: Page, run_id: str, dag_id: str = BATCH, task_id: str = "batch") -> FrameLocator:
        """Open the tab of a batch in Airflow, and return the page of this package in it."""
        page.goto(f"{self.url}/dags/{dag_id}/runs/{quote(run_id)}/tasks/{task_id}/plugin/workflow")
        return page.frame_locator("iframe[title=Workflow]")

    def data(self, run_id: str, path: str, **headers: str) -> urllib.request.Request:
        """Return a request for data of a batch's page."""
        query = urlencode({"dag_id": BATCH, "run_id": run_id, "task_id": "batch"})
        return urllib.request.Request(f"{self.url}/workflows/ui/{path}?{query}", headers=headers)
