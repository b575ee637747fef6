"""Outside of ``airflow_internals`` only documented names of Airflow are used.

import-linter knows ``airflow`` only as a whole, so this reads the source. It sees imports, and the names of the
list below where they stand as an attribute, a key or a method. It does not see a name that is put together at run
time or asked for with ``getattr``, nor a documented object's attribute that is not in the list.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_workflows

PACKAGE = Path(airflow_provider_workflows.__file__).parent
MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    # The examples are DAGs, of which each says which Airflow it needs.
    if path.relative_to(PACKAGE).parts[0] not in ("airflow_internals", "example_dags")
)
#: Modules of Airflow, and of its OpenLineage provider, that its documentation tells others to import.
PUBLIC_MODULES = {
    "airflow.plugins_manager",
    "airflow.providers.openlineage.extractors",
    "airflow.sdk",
    "airflow.providers.common.sql.hooks.sql",
    "airflow.sdk.bases.decorator",
    "airflow.sdk.log",
    "airflow.sdk.types",
    "airflow.triggers.base",
}
#: An example is for the newest Airflow, where these have a documented place.
OF_EXAMPLES = {"airflow.sdk.exceptions"}
#: Undocumented names that need no import: they are overridden, read from an object, or checked for.
PRIVATE_NAMES = {
    "SUPERVISOR_COMMS",
    "_PythonDecoratedOperator",
    "_additional_skip_redact",
    "_do_render_template_fields",
    "_get_next_poke_interval",
    "_get_schema",
    "aget_one",
    "get_first_reschedule_date",
    "get_one",
    "get_task_states",
    "get_value",
    "handle_event_submit",
    "max_tries",
    "register_asset_change",
    "task_state_store",
    "translate_airflow_asset",
}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield node.module


def private_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        name = (
            node.attr
            if isinstance(node, ast.Attribute)
            else node.name
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            else node.slice.value
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
            else None
        )
        if isinstance(name, str) and name in PRIVATE_NAMES:
            yield name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_uses_documented_names_of_airflow_only(path: Path) -> None:
    tree = ast.parse(path.read_text())

    modules = {name for name in imported(tree) if name.split(".")[0] == "airflow"}

    assert modules <= PUBLIC_MODULES | (OF_EXAMPLES if "example_dags" in path.parts else set())
    assert set(private_names(tree)) == set()


@pytest.mark.thorough
def test_what_is_imported_from_airflow_sdk_is_in_its_list_of_public_names() -> None:
    import airflow.sdk  # noqa: PLC0415

    names = {
        alias.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "airflow.sdk"
        for alias in node.names
    }

    assert names <= set(airflow.sdk.__all__)


def test_an_undocumented_name_is_found() -> None:
    tree = ast.parse(
        "import airflow.models.trigger\n"
        "from airflow.utils.session import create_session\n"
        "class Operator:\n"
        "    def _do_render_template_fields(self): ...\n"
        "context['task_state_store'].get(ti.max_tries)\n"
    )

    assert set(imported(tree)) - PUBLIC_MODULES == {"airflow.models.trigger", "airflow.utils.session"}
    assert set(private_names(tree)) == {"_do_render_template_fields", "task_state_store", "max_tries"}
