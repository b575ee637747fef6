"""What the measurements of webhooks have in common: a whole Airflow, the service, and who sends the deliveries."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.server import ENVIRONMENT_VARIABLE
from benchmarks.batch_running import working_folder
from benchmarks.running import MeasurementFailed
from tests.harness.stack import Stack

if TYPE_CHECKING:
    from benchmarks.webhooks_sender import Sent

CONN_ID = "workflows_default"
_CHECKOUT = Path(__file__).parents[1]
_DAGS_FOLDER = Path(__file__).parent / "webhooks_dags"
_WAITING, _ON_COMPLETION = "waiting.py", "on_completion.py"
_AT_ONCE = 32
_SENDER_SECONDS = 1800.0

Delivery = tuple[str, str | None]


@dataclass
class Measured:
    """A whole Airflow that takes the webhooks of a sandbox.

    :param folder: for files of the measurement
    """

    stack: Stack
    sandbox: Sandbox
    folder: Path

    def ended_workflows(self, number: int) -> list[str]:
        """Return the ids of so many new workflows, which have ended at the service."""
        return asyncio.run(self._ended_workflows(number))

    def signed(self, workflow_id: str) -> Delivery:
        """Return the delivery that the service would make of a workflow."""
        body = self.sandbox.webhooks.destination.body(workflow_id, "", "COMPLETED", "Workflow")
        return body.decode(), self.sandbox.sign(body)

    def send(
        self, deliveries: Sequence[Delivery], *, rate: float | None = None, at_once: int = _AT_ONCE
    ) -> list[Sent]:
        """Send deliveries, and return when each was sent, how long its response took, and the status.

        :param rate: in deliveries per second; None for as fast as they are taken
        :param at_once: under way at once without a rate
        """
        url = f"{self.stack.running.url}/workflows/webhooks/{CONN_ID}"
        order = self.folder / "order.json"
        order.write_text(
            json.dumps({"url": url, "rate": rate, "at_once": at_once, "deliveries": list(deliveries)})
        )
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "benchmarks.webhooks_sender", str(order)],
            cwd=_CHECKOUT,
            capture_output=True,
            text=True,
            timeout=_SENDER_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise MeasurementFailed(f"the sender failed: {done.stderr[-2000:]}")
        return [(began, seconds, status) for began, seconds, status in json.loads(done.stdout)]

    def schedule_on_completions(self) -> None:
        """Have a DAG name the asset that completions are events of."""
        shutil.copy(_DAGS_FOLDER / _ON_COMPLETION, self.stack.environment["AIRFLOW__CORE__DAGS_FOLDER"])
        self.stack.running.until(
            lambda: bool(self.stack.sql("SELECT 1 FROM asset_active")), 120, "the asset to be known"
        )

    def requests(self, route: str) -> int:
        """Return how many requests of a route the service has had so far."""
        return self.sandbox.counts.requests[route]

    def database_rows(self) -> int:
        """Return the number of rows of all tables."""
        tables = self.stack.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return sum(
            int(str(number))
            for (table,) in tables
            for (number,) in self.stack.sql(f'SELECT count(*) FROM "{table}"')  # noqa: S608  (its own tables)
        )

    def api_server_bytes(self) -> int:
        """Return the memory of the API server."""
        root = self.stack._processes["api-server"]._process.pid  # noqa: SLF001
        found = 0
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                # Each component has a session of its own, which whatever it starts is in.
                if os.getsid(process.pid) == root:
                    found += process.memory_info().rss
        return found

    async def _ended_workflows(self, number: int) -> list[str]:
        definition_id = self.sandbox.define(seconds=0.0)
        left, found = iter(range(number)), []
        async with self.sandbox.async_client() as client:

            async def work() -> None:
                for _ in left:
                    case = await client.create_case()
                    found.append((await client.run_workflow(definition_id, case.case_id)).id)

            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        return found


@contextlib.contextmanager
def measured() -> Iterator[Measured]:
    """Provide a new Airflow with one process of the API server, and its service.

    :raises StackUnavailable: when this machine has no PostgreSQL and cannot install it
    :raises AirflowFailed: when Airflow does not do what it was started for
    """
    with working_folder() as folder, Sandbox(token_seconds=86_400.0) as sandbox:
        dags = folder / "dags"
        dags.mkdir()
        shutil.copy(_DAGS_FOLDER / _WAITING, dags)
        extra = {**sandbox.connection["extra"], "webhooks": True}
        environment = {
            ENVIRONMENT_VARIABLE: json.dumps(sandbox.connection | {"extra": extra}),
            "WORKFLOWS_HOST": sandbox.url,
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__MAX_MAP_LENGTH": "2048",
        }
        with Stack(dags, environment, executor="LocalExecutor", triggerers=1) as stack:
            yield Measured(stack, sandbox, folder)
