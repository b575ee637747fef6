"""The reference of the operators is that of the code."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_workflows import __version__, operators, sensors
from airflow_provider_workflows.get_provider_info import get_provider_info
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from development.documentation import generated
from development.documentation.arguments import arguments_of
from development.documentation.generated import fill, operator, requests
from tests.harness.snippets import DOCS

PAGE = (DOCS / "reference" / "operators.md").read_text(encoding="utf-8")
REQUESTS = requests(PAGE)
WITH_TABLE = [name for kind, name in REQUESTS if kind in ("operator", "task")]
FUNCTIONS = {
    "airflow_provider_workflows.operators.shards.merge",
    "airflow_provider_workflows.operators.shards.shard",
}


def offered() -> set[str]:
    """Return each operator, sensor and function that the provider offers."""
    info = get_provider_info()
    names = {
        name for kind in ("operators", "sensors") for each in info[kind] for name in each["python-modules"]
    }
    classes = {
        f"{name}.{value.__name__}"
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, type) and issubclass(value, BaseOperator) and value.__module__ == name
    }
    decorators = {each["class-name"] for each in info["task-decorators"]}
    return classes | decorators | FUNCTIONS


def target(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    return found if isinstance(found, type) else found.function


def test_the_page_has_all_that_the_provider_offers() -> None:
    assert {name for _, name in REQUESTS} == offered()


def test_each_operator_and_sensor_is_in_a_module_that_the_provider_names() -> None:
    modules = [
        importlib.import_module(found.name)
        for package in (operators, sensors)
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]
    classes = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseOperator) and value.__module__ == module.__name__
    }
    bases = {base for each in classes for base in each.__mro__[1:]}

    assert {f"{each.__module__}.{each.__name__}" for each in classes - bases} <= offered()


def test_the_table_of_operators_has_each_class_that_the_provider_offers() -> None:
    table = (DOCS / "operators.md").read_text(encoding="utf-8")
    classes = {name for name in offered() if name.endswith(("Operator", "Sensor"))}

    missing = {name for name in classes if f"| `{name.partition('.')[2]}` |" not in table}

    assert not missing


def test_each_module_that_the_provider_names_is_on_the_page() -> None:
    info = get_provider_info()
    kinds = (info["operators"], info["sensors"])
    modules = {module for kind in kinds for integration in kind for module in integration["python-modules"]}
    decorators = {each["class-name"].rpartition(".")[0] for each in info.get("task-decorators", [])}

    assert modules - {name.rpartition(".")[0] for _, name in REQUESTS} == set()
    assert decorators - {name.rpartition(".")[0] for _, name in REQUESTS} == set()


def test_nothing_that_a_page_asks_for_is_left_out() -> None:
    assert requests(fill(PAGE)) == []


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", WITH_TABLE)
def test_each_argument_is_described_and_each_number_has_a_unit(name: str) -> None:
    arguments = arguments_of(target(name))

    assert arguments
    assert [each.name for each in arguments if not each.description] == []


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", WITH_TABLE)
def test_no_argument_is_of_a_release_to_come(name: str) -> None:
    def parts(version: str) -> list[int]:
        return [int(part) for part in version.split(".")[:3]]

    assert [each.since for each in arguments_of(target(name)) if parts(each.since) > parts(__version__)] == []


def test_an_argument_is_templated_if_airflow_renders_it() -> None:
    found = {each.name: each.templated for each in arguments_of(RunWorkflowBatchOperator)}

    assert {name for name, templated in found.items() if templated} == set(
        RunWorkflowBatchOperator.template_fields
    )


@pytest.mark.parametrize(
    "cells",
    [
        "| `max_concurrency` | `[workflows] max_concurrency`, or else `32` | `int \\| None`, in calls | no |",
        "| `output_mode` | `0o600` | `int`, in file mode | no |",
        "| `max_failed_share` | `0.0` | `float`, in share, 0.0 to 1.0 | no |",
        "| `items` | required | `Items \\| XComArg` | yes |",
    ],
)
def test_a_row_has_default_unit_and_whether_it_is_templated(cells: str) -> None:
    assert cells in operator("airflow_provider_workflows.operators.batch.RunWorkflowBatchOperator")


def test_an_argument_that_the_docstring_lacks_is_an_error() -> None:
    class Longer(RunWorkflowOperator):
        __doc__ = RunWorkflowOperator.__doc__

        def __init__(self, *, further: int = 1, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    Longer.__module__ = RunWorkflowOperator.__module__

    with pytest.raises(LookupError, match="does not describe further"):
        arguments_of(Longer)


def test_a_page_that_the_index_does_not_name_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated, "DOCS", tmp_path)
    (tmp_path / "index.md").write_text("first\n")
    (tmp_path / "first.md").touch()
    (tmp_path / "second.md").touch()

    contents = fill("<!-- further pages -->\n")

    assert contents.splitlines()[-2:] == ["second", "```"]
    assert "first" not in contents
