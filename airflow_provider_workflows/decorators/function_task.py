"""A task that gets its input from a Python function, which runs when the task does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator

from airflow_provider_workflows.airflow_internals.exceptions import AirflowSkipException
from airflow_provider_workflows.airflow_internals.rendering import function_arguments_as_data
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.operators.base import WorkflowsOperator
from airflow_provider_workflows.operators.redaction import Redacted, unwrap

if TYPE_CHECKING:
    from airflow.sdk import Context

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class FunctionTask(DecoratedOperator, WorkflowsOperator):
    """Calls a function, and goes on as the operator that stands after it in the list of base classes.

    The function's arguments may be personal: none shows in the view of rendered templates. What it returns is data,
    and is never rendered.

    :param python_callable: the function; it gets those of its parameters that are keys of the task's context
    """

    #: The decorator, as errors and Airflow's pages name it.
    custom_operator_name = "@task"
    #: What the function has raised, until the operator has begun.
    _failure: Exception | None = None
    _has_returned = False
    _returned: Any = None

    def __init__(self, *, python_callable: Callable[..., Any], **kwargs: Any) -> None:
        if inspect.iscoroutinefunction(python_callable):
            raise InvalidInput(
                f"{self.custom_operator_name}: takes a plain function, not a coroutine function"
            )
        super().__init__(python_callable=python_callable, **kwargs)

    def execute(self, context: Context) -> Any:
        """Call the function, and do what the operator does with what it has returned."""
        try:
            self.call_function(context)
        except AirflowSkipException:
            raise
        except Exception as error:  # noqa: BLE001  (the operator reports it as its own)
            self._failure = error
        return super().execute(context)

    def call_function(self, context: Context) -> Any:
        """Return what the function returns; it is called once in a process.

        :param context: the task's context
        """
        if not self._has_returned:
            positional = unwrap(list(self.op_args))
            by_name = self._from_context(context, len(positional)) | unwrap(dict(self.op_kwargs))
            self._returned = self.python_callable(*positional, **by_name)
            self._has_returned = True
        return self._returned

    @property
    def returned(self) -> Any:
        """What the function has returned; raises what it has raised."""
        if self._failure is not None:
            raise self._failure
        return self._returned

    def _from_context(self, context: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Return what the function gets from the context.

        :param number: how many positional arguments it gets
        """
        parameters = list(inspect.signature(self.python_callable).parameters.values())
        wanted = {each.name for each in parameters[number:] if each.kind in _BY_NAME}
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            wanted |= context.keys() - {each.name for each in parameters[:number]}
        return {name: context[name] for name in wanted & context.keys()}

    def wrap_data(self, names: Iterable[str]) -> None:
        """Wrap the function's arguments that come from other tasks, so that they are not rendered."""
        self.op_args, self.op_kwargs = function_arguments_as_data(self.op_args, self.op_kwargs, names)

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact all arguments of the function, and what the operator redacts."""
        if rendered:
            self.op_args = [Redacted(value) for value in self.op_args]
            self.op_kwargs = {name: Redacted(value) for name, value in self.op_kwargs.items()}
        super().redact_arguments(rendered=rendered)
