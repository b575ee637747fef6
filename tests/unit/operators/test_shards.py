"""The tasks ``shard`` and ``merge``: they show no row, and follow Airflow's settings."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.options import OPTION_CHECKS, InputOptions
from airflow_provider_workflows.operators.input_arguments import InputArguments
from airflow_provider_workflows.operators.shards import merge, shard
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy
from tests.unit.batch.test_sharding import ROWS, csv, written


def run(operator: Any) -> Any:
    """Render and execute as a new task does."""
    context: Any = {"ds": "2026-01-31"}
    operator.render_template_fields(context)
    return operator.execute(context)


class TestTasks:
    @pytest.mark.parametrize("by_name", [False, True])
    def test_rows_do_not_show_in_the_view_of_rendered_templates(self, tmp_path: Path, by_name: bool) -> None:
        with DAG("nightly"):
            task = shard(items=ROWS, folder=str(tmp_path)) if by_name else shard(ROWS, folder=str(tmp_path))

        returned = run(task.operator)

        shown = str(_serialize_rendered_fields(task.operator))
        assert "Brunhilde" not in shown
        assert str(tmp_path) in shown
        assert [(each["items"], each["rows"]) for each in returned] == [(f"{tmp_path}/items.jsonl", 7)]

    def test_a_uri_is_a_template(self, tmp_path: Path) -> None:
        (tmp_path / "2026-01-31").mkdir()
        csv(tmp_path / "2026-01-31", 3)
        with DAG("nightly"):
            operator = shard(f"{tmp_path}/{{{{ ds }}}}/cases.csv", 2).operator

        assert [reference["first_row"] for reference in run(operator)] == [1, 3]

    def test_merge_returns_one_dict(self, tmp_path: Path) -> None:
        with DAG("nightly"):
            operator = merge([written(tmp_path, "a")], str(tmp_path)).operator

        assert run(operator)["shards"] == 1
        assert operator.multiple_outputs is False

    def test_each_has_its_own_name(self) -> None:
        with DAG("nightly") as dag:
            shard("/a.csv")
            merge([], "/a")

        assert set(dag.task_dict) == {"shard", "merge"}

    @pytest.mark.parametrize(
        ("argument", "value", "message"),
        [
            ("size", 0, "size must be a whole number of at least 1"),
            ("size", "5", "size must be a whole number"),
            ("columns", {"PESEL": "shoe_size"}, "columns maps 'PESEL' to what is not a field"),
            ("on_bad_row", "ignore", "on_bad_row must be 'fail' or 'skip'"),
            ("zero_pad", {"email": 3}, "zero_pad must have a number of digits for personal_number, "),
            ("zero_pad", {"personal_number": "11"}, "zero_pad must have a number of digits"),
            ("field_types", {"born": "day"}, "field_types.born must be one of date"),
        ],
    )
    def test_an_argument_that_cannot_be_right_is_refused_when_the_dag_is_parsed(
        self, argument: str, value: Any, message: str
    ) -> None:
        with DAG("nightly"), pytest.raises(InvalidInput, match=message):
            shard("/cases.csv", **{argument: value})

    def test_a_shard_is_read_as_its_batch_is(self) -> None:
        options = {each.name for each in dataclasses.fields(InputOptions)}

        batch, parts = (
            inspect.signature(each).parameters.keys() for each in (InputArguments.__init__, shard.function)
        )

        assert options <= batch
        # What is written of bad rows is the batch's own.
        assert options - {"bad_row_values"} <= parts
        assert options == OPTION_CHECKS.keys()

    def test_an_argument_of_a_template_is_checked_when_the_task_runs(self, tmp_path: Path) -> None:
        with DAG("nightly"):
            operator = shard(
                csv(tmp_path, 3), "{{ rows }}", zero_pad={"personal_number": "{{ digits }}"}
            ).operator
        context: Any = {"rows": 2, "digits": 0}
        operator.render_template_fields(context)

        with pytest.raises(InvalidInput, match="zero_pad must have a number of digits"):
            operator.execute(context)

    def test_bad_input_is_not_tried_again(self) -> None:
        with DAG("nightly"):
            operators = [shard("/a.csv").operator, merge([], "/a").operator]

        assert all(isinstance(operator.retry_policy, WorkflowsRetryPolicy) for operator in operators)

    def test_there_are_as_many_shards_as_airflow_maps_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
        with DAG("nightly"):
            fits, too_many = shard(csv(tmp_path, 7), 3).operator, shard(csv(tmp_path, 7), 2).operator

        assert len(run(fits)) == 3
        with pytest.raises(InvalidInput, match="Airflow maps over 3 at most"):
            run(too_many)
