"""Rows for which the service names one run, in error: the wait of each ends, and that of no other batch is lost."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_workflows.hooks import workflows
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.sandbox.tables import READY_RECORD
from tests.harness.hostile_server import ReceivedRequest, relay
from tests.unit.batch_task import BatchTask


@pytest.mark.thorough
def test_rows_with_one_run_all_end(
    batch: BatchTask,
    connected: Sandbox,
    short_pauses: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first: dict[str, Any] = {}

    def change(request: ReceivedRequest, value: Any) -> Any:
        is_started = request.method == "POST" and request.path.endswith("/workflows")
        return value | {"id": first.setdefault("id", value["id"])} if is_started else value

    rows = [{"key": f"k{number}", "record_id": READY_RECORD} for number in range(3)]
    connected.define(batch.definition_id, seconds=0.2)
    with relay(connected.url, change) as server:
        connection = connected.connection_of(3) | {"host": server.host, "port": None}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION_IDS[3].upper()}", json.dumps(connection))
        workflows._tokens.cache_clear()
        workflows._shared_client.cache_clear()
        with caplog.at_level(logging.ERROR, "asyncio"):
            batch.run(rows, workflows_conn_id=CONNECTION_IDS[3])

    assert batch.outcomes == ["succeeded"] * 3
    assert "KeyError" not in caplog.text
