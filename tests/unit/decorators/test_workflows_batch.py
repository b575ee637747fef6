"""``@task.workflows_batch``: the rows of a function, with all that the operator does for those of a list."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.decorators.workflows_batch import BatchTaskArguments, workflows_batch
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.batch_arguments import BatchArguments
from airflow_provider_workflows.operators.input_arguments import InputArguments
from airflow_provider_workflows.operators.output_arguments import OutputArguments
from airflow_provider_workflows.operators.task_arguments import DecoratorArguments
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import RUN_CALL, BatchTask, cases
from tests.unit.tasks import TaskInstance, event_of


class FunctionBatch(BatchTask):
    """A batch task whose rows a function returns."""

    #: How often the function was called.
    calls = 0

    def operator(self, items: Any, **arguments: Any) -> RunWorkflowBatchOperator:
        given = {
            "task_id": "batch",
            "workflow_definition_id": self.definition_id,
            "output_path": str(self.folder),
            "poll_interval": 0.02,
            "max_poll_interval": 0.02,
            **arguments,
        }

        def rows() -> Any:
            self.calls += 1
            if isinstance(items, BaseException):
                raise items
            return items

        with DAG("nightly"):
            output: Any = workflows_batch(**given)(rows)()  # type: ignore[arg-type]
        operator: RunWorkflowBatchOperator = output.operator
        operator.render_template_fields(self.context)
        return operator


@pytest.fixture
def batch(connected: Sandbox, short_pauses: None, tmp_path: Path) -> FunctionBatch:
    """A batch task whose workflows complete at once, in place of the operator's."""
    return FunctionBatch(tmp_path / "nightly", connected.define(seconds=0.0, result={"decision": "PASS"}))


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_rows_of_the_function_are_run(batch: FunctionBatch, deferrable: bool) -> None:
    summary = batch.run(cases(3), deferrable=deferrable)

    assert summary["outcomes"] == {"succeeded": 3}
    assert batch.outcomes == ["succeeded"] * 3
    assert len(batch.deferred) == deferrable


def test_the_function_is_not_called_when_the_task_is_resumed(batch: FunctionBatch) -> None:
    batch.run(cases(3))

    assert len(batch.deferred) == 1
    assert batch.calls == 1


def test_a_function_may_return_the_uri_of_a_file(batch: FunctionBatch, tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    file.write_text("first_name\nAda\nBea\n")

    summary = batch.run(str(file))

    assert summary["outcomes"] == {"succeeded": 2}
    assert batch.deferred[0].kwargs == {"source": str(file)}
    assert batch.ti.xcoms["workflow_report"]["input"] == str(file)


@pytest.mark.thorough
@pytest.mark.parametrize(("outcome", "submitted"), [("failed", 3), ("not_submitted", 3), ("running", 0)])
def test_a_clear_repairs_what_the_function_returned_before(
    batch: FunctionBatch,
    tried: Callable[..., BatchFailed],
    connected: Sandbox,
    outcome: str,
    submitted: int,
) -> None:
    tried(outcome)

    batch.clear()
    summary = batch.run(cases(3))

    assert summary["outcomes"] == {"succeeded": 3}
    assert connected.counts.requests[RUN_CALL] == submitted


@pytest.mark.thorough
def test_a_retry_submits_no_row_twice(
    batch: FunctionBatch, tried: Callable[..., BatchFailed], connected: Sandbox
) -> None:
    tried("running")

    batch.ti.try_number += 1
    batch.run(cases(3))

    assert connected.counts.requests[RUN_CALL] == 0
    assert batch.calls == 2


@pytest.mark.thorough
def test_rows_with_keys_may_change_between_tries(
    batch: FunctionBatch, tried: Callable[..., BatchFailed], connected: Sandbox
) -> None:
    rows = [{"key": f"K{number}", "first_name": f"Ada{number}"} for number in range(3)]
    batch.run(rows)
    connected.counts.reset()

    batch.clear()
    batch.run([*rows, {"key": "K3", "first_name": "Ada3"}])

    assert connected.counts.requests[RUN_CALL] == 1


@pytest.mark.thorough
def test_rows_without_keys_that_change_are_refused_before_anything_is_sent(
    batch: FunctionBatch, tried: Callable[..., BatchFailed], connected: Sandbox
) -> None:
    tried("running")

    batch.clear()
    with pytest.raises(InvalidInput, match="items has changed since this task's first try"):
        batch.run(cases(4))

    assert connected.counts.requests[RUN_CALL] == 0


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (None, "the function returned None, as one without a return does; it must return rows"),
        ([{"first_nam": "Ada"}], "has no name that is a field of a case"),
        ([], "no rows"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_sent(
    batch: FunctionBatch, connected: Sandbox, items: Any, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        batch.run(items)

    assert not connected.counts.requests[RUN_CALL]


def test_what_the_function_raises_fails_the_task_and_shows_on_its_page(batch: FunctionBatch) -> None:
    with pytest.raises(LookupError, match="no such table"):
        batch.run(LookupError("no such table"))

    assert batch.ti.xcoms["workflow_report"]["error"]["type"] == "LookupError"


def test_a_function_that_skips_leaves_no_report_of_a_failure(batch: FunctionBatch) -> None:
    with pytest.raises(AirflowSkipException):
        batch.run(AirflowSkipException("nothing today"))

    assert "workflow_report" not in batch.ti.xcoms


def test_hashes_that_a_change_asks_for_are_made_of_what_the_function_returns_again(
    batch: FunctionBatch, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(connected.environment["AIRFLOW_CONN_WORKFLOWS_DEFAULT"])
    secret = {**connection, "extra": {**connection.get("extra", {}), "hash_secret": "x" * 32}}
    rows = [{"first_name": "Ada", "personal_number": "85010112345"}]
    with pytest.raises(TaskDeferred) as deferred:
        batch.operator(rows).execute(batch.context)
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(secret))

    resumed = batch.operator(rows, hash_personal_numbers=True)
    stored = {**(deferred.value.kwargs or {}), "event": event_of(deferred.value)}
    resumed.resume_execution(deferred.value.method_name, stored, batch.context)

    assert batch.calls == 2
    assert batch.output[0]["personal_number_hash"]


class TestArguments:
    def decorated(self, definition_id: str, **arguments: Any) -> Any:
        @workflows_batch(workflow_definition_id=definition_id, output_path="/out", **arguments)
        def rows(names: Any, day: str = "{{ ds }}", ds: str | None = None, **context: Any) -> list[Any]:
            return [{"first_name": name} for name in names] + [
                {"first_name": f"{day}/{ds}/{len(context) > 0}"}
            ]

        return rows

    def rendered(self, definition_id: str, *args: Any, **kwargs: Any) -> Any:
        with DAG("nightly"):
            operator = self.decorated(definition_id)(*args, **kwargs).operator
        operator.render_template_fields({"ds": "2026-01-31", "params": {}, "ti": TaskInstance()})
        return operator

    def test_are_the_dag_s_and_the_context_s(self) -> None:
        operator = self.rendered("d", ["Ada"], "{{ ds }}")

        rows = operator.call_function({"ds": "2026-01-31", "params": {}})

        assert rows == [{"first_name": "Ada"}, {"first_name": "2026-01-31/2026-01-31/True"}]

    def test_of_lists_are_data_and_not_rendered(self) -> None:
        operator = self.rendered("d", ["{{ ds }}"], "x")

        assert operator.call_function({"ds": "2026-01-31"})[0] == {"first_name": "{{ ds }}"}

    def test_show_in_no_view_of_rendered_templates(self) -> None:
        shown = _serialize_rendered_fields(self.rendered("d", ["Brunhilde"], day="Brunhilde"))

        assert "Brunhilde" not in json.dumps(shown)
        assert shown["op_kwargs"] == {"day": "***"}

    def test_that_are_missing_or_unknown_are_refused_when_the_dag_is_parsed(self) -> None:
        with DAG("nightly"):
            with pytest.raises(TypeError, match="missing a required argument: 'names'"):
                self.decorated("d")()
            with pytest.raises(InvalidInput, match="on_bad_row must be 'fail' or 'skip'"):
                self.decorated("d", on_bad_row="drop")(["Ada"])

    def test_are_refused_of_a_coroutine_function(self) -> None:
        async def rows() -> list[Any]:
            return []

        with DAG("nightly"), pytest.raises(InvalidInput, match="takes a plain function"):
            workflows_batch(workflow_definition_id="d", output_path="/out")(rows)()


def test_airflow_has_it_under_task() -> None:
    with DAG("nightly"):

        @task.workflows_batch(workflow_definition_id="d", output_path="/out")
        def rows() -> list[Any]:
            return []

        operator: Any = rows().operator  # type: ignore[attr-defined]

    assert isinstance(operator, RunWorkflowBatchOperator)
    assert (operator.task_id, operator.custom_operator_name) == ("rows", "@task.workflows_batch")


def test_a_function_that_says_that_it_returns_a_dict_does_not_make_several_outputs() -> None:
    with DAG("nightly"):

        @task.workflows_batch(workflow_definition_id="d", output_path="/out")
        def rows() -> dict[str, Any]:
            return {}

        assert not rows().operator.multiple_outputs  # type: ignore[attr-defined]


def test_type_checkers_know_all_arguments_of_the_operator() -> None:
    own = [
        inspect.signature(each.__init__).parameters  # type: ignore[misc]
        for each in (BatchArguments, InputArguments, OutputArguments)
    ]
    names = set().union(*own) - {"self", "kwargs", "items"}

    assert BatchTaskArguments.__annotations__.keys() - DecoratorArguments.__annotations__.keys() == names
