"""Upstream values in the form of templates, through all kinds of mapping, with and without native rendering."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task, task_group

from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.shards import shard
from airflow_provider_workflows.sandbox import DEFINITION

TEXTS = [
    "{{ conn.workflows_default.password }}",
    "x {{ 7 * 7 }}",
    "{% raw %}",
    "00123",
    "1_000",
    "[1, 2]",
    "None",
]


@task
def texts() -> list[str]:
    return TEXTS


@task
def text(one: str) -> str:
    return one


@task
def rows() -> list[dict[str, Any]]:
    return [{"first_name": each} for each in TEXTS]


@task
def arguments_of_rows() -> list[dict[str, Any]]:
    return [{"case": {"first_name": each}} for each in TEXTS]


@task
def first() -> str:
    return TEXTS[0]


@task
def sets() -> list[dict[str, Any]]:
    return [{"text": each, "deep": [{"text": each}]} for each in TEXTS]


@task
def all_rows() -> list[dict[str, Any]]:
    return [{"items": [{"company_name": each} for each in TEXTS]}]


@task(trigger_rule="all_done")
def write(path: str, cases: dict[str, Any], parameters: list[str]) -> None:
    ids = {way: [given] if isinstance(given, str) else list(given) for way, given in cases.items()}
    Path(path).write_text(json.dumps({"cases": ids, "parameters": list(parameters)}))


for native in (False, True):
    with DAG(
        f"data_is_no_template_{'native' if native else 'text'}",
        schedule=None,
        catchup=False,
        params={"folder": ""},
        render_template_as_native_obj=native,
    ):
        # The upstream of these is itself mapped, so that its values are read one by one.
        of_mapped = text.expand(one=texts())
        given_rows = rows()

        @task_group
        def group(row: dict[str, Any]) -> Any:
            return CreateCaseOperator(task_id="case", case=row).output

        one = first()
        # Text makes the one task no upstream of the other.
        pulled = CreateCaseOperator(task_id="pulled", first_name=str(one))
        one >> pulled  # type: ignore[operator]

        cases = {
            "expand": CreateCaseOperator.partial(task_id="expand").expand(first_name=of_mapped).output,
            "expand a dict": CreateCaseOperator.partial(task_id="expand_dict").expand(case=given_rows).output,
            "expand_kwargs": CreateCaseOperator.partial(task_id="expand_kwargs")
            .expand_kwargs(given_rows)
            .output,
            "expand_kwargs of dicts": CreateCaseOperator.partial(task_id="expand_kwargs_dicts")
            .expand_kwargs(arguments_of_rows())
            .output,
            "by function": CreateCaseOperator.partial(task_id="by_function")
            .expand_kwargs(of_mapped.map(lambda each: {"first_name": each}))
            .output,
            "mapped group": group.expand(row=given_rows),
            "output": CreateCaseOperator(task_id="output", first_name=one).output,
            "pulled in a template": pulled.output,
            "template of the author": CreateCaseOperator.partial(
                task_id="authors", case={"first_name": "of {{ dag.dag_id }}"}
            )
            .expand_kwargs([{"last_name": "{{ 'Doe' }}"}])
            .output,
        }
        parameters = (
            CreateParametersOperator.partial(task_id="parameters", workflow_definition_id=DEFINITION)
            .expand(parameters=sets())
            .output
        )
        shards = shard.partial(folder="{{ params.folder }}").expand_kwargs(all_rows())
        write("{{ params.folder }}/ids.json", cases, parameters)
