"""The inbox of a batch: what a completion costs to write, and what the reader of an inbox gets."""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any

import pytest

from airflow_provider_workflows.batch import inbox
from airflow_provider_workflows.batch.awaited_runs import FINGERPRINT_BYTES, AwaitedRuns
from airflow_provider_workflows.batch.inbox import InboxReader, InboxSegment, next_write
from airflow_provider_workflows.xcom_keys import INBOX_KEY

DELIVERIES = 100_000
WORKFLOW = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"


class XComs:
    """The XComs of one task, and what was written to them."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {INBOX_KEY: InboxSegment().to_json()}
        self.read_keys: list[str] = []
        self.written_bytes: list[int] = []

    async def read(self, key: str) -> object:
        self.read_keys.append(key)
        return self.values.get(key)

    def write(self, key: str, segment: InboxSegment) -> None:
        self.values[key] = segment.to_json()
        self.written_bytes.append(len(json.dumps(self.values[key])))

    def add(self, *workflow_ids: str) -> None:
        """Add completions as the webhook app does, in one transaction."""
        self.write(*next_write(self.values.get, dict.fromkeys(workflow_ids, "COMPLETED")))


@pytest.mark.thorough
def test_a_hundred_thousand_deliveries_are_as_many_small_writes() -> None:
    xcoms = XComs()

    for number in range(DELIVERIES):
        xcoms.add(str(uuid.UUID(int=number)))

    assert len(xcoms.written_bytes) == DELIVERIES
    assert max(xcoms.written_bytes) <= 1280
    assert sum(xcoms.written_bytes) <= 800 * DELIVERIES
    assert len(xcoms.values) <= 1 + inbox.MAX_CLOSED_SEGMENTS


async def test_what_is_read_between_writes_is_each_completion_once() -> None:
    xcoms = XComs()
    reader = InboxReader(xcoms.read)
    workflow_ids = [str(uuid.uuid4()) for _ in range(500)]
    sizes = [1, 15, 1, 16, 17, 0, 33, 200, 2, 100, 115]
    read: list[tuple[str, str]] = []

    for size in sizes:
        begin = len(read)
        for workflow_id in workflow_ids[begin : begin + size]:
            xcoms.add(workflow_id)
        read += await reader.new_completions()

    assert read == [(workflow_id, "COMPLETED") for workflow_id in workflow_ids]
    assert await reader.new_completions() == []


async def test_completions_of_one_transaction_are_read_together() -> None:
    xcoms = XComs()
    reader = InboxReader(xcoms.read)
    workflow_ids = [str(uuid.uuid4()) for _ in range(300)]

    for begin in range(0, 300, 100):
        xcoms.add(*workflow_ids[begin : begin + 100])

    assert [workflow_id for workflow_id, _ in await reader.new_completions()] == workflow_ids
    assert len(xcoms.values) == 2


async def test_a_reader_that_keeps_up_reads_one_xcom_at_a_time_and_another_where_one_is_full() -> None:
    xcoms = XComs()
    reader = InboxReader(xcoms.read)

    for _ in range(inbox.MAX_SEGMENT_COMPLETIONS):
        xcoms.add(str(uuid.uuid4()))
        await reader.new_completions()

    assert xcoms.read_keys == [INBOX_KEY] * inbox.MAX_SEGMENT_COMPLETIONS + [InboxSegment(1).key]


async def test_a_reader_that_comes_late_gets_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_CLOSED_SEGMENTS", 2)
    monkeypatch.setattr(inbox, "MAX_SEGMENT_COMPLETIONS", 1)
    xcoms = XComs()
    reader = InboxReader(xcoms.read)
    workflow_ids = [str(uuid.uuid4()) for _ in range(10)]

    for workflow_id in workflow_ids:
        xcoms.add(workflow_id)

    assert [workflow_id for workflow_id, _ in await reader.new_completions()] == workflow_ids[-4:]


async def test_an_inbox_that_was_deleted_is_read_anew() -> None:
    xcoms = XComs()
    reader = InboxReader(xcoms.read)
    for _ in range(40):
        xcoms.add(str(uuid.uuid4()))
    await reader.new_completions()

    xcoms.values = {INBOX_KEY: None}
    assert await reader.new_completions() == []
    xcoms.add(WORKFLOW)

    assert await reader.new_completions() == [(WORKFLOW, "COMPLETED")]


@pytest.mark.parametrize("value", [None, "s3://xcoms/d/r/t/x", [], {"number": 0, "ended": []}, 5], ids=str)
def test_anything_else_is_an_inbox_without_completions(value: object) -> None:
    assert InboxSegment.from_json(value) == InboxSegment()


@pytest.mark.thorough
def test_the_runs_that_a_batch_waits_for_are_told_from_others() -> None:
    own, foreign = ([str(uuid.uuid4()) for _ in range(20_000)] for _ in range(2))

    awaited = AwaitedRuns.from_json(json.loads(json.dumps(AwaitedRuns.of(own).to_json())))

    assert awaited is not None
    assert len(awaited) == len(own)
    assert all(workflow_id in awaited for workflow_id in own)
    assert all(workflow_id.upper() in awaited for workflow_id in own[:100])
    # One in two thousand of these tests would find one.
    assert sum(workflow_id in awaited for workflow_id in foreign) <= 1


@pytest.mark.thorough
def test_a_hundred_thousand_runs_take_less_than_a_megabyte() -> None:
    awaited = AwaitedRuns.of(str(uuid.UUID(int=number)) for number in range(DELIVERIES))

    assert len(json.dumps(awaited.to_json())) < 700_000
    assert sys.getsizeof(awaited.fingerprints) < DELIVERIES * FINGERPRINT_BYTES + 100


@pytest.mark.parametrize(
    "value",
    [None, "s3://x", {}, {"format": 2, "fingerprints": ""}, {"format": 1, "fingerprints": "?"}],
    ids=str,
)
def test_runs_that_cannot_be_told_are_not_told(value: object) -> None:
    assert AwaitedRuns.from_json(value) is None


def test_a_batch_without_runs_waits_for_none() -> None:
    assert WORKFLOW not in AwaitedRuns.of([])
