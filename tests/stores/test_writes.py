"""Writes to an object store that break off in the middle, or take long."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.batch.ownership import UNCONFIRMED_SECONDS
from airflow_provider_workflows.storage import ObjectStoragePath
from airflow_provider_workflows.whole_files import replacing, write_whole
from tests.stores.conftest import StoreBatch
from tests.unit.batch_task import RUN_CALL
from tests.unit.tasks import stored_trigger

pytestmark = pytest.mark.slow

ROWS = 20
OLD, NEW = b"old\n" * 1000, b"new!\n" * 100_000


def put_at_once(path: ObjectStoragePath) -> None:
    write_whole(path, NEW)


def put_from_the_disk(path: ObjectStoragePath) -> None:
    with replacing(path) as file:
        file.write(NEW)


@pytest.mark.parametrize("write", [put_at_once, put_from_the_disk], ids=["at once", "from the disk"])
def test_that_break_off_leave_the_old_object(
    batch: StoreBatch, write: Callable[[ObjectStoragePath], None]
) -> None:
    batch.store.put(batch.bucket, "out/results.jsonl", OLD)
    batch.gateway.cuts_left = 1000

    with pytest.raises(Exception):  # noqa: B017, PT011  (each store's own)
        write(batch.path("out/results.jsonl"))

    assert batch.gateway.cuts > 0
    assert batch.store.get(batch.bucket, "out/results.jsonl") == OLD
    assert batch.path("out/results.jsonl").read_bytes() == OLD


@pytest.mark.parametrize("write", [put_at_once, put_from_the_disk], ids=["at once", "from the disk"])
def test_that_break_off_once_are_there_as_a_whole_in_the_end(
    batch: StoreBatch, write: Callable[[ObjectStoragePath], None]
) -> None:
    batch.store.put(batch.bucket, "out/results.jsonl", OLD)
    batch.gateway.cuts_left = 1

    write(batch.path("out/results.jsonl"))

    assert batch.gateway.cuts == 1
    assert batch.store.get(batch.bucket, "out/results.jsonl") == NEW


def test_of_a_journal_that_break_off_cost_no_row_and_no_second_run(batch: StoreBatch) -> None:
    batch.put_cases(ROWS)
    batch.gateway.affected, batch.gateway.cuts_left = "journal", 2

    summary = batch.run()

    assert batch.gateway.cuts == 2
    assert summary["outcomes"] == {"succeeded": ROWS}
    assert batch.sandbox.counts.requests[RUN_CALL] == ROWS


def test_that_take_long_do_not_block_the_triggerer(batch: StoreBatch) -> None:
    batch.put_cases(ROWS)
    batch.sandbox.define(batch.task.definition_id, seconds=0.5)
    with pytest.raises(TaskDeferred) as deferred:
        batch.task.operator(batch.input, output_path=batch.output).execute(batch.task.context)
    trigger = stored_trigger(deferred.value)
    batch.gateway.upload_seconds = 3.0

    event, ticks = asyncio.run(_with_ticks(trigger))

    assert batch.gateway.uploads > 0
    assert "error" not in event
    # Some of what is loaded when a trigger begins is loaded in its loop, by Airflow too.
    assert max(later - earlier for earlier, later in pairwise(ticks)) < 1.0


async def _with_ticks(trigger: Any) -> tuple[dict[str, Any], list[float]]:
    """Return a trigger's event, and the moments at which another task of its loop had a turn."""
    ticks = [time.monotonic()]

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.02)
            ticks.append(time.monotonic())

    ticking = asyncio.create_task(tick())
    try:
        event = await anext(trigger.run())
    finally:
        ticking.cancel()
    return json.loads(json.dumps(event.payload)), ticks


@pytest.mark.parametrize("running_store", ["s3"], indirect=True)
def test_that_take_long_let_the_claim_be_confirmed_meanwhile(
    batch: StoreBatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.put_cases(ROWS)
    batch.gateway.affected, batch.gateway.upload_seconds = "journal", UNCONFIRMED_SECONDS + 1

    summary = batch.run(deferrable=False)

    assert summary["outcomes"] == {"succeeded": ROWS}
    assert (
        "Airflow cannot be asked whether this is still the latest try"
        not in capsys.readouterr().out + caplog.text
    )
