"""The moment at which templates are rendered: data is left as it is, and what is personal is redacted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jinja2
from airflow.sdk import BaseOperator

from airflow_provider_workflows.airflow_internals.exceptions import AirflowException
from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)
from airflow_provider_workflows.airflow_internals.mapped_arguments import (
    arguments_of_other_tasks,
    is_of_mapped_task,
)
from airflow_provider_workflows.airflow_internals.text_rendering import RendersText, text_environment

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator

    _Operator = BaseOperator
else:
    _Operator = object


def _find_rendering() -> bool:
    require_attributes(BaseOperator, "_do_render_template_fields")
    names = ("parent", "template_fields", "context", "jinja_env", "seen_oids")
    require_parameters(BaseOperator._do_render_template_fields, *names)  # noqa: SLF001
    return True


#: Airflow's database has room for this many characters of what a mapped task is called.
LONGEST_MAP_INDEX_NAME = 250

RENDERING = Feature(
    "BaseOperator._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)",
    purpose="redact personal arguments before rendered templates are stored, and keep data from being rendered",
    without="Operators with personal arguments, and mapped ones, refuse to be made, so that no value shows or "
    "is evaluated",
    find=_find_rendering,
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


@dataclass(frozen=True, repr=False)
class Data(ShowsAs):
    """A value of another task while templates are rendered, which leaves it as it is.

    Airflow's ``render_template`` puts what ``resolve`` returns in the place of an object that has such a method,
    and renders nothing of it. So does ``airflow.sdk.literal``, whose text is the value.
    """

    value: Any

    def resolve(self, context: object) -> Any:  # noqa: ARG002
        """Return the value."""
        return self.value

    def shown(self) -> str:
        """Return what shows in place of the value, which may be personal."""
        return "***"

    def __repr__(self) -> str:
        return self.shown()


class RendersArguments(RendersText, _Operator):
    """Renders an operator's arguments, and redacts them; to stand before ``BaseOperator``.

    What the DAG's author wrote is rendered. What ``expand`` and ``expand_kwargs`` take from other tasks is not:
    Airflow would render it where it no longer knows the value by its id, and evaluate
    ``{{ conn.workflows_default.password }}`` in a row of data (apache/airflow issues 26016, 33733 and 38745).

    Airflow names ``_do_render_template_fields`` as the seam for this: ``render_template_fields``, which is
    documented, is not called on a mapped task. Without it, an operator that redacts cannot be made.
    """

    #: The fields that are rendered before the first call of ``redact_arguments``.
    fields_rendered_first: Sequence[str] = ()

    def redact_arguments(self, *, rendered: bool) -> None:
        """Keep what is personal among the arguments from showing.

        It is called twice: after ``fields_rendered_first`` were rendered, because Airflow logs the field that a
        template fails in, and after all were. What comes from other tasks is wrapped the first time, and shows
        nowhere.

        :param rendered: whether all templates were rendered
        """

    @property
    def map_index_name(self) -> str | None:
        """What a mapped task is called in place of its number, once its arguments are rendered; None to keep that.

        It is shown to all who may see the task, so nothing personal is in it.
        """
        return None

    @property
    def has_personal_arguments(self) -> bool:
        """Whether any of the arguments may be personal."""
        return type(self).redact_arguments is not RendersArguments.redact_arguments

    def require_rendering(self) -> None:
        """Raise where personal arguments would not be redacted, or data would be rendered.

        :raises AirflowException: saying what to do
        """
        if self.has_personal_arguments or is_of_mapped_task(self):
            require_rendering()

    def wrap_data(self, names: Iterable[str]) -> None:
        """Wrap the arguments that come from other tasks, so that they are not rendered.

        :param names: the names of the arguments
        """
        for name in self.template_fields:
            if name in names:
                setattr(self, name, Data(getattr(self, name)))

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
            return
        # Paths, which the base class renders, are text too.
        self.render_template_as_native_obj = False
        environment = text_environment(jinja_env)
        self.wrap_data(arguments_of_other_tasks(self, context))
        names = list(template_fields)
        first = [name for name in names if name in self.fields_rendered_first]
        others = [name for name in names if name not in first]
        # What is data is wrapped, so that no id of a value needs to tell it. With them an XComArg in a dict of
        # expand_kwargs would not be resolved.
        super()._do_render_template_fields(parent, first, context, environment, set())
        self.redact_arguments(rendered=False)
        super()._do_render_template_fields(parent, others, context, environment, set())
        self.redact_arguments(rendered=True)
        self._name_map_index(context)

    def _name_map_index(self, context: Context) -> None:
        """Have Airflow show ``map_index_name``, unless the DAG says what to show.

        Airflow renders the template that is in the context right after the arguments, and once more after the task.
        A default of ``map_index_template`` would not reach the context, which is made before a mapped task's
        operator. In an Airflow that does so at another time, a mapped task keeps its number.
        """
        of_task: Any = context
        index = getattr(of_task.get("ti"), "map_index", None)
        is_mapped = index is not None and index >= 0
        if is_mapped and of_task.get("map_index_template") is None and self.map_index_name is not None:
            of_task["map_index_template"] = f"{{{{ task.map_index_name[:{LONGEST_MAP_INDEX_NAME}] }}}}"


def require_rendering() -> None:
    """Raise where ``RendersArguments`` would be left out, and would redact nothing.

    :raises AirflowException: saying what to do
    """
    if not RENDERING.is_available():
        raise AirflowException(
            "Personal values cannot be redacted, and data cannot be kept from being rendered, in this version of "
            "Airflow, which renders templates in another way: install a newer airflow-provider-workflows, or an "
            "Airflow that it was tested with."
        )


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


def redacting_task(
    redact: Callable[[Any], Any],
    check: Callable[..., None] | None = None,
    own: Callable[[Any], Any] = lambda value: value,
    **defaults: Any,
) -> TaskDecorator:
    """Return a decorator as ``@task`` is, for a function whose rendered arguments must not show.

    A decorator keeps the id of its first task, so each function needs one of its own.

    :param redact: returns an argument so that what is personal in it does not show
    :param check: takes the arguments by name when the DAG is parsed, and raises if one cannot be right; some may be
        resolved later
    :param own: returns an argument for this task alone, where Airflow would render one in its place
    :param defaults: arguments of the operator
    :raises AirflowException: if Airflow lacks what it takes
    """
    from airflow.sdk.bases.decorator import task_decorator_factory  # noqa: PLC0415

    base = PYTHON_TASK.get()
    if base is None:
        raise AirflowException(
            "Tasks whose arguments are redacted cannot be made in this version of Airflow."
        )
    require_rendering()

    class RedactingTask(RendersArguments, base):  # type: ignore[misc, valid-type]
        """A function whose arguments are redacted once they are rendered; lists among them are data."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            if check is not None:
                task: Any = self
                signature = inspect.signature(task.python_callable)
                check(**signature.bind_partial(*task.op_args, **task.op_kwargs).arguments)

        def wrap_data(self, names: Iterable[str]) -> None:
            self._change_arguments(
                lambda name, value: Data(value) if name in names else _rows_as_data(own(value))
            )

        def redact_arguments(self, *, rendered: bool) -> None:
            if rendered:
                self._change_arguments(lambda _, value: redact(value))

        def _change_arguments(self, change: Callable[[str, Any], Any]) -> None:
            arguments: Any = self
            arguments.op_args = [change("", value) for value in arguments.op_args]
            arguments.op_kwargs = {name: change(name, value) for name, value in arguments.op_kwargs.items()}

    return task_decorator_factory(decorated_operator_class=RedactingTask, **defaults)


def function_arguments_as_data(
    op_args: Iterable[Any], op_kwargs: Mapping[str, Any], names: Iterable[str]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a function so that nothing of other tasks, and nothing in a list, is rendered.

    :param op_args: the positional ones
    :param op_kwargs: those by name
    :param names: the names of those that come from other tasks
    """
    of_others = set(names)
    by_name = {
        name: Data(value) if name in of_others else _rows_as_data(value) for name, value in op_kwargs.items()
    }
    return [_rows_as_data(value) for value in op_args], by_name


def _rows_as_data(argument: Any) -> Any:
    """Return an argument so that nothing in a list is rendered, but that other tasks' values take their place."""
    return _values_as_data(argument) if isinstance(argument, (list, tuple)) else argument


def _values_as_data(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_values_as_data(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _values_as_data(item) for name, item in value.items()}
    return value if hasattr(value, "resolve") and hasattr(value, "iter_references") else Data(value)
