"""``@task.run_workflow``: the case of a function, with all that the operator does for one that exists."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.decorators.run_workflow import NOT_TAKEN, RunTaskArguments, run_workflow
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.task_arguments import DecoratorArguments
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.operators.test_run_modes import OFTEN, drive

RUN_CALL, CASE_CALL, PARAMETERS_CALL = "POST /workflows/run", "POST /cases", "POST /parameters"
PERSON = {"first_name": "Brunhilde", "personal_number": "85010112345"}

pytestmark = pytest.mark.usefixtures("connected", "short_pauses")


class FunctionRun:
    """A task whose function returns what it is told to.

    :param sandbox: the service
    :param context: of the task
    """

    calls = 0

    def __init__(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        self.sandbox = sandbox
        self.context = context
        self.definition_id = sandbox.define(seconds=0.0)

    def operator(self, returned: Any, **arguments: Any) -> Any:
        given = {"task_id": "run", "workflow_definition_id": self.definition_id, "wait_for_completion": True}

        def case() -> Any:
            self.calls += 1
            if isinstance(returned, BaseException):
                raise returned
            return returned

        with DAG("checks"):
            output: Any = run_workflow(**given, **OFTEN, **arguments)(case)()  # type: ignore[arg-type]
        operator = output.operator
        operator.render_template_fields(self.context)
        return operator

    def run(self, returned: Any, **arguments: Any) -> Any:
        """Run one try to its end."""
        return drive(lambda: self.operator(returned, **arguments), self.context)

    @property
    def requests(self) -> dict[str, int]:
        counted = self.sandbox.counts.requests
        return {call: counted[call] for call in (CASE_CALL, PARAMETERS_CALL, RUN_CALL) if counted[call]}

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = self.context["ti"].xcoms["workflow_report"]
        return report


@pytest.fixture
def subject(connected: Sandbox, context: dict[str, Any]) -> FunctionRun:
    return FunctionRun(connected, context)


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_case_of_the_function_is_created_and_run(subject: FunctionRun, deferrable: bool) -> None:
    workflow_id = subject.run(PERSON, deferrable=deferrable)

    (workflow,) = subject.sandbox.workflows
    assert workflow.id == workflow_id
    assert workflow.case["partyDetails"]["personal"]["firstName"] == "Brunhilde"
    assert subject.requests == {CASE_CALL: 1, RUN_CALL: 1}


@pytest.mark.parametrize("form", ["id", "dict"])
def test_a_case_that_exists_is_run_without_another(subject: FunctionRun, form: str) -> None:
    with subject.sandbox.client() as client:
        case_id = client.create_case().case_id
    subject.sandbox.counts.reset()

    subject.run(case_id if form == "id" else {"case_id": case_id})

    assert subject.requests == {RUN_CALL: 1}
    assert subject.report["case_id"] == case_id


def test_parameters_of_the_function_are_created(subject: FunctionRun) -> None:
    subject.run({**PERSON, "parameters": {"depth": 1}})

    (workflow,) = subject.sandbox.workflows
    assert workflow.parameters == {"depth": 1}
    assert subject.requests == {CASE_CALL: 1, PARAMETERS_CALL: 1, RUN_CALL: 1}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_clear_keeps_the_run_that_has_succeeded(subject: FunctionRun, deferrable: bool) -> None:
    workflow_id = subject.run(PERSON, deferrable=deferrable)
    subject.sandbox.counts.reset()

    subject.context["ti"].clear()

    assert subject.run(PERSON, deferrable=deferrable) == workflow_id
    assert subject.requests == {}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_clear_runs_the_same_case_again_after_a_failure(subject: FunctionRun, deferrable: bool) -> None:
    subject.sandbox.define(subject.definition_id, seconds=0.0, status="FAILED")
    with pytest.raises(errors.WorkflowFailed):
        subject.run({**PERSON, "parameters": {"depth": 1}}, deferrable=deferrable)
    subject.sandbox.define(subject.definition_id, seconds=0.0)
    subject.sandbox.counts.reset()

    subject.context["ti"].clear()
    subject.run({**PERSON, "parameters": {"depth": 1}}, deferrable=deferrable)

    assert subject.requests == {RUN_CALL: 1}


def test_a_retry_goes_on_with_the_run_that_there_is(subject: FunctionRun) -> None:
    subject.sandbox.fault("server_error", status=503, path="/workflows/{workflowId}")
    with pytest.raises(errors.WorkflowsError):
        subject.run(PERSON, max_outage=0.05, deferrable=False)
    subject.sandbox.clear_faults()

    subject.context["ti"].try_number += 1
    subject.run(PERSON, deferrable=False)

    assert subject.requests == {CASE_CALL: 1, RUN_CALL: 1}
    assert subject.calls == 2


@pytest.mark.thorough
def test_a_run_of_which_nobody_knows_is_not_submitted_again(subject: FunctionRun) -> None:
    subject.sandbox.fault("cut_after", path="/workflows/run")
    with pytest.raises(AirflowFailException):
        subject.run(PERSON)
    subject.sandbox.clear_faults()
    before = len(subject.sandbox.workflows)

    subject.context["ti"].clear()
    with pytest.raises(AirflowFailException, match="nobody knows whether there is one"):
        subject.run(PERSON)

    assert len(subject.sandbox.workflows) == before


def test_another_case_is_another_run(subject: FunctionRun) -> None:
    first = subject.run(PERSON)

    subject.context["ti"].clear()

    assert subject.run({**PERSON, "first_name": "Kriemhild"}) != first


@pytest.mark.thorough
@pytest.mark.parametrize("durable", [True, False])
def test_the_function_is_not_called_when_the_task_is_resumed(subject: FunctionRun, durable: bool) -> None:
    subject.sandbox.define(subject.definition_id, seconds=0.2)

    subject.run(PERSON, deferrable=True, durable=durable)

    assert subject.calls == 1
    assert subject.report["case_id"] == subject.sandbox.workflows[0].case["caseId"]


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "what the function returned must be the id of a case, or a dict .*, not NoneType"),
        ({}, "not an empty dict"),
        ([PERSON], "not list"),
        ({"case_id": "c", "first_name": "Ada"}, "has a case_id, and fields of a case beside it"),
        ({"parameters": {}, "parameters_id": "p"}, "has parameters and a parameters_id"),
        ({"firstnam": "Brunhilde"}, "what the function returned.firstnam"),
        ({"personal_number": 85010112345}, "personal_number: is a number"),
        ({"case_id": "not a/case"}, "case_id"),
        ({**PERSON, "parameters": {"when": object()}}, "parameters"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_sent(
    subject: FunctionRun, returned: Any, words: str
) -> None:
    with pytest.raises(errors.InvalidInput, match=words) as raised:
        subject.run(returned)

    assert subject.requests == {}
    assert not [value for value in PERSON.values() if value in str(raised.value)]


def test_what_the_function_raises_fails_the_task_and_shows_on_its_page(subject: FunctionRun) -> None:
    with pytest.raises(LookupError):
        subject.run(LookupError("no such table"))

    assert subject.report["error"]["type"] == "LookupError"
    assert subject.requests == {}


def test_a_function_that_skips_leaves_no_report_of_a_failure(subject: FunctionRun) -> None:
    with pytest.raises(AirflowSkipException):
        subject.run(AirflowSkipException("nobody today"))

    assert "workflow_report" not in subject.context["ti"].xcoms


def test_arguments_show_in_no_view_of_rendered_templates(context: dict[str, Any]) -> None:
    with DAG("checks"):

        @run_workflow(workflow_definition_id="{{ 'd' }}")
        def case(name: str, person: Any = None) -> Any:
            return {"first_name": name}

        operator: Any = case("Brunhilde", person={"first_name": "Brunhilde"}).operator  # type: ignore[attr-defined]
    operator.render_template_fields(context)

    shown = _serialize_rendered_fields(operator)

    assert shown["workflow_definition_id"] == "d"
    assert "Brunhilde" not in json.dumps(shown)
    assert operator.call_function(context) == {"first_name": "Brunhilde"}


def test_airflow_has_it_under_task_and_maps_it() -> None:
    with DAG("checks"):

        @task.run_workflow(workflow_definition_id="d", wait_for_completion=True)
        def case(person: Any) -> dict[str, Any]:
            return {"first_name": person}

        single: Any = case("Ada").operator  # type: ignore[attr-defined]
        mapped: Any = case.expand(person=["Ada", "Bea"]).operator  # type: ignore[attr-defined]

    assert isinstance(single, RunWorkflowOperator)
    assert not single.multiple_outputs
    assert mapped.unmap({"op_kwargs": {"person": "Ada"}}).wait_for_completion


@pytest.mark.parametrize("name", ["run_workflow", "workflows_batch"])
def test_without_arguments_it_says_what_it_needs(name: str) -> None:
    with pytest.raises(errors.InvalidInput, match=f"@task.{name} needs workflow_definition_id"):
        getattr(task, name)(lambda: None)


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_a_function_cannot_return_is_refused_by_name(name: str) -> None:
    given: dict[str, Any] = {"task_id": "run", "workflow_definition_id": "any", name: "any"}

    with DAG("refused"), pytest.raises(errors.InvalidInput, match=rf"^{name} is not an argument"):
        run_workflow(**given)(lambda: "")()


def test_type_checkers_know_all_arguments_of_the_operator() -> None:
    names = set(inspect.signature(RunWorkflowOperator.__init__).parameters)
    of_function = {"self", "kwargs", "case_id", "parameters_id", *NOT_TAKEN}

    assert RunTaskArguments.__annotations__.keys() - DecoratorArguments.__annotations__.keys() == (
        names - of_function
    )


def test_a_template_in_what_the_function_returns_is_sent_as_it_is(subject: FunctionRun) -> None:
    subject.run({"first_name": "{{ conn.workflows_default.password }}"})

    sent = subject.sandbox.workflows[0].case["partyDetails"]["personal"]["firstName"]
    assert sent == "{{ conn.workflows_default.password }}"
