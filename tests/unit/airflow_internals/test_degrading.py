"""Without an undocumented name of Airflow, the package does less, and says so; it never breaks in the middle."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG, Asset, BaseOperator, BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from sqlalchemy.orm import Session

from airflow_provider_workflows.airflow_internals import (
    api_server,
    assets,
    command_line,
    configuration,
    deferral,
    mapped_arguments,
    object_storage,
    openlineage,
    orm,
    rendering,
    retries,
    secrets_masker,
    stored_task_state,
    supervisor,
    task_state,
    text_rendering,
    xcom,
)
from airflow_provider_workflows.airflow_internals.feature import Feature
from airflow_provider_workflows.operators import state_store
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

ASSET = Asset("workflows://example.invalid/completed")
TASK = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
PUSHING = SimpleNamespace(xcom_push=lambda key, value: None)
NOTHING = cast("Any", None)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Feature[Any]], None]]:
    """Take a feature away from Airflow, until the test ends."""
    taken: list[Feature[Any]] = []

    def take(feature: Feature[Any]) -> None:
        def fail() -> None:
            raise ImportError("it is not there")

        monkeypatch.setattr(feature, "find", fail)
        feature.forget()
        taken.append(feature)

    yield take
    for feature in taken:
        feature.forget()


@pytest.mark.parametrize(
    ("feature", "use", "result"),
    [
        (xcom.XCOM, lambda: xcom.value_of(NOTHING, "key"), None),
        (xcom.XCOM, lambda: xcom.read("key", dag_id="d", run_id="r", task_id="t", map_index=None), None),
        (xcom.LIVE_XCOM, lambda: asyncio.run(xcom.read_in_trigger("key", TASK)), None),
        (xcom.LIVE_XCOM, lambda: asyncio.run(xcom.read_from_database("key", TASK)), None),
        (xcom.LIVE_XCOM, xcom.is_live, False),
        (xcom.LIVE_XCOM, lambda: asyncio.run(xcom.write_in_trigger("key", 1, TASK)), None),
        (secrets_masker.REDACT, lambda: secrets_masker.masked("text"), None),
        (api_server.CONNECTION_ACCESS, api_server.require_reader_of_connections, None),
        (command_line.COMMANDS, lambda: command_line.group_of_commands("workflows", "text", []), []),
        (command_line.PROCESS_CONTEXT, command_line.find_connections_in_database, None),
        (configuration.CONFIGURATION, lambda: configuration.option("core", "dags_folder"), None),
        (configuration.OPTION_NAMES, lambda: configuration.option_names("core"), []),
        (xcom.DIRECT_XCOM, lambda: xcom.write_to_database("key", 1, PUSHING), None),
        (supervisor.SUPERVISOR, supervisor.is_asynchronous, True),
        (supervisor.SUPERVISOR, supervisor.is_triggerer, False),
        (supervisor.TASK_STATES, lambda: supervisor.task_states("d", "r"), {}),
        (deferral.RESUME_ON_API_SERVER, deferral.can_resume, False),
        (deferral.RESUME, lambda: deferral.resume(None, {}, NOTHING), None),
        (orm.DEFERRED_TASKS, lambda: orm.deferred_triggers("class", NOTHING), []),
        (orm.DEFERRED_TASKS, lambda: orm.deferred_tasks([NOTHING], NOTHING), []),
        (
            orm.DEFERRED_TASKS,
            lambda: orm.deferred_tasks_with_xcom("class", "method", "key", [], NOTHING),
            [],
        ),
        (
            assets.ASSET_EVENTS,
            lambda: assets.add_events({}, since=NOTHING, session=cast("Session", None)),
            None,
        ),
        (assets.OUTLET_PARTITIONS, assets.has_outlet_partitions, False),
        (stored_task_state.INSTRUCTIONS, stored_task_state.takes_instructions, False),
        (
            stored_task_state.INSTRUCTIONS,
            lambda: stored_task_state.read_task_state(NOTHING, "key", NOTHING),
            None,
        ),
        (task_state.CLEAR_OF_STATE, task_state.a_clear_discards_task_state, False),
        (task_state.CLEAR_OF_STATE, task_state.options_of_clear, {}),
        (retries.RETRY_POLICY, lambda: retries.policy_argument(NOTHING), {}),
        (retries.RESCHEDULE, lambda: retries.rescheduled(None, timedelta(1), ""), None),
        (configuration.CONFIGURATION, lambda: configuration.boolean("a", "b", default=True), True),
        (configuration.CONFIGURATION, lambda: configuration.integer("a", "b", default=7), 7),
        (assets.OUTLETS, lambda: assets.add_outlet(BaseOperator(task_id="t"), ASSET), False),
        (assets.INLET_EVENTS, lambda: assets.listed_events(ASSET, [1]), [1]),
        (
            object_storage.FILE_SYSTEMS,
            lambda: object_storage.renew_file_system("s3", "aws_default"),
            False,
        ),
        (openlineage.DATASETS_OF_ASSETS, lambda: openlineage.dataset_of(ASSET), None),
        (openlineage.TABLES_IN_SQL, lambda: openlineage.tables_in_sql(None, "SELECT 1", "db"), None),  # type: ignore[arg-type]
    ],
    ids=lambda value: value.names.split("(")[0] if isinstance(value, Feature) else "",
)
def test_what_airflow_no_longer_has_is_done_without(
    missing: Callable[[Feature[Any]], None],
    caplog: pytest.LogCaptureFixture,
    feature: Feature[Any],
    use: Callable[[], object],
    result: object,
) -> None:
    missing(feature)

    assert [use(), use()] == [result, result]

    # What is younger than the oldest Airflow that this package runs on is told of in one line for all.
    warnings = 0 if feature.since else 1
    assert len([record for record in caplog.records if feature.purpose in record.getMessage()]) == warnings


def test_an_operator_with_personal_arguments_is_refused_where_they_would_show(
    missing: Callable[[Feature[Any]], None],
) -> None:
    missing(rendering.RENDERING)

    with pytest.raises(AirflowException, match="Personal values cannot be redacted"):
        CreateCaseOperator(task_id="create_case", first_name="Brunhilde")
    with pytest.raises(AirflowException, match="Personal values cannot be redacted"):
        RunWorkflowOperator(task_id="run", workflow_definition_id="{{ a }}", parameters={"name": "Brunhilde"})


def test_an_operator_without_personal_arguments_is_made_all_the_same(
    missing: Callable[[Feature[Any]], None],
) -> None:
    missing(rendering.RENDERING)

    RunWorkflowOperator(task_id="run", workflow_definition_id="{{ a }}", case_id="{{ b }}")


@pytest.mark.parametrize("kind", [RunWorkflowOperator, WorkflowStatusSensor])
def test_a_mapped_operator_is_refused_where_data_would_be_rendered(
    missing: Callable[[Feature[Any]], None], kind: Any
) -> None:
    name = "case_id" if kind is RunWorkflowOperator else "workflow_id"
    others = {"workflow_definition_id": "{{ a }}"} if kind is RunWorkflowOperator else {}
    with DAG("mapped"):
        mapped = kind.partial(task_id="task", **others).expand(**{name: ["1"]})
    missing(rendering.RENDERING)

    with pytest.raises(AirflowException, match="data cannot be kept from being rendered"):
        mapped.unmap({name: "1"})


@pytest.mark.parametrize("mapped", [False, True], ids=["in a mapped group", "mapped"])
def test_a_task_of_a_mapping_fails_where_data_cannot_be_told_from_templates(
    missing: Callable[[Feature[Any]], None], mapped: bool
) -> None:
    missing(mapped_arguments.EXPAND_INPUT)
    with DAG("mapped"):
        operator: Any = CreateCaseOperator.partial(task_id="case").expand(first_name=["{{ 7 * 7 }}"])
    if mapped:
        operator, context = operator.unmap({"first_name": "{{ 7 * 7 }}"}), {}
    else:
        operator, context = CreateCaseOperator(task_id="case"), {"ti": SimpleNamespace(map_index=0)}

    with pytest.raises(AirflowFailException, match="Nothing was sent"):
        operator.render_template_fields(context)


def test_a_task_that_is_not_mapped_renders_where_data_cannot_be_told_from_templates(
    missing: Callable[[Feature[Any]], None],
) -> None:
    missing(mapped_arguments.EXPAND_INPUT)
    operator = RunWorkflowOperator(task_id="run", workflow_definition_id="{{ 7 * 7 }}", case_id="1")

    operator.render_template_fields(cast("Any", {"ti": SimpleNamespace(map_index=-1)}))

    assert cast("Any", operator.workflow_definition_id) == 49


@pytest.mark.parametrize("native", [False, True])
def test_a_task_of_a_native_dag_fails_where_text_would_be_read_as_python(
    missing: Callable[[Feature[Any]], None], native: bool
) -> None:
    missing(text_rendering.TEXT_ENVIRONMENT)
    with DAG("native", render_template_as_native_obj=native):
        operator = RunWorkflowOperator(task_id="run", workflow_definition_id="0{{ 7 }}", case_id="1")

    if native:
        with pytest.raises(AirflowFailException, match="Nothing was sent"):
            operator.render_template_fields(cast("Any", {}))
    else:
        operator.render_template_fields(cast("Any", {}))
        assert operator.workflow_definition_id == "07"


def test_a_function_whose_arguments_are_redacted_is_not_made_a_task(
    missing: Callable[[Feature[Any]], None],
) -> None:
    missing(rendering.PYTHON_TASK)

    with pytest.raises(AirflowException, match="arguments are redacted cannot be made"):
        rendering.redacting_task(lambda value: value)


@pytest.mark.parametrize("context", [{}, {"task_state_store": None}])
def test_a_task_without_a_state_store_fails_before_it_submits(context: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"(?s)Nothing was submitted.*state_folder.*durable=False"):
        state_store.state_store(cast("Any", context))


def test_a_task_whose_state_store_has_changed_fails_before_it_submits(
    missing: Callable[[Feature[Any]], None],
) -> None:
    missing(task_state.TASK_STATE_STORE)

    with pytest.raises(AirflowFailException, match="Nothing was submitted"):
        state_store.state_store(cast("Any", {"task_state_store": object()}))


def test_a_database_that_cannot_be_opened_raises(missing: Callable[[Feature[Any]], None]) -> None:
    missing(orm.SESSION)

    with pytest.raises(RuntimeError, match="cannot be written to"), orm.database_session():
        pass


def test_a_sensor_that_airflow_does_not_tell_of_its_first_poll_begins_with_this_one(
    missing: Callable[[Feature[Any]], None],
) -> None:
    missing(deferral.FIRST_RESCHEDULE)

    assert deferral.first_reschedule(cast("Any", {"ti": SimpleNamespace()})) is None


class Sensor(deferral.OwnPokeInterval, BaseSensorOperator):
    own: float | None = None

    def poke(self, context: Any) -> PokeReturnValue:
        return PokeReturnValue(is_done=True)

    def seconds_until_next_poke(self) -> float | None:
        return self.own


@pytest.mark.parametrize(("own", "seconds"), [(7.0, 7.0), (None, 60.0)])
def test_a_sensor_pauses_as_long_as_it_says_and_else_as_airflow_says(
    own: float | None, seconds: float
) -> None:
    sensor = Sensor(task_id="wait", poke_interval=60.0)
    sensor.own = own

    assert sensor._get_next_poke_interval(0.0, lambda: 0.0, 1) == seconds


@pytest.mark.parametrize(
    "source",
    [
        None,
        "def another(): ...",
        "def handle_event_submit(event, task): ...",
        "async def handle_event_submit(event, *, task_instance, session): ...",
        "class handle_event_submit: ...",
        "def handle_event_submit(",
    ],
)
def test_a_worker_polls_as_without_webhooks_where_the_source_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str | None
) -> None:
    if source is not None:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "trigger.py").write_text(source)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    deferral.RESUME_ON_API_SERVER.forget()
    try:
        assert not deferral.can_resume()
    finally:
        deferral.RESUME_ON_API_SERVER.forget()


@pytest.mark.parametrize(
    ("not_before", "slept"),
    [(None, []), (90.0, []), (100.0, []), (110.0, [10.0]), (18_100.0, [10.0])],
    ids=str,
)
async def test_an_event_is_held_back_until_it_may_come(not_before: float | None, slept: list[float]) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    await deferral.hold_back_until(not_before, clock=lambda: 100.0, sleep=sleep)

    assert pauses == slept
