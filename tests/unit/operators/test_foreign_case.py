"""A run whose response names another case: its id is kept, and the case compared again when it is polled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.hooks import workflows
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.storage import storage_path
from tests.harness.hostile_server import HostileServer, ReceivedRequest, relay
from tests.unit.batch_task import BatchTask, cases
from tests.unit.tasks import event_of

OTHER = "22222222-2222-4222-8222-222222222222"
OFTEN = {"poll_interval": 0.02, "max_poll_interval": 0.02}

Relayed = Callable[..., HostileServer]


@pytest.fixture
def relayed(connected: Sandbox, short_pauses: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relayed]:
    """Have responses of these paths name another case; the connection leads to what changes them."""
    with ExitStack() as stack:

        def make(*parts: str) -> HostileServer:
            def change(request: ReceivedRequest, value: Any) -> Any:
                is_changed = "caseId" in value and any(
                    part in f"{request.method} {request.path}" for part in parts
                )
                return value | {"caseId": OTHER} if is_changed else value

            server = stack.enter_context(relay(connected.url, change))
            for name in connected.environment:
                changed = connected.connection | {"host": server.host, "port": None}
                monkeypatch.setenv(name, json.dumps(changed))
            workflows._tokens.cache_clear()
            workflows._shared_client.cache_clear()
            return server

        yield make


@pytest.fixture
def case_id(connected: Sandbox) -> str:
    with connected.client() as client:
        return client.create_case().case_id


def run_task(connected: Sandbox, case_id: str, context: Any, **arguments: Any) -> str:
    arguments = {"max_outage": 0.3, "deferrable": False, **OFTEN} | arguments

    def operator() -> RunWorkflowOperator:
        return RunWorkflowOperator(
            task_id="run",
            workflow_definition_id=connected.define(DEFINITION, seconds=0.0),
            case_id=case_id,
            wait_for_completion=True,
            **arguments,
        )

    task = operator()
    try:
        return str(task.execute(context))
    except TaskDeferred as deferred:
        return str(task.resume_execution(deferred.method_name, {"event": event_of(deferred)}, context))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_whose_polls_name_its_case_goes_on(
    relayed: Relayed,
    connected: Sandbox,
    case_id: str,
    context: Any,
    deferrable: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    relayed("/workflows/run")

    workflow_id = run_task(connected, case_id, context, deferrable=deferrable)

    assert connected.counts.runs_per_case == {case_id: 1}
    assert workflow_id
    assert "The run is kept" in caplog.text


@pytest.mark.thorough
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_whose_polls_name_another_case_is_not_believed(
    relayed: Relayed, connected: Sandbox, case_id: str, context: Any, deferrable: bool
) -> None:
    relayed("/workflows/")

    with pytest.raises(errors.UnexpectedResponse, match=OTHER):
        run_task(connected, case_id, context, deferrable=deferrable)

    assert connected.counts.runs_per_case == {case_id: 1}


@pytest.mark.thorough
def test_a_retry_compares_the_case_too(
    relayed: Relayed, connected: Sandbox, case_id: str, context: Any
) -> None:
    relayed("/workflows/")
    for _ in range(2):
        with pytest.raises(errors.UnexpectedResponse, match=OTHER):
            run_task(connected, case_id, context)
        context["ti"].try_number += 1

    assert connected.counts.runs_per_case == {case_id: 1}


class TestBatch:
    @pytest.mark.thorough
    def test_rows_whose_polls_name_their_case_succeed(self, relayed: Relayed, batch: BatchTask) -> None:
        relayed("/workflows/run")

        batch.run(cases(3))

        assert batch.outcomes == ["succeeded"] * 3

    @pytest.mark.thorough
    def test_rows_whose_polls_name_another_case_are_not_believed(
        self, relayed: Relayed, batch: BatchTask, connected: Sandbox
    ) -> None:
        server = relayed("POST /workflows/run", "GET /workflows/")

        with pytest.raises(errors.BatchFailed):
            batch.run(cases(3), max_outage=0.3)

        assert batch.outcomes == ["running"] * 3
        assert server.calls.count("POST /workflows/run") == 3
        [folder] = batch.state_folders
        rows = states(storage_path("state", str(folder)))
        assert {state.compared_case_id for state in rows.values()} == {
            state.case_id for state in rows.values()
        }

    @pytest.mark.thorough
    def test_results_of_another_case_are_not_written(self, relayed: Relayed, batch: BatchTask) -> None:
        relayed("/result")

        with pytest.raises(errors.BatchFailed):
            batch.run(cases(3), max_outage=0.3)

        assert batch.outcomes == ["result_missing"] * 3
        assert [row["result"] for row in batch.output] == [None] * 3

    @pytest.mark.thorough
    def test_the_case_of_other_rows_is_not_kept_for_the_wait(self, batch: BatchTask) -> None:
        batch.run(cases(3))

        journal = [Path(name) for folder in batch.state_folders for name in folder.rglob("*.jsonl")]
        assert "compared_case_id" not in json.dumps([path.read_text() for path in journal])
