"""A mapped task with a run: what no generation of the API takes together is refused when its DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.operators.run import RunWorkflowOperator

LIFE = timedelta(hours=1)
NOT_TOGETHER = "no generation of the API takes these arguments together"


def partial(**arguments: Any) -> Any:
    return RunWorkflowOperator.partial(task_id="run", workflow_definition_id="d", **arguments)


@pytest.mark.parametrize(
    ("common", "mapped"),
    [
        ({"case_id": "c"}, {"expires_at": [LIFE]}),
        ({"case_id": "c"}, {"expires_at": [None, LIFE]}),
        ({"parameters": {"limit": 1}}, {"parameters_id": ["p"]}),
        ({}, {"locale": ["en"], "case_id": ["c"]}),
    ],
)
def test_expand_with_what_no_generation_takes_together_is_refused(
    common: dict[str, Any], mapped: dict[str, Any]
) -> None:
    with DAG("checks"), pytest.raises(InvalidInput, match=NOT_TOGETHER):
        partial(**common).expand(**mapped)


def test_the_output_of_another_task_counts_as_given() -> None:
    with DAG("checks"):
        upstream = BaseOperator(task_id="upstream")
        with pytest.raises(InvalidInput, match=NOT_TOGETHER):
            partial(expires_at=LIFE).expand(case_id=upstream.output)


def test_expand_kwargs_with_what_no_generation_takes_together_is_refused() -> None:
    with DAG("checks"), pytest.raises(InvalidInput, match=NOT_TOGETHER):
        partial(locale="en").expand_kwargs([{"record_id": "r"}, {"case_id": "c"}])


@pytest.mark.parametrize("wrong", ["x", 7, timedelta(minutes=29)])
@pytest.mark.parametrize(
    "mapped",
    [
        lambda wrong: partial(expires_at=wrong).expand(record_id=["r"]),
        lambda wrong: partial().expand(expires_at=[LIFE, wrong]),
        lambda wrong: partial().expand_kwargs([{"expires_at": wrong}]),
    ],
    ids=["partial", "expand", "expand_kwargs"],
)
def test_an_expiry_that_cannot_be_is_refused_where_it_stands(mapped: Any, wrong: Any) -> None:
    with DAG("checks"), pytest.raises(InvalidInput, match="expires_at must be"):
        mapped(wrong)


@pytest.mark.parametrize(
    ("common", "mapped"),
    [
        ({}, {"case_id": ["c"], "record_id": [None, "r"]}),
        ({"case_id": "c"}, {"expires_at": [None]}),
        ({"expires_at": "{{ data_interval_end }}"}, {"record_id": ["r"], "locale": ["en", None]}),
    ],
)
def test_what_some_generation_takes_makes_the_mapped_task(
    common: dict[str, Any], mapped: dict[str, Any]
) -> None:
    with DAG("checks") as dag:
        task = partial(**common).expand(**mapped)

    assert dag.get_task("run") is task


def test_what_another_task_brings_for_expand_kwargs_is_checked_in_the_task() -> None:
    with DAG("checks") as dag:
        upstream = BaseOperator(task_id="upstream")
        task = partial(locale="en").expand_kwargs(upstream.output)

    assert dag.get_task("run") is task
