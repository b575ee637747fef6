"""Some fields of a result: which, as JMESPath, the query language for JSON (https://jmespath.org/specification.html)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jmespath  # type: ignore[import-untyped]
from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]

from airflow_provider_workflows.api.errors import InvalidInput


def require_selection(select: object) -> Sequence[str]:
    """Return expressions that say which fields, checked.

    :param select: list of expressions, such as ``["decision", "checks[0].status"]``
    :raises InvalidInput: naming the one that is none
    """
    if isinstance(select, str) or not isinstance(select, Sequence) or not select:
        raise InvalidInput("select must be a list of expressions such as ['decision', 'checks[0].status']")
    for expression in select:
        if not isinstance(expression, str):
            raise InvalidInput(f"select has an expression that is no text but {type(expression).__name__}")
        try:
            jmespath.compile(expression)
        except JMESPathError as error:
            raise InvalidInput(
                f"select has {expression!r}, which is no JMESPath expression: {str(error).splitlines()[0]}"
            ) from None
        except RecursionError:
            raise InvalidInput("select has an expression that is nested too deeply") from None
    return select


def selected(result: Mapping[str, Any], select: Sequence[str]) -> dict[str, Any]:
    """Return what each expression finds in a result, by the expression; None where it finds nothing.

    :raises InvalidInput: naming an expression that does not fit what is there, such as a sum of texts
    """
    found = {}
    for expression in select:
        try:
            found[expression] = jmespath.search(expression, result)
        except (JMESPathError, TypeError, ValueError):  # noqa: PERF203  (a few)
            # The library's message repeats what it has found there; some of its functions meet Python's own errors.
            raise InvalidInput(f"select has {expression!r}, which does not fit the result") from None
    return found
