"""Arguments that cannot be right are refused when the DAG is parsed, by their names and without their values."""

from __future__ import annotations

import importlib
import inspect
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, BaseOperator, ObjectStoragePath, task, task_group

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.get_provider_info import get_provider_info
from airflow_provider_workflows.operators.attachments import (
    DownloadAttachmentOperator,
    UploadAttachmentOperator,
)
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.resource import UploadResourceOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.table_record import CreateRecordOperator, GetRecordOperator
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

#: What each operator needs at least.
NEEDED: dict[type[BaseOperator], dict[str, Any]] = {
    CreateCaseOperator: {},
    CreateParametersOperator: {"workflow_definition_id": "d", "parameters": {}},
    CreateRecordOperator: {"table_id": "t", "fields": {}},
    GetRecordOperator: {"table_id": "t", "record_id": "r"},
    UploadResourceOperator: {"path": "/passport.pdf"},
    UploadAttachmentOperator: {"table_id": "t", "record_id": "r", "path": "/passport.pdf"},
    DownloadAttachmentOperator: {
        "table_id": "t",
        "record_id": "r",
        "attachment_id": "a",
        "output_path": "/passport.pdf",
    },
    RunWorkflowOperator: {"workflow_definition_id": "d"},
    GetWorkflowResultOperator: {"workflow_id": "w"},
    RunWorkflowBatchOperator: {"workflow_definition_id": "d", "items": [], "output_path": "/out"},
    WorkflowStatusSensor: {"workflow_id": "w"},
}

#: Arguments that no generation of the API has together with all the others.
OF_OTHER_GENERATIONS: dict[type[BaseOperator], list[set[str]]] = {
    RunWorkflowOperator: [
        {"record_id", "parameters", "locale", "expires_at"},
        {"case_id", "parameters_id"},
    ],
}

DURATION = "must be a number of seconds or a timedelta"
ID = "must be an id as text"
BOOL = "must be True or False"
FAIL_OR_RESUBMIT = "must be 'fail' or 'resubmit'"
PATH = "must be a URI, an absolute path or an ObjectStoragePath"
ITEMS = "must be a list of rows, the URI of a file, a shard's reference"
MODE = "must be the mode of a file as a whole number, such as 0o640"
CONCURRENCY = "must be a whole number from 1 to 1,000"
AT_LEAST_1 = "must be a whole number of at least 1"

#: A file to upload.
WRONG_FILE: list[tuple[str, list[Any], str]] = [
    ("path", [7, None, ["x"]], PATH),
    ("file_name", [7, ["x"]], "must be text"),
    ("content_type", [7, ["x"]], "must be text"),
    ("max_bytes", ["48", 1.5, True, None], AT_LEAST_1),
    ("workflows_conn_id", [7, None], ID),
]

#: Each argument, values of a wrong type, and what it must be.
WRONG_TYPES: dict[type[BaseOperator], list[tuple[str, list[Any], str]]] = {
    CreateCaseOperator: [
        ("case_id", [7, b"x"], ID),
        ("case", [7, ["x"], "x"], "must be a dict of the case's fields"),
        ("workflows_conn_id", [7, None], ID),
    ],
    CreateParametersOperator: [
        ("workflow_definition_id", [7, None], ID),
        ("parameters", [7, None, ["x"], "x"], "must be a dict of JSON values"),
        ("workflows_conn_id", [7], ID),
    ],
    CreateRecordOperator: [
        ("table_id", [7, None], ID),
        ("fields", [7, None, ["x"], "x"], "must be a dict of JSON values"),
        ("field_types", [7, ["born"], "date"], "must be a dict such as {'born': 'date'}"),
        ("workflows_conn_id", [7, None], ID),
    ],
    GetRecordOperator: [
        ("table_id", [7, None], ID),
        ("record_id", [7, None], ID),
        ("output_path", [7, ["x"]], PATH),
        ("output_mode", ["0640", "rw-------", None, 1.5, True], MODE),
        ("select", [7, "risk", {"a": "b"}], "must be a list of expressions"),
        ("result_max_xcom_bytes", ["48", 1.5, True, None], AT_LEAST_1),
        ("workflows_conn_id", [7, None], ID),
    ],
    UploadResourceOperator: WRONG_FILE,
    UploadAttachmentOperator: [("table_id", [7, None], ID), ("record_id", [7, None], ID), *WRONG_FILE],
    DownloadAttachmentOperator: [
        ("table_id", [7, None], ID),
        ("record_id", [7, None], ID),
        ("attachment_id", [7, None], ID),
        ("output_path", [7, None, ["x"]], PATH),
        ("output_mode", ["0640", "rw-------", None, 1.5, True], MODE),
        ("max_bytes", ["48", 1.5, True, None], AT_LEAST_1),
        ("workflows_conn_id", [7, None], ID),
    ],
    RunWorkflowOperator: [
        ("workflow_definition_id", [7, None], ID),
        ("case_id", [7, ["x"]], ID),
        ("parameters_id", [7], ID),
        ("record_id", [7], ID),
        ("parameters", [7, ["x"], "x"], "must be a dict of JSON values"),
        ("locale", [7], "must be text"),
        ("expires_at", [7, "tomorrow"], "must be a datetime with a time zone, such a moment in ISO 8601"),
        ("push_link", ["yes", 1, None], BOOL),
        ("on_link_callback", [7, "print", ["print"]], "must be a function or notifier"),
        ("wait_for_completion", ["yes", 1, None], BOOL),
        ("deferrable", ["yes", 1], BOOL),
        ("durable", ["no", 0, None], BOOL),
        ("on_clear", [7, None, ["repair"]], "must be 'repair' or 'start_over'"),
        ("on_unknown_outcome", [7, None, ["fail"]], FAIL_OR_RESUBMIT),
        ("poll_interval", ["5", True, Decimal(5), "{{ x }}"], DURATION),
        ("max_poll_interval", ["5", True], DURATION),
        ("max_outage", ["5", True], DURATION),
        ("workflows_conn_id", [7], ID),
    ],
    GetWorkflowResultOperator: [
        ("workflow_id", [123, None], ID),
        ("workflow_definition_id", [7], ID),
        ("output_path", [7, ["x"]], PATH),
        ("select", [7, "decision", {"a": "b"}], "must be a list of expressions"),
        ("hash_personal_numbers", ["yes", 1, None], BOOL),
        ("output_mode", ["0640", "rw-------", None, 1.5, True], MODE),
        ("result_max_xcom_bytes", ["48", 1.5, True, None], AT_LEAST_1),
        ("record_id", [7, b"x"], ID),
        ("table_id", [7], ID),
        ("workflows_conn_id", [7], ID),
    ],
    RunWorkflowBatchOperator: [
        ("workflow_definition_id", [7, None], ID),
        ("items", [3, None, {"x"}, b"x"], ITEMS),
        ("output_path", [7, None], PATH),
        ("parameters", [7, "x", ["x"]], "must be a dict of JSON values"),
        ("columns", [7, "x", ["x"]], "must be a dict of column and field"),
        ("on_bad_row", [7, None], "must be 'fail' or 'skip'"),
        ("max_failed_share", ["0.5", None, True], "must be a number from 0 to 1"),
        ("resubmit_failed", ["yes", 1, None], BOOL),
        ("zero_pad", [11, ["personal_number"]], "must be a dict of a number of digits"),
        ("default_country_code", [48, ["48"]], "must be the digits of a country's calling code as text"),
        ("checks", ["PL-PESEL", ["PL-PESEL"]], "must be a dict of field and format"),
        ("where", ["new", {"State": "new"}], "must be a function that takes a row"),
        ("transform", ["upper", {"a": "b"}], "must be a function that takes a row"),
        ("defaults", ["Acme", ["company_name"]], "must be a dict of field and value"),
        ("field_types", [7, "date", ["born"]], "must be a dict such as"),
        ("bad_row_values", ["yes", 1, None], BOOL),
        ("encoding", [7, b"utf-8"], "must be the name of an encoding"),
        ("delimiter", [7, b";"], "must be one character"),
        ("sheet", [0, ["People"]], "must be the name of a sheet"),
        ("on_clear", [7, None, ["repair"]], "must be 'repair' or 'start_over'"),
        ("on_unknown_outcome", [7, None], FAIL_OR_RESUBMIT),
        ("output_format", [7, None], "must be 'jsonl' or 'parquet' or 'csv'"),
        ("output_delimiter", [7, ["; "]], "must be ';' or ',' or "),
        ("output_rows_per_file", ["8", 1.5, True], AT_LEAST_1),
        ("output_mode", ["0640", "rw-------", None, 1.5, True], MODE),
        ("max_concurrency", ["8", 1.5, True], CONCURRENCY),
        ("requests_per_second", ["8", True], "must be a number above 0"),
        ("deferrable", ["yes", 1, None], BOOL),
        ("poll_interval", ["5", True], DURATION),
        ("max_poll_interval", ["5", True], DURATION),
        ("max_outage", ["5", True], DURATION),
        ("hash_personal_numbers", ["yes", 1, None], BOOL),
        ("table_id", [7], ID),
        ("locale", [7], "must be text"),
        ("expires_at", [7, "tomorrow"], "must be a datetime with a time zone, such a moment in ISO 8601"),
        ("partition_key", [7], "must be text"),
        ("result_table", [7, "results", {"table": "results"}], "must be a SqlTable"),
        ("workflows_conn_id", [7], ID),
    ],
    WorkflowStatusSensor: [
        ("workflow_id", [123, None], ID),
        ("workflows_conn_id", [7, None], ID),
        ("deferrable", ["yes", 1], BOOL),
        ("poll_interval", ["5", True], DURATION),
        ("max_poll_interval", ["5", True], DURATION),
        ("poke_interval", ["5", True], DURATION),
        ("max_outage", ["5", True], DURATION),
    ],
}

#: Values of the right type that cannot be right either.
WRONG_VALUES: list[tuple[type[BaseOperator], str, Any, str]] = [
    (RunWorkflowOperator, "poll_interval", -1, "poll_interval must be 0 seconds or more"),
    (RunWorkflowOperator, "poll_interval", timedelta(seconds=-1), "poll_interval must be 0 seconds or more"),
    (RunWorkflowOperator, "poll_interval", 0, r"poll_interval \(0.0\) must be above 0 seconds"),
    (RunWorkflowOperator, "poll_interval", 301, "max_poll_interval"),
    (RunWorkflowOperator, "max_outage", float("inf"), "max_outage must be 0 seconds or more, and finite"),
    (RunWorkflowOperator, "max_outage", float("nan"), "max_outage must be 0 seconds or more, and finite"),
    (RunWorkflowOperator, "on_unknown_outcome", "perhaps", FAIL_OR_RESUBMIT),
    (GetWorkflowResultOperator, "result_max_xcom_bytes", 0, "of at least 1, not 0"),
    (GetWorkflowResultOperator, "select", [], "select must be a list of expressions"),
    (GetWorkflowResultOperator, "select", ["a["], "select has 'a\\['"),
    (RunWorkflowBatchOperator, "columns", {"PESEL": "shoe_size"}, "columns maps 'PESEL'"),
    (RunWorkflowBatchOperator, "max_failed_share", 1.1, "max_failed_share must be a number from 0 to 1"),
    (RunWorkflowBatchOperator, "max_concurrency", 0, f"max_concurrency {CONCURRENCY}, not 0"),
    (RunWorkflowBatchOperator, "max_concurrency", 1001, f"max_concurrency {CONCURRENCY}, not 1001"),
    (RunWorkflowBatchOperator, "requests_per_second", 0, "requests_per_second must be a number above 0"),
    (
        RunWorkflowBatchOperator,
        "output_format",
        "xlsx",
        "output_format must be 'jsonl' or 'parquet' or 'csv'",
    ),
    (RunWorkflowBatchOperator, "output_delimiter", ";;", "output_delimiter must be ';' or ',' or "),
    (
        RunWorkflowBatchOperator,
        "output_rows_per_file",
        0,
        "output_rows_per_file must be .* of at least 1, not 0",
    ),
    (RunWorkflowBatchOperator, "output_mode", 640, r"nobody may execute, .*, not 640 \(0o1200\)"),
    (RunWorkflowBatchOperator, "output_mode", 0o755, "nobody may execute"),
    (GetWorkflowResultOperator, "output_mode", 0o440, "its owner may read and write"),
    (GetWorkflowResultOperator, "output_mode", -1, "the mode of a file"),
    (WorkflowStatusSensor, "poke_interval", -1, "poke_interval must be 0 seconds or more"),
    (CreateRecordOperator, "field_types", {"born": "day"}, "field_types"),
    (GetRecordOperator, "select", [], "select must be a list of expressions"),
    (GetRecordOperator, "output_mode", 640, r"nobody may execute, .*, not 640 \(0o1200\)"),
    (UploadResourceOperator, "content_type", "pdf", "content_type must be a type and a subtype"),
    (UploadAttachmentOperator, "max_bytes", 0, "max_bytes must be a whole number of at least 1, not 0"),
    (DownloadAttachmentOperator, "max_bytes", 0, "max_bytes must be a whole number of at least 1, not 0"),
]


#: What is rendered, and is no template itself.
HOLDS_TEMPLATES = "result_table"


def make(operator: type[BaseOperator], **arguments: Any) -> Any:
    return operator(task_id="t", **(NEEDED[operator] | arguments))


def wrong_types() -> list[Any]:
    return [
        pytest.param(operator, argument, value, requirement, id=f"{operator.__name__}-{argument}-{value!r}")
        for operator, arguments in WRONG_TYPES.items()
        for argument, values, requirement in arguments
        for value in values
    ]


def arguments_of(operator: type[BaseOperator]) -> set[str]:
    """Return the names of an operator's own arguments."""
    own = [cls for cls in operator.__mro__ if cls.__module__.startswith("airflow_provider_workflows.")]
    parameters = [each for cls in own for each in inspect.signature(cls.__init__).parameters.values()]
    return {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def test_no_operator_of_the_provider_is_left_out() -> None:
    info = get_provider_info()
    names = {
        name for kind in ("operators", "sensors") for each in info[kind] for name in each["python-modules"]
    }
    modules = map(importlib.import_module, names)

    offered = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseOperator) and value.__module__ == module.__name__
    }

    assert offered == set(NEEDED) == set(WRONG_TYPES)


@pytest.mark.costly(60)
@pytest.mark.parametrize(("operator", "argument", "value", "requirement"), wrong_types())
def test_a_value_of_a_wrong_type_is_refused_by_the_names_of_argument_and_type(
    operator: type[BaseOperator], argument: str, value: Any, requirement: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        make(operator, **{argument: value})

    message = str(raised.value)
    assert message.startswith(f"{argument} {requirement}")
    assert type(value).__name__ in message or argument == "max_failed_share"


@pytest.mark.parametrize(("operator", "argument", "value", "message"), WRONG_VALUES)
def test_a_value_that_is_out_of_bounds_is_refused(
    operator: type[BaseOperator], argument: str, value: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        make(operator, **{argument: value})


@pytest.mark.parametrize("operator", NEEDED)
def test_each_argument_is_checked(operator: type[BaseOperator]) -> None:
    # The fields of a case are checked against the API's model, together, when they are sent.
    fields_of_case = arguments_of(CreateCaseOperator) - {"case", "case_id", "workflows_conn_id"}

    unchecked = arguments_of(operator) - {argument for argument, _, _ in WRONG_TYPES[operator]}

    assert unchecked <= (fields_of_case if operator is CreateCaseOperator else set())


@pytest.mark.parametrize("operator", NEEDED)
def test_template_fields_and_attributes_have_their_arguments_names(operator: type[BaseOperator]) -> None:
    made = make(operator)

    assert set(operator.template_fields) <= arguments_of(operator)
    assert {name for name in arguments_of(operator) if not hasattr(made, name)} == set()


@pytest.mark.parametrize("operator", [RunWorkflowOperator, RunWorkflowBatchOperator, WorkflowStatusSensor])
@pytest.mark.parametrize(
    ("duration", "in_seconds"),
    [(7, 7.0), (7.5, 7.5), (timedelta(minutes=2), 120.0), (pendulum.duration(minutes=3), 180.0)],
    ids=["int", "float", "timedelta", "pendulum"],
)
def test_a_duration_is_given_in_seconds_or_as_a_timedelta(
    operator: type[BaseOperator], duration: Any, in_seconds: float
) -> None:
    made = make(operator, poll_interval=duration, max_poll_interval=duration, max_outage=duration)

    assert (made.poll_interval, made.max_poll_interval, made.max_outage) == (in_seconds,) * 3


@pytest.mark.parametrize(
    ("operator", "argument", "value"),
    [
        (operator, argument, value)
        for operator in NEEDED
        for argument in operator.template_fields
        if argument != HOLDS_TEMPLATES
        for value in ("{{ params.x }}", "{% if x %}y{% endif %}")
    ],
)
def test_a_template_passes(operator: type[BaseOperator], argument: str, value: str) -> None:
    assert getattr(make(operator, **{argument: value}), argument) == value


@pytest.mark.parametrize("operator", NEEDED)
def test_the_output_of_another_task_passes(operator: type[BaseOperator]) -> None:
    @task
    def upstream() -> str:
        return "x"

    names = [name for name in operator.template_fields if name != HOLDS_TEMPLATES]
    for of_another_generation in OF_OTHER_GENERATIONS.get(operator, [set()]):
        given = [name for name in names if name not in of_another_generation]
        with DAG("dag"):
            output = upstream()
            made = make(operator, **dict.fromkeys(given, output))

        assert all(getattr(made, name) is output for name in given)


def test_the_argument_of_a_mapped_task_group_passes() -> None:
    @task_group
    def group(case_id: Any, output_path: Any) -> None:
        RunWorkflowOperator(task_id="run", workflow_definition_id="d", case_id=case_id)
        GetWorkflowResultOperator(task_id="result", workflow_id=case_id, output_path=output_path)
        RunWorkflowBatchOperator(
            task_id="batch", workflow_definition_id="d", items=case_id, output_path=output_path
        )

    with DAG("dag") as dag:
        group.expand(case_id=["a", "b"], output_path=["/a", "/b"])

    assert set(dag.task_ids) == {"group.run", "group.result", "group.batch"}


def test_a_value_that_a_mapped_task_gets_is_checked_as_well() -> None:
    with DAG("dag"):
        mapped = RunWorkflowOperator.partial(
            task_id="run", workflow_definition_id="d", wait_for_completion=True
        ).expand(case_id=["c"])

    assert mapped.unmap({"case_id": "c"}).case_id == "c"
    with pytest.raises(InvalidInput, match="case_id must be an id as text, not int"):
        mapped.unmap({"case_id": 7})


@pytest.mark.parametrize(
    ("argument", "value"),
    [("items", ["x"]), ("items", {"items": "/x.csv", "first_row": 1, "rows": 1}), ("items", "/x.csv")],
)
def test_each_kind_of_items_passes(argument: str, value: Any) -> None:
    assert make(RunWorkflowBatchOperator, **{argument: value})


def test_a_path_of_airflow_s_passes(tmp_path: Path) -> None:
    path = ObjectStoragePath(str(tmp_path))

    assert make(RunWorkflowBatchOperator, items=path, output_path=path).output_path == path
    assert make(GetWorkflowResultOperator, output_path=path).output_path == path


class TestDeferrable:
    @pytest.mark.parametrize("operator", [RunWorkflowOperator, WorkflowStatusSensor])
    @pytest.mark.parametrize("setting", ["True", "False"])
    def test_follows_airflow_s_setting_where_the_dag_says_nothing(
        self, operator: type[BaseOperator], setting: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", setting)

        assert make(operator).deferrable is (setting == "True")

    @pytest.mark.parametrize("setting", ["True", "False"])
    def test_is_the_batch_s_default_whatever_airflow_s_setting(
        self, setting: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", setting)

        assert make(RunWorkflowBatchOperator).deferrable is True
