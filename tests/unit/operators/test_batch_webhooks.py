"""What a batch stores for webhooks before it waits."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.batch.awaited_runs import AwaitedRuns
from airflow_provider_workflows.batch.inbox import InboxSegment
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import AWAITED_RUNS_KEY, INBOX_KEY
from tests.unit.batch_task import BatchTask, cases


@pytest.mark.thorough
@pytest.mark.parametrize("webhooks", [True, False])
def test_a_batch_says_which_runs_it_waits_for_where_webhooks_are_used(
    batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, webhooks: bool
) -> None:
    connection = sandbox.connection
    given = json.dumps(connection | {"extra": connection["extra"] | {"webhooks": webhooks}})
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", given)
    sandbox.define(batch.definition_id, seconds=60.0)

    with pytest.raises(TaskDeferred) as deferred:
        batch.operator(cases(20)).execute(batch.context)

    xcoms = batch.ti.xcoms
    assert deferred.value.trigger.webhooks is webhooks
    assert (INBOX_KEY in xcoms, AWAITED_RUNS_KEY in xcoms) == (webhooks, webhooks)
    if webhooks:
        awaited = AwaitedRuns.from_json(json.loads(json.dumps(xcoms[AWAITED_RUNS_KEY])))
        assert awaited is not None
        assert len(awaited) == 20
        assert all(workflow_id in awaited for workflow_id in sandbox._service.workflows)
        assert InboxSegment.from_json(xcoms[INBOX_KEY]) == InboxSegment()
