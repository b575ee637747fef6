"""The moment at which templates are rendered: what is personal is redacted before Airflow logs or stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import TaskDecorator

    _Operator = BaseOperator
else:
    _Operator = object


def _find_rendering() -> bool:
    require_attributes(BaseOperator, "_do_render_template_fields")
    require_parameters(BaseOperator._do_render_template_fields, "parent", "template_fields")  # noqa: SLF001
    return True


RENDERING = Feature(
    "BaseOperator._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)",
    purpose="redact personal arguments before rendered templates are stored",
    without="Operators with personal arguments refuse to be made, so that no personal value shows",
    find=_find_rendering,
)


class RedactsArguments(_Operator):
    """Redacts an operator's arguments while its templates are rendered; to stand before ``BaseOperator``.

    Airflow names ``_do_render_template_fields`` as the seam for this: ``render_template_fields``, which is
    documented, is not called on a mapped task. Without it, an operator that redacts cannot be made.
    """

    #: The fields that are rendered before the first call of ``redact_arguments``.
    fields_rendered_first: Sequence[str] = ()

    def redact_arguments(self, *, rendered: bool) -> None:
        """Keep what is personal among the arguments from showing.

        It is called twice: after ``fields_rendered_first`` were rendered, because Airflow logs the field that a
        template fails in, and after all were.

        :param rendered: whether all templates were rendered
        """

    def require_redaction(self) -> None:
        """Raise where an operator that redacts would redact nothing.

        :raises AirflowException: saying what to do
        """
        if type(self).redact_arguments is not RedactsArguments.redact_arguments:
            require_redaction()

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], *args: Any, **kwargs: Any
    ) -> None:
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, *args, **kwargs)
            return
        names = list(template_fields)
        first = [name for name in names if name in self.fields_rendered_first]
        if first:
            super()._do_render_template_fields(parent, first, *args, **kwargs)
        self.redact_arguments(rendered=False)
        others = [name for name in names if name not in first]
        super()._do_render_template_fields(parent, others, *args, **kwargs)
        self.redact_arguments(rendered=True)


def require_redaction() -> None:
    """Raise where ``RedactsArguments`` would redact nothing.

    :raises AirflowException: saying what to do
    """
    if not RENDERING.is_available():
        raise AirflowException(
            "Personal values cannot be redacted in this version of Airflow, which renders templates in another "
            "way: install a newer airflow-provider-workflows, or an Airflow that it was tested with."
        )


class ShowsAs:
    """A value that shows as something else in the view of rendered templates.

    Airflow stores what ``serialize`` returns for a value that has such a method. Without that it stores the text of
    ``repr``, which must be as harmless.
    """

    def shown(self) -> str:
        """Return what shows in place of the value."""
        raise NotImplementedError

    def serialize(self) -> str:
        """Return what Airflow stores in the view of rendered templates."""
        return self.shown()


def _find_python_task() -> type[Any]:
    from airflow.providers.standard.decorators.python import _PythonDecoratedOperator  # noqa: PLC0415

    require_attributes(_PythonDecoratedOperator, "template_fields", "_do_render_template_fields")
    require_parameters(_PythonDecoratedOperator.__init__, "python_callable", "op_args", "op_kwargs")
    return _PythonDecoratedOperator


PYTHON_TASK = Feature(
    "airflow.providers.standard.decorators.python._PythonDecoratedOperator(python_callable, op_args, op_kwargs)",
    purpose="make a task of a function whose arguments are redacted",
    without="The module `operators.shards` cannot be imported",
    find=_find_python_task,
)


def redacting_task(redact: Callable[[Any], Any], **defaults: Any) -> TaskDecorator:
    """Return a decorator as ``@task`` is, for a function whose rendered arguments must not show.

    A decorator keeps the id of its first task, so each function needs one of its own.

    :param redact: returns an argument so that what is personal in it does not show
    :param defaults: arguments of the operator
    :raises AirflowException: if Airflow lacks what it takes
    """
    from airflow.sdk.bases.decorator import task_decorator_factory  # noqa: PLC0415

    base = PYTHON_TASK.get()
    if base is None:
        raise AirflowException(
            "Tasks whose arguments are redacted cannot be made in this version of Airflow."
        )
    require_redaction()

    class RedactingTask(RedactsArguments, base):  # type: ignore[misc, valid-type]
        """A function whose arguments are redacted once they are rendered."""

        def redact_arguments(self, *, rendered: bool) -> None:
            if rendered:
                arguments: Any = self
                arguments.op_args = [redact(value) for value in arguments.op_args]
                arguments.op_kwargs = {name: redact(value) for name, value in arguments.op_kwargs.items()}

    return task_decorator_factory(decorated_operator_class=RedactingTask, **defaults)
