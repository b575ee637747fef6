"""Airflow's own arguments of a task, so that mypy and pyright find one that is misspelled, or of a wrong type.

As far as types go, ``BaseOperator`` takes any argument; it refuses unknown ones once a DAG is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from typing_extensions import Required, TypedDict

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context, TaskGroup
    from airflow.sdk.types import WeightRuleParam

    from airflow_provider_workflows.airflow_internals.retries import RetryPolicy
    from airflow_provider_workflows.api.field_types import FieldType
    from airflow_provider_workflows.batch.sql_table import SqlTable

Callback: TypeAlias = "Callable[[Context], Any]"


class ArgumentsWithoutTaskId(TypedDict, total=False):
    """The arguments of ``BaseOperator``, which its documentation describes, but ``task_id``."""

    task_display_name: str | None
    task_group: TaskGroup | None
    dag: DAG | None
    default_args: dict[str, Any] | None
    params: MutableMapping[str, Any] | None
    owner: str
    start_date: datetime | None
    end_date: datetime | None
    # Retries and timeouts
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    max_retry_delay: timedelta | float | None
    retry_policy: RetryPolicy | None
    execution_timeout: timedelta | None
    # What must be before
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    trigger_rule: str
    # Where and when it runs
    priority_weight: int
    weight_rule: WeightRuleParam
    queue: str
    pool: str | None
    pool_slots: int
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    resources: dict[str, Any] | None
    run_as_user: str | None
    # What is told
    email: str | Sequence[str] | None
    email_on_retry: bool
    email_on_failure: bool
    on_execute_callback: Callback | Collection[Callback] | None
    on_failure_callback: Callback | Collection[Callback] | None
    on_success_callback: Callback | Collection[Callback] | None
    on_retry_callback: Callback | Collection[Callback] | None
    on_skipped_callback: Callback | Collection[Callback] | None
    pre_execute: Callable[[Context], None] | None
    post_execute: Callable[[Context, Any], None] | None
    logger_name: str | None
    # What it takes and gives
    inlets: Any
    outlets: Any
    do_xcom_push: bool
    multiple_outputs: bool
    map_index_template: str | None
    render_template_as_native_obj: bool | None
    allow_nested_operators: bool
    # What it says of itself
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None


class TaskArguments(ArgumentsWithoutTaskId):
    """The arguments of ``BaseOperator``."""

    task_id: Required[str]


class DecoratorArguments(ArgumentsWithoutTaskId, total=False):
    """The arguments that each decorator of this package takes beside its own.

    :param task_id: id of the task; by default the function's name
    :param workflows_conn_id: id of the connection (templated)
    """

    task_id: str
    workflows_conn_id: str


class OperatorArguments(TaskArguments, total=False):
    """The arguments that each operator of this package takes beside its own.

    :param workflows_conn_id: id of the connection (templated)
    """

    workflows_conn_id: str


class InputTypes(TypedDict, total=False):
    """The arguments that say how a batch reads its items, which ``RunWorkflowBatchOperator`` documents."""

    columns: Mapping[str, str | None] | None
    zero_pad: Mapping[str, int] | None
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    default_country_code: str | None
    checks: Mapping[str, str | Sequence[str]] | None
    where: Callable[[dict[str, Any]], bool] | None
    transform: Callable[[dict[str, Any]], Mapping[str, Any]] | None
    defaults: Mapping[str, Any] | None
    field_types: Mapping[str, FieldType] | None
    bad_row_values: bool
    on_bad_row: Literal["fail", "skip"]


class OutputTypes(TypedDict, total=False):
    """The arguments that say how a batch writes its output, which ``RunWorkflowBatchOperator`` documents."""

    output_format: Literal["jsonl", "parquet", "csv"]
    output_delimiter: Literal[";", ",", "\t", "|"] | None
    output_rows_per_file: int | None
    output_mode: int
    result_table: SqlTable | None


class InputOperatorArguments(OperatorArguments, InputTypes):
    """The arguments of each operator, and those that say how a batch reads its items."""


class BatchOperatorArguments(InputOperatorArguments, OutputTypes):
    """The arguments of a batch beside its own: of each operator, and how items are read and the output written."""


class SensorArguments(TaskArguments, total=False):
    """The arguments of ``BaseSensorOperator`` that a sensor of this package takes beside its own."""

    timeout: timedelta | float | None
    mode: str
    soft_fail: bool
    never_fail: bool
    silent_fail: bool
    exponential_backoff: bool
    max_wait: timedelta | float | None
