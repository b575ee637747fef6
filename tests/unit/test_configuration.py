"""The options of ``[workflows]`` in Airflow's configuration are the defaults of the arguments of their names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner

from airflow_provider_workflows import configuration, start_up, unknown_options
from airflow_provider_workflows.airflow_internals.configuration import CONFIGURATION
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.decorators import run_workflow, workflows_batch
from airflow_provider_workflows.get_provider_info import get_provider_info
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.plugin import WorkflowsPlugin
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Set options of the section."""

    def configure(**options: str) -> None:
        for name, text in options.items():
            monkeypatch.setenv(f"AIRFLOW__WORKFLOWS__{name.upper()}", text)

    return configure


def run(**arguments: Any) -> RunWorkflowOperator:
    return RunWorkflowOperator(task_id="run", workflow_definition_id="d", case_id="c", **arguments)


def batch(**arguments: Any) -> RunWorkflowBatchOperator:
    return RunWorkflowBatchOperator(
        task_id="batch", workflow_definition_id="d", items=[], output_path="/out", **arguments
    )


def sensor(**arguments: Any) -> WorkflowStatusSensor:
    return WorkflowStatusSensor(task_id="wait", workflow_id="w", **arguments)


def run_trigger(**arguments: Any) -> WorkflowStatusTrigger:
    return WorkflowStatusTrigger(workflow_id="w", **arguments)


def batch_trigger(**arguments: Any) -> BatchStatusTrigger:
    return BatchStatusTrigger(folder="/state", **arguments)


ALL = [run, batch, sensor, run_trigger, batch_trigger]
BOUNDS = {"poll_interval": 7.5, "max_poll_interval": 90.0, "max_outage": 600.0}


@pytest.mark.parametrize("make", ALL)
def test_an_option_is_the_default_of_the_argument_of_its_name(configure: Configure, make: Any) -> None:
    configure(**{name: str(value) for name, value in BOUNDS.items()})

    made = make()

    assert {name: getattr(made, name) for name in BOUNDS} == BOUNDS


@pytest.mark.parametrize("make", ALL)
def test_without_options_the_defaults_are_those_of_the_documentation(make: Any) -> None:
    made = make()

    defaults = {name: configuration.OPTIONS[name].default for name in BOUNDS}
    assert {name: getattr(made, name) for name in BOUNDS} == defaults


@pytest.mark.parametrize("make", ALL)
def test_an_argument_counts_more_than_the_option(configure: Configure, make: Any) -> None:
    configure(poll_interval="1", max_poll_interval="2", max_outage="3")

    made = make(**BOUNDS)

    assert {name: getattr(made, name) for name in BOUNDS} == BOUNDS


def test_a_batch_takes_its_concurrency_from_the_option(configure: Configure) -> None:
    configure(max_concurrency="4")

    assert (batch().max_concurrency, batch(max_concurrency=5).max_concurrency) == (4, 5)


@pytest.mark.parametrize(("option", "expected"), [("5", 60.0), ("90", 90.0)])
def test_a_sensor_that_reschedules_pauses_for_a_minute_at_least(
    configure: Configure, option: str, expected: float
) -> None:
    configure(poll_interval=option)

    assert sensor(mode="reschedule").poll_interval == expected


@pytest.mark.parametrize(("extra", "expected"), [({}, 20.0), ({"requests_per_second": 3}, 3.0)])
def test_a_connection_that_names_no_rate_has_that_of_the_option(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], expected: float
) -> None:
    connection = {"conn_type": "workflows", "password": "tot_swordfish", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connection))
    configure(requests_per_second="20")

    assert WorkflowsHook().settings.requests_per_second == expected


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_option_counts_as_not_set(configure: Configure, text: str) -> None:
    configure(**dict.fromkeys(configuration.OPTIONS, text))

    assert configuration.poll_interval() == 5.0
    assert configuration.requests_per_second() is None
    assert configuration.state_folder() is None


def test_the_state_folder_is_what_the_option_says(configure: Configure) -> None:
    configure(state_folder=" s3://aws_default@bucket/state ")

    assert configuration.state_folder() == "s3://aws_default@bucket/state"


@pytest.mark.parametrize(
    ("make", "option", "text", "permitted"),
    [
        (run, "poll_interval", "soon", "a number of seconds above 0, not 'soon'"),
        (run, "poll_interval", "0", "a number of seconds above 0, not '0'"),
        (run, "max_poll_interval", "inf", "a number of seconds above 0, not 'inf'"),
        (batch, "max_outage", "-1", "a number of seconds, 0 or more, not '-1'"),
        (batch, "max_outage", "nan", "a number of seconds, 0 or more, not 'nan'"),
        (batch, "max_concurrency", "0", "a whole number from 1 to 1,000, not '0'"),
        (batch, "max_concurrency", "1001", "a whole number from 1 to 1,000, not '1001'"),
        (batch, "max_concurrency", "2.5", "a whole number from 1 to 1,000, not '2.5'"),
        (sensor, "poll_interval", "1m", "a number of seconds above 0, not '1m'"),
        (sensor, "max_poll_interval", "3", r"at least as long as \[workflows\] poll_interval \(5\), not 3"),
        (run_trigger, "max_outage", "long", "a number of seconds, 0 or more, not 'long'"),
    ],
)
def test_a_value_that_cannot_be_right_is_named_when_the_dag_is_parsed(
    configure: Configure, make: Any, option: str, text: str, permitted: str
) -> None:
    configure(**{option: text})

    with pytest.raises(InvalidInput, match=rf"^\[workflows\] {option} in Airflow's .* must be {permitted}"):
        make()


def mapped_run(**arguments: Any) -> Any:
    return RunWorkflowOperator.partial(task_id="run", workflow_definition_id="d", **arguments).expand(
        case_id=["c"]
    )


def mapped_batch(**arguments: Any) -> Any:
    return RunWorkflowBatchOperator.partial(
        task_id="batch", workflow_definition_id="d", output_path="/out", **arguments
    ).expand(items=[[]])


def mapped_sensor(**arguments: Any) -> Any:
    return WorkflowStatusSensor.partial(task_id="wait", **arguments).expand(workflow_id=["w"])


def mapped_run_task(**arguments: Any) -> Any:
    @run_workflow(workflow_definition_id="d", **arguments)
    def case(number: int) -> str:
        return f"c{number}"

    return case.expand(number=[1])


def mapped_batch_task(**arguments: Any) -> Any:
    @workflows_batch(workflow_definition_id="d", output_path="/out", **arguments)
    def rows(number: int) -> list[dict[str, Any]]:
        return [{"first_name": str(number)}]

    return rows.expand(number=[1])


MAPPED = [mapped_run, mapped_batch, mapped_sensor, mapped_run_task, mapped_batch_task]


@pytest.mark.parametrize("make", MAPPED)
@pytest.mark.parametrize("option", BOUNDS)
def test_a_value_that_cannot_be_right_is_named_when_the_dag_of_a_mapped_task_is_parsed(
    configure: Configure, make: Any, option: str
) -> None:
    configure(**{option: "soon"})

    with DAG("mapped"), pytest.raises(InvalidInput, match=rf"^\[workflows\] {option} .* not 'soon'"):
        make()


@pytest.mark.parametrize("make", [mapped_batch, mapped_batch_task])
def test_a_concurrency_that_cannot_be_right_is_named_when_the_dag_of_a_mapped_batch_is_parsed(
    configure: Configure, make: Any
) -> None:
    configure(max_concurrency="0")

    with DAG("mapped"), pytest.raises(InvalidInput, match=r"^\[workflows\] max_concurrency "):
        make()


@pytest.mark.parametrize("make", MAPPED)
@pytest.mark.parametrize("given", [BOUNDS, {"default_args": BOUNDS}])
def test_a_mapped_task_that_has_the_arguments_needs_no_option(
    configure: Configure, make: Any, given: dict[str, Any]
) -> None:
    configure(**dict.fromkeys(BOUNDS, "soon"))

    with DAG("mapped") as dag:
        make(**given)

    assert [task.is_mapped for task in dag.tasks] == [True]


def test_a_mapped_task_that_has_no_such_argument_needs_no_option(configure: Configure) -> None:
    configure(**dict.fromkeys(BOUNDS, "soon"))

    with DAG("mapped") as dag:
        CreateCaseOperator.partial(task_id="case").expand(first_name=["Ada"])

    assert [task.task_id for task in dag.tasks] == ["case"]


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_up, "_said", [])
    monkeypatch.setattr(unknown_options, "_said", set())


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize("begin", [WorkflowsPlugin.on_load, run, mapped_run])
def test_a_misspelled_variable_is_a_warning_at_the_start_and_when_a_dag_is_parsed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, begin: Callable[[], object]
) -> None:
    monkeypatch.setenv("AIRFLOW__WORKFLOWS__POLL_INTERVALL", "3")

    with DAG("parsed"):
        begin()
    WorkflowsPlugin.on_load()

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    sentence = (
        "The environment variable AIRFLOW__WORKFLOWS__POLL_INTERVALL of Airflow's configuration is unknown, so it "
        "changes nothing. Did you mean AIRFLOW__WORKFLOWS__POLL_INTERVAL?"
    )
    assert warnings == [sentence]


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("AIRFLOW__WORKFLOWS__poll_interval", "Did you mean AIRFLOW__WORKFLOWS__POLL_INTERVAL?"),
        ("AIRFLOW__WORKFLOWS__STATE_FOLDER_CMD", "Did you mean AIRFLOW__WORKFLOWS__STATE_FOLDER?"),
        ("AIRFLOW__WORKFLOWS__X", "Options are max_concurrency, max_outage, "),
    ],
)
def test_a_variable_that_airflow_does_not_read_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, meant: str
) -> None:
    monkeypatch.setenv(variable, "echo swordfish")

    configuration.warn_of_unknown()

    assert f"{variable} of Airflow's configuration is unknown" in caplog.text
    assert meant in caplog.text
    assert "swordfish" not in caplog.text


@pytest.mark.usefixtures("nothing_said")
def test_a_misspelled_option_of_the_file_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["max_outage", "max_concurency", "zzz"]
    monkeypatch.setattr(unknown_options.configuration, "option_names", lambda section: names)

    configuration.warn_of_unknown()

    assert "The option [workflows] max_concurency of" in caplog.text
    assert "Did you mean max_concurrency?" in caplog.text
    assert "Options are max_concurrency, max_outage, max_poll_interval, poll_interval" in caplog.text


@pytest.mark.usefixtures("nothing_said")
def test_options_that_are_there_are_no_warning(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    configure(**dict.fromkeys(BOUNDS, "400"))

    configuration.warn_of_unknown()

    assert caplog.records == []


@pytest.mark.usefixtures("nothing_said")
def test_each_option_that_cannot_be_right_is_an_error_in_the_log_of_a_component_that_starts(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    configure(poll_interval="soon", requests_per_second="-1", state_folder="key:swordfish@bucket")

    WorkflowsPlugin.on_load()
    WorkflowsPlugin.on_load()

    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [error.partition(" in Airflow")[0] for error in errors] == [
        "[workflows] poll_interval",
        "[workflows] requests_per_second",
        "[workflows] state_folder",
    ]
    assert "swordfish" not in caplog.text


@pytest.mark.usefixtures("nothing_said")
def test_a_component_starts_also_where_the_options_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(start_up.configuration, "mistakes", lambda: 1 / 0)

    WorkflowsPlugin.on_load()

    assert "cannot be read (ZeroDivisionError)" in caplog.text


@pytest.mark.usefixtures("nothing_said")
def test_the_process_of_a_task_says_nothing_of_options(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(poll_interval="soon")
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)

    WorkflowsPlugin.on_load()

    assert caplog.records == []


def test_a_rate_that_cannot_be_right_is_named_when_a_connection_is_tested(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", "workflows://:swordfish@")
    configure(requests_per_second="none")

    is_well, message = WorkflowsHook().test_connection()

    assert not is_well
    assert message.startswith(
        "[workflows] requests_per_second in Airflow's configuration must be a number above 0"
    )


def test_a_state_folder_that_is_no_place_is_refused_without_repeating_it(configure: Configure) -> None:
    configure(state_folder="key:swordfish@bucket")

    with pytest.raises(InvalidInput, match="must be a URI such as") as raised:
        configuration.state_folder()

    assert "swordfish" not in str(raised.value)


def test_an_option_is_read_when_an_operator_is_made_and_not_when_it_is_imported(configure: Configure) -> None:
    configure(poll_interval="6")
    first = run().poll_interval
    configure(poll_interval="8")

    assert (first, run().poll_interval) == (6.0, 8.0)


def test_the_options_have_their_defaults_in_an_airflow_whose_configuration_cannot_be_read(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(poll_interval="6")
    monkeypatch.setattr(CONFIGURATION, "find", lambda: 1 / 0)
    CONFIGURATION.forget()

    assert run().poll_interval == 5.0

    monkeypatch.undo()
    CONFIGURATION.forget()


@pytest.mark.thorough
def test_airflow_knows_the_defaults_of_the_section(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "config", "get-value", "workflows", "max_outage"],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "1800"


@pytest.mark.parametrize("name", configuration.OPTIONS)
def test_the_documentation_has_each_option_with_its_default(name: str) -> None:
    option = get_provider_info()["config"]["workflows"]["options"][name]

    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}` |"))
    assert f"| {option['default'] or 'none'} |" in row
    assert configuration.OPTIONS[name].permitted in row


def test_every_reading_of_the_section_is_in_the_module_of_its_name() -> None:
    package = Path(configuration.__file__).parent
    readers = [
        path.name
        for path in package.rglob("*.py")
        if "conf.get" in (text := path.read_text()) and '"workflows"' in text
    ]

    assert readers == []
