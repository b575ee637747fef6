"""The options of ``[workflows]`` that a mapped task needs, checked when its DAG is parsed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows import configuration

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_provider_workflows.airflow_internals.mapped_arguments import OperatorPartial

    _Operator = BaseOperator
else:
    _Operator = object


def require_options(operator_class: type, given: Mapping[str, Any]) -> None:
    """Read the options that stand for arguments which a DAG doesn't give.

    Airflow makes the operators of a mapped task when they run. Without this a bad option would fail each of them
    there, and nothing would show before.

    :param operator_class: the class of the operator
    :param given: the arguments that the DAG gives, ``default_args`` among them
    :raises InvalidInput: naming the option, what it must be, and where it is set
    """
    defaults: Mapping[str, Any] = given.get("default_args") or {}
    arguments = {
        name for each in operator_class.__mro__ if "__init__" in vars(each) for name in _parameters(each)
    }
    for name, read in configuration.ARGUMENT_DEFAULTS.items():
        if name in arguments and given.get(name) is None and defaults.get(name) is None:
            read()


def _parameters(each: type) -> Mapping[str, inspect.Parameter]:
    return {} if each is object else inspect.signature(vars(each)["__init__"]).parameters


class ChecksMappedOptions(_Operator):
    """Has ``partial`` check the options; to stand before ``BaseOperator``."""

    @classmethod
    def partial(cls, **arguments: Any) -> OperatorPartial:
        """Return what ``expand`` or ``expand_kwargs`` makes a mapped task of.

        :param arguments: the arguments that all map indexes have in common
        :raises InvalidInput: if an option cannot be right that stands for an argument which is not among them
        """
        require_options(cls, arguments)
        return super().partial(**arguments)
