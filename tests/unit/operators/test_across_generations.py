"""Runs of each generation on connections of each: who waits for them, who fetches results, and who refuses what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.pseudonyms import personal_number_hash
from airflow_provider_workflows.decorators.run_workflow import run_workflow
from airflow_provider_workflows.decorators.workflows_batch import workflows_batch
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, TABLE, Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from tests.unit.operators.test_run_generations import NAME, Connect, connect
from tests.unit.operators.test_run_modes import OFTEN, drive
from tests.unit.tasks import event_of

__all__ = ["connect"]

ID = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"
STARTS: Mapping[int, Mapping[str, Any]] = {
    1: {"case_id": ID},
    2: {},
    3: {"parameters": {"limit": 5}, "expires_at": timedelta(days=1)},
}


def started(sandbox: Sandbox, generation: int, **definition: Any) -> str:
    """Start a run in the way of a generation, and return its id, with the counts at zero."""
    with sandbox.client(api_generation=generation) as client:
        definition_id = sandbox.define(**{"seconds": 0.0, **definition})
        workflow_id = client.run_workflow(definition_id, **STARTS[generation]).id
    sandbox.counts.reset()
    return workflow_id


def sensor(**mode: Any) -> Callable[[str], Any]:
    return lambda workflow_id: WorkflowStatusSensor(
        task_id="wait", workflow_id=workflow_id, **{**OFTEN, **mode}
    )


def result(workflow_id: str) -> GetWorkflowResultOperator:
    return GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id)


READERS: Mapping[str, Callable[[str], Any]] = {
    "poke": sensor(mode="poke", deferrable=False),
    "reschedule": sensor(mode="reschedule", deferrable=False),
    "triggerer": sensor(deferrable=True),
    "result": result,
}
each_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())


@pytest.mark.sampled(5)
@each_reader
@pytest.mark.parametrize("of_run", STARTS)
@pytest.mark.parametrize("of_connection", STARTS)
def test_a_run_of_any_generation_is_understood(
    connect: Connect, context: dict[str, Any], reader: Callable[[str], Any], of_run: int, of_connection: int
) -> None:
    sandbox = connect(of_connection)
    workflow_id = started(sandbox, of_run, seconds=0.03 if reader is not result else 0.0, result={"x": 1})

    returned = drive(lambda: reader(workflow_id), context)

    assert returned == "COMPLETED" or returned["x"] == 1


@pytest.mark.parametrize("of_run", STARTS)
def test_a_failure_status_of_a_run_of_any_generation_ends_the_wait_in_the_triggerer(
    connect: Connect, context: dict[str, Any], of_run: int
) -> None:
    workflow_id = started(connect(1), of_run, seconds=0.05, status="FAILED")

    with pytest.raises(Exception, match="failure status FAILED"):
        drive(lambda: READERS["triggerer"](workflow_id), context)


def operator_with_case() -> Any:
    return RunWorkflowOperator(task_id="run", workflow_definition_id=DEFINITION, case_id=ID)


def operator_with_parameters_id() -> Any:
    return RunWorkflowOperator(task_id="run", workflow_definition_id=DEFINITION, parameters_id=ID)


def new_case() -> Any:
    return CreateCaseOperator(task_id="case", first_name="Johanna")


def returning_case() -> Any:
    return CreateCaseOperator(task_id="case", case_id=ID)


def new_parameters() -> Any:
    return CreateParametersOperator(
        task_id="parameters", workflow_definition_id=DEFINITION, parameters={"limit": 5}
    )


def batch() -> Any:
    return RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id=DEFINITION,
        items=[{"first_name": "Johanna"}],
        output_path=f"{Path.cwd()}/output",
    )


def decorated(returned: Any) -> Callable[[], Any]:
    def make() -> Any:
        def case() -> Any:
            return returned

        with DAG("checks"):
            made: Any = run_workflow(workflow_definition_id=DEFINITION)(case)()
            return made.operator

    return make


def decorated_batch() -> Any:
    def rows() -> Any:
        return [{"first_name": "Johanna"}]

    with DAG("checks"):
        made: Any = workflows_batch(workflow_definition_id=DEFINITION, output_path=f"{Path.cwd()}/output")(
            rows
        )()
    return made.operator


@pytest.mark.sampled(8)
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(operator_with_case, "case_id needs api_generation 1 or 2", id="run with a case"),
        pytest.param(
            operator_with_parameters_id, "parameters_id needs api_generation 1 or 2", id="run with parameters"
        ),
        pytest.param(new_case, "needs api_generation 1 or 2", id="new case"),
        pytest.param(returning_case, "needs api_generation 1 or 2", id="returning case"),
        pytest.param(new_parameters, "needs api_generation 1 or 2", id="new parameters"),
        pytest.param(batch, "api_generation", id="batch of cases"),
        pytest.param(decorated_batch, "api_generation", id="decorated batch of cases"),
        pytest.param(decorated(ID), "case_id needs api_generation 1 or 2", id="decorated run, case"),
        pytest.param(
            decorated({"first_name": "Johanna"}), "needs api_generation 1 or 2", id="decorated run, new case"
        ),
    ],
)
def test_what_is_of_generation_1_is_refused_on_a_connection_of_generation_3_before_anything_is_sent(
    connect: Connect,
    context: dict[str, Any],
    make: Callable[[], Any],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    sandbox = connect(3)

    with pytest.raises(errors.InvalidInput, match=words) as refused:
        make().execute(context)

    assert "3" in str(refused.value)
    assert not sandbox.counts.requests
    assert not sandbox.workflows


class TestMissingScope:
    """A token that lacks a scope: the error has the service's code, words and fingerprint, in each place."""

    @pytest.fixture
    def sandbox_of(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Connect:
        def without_scope(generation: int) -> Sandbox:
            sandbox = connect(generation)
            given = json.loads(sandbox.connection_json)
            token = sandbox.issue_organization_token("can_read_data")
            extra = {**dict(given.get("extra") or {}), "api_generation": generation}
            monkeypatch.setenv(NAME, json.dumps({**given, "password": token, "extra": extra}))
            return sandbox

        return without_scope

    def check(self, error: BaseException, scope: str) -> None:
        found = errors.workflows_error_in(error)
        assert isinstance(found, errors.PermissionDenied)
        assert (found.status, found.code) == (403, "FORBIDDEN")
        assert found.fingerprint
        for words in (f"lacks the scope {scope}", found.fingerprint, "Give the token the scope"):
            assert words in str(found)

    @pytest.mark.parametrize("generation", STARTS)
    def test_in_a_worker_that_starts_a_run(
        self, sandbox_of: Connect, context: dict[str, Any], generation: int
    ) -> None:
        sandbox = sandbox_of(generation)
        task = RunWorkflowOperator(
            task_id="run", workflow_definition_id=sandbox.define(), **STARTS[generation]
        )

        with pytest.raises(errors.PermissionDenied) as denied:
            task.execute(context)  # type: ignore[arg-type]

        self.check(denied.value, "can_run")
        assert not sandbox.workflows

    @each_reader
    def test_in_a_worker_that_waits_or_fetches_a_result(
        self, sandbox_of: Connect, context: dict[str, Any], reader: Callable[[str], Any]
    ) -> None:
        workflow_id = started(sandbox_of(3), 3)

        with pytest.raises(errors.PermissionDenied) as denied:
            drive(lambda: reader(workflow_id), context)

        self.check(denied.value, "can_run or can_view_workspace")

    def test_in_the_triggerer(
        self,
        connect: Connect,
        sandbox_of: Connect,
        context: dict[str, Any],
    ) -> None:
        workflow_id = started(connect(3), 3, seconds=60.0)
        waiting = READERS["triggerer"](workflow_id)
        with pytest.raises(TaskDeferred) as deferred:
            waiting.execute(context)
        sandbox_of(3)

        # The trigger reads the connection by itself, and meets the refusal there.
        with pytest.raises(errors.PermissionDenied) as denied:
            drive_from(deferred.value, lambda: READERS["triggerer"](workflow_id), context)

        self.check(denied.value, "can_run or can_view_workspace")


def drive_from(deferred: TaskDeferred, make: Callable[[], Any], context: dict[str, Any]) -> Any:
    """Run the trigger of a deferred task, and resume the task."""
    return make().resume_execution(deferred.method_name, {"event": event_of(deferred)}, context)


class TestRevision:
    """Which revision a run was of, and what has executed it, are told where somebody may ask later."""

    VERSIONS = {"revision": 7, "execution_version": 1}  # noqa: RUF012

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_of_a_run_is_in_the_report_the_asset_event_and_the_lineage(
        self, connect: Connect, context: dict[str, Any], deferrable: bool
    ) -> None:
        definition_id = connect(3).define(seconds=0.05, revision=7)
        made: list[RunWorkflowOperator] = []

        def make() -> RunWorkflowOperator:
            made.append(
                RunWorkflowOperator(
                    task_id="run",
                    workflow_definition_id=definition_id,
                    wait_for_completion=True,
                    deferrable=deferrable,
                    **OFTEN,  # type: ignore[arg-type]
                )
            )
            return made[-1]

        drive(make, context)

        lineage = made[-1].lineage
        assert lineage is not None
        report = context["ti"].xcoms["workflow_report"]
        for evidence in (report, lineage.extra):
            assert {name: evidence[name] for name in self.VERSIONS} == self.VERSIONS

    @pytest.mark.parametrize("reader", ["poke", "reschedule", "triggerer"])
    @pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
    @pytest.mark.parametrize("generation", [2, 3])
    def test_of_a_run_that_a_sensor_has_waited_for_is_in_its_report_or_the_record_where_that_is_said(
        self, connect: Connect, context: dict[str, Any], reader: str, status: str, generation: int
    ) -> None:
        sandbox = connect(generation)
        with sandbox.client(api_generation=generation) as client:
            record_id = client.create_record(TABLE, {"firstName": "Jana"}).id
            definition_id = sandbox.define(seconds=0.05, revision=7, status=status)
            workflow_id = client.run_workflow(definition_id, record_id=record_id).id

        with nullcontext() if status == "COMPLETED" else pytest.raises(AirflowFailException):
            drive(lambda: READERS[reader](workflow_id), context)

        report = context["ti"].xcoms["workflow_report"]
        expected: dict[str, Any] = {"record_id": record_id} if generation == 2 else self.VERSIONS
        assert {name: report[name] for name in expected} == expected

    def test_of_a_run_that_a_sensor_waits_for_is_in_its_report_while_it_goes_on(
        self, connect: Connect, context: dict[str, Any]
    ) -> None:
        workflow_id = started(connect(3), 3, revision=7, seconds=600.0)

        with pytest.raises(TaskDeferred):
            READERS["triggerer"](workflow_id).execute(context)

        report = context["ti"].xcoms["workflow_report"]
        assert {name: report[name] for name in self.VERSIONS} == self.VERSIONS

    def test_of_a_run_that_is_kept_is_told_by_a_retry(
        self, connect: Connect, context: dict[str, Any]
    ) -> None:
        definition_id = connect(3).define(seconds=0.0, revision=7)
        tasks = [RunWorkflowOperator(task_id="run", workflow_definition_id=definition_id) for _ in range(2)]
        for task in tasks:
            task.execute(context)  # type: ignore[arg-type]

        assert tasks[1].lineage is not None
        assert tasks[1].lineage.revision == 7

    def test_of_a_result_is_in_its_handle(
        self, connect: Connect, context: dict[str, Any], tmp_path: Path
    ) -> None:
        workflow_id = started(connect(3), 3, revision=7)
        operator = GetWorkflowResultOperator(
            task_id="result", workflow_id=workflow_id, output_path=str(tmp_path)
        )

        handle = operator.execute(context)  # type: ignore[arg-type]

        assert {name: handle[name] for name in self.VERSIONS} == self.VERSIONS

    def test_of_a_run_of_generation_1_is_left_out(self, connect: Connect, context: dict[str, Any]) -> None:
        sandbox = connect(1)
        definition_id = sandbox.define(seconds=0.0)
        task = RunWorkflowOperator(task_id="run", workflow_definition_id=definition_id, case_id=ID)

        task.execute(context)  # type: ignore[arg-type]

        assert task.lineage is not None
        assert "revision" not in task.lineage.extra


class TestHash:
    """The hash of a personal number where results have no ``partyDetails``: that of the input, or null."""

    SECRET = "a secret of thirty-two characters"
    OF_ANOTHER = {"owners": [{"personalNumber": "44051401359"}]}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("parameters", "result", "number"),
        [
            ({"personalNumber": "02211012345"}, {}, "02211012345"),
            ({"personalNumber": "02211012345"}, OF_ANOTHER, "02211012345"),
            ({"limit": 5}, {"personal_number": "02211012345"}, "02211012345"),
            ({"limit": 5}, {}, None),
        ],
    )
    def test_is_that_of_the_input_first(
        self,
        connect: Connect,
        context: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        parameters: dict[str, Any],
        result: dict[str, Any],
        number: str | None,
    ) -> None:
        sandbox = connect(3)
        extra = {"api_generation": 3, "hash_secret": self.SECRET}
        monkeypatch.setenv(NAME, json.dumps({**sandbox.connection, "extra": extra}))
        with sandbox.client(api_generation=3) as client:
            definition_id = sandbox.define(seconds=0.0, result={"parameters": None, **result})
            workflow_id = client.run_workflow(definition_id, parameters=parameters).id

        operator = GetWorkflowResultOperator(
            task_id="result", workflow_id=workflow_id, hash_personal_numbers=True
        )
        returned = operator.execute(context)  # type: ignore[arg-type]

        assert returned["personal_number_hash"] == personal_number_hash(number, self.SECRET)
