"""Rows for which the service names one run, in error, or a run that cannot be polled: nobody knows of theirs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.hooks import workflows
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.sandbox.tables import READY_RECORD
from tests.harness.hostile_server import ReceivedRequest, relay
from tests.unit.batch_task import BatchTask

IDS = {
    "the first row's": lambda first, value: first.setdefault("id", value["id"]),
    "text": lambda first, value: first.setdefault("id", value["id"]) if not first else "x",
    "a number": lambda first, value: first.setdefault("id", value["id"]) if not first else 5,
}


@pytest.mark.thorough
@pytest.mark.parametrize("id_of", IDS.values(), ids=IDS)
def test_a_row_whose_run_cannot_be_its_own_is_unknown_and_a_clear_bills_it_no_second_one(
    id_of: Callable[[dict[str, Any], dict[str, Any]], Any],
    batch: BatchTask,
    connected: Sandbox,
    short_pauses: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first: dict[str, Any] = {}

    def change(request: ReceivedRequest, value: Any) -> Any:
        is_started = request.method == "POST" and request.path.endswith("/workflows")
        return value | {"id": id_of(first, value)} if is_started else value

    rows = [{"key": f"k{number}", "record_id": READY_RECORD} for number in range(3)]
    connected.define(batch.definition_id, seconds=0.2)
    with relay(connected.url, change) as server:
        connection = connected.connection_of(3) | {"host": server.host, "port": None}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION_IDS[3].upper()}", json.dumps(connection))
        workflows._tokens.cache_clear()
        workflows._shared_client.cache_clear()
        with caplog.at_level(logging.ERROR, "asyncio"), pytest.raises(BatchFailed, match="2 unknown"):
            batch.run(rows, workflows_conn_id=CONNECTION_IDS[3])
        batch.clear()
        with pytest.raises(BatchFailed, match="2 unknown"):
            batch.run(rows, workflows_conn_id=CONNECTION_IDS[3])

    assert batch.outcomes == ["succeeded", "unknown", "unknown"]
    assert len(connected.workflows) == 3
    assert "KeyError" not in caplog.text
