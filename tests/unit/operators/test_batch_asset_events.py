"""Which asset events a batch asks Airflow for, and what they carry."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.task_runner import _serialize_outlet_events

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.lineage.assets import definition
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask, cases


def asset_events(batch: BatchTask) -> dict[str, list[tuple[Any, Any]]]:
    """What Airflow is sent when the task succeeds: extras and partition keys of the events, by the asset's URI."""
    found: dict[str, list[tuple[Any, Any]]] = {}
    for event in _serialize_outlet_events(batch.outlet_events):
        uri = event["dest_asset_key"]["uri"]  # type: ignore[index,call-overload]
        found.setdefault(uri, []).append((event["extra"], event.get("partition_key")))
    return found


class TestAssetEvents:
    @pytest.mark.thorough
    @pytest.mark.parametrize("deferrable", [True, False])
    def test_are_of_the_definition_and_of_the_outlets(
        self, batch: BatchTask, sandbox: Sandbox, deferrable: bool
    ) -> None:
        summary = batch.run(cases(2), outlets=[Asset("results")], deferrable=deferrable)

        extra = {
            "workflow_definition_id": batch.definition_id,
            "counts": {"succeeded": 2},
            "uri": summary["output"],
        }
        assert asset_events(batch) == {
            "results": [(extra, None)],
            definition(batch.definition_id, sandbox.url).uri: [(extra, None)],
        }

    @pytest.mark.thorough
    def test_have_the_partition_key_that_is_given(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.run(cases(1), outlets=[Asset("results")], partition_key="2026-11-30")

        assert [[key for _, key in events] for events in asset_events(batch).values()] == [["2026-11-30"]] * 2

    @pytest.mark.thorough
    def test_are_absent_if_the_batch_fails(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.definition_id = sandbox.define(seconds=0.1, status="FAILED")

        with pytest.raises(BatchFailed):
            batch.run(cases(2), outlets=[Asset("results")])

        assert asset_events(batch) == {}

    @pytest.mark.thorough
    def test_are_asked_for_again_by_the_retry_of_a_batch_that_was_finished(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        batch.run(cases(2), outlets=[Asset("results")])
        before = asset_events(batch)
        batch.outlet_events = OutletEventAccessors()

        batch.run(cases(2), outlets=[Asset("results")])

        assert asset_events(batch) == before
        assert sum(sandbox.counts.runs_per_case.values()) == 2

    def test_a_partition_key_that_turned_out_empty_is_refused_before_anything_is_sent(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        with pytest.raises(InvalidInput, match="partition_key"):
            batch.run(cases(1), partition_key="")

        assert not sandbox.counts.runs_per_case
