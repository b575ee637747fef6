"""The undocumented names of Airflow, pinned. Where one fails, this Airflow has changed what stands there."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, BaseOperator, BaseSensorOperator, ObjectStoragePath
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.timeout import timeout
from airflow.sdk.io.fs import _register_filesystems
from airflow.sdk.io.store import _STORE_CACHE
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows import airflow_internals
from airflow_provider_workflows.airflow_internals import assets, deferral, object_storage, task_state
from airflow_provider_workflows.airflow_internals.execution_timeout import held_back
from airflow_provider_workflows.airflow_internals.feature import MISSING, Feature
from airflow_provider_workflows.airflow_internals.rendering import Data, ShowsAs

for module in pkgutil.iter_modules(airflow_internals.__path__, f"{airflow_internals.__name__}."):
    importlib.import_module(module.name)

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("feature", Feature.all, ids=lambda feature: feature.names)
def test_this_airflow_has_each_name_as_it_is_used(feature: Feature[object]) -> None:
    try:
        feature.find()
    except MISSING as error:
        if feature.since is None:
            raise
        pytest.skip(f"Airflow has it since {feature.since}: {error}")


IN_A_WORKER = """
import sys
# Airflow's own base classes import some of its models.
from airflow.sdk import BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
before = set(sys.modules)
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from airflow_provider_workflows.airflow_internals.deferral import can_resume
assert can_resume()
unwanted = ("airflow.models", "airflow_provider_workflows.webhooks")
print("added:", *sorted(name for name in set(sys.modules) - before if name.startswith(unwanted)))
"""


@pytest.mark.thorough
def test_a_worker_learns_what_the_api_server_can_do_without_a_module_of_airflow_models() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_WORKER], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "added:"


def test_the_source_and_the_import_say_the_same_of_resuming() -> None:
    assert deferral.RESUME_ON_API_SERVER.is_available() == deferral.RESUME.is_available()


def test_both_modes_of_a_sensor_ask_for_the_pause() -> None:
    source = inspect.getsource(BaseSensorOperator.execute)

    assert source.count("self._get_next_poke_interval(") == 2


class Secret(ShowsAs):
    def shown(self) -> str:
        return "shown instead"


def test_the_view_of_rendered_templates_asks_a_value_how_it_shows() -> None:
    class Operator(BaseOperator):
        template_fields = ("field",)

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.field = [Secret()]

    rendered = task_runner._serialize_rendered_fields(Operator(task_id="shows"))

    assert rendered["field"] in (["shown instead"], "['shown instead']")


@pytest.mark.parametrize("given", ["{{ 7 * 7 }}", {"text": "{{ 7 * 7 }}"}], ids=["text", "dict"])
def test_airflow_renders_nothing_of_what_an_object_resolves_to(given: Any) -> None:
    operator = BaseOperator(task_id="renders")

    assert operator.render_template([Data(given)], {}) == [given]


def test_a_mapped_operator_hands_what_it_renders_to_the_operator_that_it_makes() -> None:
    source = inspect.getsource(MappedOperator.render_template_fields)

    assert "unmapped_task._do_render_template_fields(" in source
    assert "_airflow_from_mapped=True" in inspect.getsource(MappedOperator.unmap)


def test_outlets_that_a_task_adds_while_it_runs_are_read_once_it_is_done() -> None:
    operator = BaseOperator(task_id="adds")
    asset = Asset("workflows://example.invalid/completed")

    assert assets.add_outlet(operator, asset)

    source = inspect.getsource(task_runner)
    assert [profile.uri for profile in task_runner._build_asset_profiles(operator.outlets)] == [asset.uri]
    assert "_build_asset_profiles(ti.task.outlets)" in source


def test_a_clear_raises_the_number_by_which_tries_are_told_from_a_start_over() -> None:
    from airflow.models import taskinstance  # noqa: PLC0415

    source = inspect.getsource(taskinstance)

    assert "max_tries" in task_runner.RuntimeTaskInstance.model_fields
    assert "ti.max_tries = " in source
    assert task_state.clears({"ti": SimpleNamespace(max_tries=3)}) == 3  # type: ignore[typeddict-item]


def test_the_paths_of_a_connection_use_the_file_system_that_was_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        _register_filesystems(), "memory", lambda *_: MemoryFileSystem(skip_instance_cache=True)
    )  # type: ignore[arg-type]
    path = ObjectStoragePath("memory://contract@bucket/file")
    before = path.fs

    assert object_storage.renew_file_system("memory", "contract")

    assert path.fs is not before
    assert path.fs is ObjectStoragePath("memory://contract@bucket/other").fs
    _STORE_CACHE.pop("memory-contract")


def test_the_execution_timeout_interrupts_by_a_signal_that_can_be_held_back() -> None:
    done: list[str] = []

    with pytest.raises(AirflowTaskTimeout):
        _be_interrupted(1, done)

    assert done == ["told to stop", "ended"]


def test_a_block_that_does_not_end_is_interrupted_all_the_same() -> None:
    done: list[str] = []

    with pytest.raises(AirflowTaskTimeout):
        _be_interrupted(2, done)

    assert done == ["told to stop"]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def _be_interrupted(times: int, done: list[str]) -> None:
    """Be interrupted as by Airflow's timer, with a block that says what was done."""
    with timeout(3600), held_back(lambda: done.append("told to stop")):
        for _ in range(times):
            signal.raise_signal(signal.SIGALRM)
        done.append("ended")
