"""A whole Airflow that takes the webhooks of a sandbox, for measurements."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.server import ENVIRONMENT_VARIABLE
from benchmarks.harness.components import component_processes
from benchmarks.harness.processes import run_measured, working_folder
from tests.harness.stack import Stack

if TYPE_CHECKING:
    from benchmarks.harness.delivery_sender import Sent

CONN_ID = "workflows_default"
#: Tokens outlive each measurement.
TOKEN_SECONDS = 86_400.0
_CONCURRENCY = 32
_DAGS_FOLDER = Path(__file__).parents[1] / "dags" / "webhooks"
_WAITING, _ON_COMPLETION = "waiting.py", "on_completion.py"

Delivery = tuple[str, str | None]
"""The body of a delivery, and its signature, if it has one."""


def environment_with_webhooks(sandbox: Sandbox) -> dict[str, str]:
    """Return the connection to a sandbox, with webhooks, as environment variables."""
    extra = {**sandbox.connection["extra"], "webhooks": True}
    return {ENVIRONMENT_VARIABLE: json.dumps(sandbox.connection | {"extra": extra})}


@dataclass
class AirflowWithWebhooks:
    """A whole Airflow that takes the webhooks of a sandbox.

    :param folder: for files of the measurement
    """

    stack: Stack
    sandbox: Sandbox
    folder: Path

    def ended_workflows(self, number: int) -> list[str]:
        """Return the ids of ``number`` new workflows, which have ended at the service."""
        return asyncio.run(self._ended_workflows(number))

    def signed(self, workflow_id: str) -> Delivery:
        """Return the delivery that the service would make of a workflow."""
        body = self.sandbox.webhooks.destination.body(workflow_id, "", "COMPLETED", "Workflow")
        return body.decode(), self.sandbox.sign(body)

    def send(self, deliveries: Sequence[Delivery], *, rate: float | None = None) -> list[Sent]:
        """Send deliveries, and return when each was sent, how long its response took, and the status.

        :param rate: in deliveries per second; None for as fast as they are taken
        """
        url = f"{self.stack.running.url}/workflows/webhooks/{CONN_ID}"
        order = {"url": url, "rate": rate, "concurrency": _CONCURRENCY, "deliveries": list(deliveries)}
        file = self.folder / "order.json"
        file.write_text(json.dumps(order))
        sent = run_measured(["-m", "benchmarks.harness.delivery_sender", str(file)], os.environ)
        return [(began, seconds, status) for began, seconds, status in sent]

    def schedule_on_completions(self) -> None:
        """Have a DAG name the asset that completions are events of."""
        shutil.copy(_DAGS_FOLDER / _ON_COMPLETION, self.stack.environment["AIRFLOW__CORE__DAGS_FOLDER"])
        self.stack.running.until(
            lambda: bool(self.stack.sql("SELECT 1 FROM asset_active")), 120, "the asset to be active"
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
        found = 0
        for process in component_processes(self.stack, "api-server"):
            with contextlib.suppress(OSError, psutil.Error):
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

            await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))
        return found


@contextlib.contextmanager
def airflow_with_webhooks() -> Iterator[AirflowWithWebhooks]:
    """Provide a new Airflow with one process of the API server, and its service.

    :raises StackUnavailable: when this machine has no PostgreSQL
    :raises AirflowFailed: when Airflow does not do what it was started for
    """
    with working_folder() as folder, Sandbox(token_seconds=TOKEN_SECONDS) as sandbox:
        dags = folder / "dags"
        dags.mkdir()
        shutil.copy(_DAGS_FOLDER / _WAITING, dags)
        environment = {
            **environment_with_webhooks(sandbox),
            "WORKFLOWS_HOST": sandbox.url,
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__MAX_MAP_LENGTH": "2048",
        }
        with Stack(dags, environment, executor="LocalExecutor", triggerers=1) as stack:
            yield AirflowWithWebhooks(stack, sandbox, folder)
