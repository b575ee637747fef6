"""``render_template_as_native_obj`` changes no text that the author wrote, and no field that is text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.redaction import unwrap
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

CONTEXT: dict[str, Any] = {"n": "007", "a": "1_", "b": "000", "f": "F", "list": [1], "number": 7}

#: What the author wrote, and the text that it is.
TEXTS = {
    "12345": "12345",
    "007": "007",
    "1_000": "1_000",
    "0x1F": "0x1F",
    "1e5": "1e5",
    "1.0": "1.0",
    "True": "True",
    "None": "None",
    "[1]": "[1]",
    "{'a': 1}": "{'a': 1}",
    "'quoted'": "'quoted'",
    "{{ n }}": "007",
    "{{ n }}{{ n }}": "007007",
    "{{ a }}{{ b }}": "1_000",
    "0x1{{ f }}": "0x1F",
    "1{{ '.0' }}": "1.0",
    "{{ 'None' }}": "None",
    "{{ 'Tr' }}ue": "True",
    "{% if 1 %}12345{% endif %}": "12345",
    "{# a comment #}1_000": "1_000",
    "{% raw %}[1]{% endraw %}": "[1]",
    "[{{ n }}]": "[007]",
}

Make = Callable[[str], BaseOperator]
Field = Callable[[Any], Any]

#: An operator with a text in one of its fields, and what is in the field.
FIELDS: dict[str, tuple[Make, Field]] = {
    "a field of a case": (
        lambda text: CreateCaseOperator(task_id="t", personal_number=text),
        lambda task: task.personal_number,
    ),
    "a part of a phone": (
        lambda text: CreateCaseOperator(task_id="t", phone={"country_code": text, "number": "1"}),
        lambda task: unwrap(task.phone)["country_code"],
    ),
    "a document": (
        lambda text: CreateCaseOperator(task_id="t", documents=[{"resource_id": text}]),
        lambda task: unwrap(task.documents)[0]["resource_id"],
    ),
    "a case as a dict": (
        lambda text: CreateCaseOperator(task_id="t", case={"last_name": text}),
        lambda task: unwrap(task.case)["last_name"],
    ),
    "a parameter": (
        lambda text: CreateParametersOperator(
            task_id="t", workflow_definition_id=DEFINITION, parameters={"name": text}
        ),
        lambda task: unwrap(task.parameters)["name"],
    ),
    "a parameter, deeper": (
        lambda text: CreateParametersOperator(
            task_id="t", workflow_definition_id=DEFINITION, parameters={"name": [{"deep": (text,)}]}
        ),
        lambda task: unwrap(task.parameters)["name"][0]["deep"][0],
    ),
    "a batch's parameter": (
        lambda text: RunWorkflowBatchOperator(
            task_id="t",
            items="/cases.csv",
            parameters={"name": text},
            workflow_definition_id=DEFINITION,
            output_path="/output",
        ),
        lambda task: unwrap(task.parameters)["name"],
    ),
    "the definition of a run": (
        lambda text: RunWorkflowOperator(task_id="t", workflow_definition_id=text, case_id=DEFINITION),
        lambda task: task.workflow_definition_id,
    ),
    "the workflow of a result": (
        lambda text: GetWorkflowResultOperator(task_id="t", workflow_id=text),
        lambda task: task.workflow_id,
    ),
    "the place of a result": (
        lambda text: GetWorkflowResultOperator(
            task_id="t", workflow_id=DEFINITION, output_path=f"/results/{text}/x.json"
        ),
        lambda task: str(task.output_path).rpartition("/results/")[2].removesuffix("/x.json"),
    ),
    "the workflow of a sensor": (
        lambda text: WorkflowStatusSensor(task_id="t", workflow_id=text),
        lambda task: task.workflow_id,
    ),
}


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("field", FIELDS)
def test_no_text_is_read_as_python(field: str, native: bool) -> None:
    make, value_of = FIELDS[field]
    found = {}
    for text in TEXTS:
        with DAG("d", render_template_as_native_obj=native):
            task = make(text)
        task.render_template_fields(dict(CONTEXT))  # type: ignore[arg-type]
        found[text] = unwrap(value_of(task))

    assert found == TEXTS


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize(
    ("template", "value"), [("{{ list }}", [1]), ("{{ number }}", 7), ("{{ n == '007' }}", True)]
)
def test_a_single_expression_keeps_its_type(template: str, value: object, native: bool) -> None:
    with DAG("d", render_template_as_native_obj=native):
        task = CreateParametersOperator(
            task_id="t", workflow_definition_id=DEFINITION, parameters={"name": template}
        )

    task.render_template_fields(dict(CONTEXT))  # type: ignore[arg-type]

    assert unwrap(task.parameters) == {"name": value}


@pytest.mark.parametrize("text", TEXTS)
def test_the_service_gets_the_text_as_it_was_written(connected: Sandbox, context: Any, text: str) -> None:
    with DAG("d", render_template_as_native_obj=True):
        task = CreateCaseOperator(task_id="t", first_name=text)
    task.render_template_fields(context | CONTEXT)

    case_id = task.execute(context)

    with connected.client() as client:
        details = client.read_case(case_id).party_details
    assert details is not None
    assert details.personal == {"firstName": TEXTS[text]}
