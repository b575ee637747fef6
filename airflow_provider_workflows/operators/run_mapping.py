"""The arguments of a mapped task with a run, checked when its DAG is parsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.generations import GENERATIONS, require_some_generation
from airflow_provider_workflows.arguments import templated_expiry

if TYPE_CHECKING:
    from airflow_provider_workflows.airflow_internals.mapped_arguments import OperatorPartial

_ARGUMENTS = frozenset[str]().union(*(one.run_arguments for one in GENERATIONS.values()))


class RunPartial:
    """What Airflow's ``partial`` has returned, which checks what its task is mapped over.

    Airflow makes the operators of a mapped task when they run, and has no hook for its arguments before that; so
    ``expand`` and ``expand_kwargs``, which a DAG calls, are those of this class. All else is as it was.

    :param partial: what was returned
    :param common: the arguments that all map indexes have in common
    :raises InvalidInput: if one of them cannot be right
    """

    def __init__(self, partial: OperatorPartial, common: Mapping[str, Any]) -> None:
        templated_expiry(common.get("expires_at"))
        self._partial = partial
        self._common = common

    def expand(self, **mapped: Any) -> Any:
        """Return the mapped task.

        :param mapped: the values of each argument, of which each map index has one
        :raises InvalidInput: if no generation of the API takes some of the arguments together
        """
        task = self._partial.expand(**mapped)
        _require({**self._common, **{name: _first(values) for name, values in mapped.items()}})
        for expires_at in _literals(mapped.get("expires_at")):
            templated_expiry(expires_at)
        return task

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
        """Return the mapped task.

        :param kwargs: the arguments of each map index, or what brings them; the latter are known in the task alone
        :param strict: whether they must not be among the common ones
        :raises InvalidInput: if no generation of the API takes some of the arguments together
        """
        task = self._partial.expand_kwargs(kwargs, strict=strict)
        for own in _literals(kwargs):
            if isinstance(own, Mapping):
                _require({**self._common, **own})
                templated_expiry(own.get("expires_at"))
        return task

    def __getattr__(self, name: str) -> Any:
        """Return what Airflow's object has."""
        return getattr(self._partial, name)


def _require(arguments: Mapping[str, Any]) -> None:
    require_some_generation(frozenset(name for name in _ARGUMENTS if arguments.get(name) is not None))


def _literals(values: Any) -> Iterable[Any]:
    return values if isinstance(values, Sequence) and not isinstance(values, str) else ()


def _first(values: Any) -> Any:
    """Return a value that some map index has, or what brings them; None if each is None."""
    if isinstance(values, Sequence):
        return next((value for value in values if value is not None), None)
    return values
