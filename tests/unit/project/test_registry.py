"""What Airflow's registry of providers reads is what the provider says of itself."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml

from airflow_provider_workflows.get_provider_info import get_provider_info
from tests.unit.project.declared import CHECKOUT, project_urls

ENTRY: dict[str, Any] = yaml.safe_load((CHECKOUT / ".airflow-registry.yaml").read_text())
KINDS = ("operators", "sensors", "hooks", "triggers", "notifications", "other")
LISTED = [module["module"] for kind in KINDS for module in ENTRY[kind]]


def of_provider_info() -> set[str]:
    info = get_provider_info()
    modules = {
        module
        for kind in ("operators", "sensors", "hooks", "triggers")
        for integration in info[kind]
        for module in integration["python-modules"]
    }
    classes = [*info["notifications"], *(each["class-name"] for each in info["task-decorators"])]
    return modules | {name.rpartition(".")[0] for name in classes}


def test_it_lists_what_the_provider_info_lists() -> None:
    assert {name.rpartition(".")[0] for name in LISTED} == of_provider_info()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", LISTED)
def test_what_is_listed_is_there(name: str) -> None:
    module, _, attribute = name.rpartition(".")

    assert callable(getattr(importlib.import_module(module), attribute))


def test_its_name_and_addresses_are_those_of_the_package() -> None:
    urls = project_urls()

    assert ENTRY["package-name"] == get_provider_info()["package-name"]
    assert ENTRY["docs-url"] == urls["Documentation"]
    assert ENTRY["source-url"] == urls["Source"]


def test_its_logo_is_in_the_repository() -> None:
    raw = (
        project_urls()["Source"].replace("https://github.com/", "https://raw.githubusercontent.com/")
        + "/main/"
    )

    assert ENTRY["logo"].startswith(raw)
    assert (CHECKOUT / ENTRY["logo"].removeprefix(raw)).is_file()
