"""The arguments of an operator, read from its signature, its docstring and its template fields."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.local_files import OWNER_ONLY

#: The release that an argument is from whose description names none.
FIRST_RELEASE = "0.1.0"
#: How a description says which release an argument is from: ``Since 0.2.0.``
_SINCE = re.compile(r"\s*\(?[Ss]ince (\d+\.\d+\.\d+)\)?\.?")
_PARAMETER = re.compile(r"^:param (\w+): (.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^:(return|raises \w+): (.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)
_TEMPLATED = re.compile(r"\s*\(templated\)")
#: What a number without a duration's type counts, by the end of its argument's name.
_UNITS = {
    "_bytes": "bytes",
    "_share": "share, 0.0 to 1.0",
    "_per_second": "calls in a second",
    "_concurrency": "calls",
    "_mode": "file mode",
    "_rows_per_file": "rows",
    "size": "rows",
    "zero_pad": "digits by field",
    "poke_interval": "seconds",
    "timeout": "seconds",
}


@dataclass(frozen=True)
class Argument:
    """One argument of an operator, as the reference shows it.

    :param name: its name
    :param description: what the docstring says of it
    :param default: its default as code, or None if it must be given
    :param type: its type, as the signature has it
    :param unit: what its number counts, or None if it is no number
    :param templated: whether Airflow renders it
    :param since: the release that it is from
    """

    name: str
    description: str
    default: str | None
    type: str
    unit: str | None
    templated: bool
    since: str


def arguments_of(target: type | Callable[..., Any]) -> list[Argument]:
    """Return the arguments of an operator or a task function, those of its base class of this package at the end.

    :param target: the class, or the function that a task decorator was given
    :raises LookupError: if the docstring describes no argument of this name, or one that does not exist
    """
    described = dict(described_parameters(target))
    parameters = _parameters(target)
    templated = frozenset(getattr(target, "template_fields", ()))
    further = set(described) - set(parameters)
    # Airflow's own arguments may be described where they mean something particular.
    airflow_s = {name for name in further if described[name].startswith("Airflow's")}
    if missing := sorted(set(parameters) - set(described)):
        raise LookupError(f"The docstring of {target.__name__} does not describe {', '.join(missing)}")
    if unknown := sorted(further - airflow_s):
        raise LookupError(
            f"The docstring of {target.__name__} describes what it does not take: {', '.join(unknown)}"
        )
    return [
        _argument(name, described[name], parameters.get(name), templated, is_class=isinstance(target, type))
        for name in described
    ]


def _argument(
    name: str, text: str, parameter: inspect.Parameter | None, templated: frozenset[str], *, is_class: bool
) -> Argument:
    description = " ".join(text.split())
    since = _SINCE.search(description)
    description = _SINCE.sub("", description)
    # A decorated task has no template fields to read: all that its function takes is templated by Airflow.
    is_templated = name in templated if is_class else _TEMPLATED.search(description) is not None
    type_ = "Airflow's" if parameter is None else _type_of(parameter)
    return Argument(
        name,
        _TEMPLATED.sub("", description),
        None if parameter is None or parameter.default is parameter.empty else _code(parameter.default),
        type_,
        _unit_of(name, type_),
        is_templated,
        since[1] if since else FIRST_RELEASE,
    )


def described_parameters(target: object) -> list[tuple[str, str]]:
    """Return what a docstring says of each parameter, by name and in its order."""
    return _PARAMETER.findall(docstring(target))


def results_of(target: type | Callable[..., Any]) -> list[tuple[str, str]]:
    """Return what an operator returns and raises: pairs of ``return`` or ``raises NAME``, and the description."""
    return [(name, " ".join(text.split())) for name, text in _FIELD.findall(docstring(target))]


def docstring(target: object) -> str:
    """Return the docstring of a class or function, without its indentation."""
    return (inspect.getdoc(target) or "") + "\n"


def introduction(target: object) -> str:
    """Return what a docstring says before its fields."""
    return re.split(r"^:", docstring(target), maxsplit=1, flags=re.MULTILINE)[0].strip()


def _parameters(target: type | Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for function in _functions(target):
        for name, parameter in inspect.signature(function).parameters.items():
            if name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
                found.setdefault(name, parameter)
    return found


def _functions(target: type | Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    if not isinstance(target, type):
        yield target
        return
    for base in target.__mro__:
        if base.__module__.startswith("airflow_provider_workflows.") and "__init__" in vars(base):
            # Airflow wraps the method of each operator.
            yield inspect.unwrap(vars(base)["__init__"])


def _type_of(parameter: inspect.Parameter) -> str:
    # Every module of the package keeps its annotations as text.
    return str(parameter.annotation)


def _unit_of(name: str, type_: str) -> str | None:
    if "timedelta" in type_:
        return "seconds, or a timedelta"
    if not re.search(r"\b(int|float|Airflow's)\b", type_):
        return None
    for end, unit in _UNITS.items():
        if name.endswith(end):
            return unit
    raise LookupError(f"What the number {name} counts is not in {__name__}._UNITS")


def _code(value: object) -> str:
    if type(value) is int and value == OWNER_ONLY:
        return oct(value)
    if isinstance(value, float) and value.is_integer() and value > 1:
        return str(int(value))
    return repr(value)
