"""What a process sees of an object store that others write to, whose keys change, or that lacks a bucket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items, version_of
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.state_files import names_in
from tests.harness.stores.store import CONNECTION_VARIABLE
from tests.stores.conftest import LATER_KEY, StoreBatch
from tests.unit.batch_task import RUN_CALL
from tests.unit.tasks import event_of, stored_trigger

pytestmark = pytest.mark.slow

ROWS = 5


class TestObjectOfAnotherProcess:
    """The file systems keep listings, and say by them what is there and how long it is."""

    def test_is_read_as_it_is_now(self, batch: StoreBatch) -> None:
        batch.put_cases(2)
        batch.path("in").fs.ls(batch.path("in").path)
        first, version = [row.key for row in read_items(batch.input)], version_of(batch.input)

        batch.put_cases(300)

        assert first == ["00001", "00002"]
        assert version_of(batch.input) != version
        assert [row.key for row in read_items(batch.input)] == [f"{row:05}" for row in range(1, 301)]

    def test_is_found_after_a_listing_that_lacked_it(self, batch: StoreBatch) -> None:
        batch.store.put(batch.bucket, "in/other.csv", b"first_name\nAda\n")
        batch.path("in").fs.ls(batch.path("in").path)
        with pytest.raises(InvalidInput, match="there is no file"):
            version_of(batch.input)

        batch.put_cases(2)

        assert [row.key for row in read_items(batch.input)] == ["00001", "00002"]

    def test_is_read_as_an_output_as_it_is_now(self, batch: StoreBatch) -> None:
        uri = batch.store.uri(batch.bucket, "out/results.jsonl")
        batch.store.put(batch.bucket, "out/results.jsonl", b'{"key":"1"}\n')
        first = list(read_output(uri))

        batch.store.put(batch.bucket, "out/results.jsonl", b'{"key":"1"}\n{"key":"2"}\n')

        assert first == [{"key": "1"}]
        assert list(read_output(uri)) == [{"key": "1"}, {"key": "2"}]

    def test_is_among_the_names_of_a_folder(self, batch: StoreBatch) -> None:
        batch.store.put(batch.bucket, "state/a", b"1")
        first = names_in(batch.path("state"))

        batch.store.put(batch.bucket, "state/b", b"1")

        assert (first, names_in(batch.path("state"))) == (["a"], ["a", "b"])


class TestKeyThatChanges:
    """The store refuses the old one from then on; Airflow keeps a file system for the life of a process."""

    @pytest.fixture(autouse=True)
    def renewed_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(storage_retry, "RENEW_SECONDS", 0.5)

    def rotate(self, batch: StoreBatch, monkeypatch: pytest.MonkeyPatch) -> None:
        batch.gateway.valid_key = LATER_KEY
        monkeypatch.setenv(CONNECTION_VARIABLE, batch.store.connection(LATER_KEY))

    def test_while_a_batch_waits_is_picked_up_by_the_triggerer_and_the_worker(
        self, batch: StoreBatch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch.put_cases(ROWS)
        with pytest.raises(TaskDeferred) as deferred:
            batch.task.operator(batch.input, output_path=batch.output).execute(batch.task.context)
        self.rotate(batch, monkeypatch)

        event = event_of(deferred.value)
        summary = batch.task.operator(batch.input, output_path=batch.output).resume_execution(
            "execute_complete", {"event": event}, batch.task.context
        )

        assert batch.gateway.refusals > 0
        assert summary["outcomes"] == {"succeeded": ROWS}
        assert batch.sandbox.counts.requests[RUN_CALL] == ROWS

    def test_in_the_middle_of_the_wait_is_picked_up(
        self, batch: StoreBatch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch.put_cases(ROWS)
        batch.sandbox.define(batch.task.definition_id, seconds=1.5)
        with pytest.raises(TaskDeferred) as deferred:
            batch.task.operator(batch.input, output_path=batch.output).execute(batch.task.context)
        trigger = stored_trigger(deferred.value)

        async def rotated_meanwhile() -> Any:
            asyncio.get_running_loop().call_later(0.7, self.rotate, batch, monkeypatch)
            return await anext(trigger.run())

        event = asyncio.run(rotated_meanwhile()).payload

        assert batch.gateway.refusals > 0
        assert "error" not in event


class TestMissingBucket:
    """Nothing is sent to the service, and the message names the argument."""

    @pytest.mark.parametrize("argument", ["items", "output_path"])
    def test_is_named_with_its_argument_before_anything_is_sent(
        self, batch: StoreBatch, argument: str
    ) -> None:
        batch.put_cases(ROWS)
        places = {"items": batch.input, "output_path": batch.output}
        places[argument] = batch.store.uri("no-such-bucket", "in/cases.csv" if argument == "items" else "out")

        with pytest.raises((InvalidInput, AirflowException), match=rf"{argument}\b.*no-such-bucket"):
            batch.task.run(places["items"], output_path=places["output_path"])

        assert sum(batch.sandbox.counts.requests.values()) == 0
