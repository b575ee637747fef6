"""``expires_at`` of a run and of a batch: templated, or of another task, and checked by its name."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from tests.unit.batch_task import BatchTask
from tests.unit.operators.test_run_generations import Connect, connect, run

__all__ = ["connect"]

ID = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"
EVENING = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)
TEMPLATE = "{{ data_interval_end + macros.timedelta(days=2) }}"


def run_task(expires_at: Any) -> RunWorkflowOperator:
    return RunWorkflowOperator(task_id="run", workflow_definition_id=ID, expires_at=expires_at)


def batch_task(expires_at: Any) -> RunWorkflowBatchOperator:
    return RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id=ID,
        items=[{"record_id": ID}],
        output_path="out",
        expires_at=expires_at,
    )


each_operator = pytest.mark.parametrize("make", [run_task, batch_task], ids=["run", "batch"])


@each_operator
def test_a_template_keeps_its_moment(make: Any) -> None:
    operator = make(TEMPLATE)

    operator.render_template_fields(
        {"data_interval_end": EVENING, "macros": type("Macros", (), {"timedelta": timedelta})}
    )

    assert operator.expires_at == EVENING + timedelta(days=2)


@each_operator
def test_the_output_of_another_task_is_taken_when_the_dag_is_parsed(make: Any) -> None:
    with DAG("checks"):
        upstream = BaseOperator(task_id="upstream")
        operator = make(upstream.output)

    assert operator.upstream_task_ids == {"upstream"}


@each_operator
@pytest.mark.parametrize("wrong", ["tomorrow", "2030-01-31", "2030-01-31T12:00:00", "", 3600, 1.5, [EVENING]])
def test_what_is_no_moment_is_refused_when_the_dag_is_parsed(make: Any, wrong: Any) -> None:
    with pytest.raises(errors.InvalidInput, match=r"^expires_at .*a datetime with (a time zone|one)"):
        make(wrong)


@pytest.mark.parametrize("spelt", [str, datetime.isoformat, lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}"])
def test_a_run_takes_a_moment_as_text(connect: Connect, context: dict[str, Any], spelt: Any) -> None:
    sandbox = connect(3)

    run(sandbox, context, expires_at=spelt(EVENING))

    assert sandbox.workflows[0].details is not None
    assert sandbox.workflows[0].details.expires_at == f"{EVENING:%Y-%m-%dT%H:%M:%S}.000Z"


@pytest.mark.parametrize(
    ("rendered", "words"),
    [
        ("None", r"^expires_at must be a datetime .*, not a str of another form"),
        (None, r"^expires_at was given but turned out to be None"),
        (datetime(2030, 1, 31), r"^expires_at has no time zone"),  # noqa: DTZ001  (refused)
        (7, r"^expires_at must be a datetime with a time zone"),
        (timedelta(minutes=29), r"^expires_at must be from 30 minutes to 30 days ahead"),
    ],
)
def test_a_run_sends_nothing_for_a_template_that_brings_no_moment(
    connect: Connect, context: dict[str, Any], rendered: Any, words: str
) -> None:
    sandbox = connect(3)
    operator = run_task("{{ moment }}")
    operator.render_template_fields({"moment": rendered})  # type: ignore[typeddict-unknown-key]

    with pytest.raises(errors.InvalidInput, match=words):
        operator.execute(context)  # type: ignore[arg-type]

    assert not sandbox.counts.requests
    assert "workflow_run" not in str(vars(context["task_state_store"]))


def test_a_batch_takes_a_moment_as_text(batch: BatchTask) -> None:
    batch.run(
        [{"parameters": {"limit": 1}}],
        expires_at=EVENING.isoformat(),
        workflows_conn_id=CONNECTION_IDS[3],
    )

    assert [row["outcome"] for row in batch.output] == ["succeeded"]


@pytest.mark.parametrize(
    ("rendered", "words"),
    [
        ("None", r"^expires_at must be a datetime .*, not a str of another form"),
        (None, r"^expires_at was given but turned out to be None"),
    ],
)
def test_a_batch_sends_nothing_for_a_template_that_brings_no_moment(
    batch: BatchTask, rendered: Any, words: str
) -> None:
    operator = batch.operator(
        [{"parameters": {"limit": 1}}], expires_at="{{ moment }}", workflows_conn_id=CONNECTION_IDS[3]
    )
    operator.render_template_fields({"moment": rendered})  # type: ignore[typeddict-unknown-key]

    with pytest.raises(errors.InvalidInput, match=words):
        operator.execute(batch.context)
