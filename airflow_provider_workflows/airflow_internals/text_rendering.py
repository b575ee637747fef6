"""Templates are rendered to text, or to the value of a single expression, whatever the DAG's setting."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.nativetypes import NativeCodeGenerator, NativeEnvironment

from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.feature import Feature, FeatureChangedError

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions._internal.templater import Templater

    _Templater = Templater
else:
    _Templater = object

_SINGLE_EXPRESSION = re.compile(r"\s*\{\{[-+]?((?:(?!\{\{|\}\}).)*?)[-+]?\}\}\s*", re.DOTALL)


class RendersText(_Templater):
    """Renders a template to text, or to its value if it is a single expression; to stand before a base class.

    So a number stays a number and a dict a dict. ``render_template_as_native_obj`` changes nothing: where Airflow
    would read the text as Python, identifiers would lose their leading zeros, and data would be evaluated.
    """

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a template, or those in a dict or list; a single expression keeps its value's type."""
        if not isinstance(content, str):
            return super().render_template(content, context, jinja_env, seen_oids)
        environment = text_environment(jinja_env or self.get_template_env())
        if expression := _SINGLE_EXPRESSION.fullmatch(content):
            value = environment.compile_expression(expression[1], undefined_to_none=False)(context)
            # An undefined value becomes empty text or raises, as the DAG's setting for undefined values says.
            return str(value) if isinstance(value, jinja2.Undefined) else value
        is_file = content.endswith(tuple(self.template_ext))
        template = environment.get_template(content) if is_file else environment.from_string(content)
        return template.render(context)


def text_environment(environment: jinja2.Environment) -> jinja2.Environment:
    """Return an environment that renders text, with the filters, macros and settings of another."""
    if not issubclass(environment.code_generator_class, NativeCodeGenerator):
        return environment
    if not TEXT_ENVIRONMENT.is_available():
        raise AirflowFailException(
            "Nothing was sent: with render_template_as_native_obj=True, this version of Jinja or Airflow would "
            "evaluate data. Leave the setting away: a template that is a single expression keeps its value's type "
            "without it."
        )
    return _overlay(environment)


def _overlay(environment: jinja2.Environment) -> jinja2.Environment:
    text: Any = environment.overlay()
    # NativeEnvironment differs from its base class in these three.
    text.code_generator_class = jinja2.Environment.code_generator_class
    text.template_class = jinja2.Environment.template_class
    text.concat = jinja2.Environment.concat
    return text  # type: ignore[no-any-return]


def _find_text_environment() -> bool:
    environment = _overlay(NativeEnvironment())
    for template in ("{{ text }}", "{% set kept %}{{ text }}{% endset %}{{ kept }}"):
        if environment.from_string(template).render(text="1_000") != "1_000":
            raise FeatureChangedError("text is read as Python")
    return True


TEXT_ENVIRONMENT = Feature(
    "jinja2.nativetypes.NativeEnvironment: code_generator_class, template_class, concat",
    purpose="render templates to text in a DAG with render_template_as_native_obj=True",
    without="The tasks of such a DAG fail before they send anything",
    find=_find_text_environment,
)
