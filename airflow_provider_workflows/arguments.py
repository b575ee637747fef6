"""Checks of arguments, made when a DAG is parsed.

Each error names the argument, what it must be, and the type that was given. The value itself may be personal: it is
repeated only where the argument takes one of a few words, or a number.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NoReturn, TypeGuard, TypeVar, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import WRITTEN_AS
from airflow_provider_workflows.api.run_details import require_life
from airflow_provider_workflows.api.strict_json import require_json_object

Value = TypeVar("Value")


def is_resolved_later(value: object) -> bool:
    """Return whether a templated argument gets its value only when the task runs.

    That is so for a text that holds a template, and for what stands for the value of another task: Airflow's
    ``XComArg``, and the argument of a mapped task group, which has the same two methods and no public name.
    """
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return hasattr(value, "resolve") and hasattr(value, "iter_references")


def refuse(argument: str, requirement: str, value: object) -> NoReturn:
    """Raise for an argument that has the wrong type.

    :param argument: the argument's name
    :param requirement: what it must be, such as ``"a list of rows"``
    :param value: what was given, of which only the type is named
    :raises InvalidInput: in any case
    """
    raise InvalidInput(f"{argument} must be {requirement}, not {type(value).__name__}")


def seconds(argument: str, value: object, default: Callable[[], float] | None = None) -> float:
    """Return a duration in seconds.

    :param argument: the argument's name
    :param value: seconds as a number, or a ``timedelta`` (a ``pendulum.Duration`` is one)
    :param default: returns the seconds that count where the value is None; None if there must be a value
    :raises InvalidInput: if it is neither, is negative, or has no end
    """
    if value is None and default is not None:
        return default()
    duration = value.total_seconds() if isinstance(value, timedelta) else value
    if not _is_number(duration):
        refuse(argument, "a number of seconds or a timedelta", value)
    if not 0 <= duration < math.inf:
        raise InvalidInput(f"{argument} must be 0 seconds or more, and finite, not {duration}")
    return float(duration)


def whole_number(argument: str, value: object, *, at_least: int, at_most: int | None = None) -> int:
    """Return a whole number that is within its bounds.

    :param argument: the argument's name
    :param value: what was given
    :param at_least: the smallest number that is allowed
    :param at_most: the largest number that is allowed; None for any
    :raises InvalidInput: if it is not a whole number, or out of bounds
    """
    bounds = f"of at least {at_least:,}" if at_most is None else f"from {at_least:,} to {at_most:,}"
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(argument, f"a whole number {bounds}", value)
    if value < at_least or (at_most is not None and value > at_most):
        raise InvalidInput(f"{argument} must be a whole number {bounds}, not {value}")
    return value


def file_mode(argument: str, value: object) -> int:
    """Return the mode of a file that its owner may read and write, and that nobody may execute.

    :param argument: the argument's name
    :param value: a whole number such as ``0o640``
    :raises InvalidInput: if it is not such a mode, such as the decimal number 640
    """
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(argument, "the mode of a file as a whole number, such as 0o640", value)
    if value & ~0o666 or value & 0o600 != 0o600:
        raise InvalidInput(
            f"{argument} must be the mode of a file that its owner may read and write and nobody may execute, such "
            f"as 0o600, 0o640 or 0o644, not {value} (0o{value:o})"
        )
    return value


def number_above_zero(argument: str, value: object) -> float:
    """Return a finite number above 0.

    :raises InvalidInput: if it is not a number, or not above 0, or not finite
    """
    if not _is_number(value):
        refuse(argument, "a number above 0", value)
    if not 0 < value < math.inf:
        raise InvalidInput(f"{argument} must be a number above 0, and finite, not {value}")
    return value


def true_or_false(argument: str, value: object) -> bool:
    """Return a bool: a text such as ``"no"`` would count as true.

    :raises InvalidInput: if it is not a bool
    """
    if not isinstance(value, bool):
        refuse(argument, "True or False", value)
    return value


def choice(argument: str, value: Value, allowed: Sequence[str]) -> Value:
    """Return one of a few words.

    :param argument: the argument's name
    :param value: what was given
    :param allowed: the words that the argument takes
    :raises InvalidInput: if it is not one of them
    """
    words = " or ".join(map(repr, allowed))
    if not isinstance(value, str):
        refuse(argument, words, value)
    if value not in allowed:
        raise InvalidInput(f"{argument} must be {words}, not {value!r}")
    return value


def templated_text(
    argument: str,
    value: object,
    *,
    require: Callable[[str], object] | None = None,
    may_be_empty: bool = False,
) -> str:
    """Return a templated text, such as an id; what a template in it becomes is checked when the task runs.

    :param argument: the argument's name
    :param value: what was given
    :param require: raises for a text without a template that cannot be right
    :param may_be_empty: whether a text without a character says something too
    :raises InvalidInput: if it is neither text nor resolved later, or is an empty text
    """
    is_id = argument.endswith("_id")
    if is_resolved_later(value):
        pass
    elif not isinstance(value, str):
        refuse(argument, "an id as text" if is_id else "text", value)
    elif not value.strip() and not may_be_empty:
        written = f"; {WRITTEN_AS}" if is_id and argument != "workflows_conn_id" else ""
        raise InvalidInput(f"{argument} is empty{written}")
    elif require is not None:
        require(value)
    # By the time that it is used, Airflow has put the values of other tasks in their places.
    return cast("str", value)


def templated_dict(argument: str, value: Value, contents: str) -> Value:
    """Return a templated dict.

    :param argument: the argument's name
    :param value: what was given
    :param contents: what the dict holds, such as ``"JSON values"``
    :raises InvalidInput: if it is neither a dict nor resolved later
    """
    if not isinstance(value, Mapping) and not is_resolved_later(value):
        refuse(argument, f"a dict of {contents}", value)
    return value


def templated_json(argument: str, value: Value) -> Value:
    """Return a templated dict of JSON values; what its templates become is checked when the task runs.

    :param argument: the argument's name
    :param value: what was given
    :raises InvalidInput: if it is neither a dict nor resolved later; naming the path of a value in it that is not
        resolved later and that JSON cannot express, never the value
    """
    templated_dict(argument, value, "JSON values")
    if not is_resolved_later(value):
        require_json_object(argument, value, is_left=is_resolved_later)
    return value


def templated_expiry(value: Any) -> Any:
    """Return a templated expiry of a run; what a template or another task brings is checked when the task runs.

    :raises InvalidInput: if it cannot be right, whatever the time is
    """
    if value is not None and not is_resolved_later(value):
        require_life(value)
    return value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def require_pyarrow(argument: str) -> Any:
    """Return the module ``pyarrow`` with ``pyarrow.parquet`` loaded: an extra, 40 MB that only Parquet needs.

    :param argument: the argument that asks for Parquet, for the error
    :raises InvalidInput: saying what to install, if pyarrow is missing
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InvalidInput(
            f"{argument}: Parquet and Arrow need pyarrow: pip install 'airflow-provider-workflows[parquet]'"
        ) from None
    return pyarrow


def require_module(name: str, purpose: str) -> Any:
    """Return a module that this package does without, because a user asks for what only it can give.

    :param name: of the module, which is also what pip installs
    :param purpose: what needs it, for the error
    :raises InvalidInput: saying what to install, if it is missing
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InvalidInput(f"{purpose} needs {name}: pip install {name}") from None
