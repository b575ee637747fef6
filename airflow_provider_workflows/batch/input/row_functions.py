"""The arguments ``where`` and ``transform``: functions of the user's own that choose rows, and change them."""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeAlias

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import one_line
from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.batch.input.bad_rows import named_rows
from airflow_provider_workflows.batch.input.unreadable import Unreadable

Where: TypeAlias = "Callable[[dict[str, Any]], bool]"
"""A function that takes a row by the names of its columns, and returns whether the row is of the batch."""

Transform: TypeAlias = "Callable[[dict[str, Any]], Mapping[str, Any]]"
"""A function that takes a row by the names of its columns, and returns the row to check and to send."""

#: Stands in the place of a row that is not of the batch. A row of a list may itself be None, which is a bad row.
PASSED_OVER = object()
#: This many rows are read twice, so that a function that gives another row each time is found at once.
ROWS_READ_TWICE = 10
#: numpy's bool, by the name it has in either generation, is no bool of Python.
_BOOL_NAMES = frozenset(("bool", "bool_"))
_SAME_EACH_TIME = (
    "the items are read again for the submission and by each retry, and a row that has changed is another row. "
    "No clock, chance, counter or query may be in it"
)


def require_function(argument: str, function: object) -> Any:
    """Return a function of one row, or None.

    :param argument: ``where`` or ``transform``
    :param function: what was given
    :raises InvalidInput: if it cannot be called with a row, or does not return at once what it returns
    """
    if function is None:
        return None
    if not callable(function):
        refuse(argument, "a function that takes a row", function)
    called = function if inspect.isroutine(function) else type(function).__call__
    if any(map(inspect.iscoroutinefunction, (function, called))):
        raise InvalidInput(f"{argument} is an async function: it must be an ordinary one")
    if any(map(inspect.isgeneratorfunction, (function, called))):
        raise InvalidInput(f"{argument} is a generator: it must return, not yield")
    try:
        inspect.signature(function).bind({})
    except TypeError:
        raise InvalidInput(
            f"{argument} must be a function that takes one argument, the row as a dict"
        ) from None
    except ValueError:
        # A function of C may not say what it takes.
        pass
    return function


@dataclass(frozen=True)
class RowFunctions:
    """The functions that choose and change the rows of an input; each gets a copy of the row.

    :param where: returns whether a row is of the batch; one that is not is passed over, as if it were not there
    :param transform: returns the row to check and to send
    """

    where: Where | None = None
    transform: Transform | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arguments that are given."""
        return tuple(name for name in ("where", "transform") if getattr(self, name) is not None)

    def applied(self, number: int, line: int | None, cells: object) -> object:
        """Return a row's cells as they are to be checked, or ``PASSED_OVER``.

        :param number: of the data row, from 1
        :param line: the line of its file at which it begins, if it is from one that has lines
        :param cells: the value of each column, or what stands in the place of a row
        :raises InvalidInput: if a function fails, naming the row, the exception and its place, never its text. If
            it raises ``ValueError``, the row is a bad row instead
        """
        if not isinstance(cells, Mapping):
            return cells
        row = named_rows([number], [] if line is None else [line])
        if self.where is not None:
            is_chosen = _call("where", self.where, cells, row)
            if isinstance(is_chosen, Unreadable):
                return is_chosen
            if type(is_chosen).__name__ not in _BOOL_NAMES:
                raise InvalidInput(
                    f"where must return True or False, and returned {_kind(is_chosen)} for {row} of items"
                )
            if not is_chosen:
                return PASSED_OVER
        if self.transform is None:
            return cells
        changed = _call("transform", self.transform, cells, row)
        if isinstance(changed, Unreadable):
            return changed
        if not isinstance(changed, Mapping):
            raise InvalidInput(
                f"transform must return the row as a dict, and returned {_kind(changed)} for {row} of items; "
                "where=... leaves rows out"
            )
        return _copied(changed)

    def require_same(self, number: int, line: int | None, first: object, second: object) -> None:
        """Return if both readings of a row have given the same.

        :param number: of the data row, from 1
        :param line: the line of its file at which it begins, if it is from one that has lines
        :param first: the row as it was checked; None if it was passed over
        :param second: the same, of the second reading
        :raises InvalidInput: if they differ
        """
        if first != second:
            row = named_rows([number], [] if line is None else [line])
            raise InvalidInput(
                f"{' and '.join(self.names)} must give the same each time for the same row, and did not for {row} "
                f"of items, so nothing more was sent: {_SAME_EACH_TIME}"
            )


def _call(
    argument: str, function: Callable[[dict[str, Any]], Any], cells: Mapping[str, Any], row: str
) -> Any:
    try:
        return function(_copied(cells))
    except (ValueError, InvalidInput) as error:
        return Unreadable(f"{argument} raised {_place(error, function)}")
    except Exception as error:  # noqa: BLE001  (the user's function may raise anything)
        problem = _place(error, function)
    # Not from within the block: the exception's text may be personal, and would be in the log as the cause.
    raise InvalidInput(
        f"{argument} raised {problem} for {row} of items, so nothing more was sent. The exception's text is not "
        "shown, for it may be personal. Correct the function; for a row that cannot be right, have it raise "
        "ValueError, which makes a bad row of it"
    )


def _place(error: Exception, function: object) -> str:
    """Return the kind of an exception, and the line of the user's own file in which it was raised."""
    kind = one_line(type(error).__name__, 60)
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename != __file__]
    code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
    own = [each for each in frames if code is not None and each.filename == code.co_filename]
    place = (own or frames)[-1:]
    return "".join([kind, *(f" in line {each.lineno} of {PurePath(each.filename).name}" for each in place)])


def _kind(value: object) -> str:
    return "nothing (None)" if value is None else type(value).__name__


def _copied(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a row in which a function can change what it wants, and the row stays as it is."""
    return {
        name: copy.deepcopy(value) if isinstance(value, (dict, list)) else value
        for name, value in cells.items()
    }
