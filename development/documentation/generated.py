"""What is written into the pages of the documentation from the code, each time that the site is built.

A page asks for it with a comment on a line of its own, which does not show where the page is read as it is:
``<!-- operator airflow_provider_workflows.operators.run.RunWorkflowOperator -->``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_workflows.configuration import OPTIONS
from airflow_provider_workflows.hooks.fields import FIELDS
from development.documentation.arguments import (
    Argument,
    arguments_of,
    described_parameters,
    introduction,
    results_of,
)

DOCS = Path(__file__).parents[2] / "docs"
_REQUEST = re.compile(r"^<!-- (operator|task|decorator|connection|further pages) ?(\S*) -->$", re.MULTILINE)


def fill(page: str) -> str:
    """Return a page with all that it asks for."""
    return _REQUEST.sub(lambda match: _MAKERS[match[1]](match[2]), page)


def requests(page: str) -> list[tuple[str, str]]:
    """Return what a page asks for: pairs of a kind and a name."""
    return _REQUEST.findall(page)


def operator(name: str) -> str:
    """Return what there is to say of an operator or a sensor.

    :param name: the module and the class, joined by a dot
    """
    target = _named(name)
    return "\n\n".join(
        [_import_line(name), introduction(target), _table(arguments_of(target)), _results(target)]
    )


def task(name: str) -> str:
    """Return what there is to say of a function that makes a task.

    :param name: the module and the function, joined by a dot
    """
    target = _named(name).function
    return "\n\n".join(
        [_import_line(name), introduction(target), _table(arguments_of(target)), _results(target)]
    )


def decorator(name: str) -> str:
    """Return what there is to say of a decorator that takes the arguments of an operator.

    :param name: the module and the function, joined by a dot
    """
    target = _named(name)
    described = dict(described_parameters(target))
    takes = f"It takes {' '.join(described['arguments'].split())}, by name."
    return "\n\n".join([_import_line(name), introduction(target), takes, _results(target)])


def further_pages(_: str) -> str:
    """Return a list of contents with the pages that ``index.md`` names nowhere, so that none is left out."""
    index = (DOCS / "index.md").read_text(encoding="utf-8").split()
    pages = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))
    further = [page for page in pages if page not in index and page != "index"]
    if not further:
        return ""
    return "\n".join(["```{toctree}", ":hidden:", ":caption: Further", "", *further, "```"])


def connection(_: str) -> str:
    """Return the table of the connection's extras, as the form in Airflow has them."""
    lines = ["| extra | group of the form | what the form says |", "| --- | --- | --- |"]
    lines += [
        f"| `{name}` | {field.section} | {_cell(field.description)} |" for name, field in FIELDS.items()
    ]
    return "\n".join(lines)


def _named(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _import_line(name: str) -> str:
    module, _, attribute = name.rpartition(".")
    return f"```python\nfrom {module} import {attribute}\n```"


def _table(arguments: list[Argument]) -> str:
    lines = ["| argument | default | type, unit | templated | since | what it is |", "| --- " * 6 + "|"]
    for each in arguments:
        default = _default(each)
        kind = _code(each.type) + (f", in {each.unit}" if each.unit else "")
        templated = "yes" if each.templated else "no"
        lines.append(
            f"| `{each.name}` | {default} | {kind} | {templated} | {each.since} | {_cell(each.description)} |"
        )
    return "\n".join(lines)


def _default(argument: Argument) -> str:
    option = OPTIONS.get(argument.name)
    if argument.default == "None" and option is not None:
        otherwise = "no cap" if option.default is None else _code(f"{option.default:g}")
        return f"{_code(f'[workflows] {argument.name}')}, or else {otherwise}"
    if argument.default is None and argument.type != "Airflow's":
        return "required"
    return _code(argument.default or "")


def _results(target: type | Callable[..., Any]) -> str:
    lines = []
    for name, text in results_of(target):
        kind, _, error = name.partition(" ")
        lines.append(f"- **Returns** {text}" if kind == "return" else f"- **Raises** `{error}` {text}")
    return "\n".join(lines)


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_MAKERS: dict[str, Callable[[str], str]] = {
    "connection": connection,
    "decorator": decorator,
    "further pages": further_pages,
    "operator": operator,
    "task": task,
}
