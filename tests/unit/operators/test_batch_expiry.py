"""How often the runs of a batch are polled that have an expiry, and may wait for a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api.polling import Wait
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.triggers.poller import Poller
from tests.unit.batch_task import BatchTask

ROWS = [{"key": "K1", "parameters": {"limit": 1}}]
DAYS = 20
#: Five minutes between two polls on the first day, and for 20 days if they do not slow down.
FEW, MANY = range(1100, 1400), range(5500, 6500)


@pytest.fixture
def polls(batch: BatchTask, connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return how often a run of the batch is polled until its expiry, by what its wait says."""
    waits: list[Wait] = []
    watch = Poller.watch

    def noting(self: Poller, wait: Wait, on_end: Any) -> Any:
        waits.append(wait)
        return watch(self, wait, on_end)

    monkeypatch.setattr(Poller, "watch", noting)
    connected.define(batch.definition_id, seconds=0.1)

    def count() -> int:
        wait = waits[-1]
        assert wait.expires_at is not None
        now, number = wait.started, 1
        while now < wait.expires_at:
            now += wait.pause(now)
            number += 1
        return number

    return count


def arguments(**given: Any) -> dict[str, Any]:
    return {
        "workflows_conn_id": CONNECTION_IDS[3],
        "expires_at": timedelta(days=DAYS),
        "max_poll_interval": None,
        **given,
    }


@pytest.mark.thorough
@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(("max_poll_interval", "number"), [(None, FEW), (300, MANY)])
def test_polls_become_fewer_unless_their_longest_interval_is_given(
    batch: BatchTask,
    polls: Callable[[], int],
    deferrable: bool,
    max_poll_interval: float | None,
    number: range,
) -> None:
    batch.run(ROWS, **arguments(deferrable=deferrable, max_poll_interval=max_poll_interval))

    assert polls() in number


@pytest.mark.thorough
def test_a_trigger_that_was_stored_without_saying_so_polls_as_often_as_before(
    batch: BatchTask, polls: Callable[[], int]
) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        batch.operator(ROWS, **arguments()).execute(batch.context)
    stored = json.loads(json.dumps(deferred.value.trigger.serialize()[1]))
    del stored["slows_down"]

    async def resumed() -> None:
        await anext(BatchStatusTrigger(**stored).run())

    asyncio.run(resumed())

    assert polls() in MANY
