"""A literal that cannot be right is refused when the DAG is parsed; what is rendered is left for the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, literal, task

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.decorators.run_workflow import run_workflow
from airflow_provider_workflows.decorators.workflows_batch import workflows_batch
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.table_record import CreateRecordOperator
from tests.unit.operators.test_arguments import NEEDED, make

SECRET = "Brunhilde"


def returned() -> dict[str, Any]:
    return {}


def batch_task(**arguments: Any) -> object:
    return workflows_batch(workflow_definition_id="d", output_path="/out", **arguments)(returned)()


def run_task(**arguments: Any) -> object:
    return run_workflow(**{"workflow_definition_id": "d", **arguments})(returned)()


def of(operator: type[BaseOperator]) -> Callable[..., object]:
    return lambda **arguments: make(operator, **arguments)


#: What takes inline parameters or a record's fields, and the name of that argument.
TAKES_JSON: list[tuple[Callable[..., object], str]] = [
    (of(RunWorkflowOperator), "parameters"),
    (of(RunWorkflowBatchOperator), "parameters"),
    (batch_task, "parameters"),
    (of(CreateParametersOperator), "parameters"),
    (of(CreateRecordOperator), "fields"),
]
TAKES_LOCALE = [of(RunWorkflowOperator), of(RunWorkflowBatchOperator), batch_task]
ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("operator", "argument"),
    [
        (operator, argument)
        for operator in NEEDED
        for argument in operator.template_fields
        # An empty id of a case asks for a new one.
        if argument.endswith("_id") and (operator, argument) != (CreateCaseOperator, "case_id")
    ],
)
@pytest.mark.parametrize("blank", ["", "  "])
def test_an_id_without_a_character_is_refused_by_its_name(
    operator: type[BaseOperator], argument: str, blank: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{argument} is empty"):
        make(operator, **{argument: blank})


@pytest.mark.parametrize("argument", ["file_name", "content_type", "locale", "partition_key"])
def test_a_text_without_a_character_is_refused_by_its_name(argument: str) -> None:
    for operator in (each for each in NEEDED if argument in each.template_fields):
        with pytest.raises(InvalidInput, match=f"^{argument} is empty"):
            make(operator, **{argument: " "})


@pytest.mark.parametrize("make_task", [run_task, batch_task])
def test_a_decorator_refuses_an_id_without_a_character(make_task: Callable[..., object]) -> None:
    with pytest.raises(InvalidInput, match=r"^workflows_conn_id is empty"):
        make_task(workflows_conn_id="")


def test_an_empty_id_of_a_case_asks_for_a_new_one() -> None:
    assert make(CreateCaseOperator, case_id="").case_id == ""


@pytest.mark.parametrize("make_task", TAKES_LOCALE)
@pytest.mark.parametrize("locale", ["english please", "e", "en-", "pl_", "pl.UTF-8"])
def test_a_locale_of_another_form_is_refused(make_task: Callable[..., object], locale: str) -> None:
    with pytest.raises(InvalidInput, match=r"^locale must be a language such as 'en' or 'pt-BR'"):
        make_task(locale=locale)


@pytest.mark.parametrize("make_task", TAKES_LOCALE)
@pytest.mark.parametrize("locale", ["en", "pt-BR", "zh_Hant_TW", "de-CH-1901", "{{ params.language }}"])
def test_a_locale_that_may_be_right_passes(make_task: Callable[..., object], locale: str) -> None:
    assert make_task(locale=locale)


@pytest.mark.parametrize(("make_task", "argument"), TAKES_JSON)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: SECRET}, " has a name that is int, not text"),
        ({"a": {2: SECRET}}, ".a has a name that is int, not text"),
        ({"a": {SECRET}}, ".a is set, which is not a JSON value"),
        ({"a": ["{{ x }}", {SECRET}]}, ".a[1] is set, which is not a JSON value"),
        ({"a": {"{{ x }}"}}, ".a is set, which is not a JSON value"),
        ({"a": float("nan")}, ".a is nan, which JSON cannot express"),
        ({"a": [float("-inf")]}, ".a[0] is -inf, which JSON cannot express"),
        ({"a": SECRET.encode()}, ".a is bytes, which is not a JSON value"),
        ({"a": int}, ".a is type, which is not a JSON value"),
        ({"a": ITSELF}, ".a[0] contains itself, which JSON cannot express"),
        ({"a": "\ud800"}, " holds a value that cannot be written as JSON"),
    ],
    ids=repr,
)
def test_what_json_cannot_hold_is_refused_by_its_path(
    make_task: Callable[..., object], argument: str, value: Any, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_task(**({"table_id": "t"} if argument == "fields" else {}), **{argument: value})

    assert str(refused.value).startswith(f"{argument}{message}")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(("make_task", "argument"), TAKES_JSON)
def test_templates_and_the_output_of_other_tasks_are_left_at_any_depth(
    make_task: Callable[..., object], argument: str
) -> None:
    with DAG("dag"):
        output = task(task_id="upstream")(returned)()
        nested = {
            "a": ["{{ params.a }}", {"b": output}, (output["c"], "{% if x %}1{% endif %}")],
            "d": output,
        }

    assert make_task(
        **{argument: nested | {"e": literal({"f": "{{ g }}"}), "h": None, "i": [True, 1, 1.5, "x"]}}
    )


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ([1], "multiselect", "must be a list of texts, and has an item that is int"),
        ({"x": SECRET}, "text", "must be text, not dict"),
        ([SECRET], "date", "must be a date"),
    ],
)
def test_a_field_of_a_record_that_is_no_scalar_is_refused_by_its_type(
    value: Any, kind: Any, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        make(CreateRecordOperator, fields={"a": value}, field_types={"a": kind})

    assert str(refused.value).startswith(f"fields.a {message}")
    assert SECRET not in str(refused.value)


def test_a_field_of_a_record_that_holds_a_template_has_the_type_that_it_is_rendered_to() -> None:
    fields = {"tags": ["{{ params.tag }}"], "born": "{{ ds }}"}

    made = make(CreateRecordOperator, fields=fields, field_types={"tags": "multiselect", "born": "date"})

    assert made.fields == fields
