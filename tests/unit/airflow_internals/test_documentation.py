"""The page about the undocumented names of Airflow lists each of them, with what happens without it."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from airflow_provider_workflows import airflow_internals
from airflow_provider_workflows.airflow_internals.feature import Feature

PAGE = Path(__file__).parents[3] / "docs" / "airflow_internals.md"


def table() -> str:
    """Return the table of the page, from the code."""
    lines = ["| module | name of Airflow | used to | without it |", "| --- | --- | --- | --- |"]
    for module in sorted(each.name for each in pkgutil.iter_modules(airflow_internals.__path__)):
        name = f"{airflow_internals.__name__}.{module}"
        importlib.import_module(name)
        lines += [
            f"| `{module}` | `{feature.names}` | {feature.purpose} | {feature.without} |"
            for feature in Feature.all
            if feature.find.__module__ == name
        ]
    return "\n".join(lines)


def test_the_page_has_the_table_of_the_code() -> None:
    assert table() in PAGE.read_text(), f"docs/airflow_internals.md is to hold this table:\n\n{table()}\n"
