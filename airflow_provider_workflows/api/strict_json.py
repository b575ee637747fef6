"""JSON as RFC 8259 has it, and no more: read from text, or found in values of Python.

Python's own reader takes NaN, takes a name twice (the last one wins) and nests as deep as the stack goes. Each of
them would send something else to the service than what was written. No error here repeats what was read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from airflow_provider_workflows.api.errors import InvalidInput

#: Lists and objects within each other. Python's reader gives up at about ten times as many.
MAX_DEPTH = 100


def parse_json(text: str | bytes) -> Any:
    """Return the value that ``text`` holds as JSON (RFC 8259).

    :param text: JSON; as bytes it is UTF-8, without a byte order mark
    :raises InvalidInput: if it is not JSON, ends too early, holds NaN, Infinity or a number beyond the range of a
        float, has a name twice in an object, or nests more than ``MAX_DEPTH`` deep. The message is the reason
        alone ("is not valid JSON ..."), to be put behind a name.
    """
    try:
        if not isinstance(text, str):
            text = text.decode()
        value = _DECODER.decode(text)
    except InvalidInput:
        raise
    except RecursionError:
        raise InvalidInput(_TOO_DEEP) from None
    except ValueError:
        # Python refuses a number of thousands of digits with a ValueError as well.
        raise InvalidInput("is not valid JSON, or ends in the middle of it") from None
    # Text with few brackets cannot nest deeply, and to count them is cheaper than to visit the value.
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
        raise InvalidInput(_TOO_DEEP)
    return value


def require_json_object(
    argument: str, value: object, *, is_left: Callable[[object], bool] | None = None
) -> dict[str, Any]:
    """Return ``value`` as a dict of JSON values: dicts, lists, text, numbers, true, false and null, all copied.

    :param argument: the argument's name, for the error
    :param value: a dict of values that JSON can express (RFC 8259: no NaN, no infinity, names are text)
    :param is_left: returns whether a value is not checked, because another takes its place before it is sent; it
        is None in what is returned
    :raises InvalidInput: naming the path of the first value that JSON cannot express, and its type, never the value
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{argument} must be a dict of JSON values, not {type(value).__name__}")
    try:
        copied: dict[str, Any] = _json_value(argument, value, (), is_left)
        json.dumps(copied, ensure_ascii=False).encode()
    except InvalidInput:
        raise
    except RecursionError:
        raise InvalidInput(f"{argument} is nested too deeply") from None
    except ValueError:
        # A number of thousands of digits, or text with half a character in it.
        raise InvalidInput(f"{argument} holds a value that cannot be written as JSON") from None
    return copied


def with_plain_numbers(value: Any) -> Any:
    """Return JSON with each number in one spelling: ``1.0`` and ``1`` are the same number of JSON.

    :param value: what JSON can express
    :return: a copy, in which a float without a fraction is an int
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {name: with_plain_numbers(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
        return [with_plain_numbers(item) for item in value]
    return value


def _json_value(
    path: str, value: object, parents: tuple[int, ...], is_left: Callable[[object], bool] | None
) -> Any:
    if is_left is not None and is_left(value):
        return None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise InvalidInput(f"{path} is {value}, which JSON cannot express")
    if id(value) in parents:
        raise InvalidInput(f"{path} contains itself, which JSON cannot express")
    if len(parents) == MAX_DEPTH:
        raise RecursionError
    within = (*parents, id(value))
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise InvalidInput(f"{path} has a name that is {type(name).__name__}, not text")
        return {name: _json_value(f"{path}.{name}", item, within, is_left) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_json_value(f"{path}[{index}]", item, within, is_left) for index, item in enumerate(value)]
    raise InvalidInput(
        f"{path} is {type(value).__name__}, which is not a JSON value; "
        "use text, a number, true, false, null, a list or a dict"
    )


def _is_too_deep(value: object) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [
            item
            for parent in level
            for item in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def _refuse_constant(_: str) -> NoReturn:
    raise InvalidInput("holds NaN or Infinity, which JSON cannot express")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isfinite(number):
        return number
    raise InvalidInput("holds a number beyond the range of a float")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise InvalidInput("holds an object with the same name twice")
    return values


_TOO_DEEP = "is JSON nested too deeply"
_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite_float, object_pairs_hook=_object
)
