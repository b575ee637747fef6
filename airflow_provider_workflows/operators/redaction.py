"""Keeps personal data out of the task's log and out of the view of rendered templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.airflow_internals.rendering import ShowsAs
from airflow_provider_workflows.airflow_internals.secrets_masker import mask
from airflow_provider_workflows.api.redaction import (
    REDACTED,
    STANDARD_FIELDS,
    PersonalFields,
    all_values,
    values_of_personal_fields,
)


@dataclass(frozen=True, repr=False)
class Redacted(ShowsAs):
    """A value that shows as ``***`` wherever it is printed or stored.

    Airflow's own masker leaves values of five characters and less alone; a first name is often one.
    """

    value: Any

    def shown(self) -> str:
        """Return what shows in place of the value."""
        return REDACTED

    def __repr__(self) -> str:
        return REDACTED


def mask_in_logs(values: Iterable[str], *, rendered: bool = True) -> None:
    """Have Airflow mask ``values`` in this task's log.

    :param rendered: whether templates have been rendered; before that, those among the values are left out
    """
    if literals := sorted({value for value in values if value.strip() and (rendered or _is_literal(value))}):
        mask([*literals])


def redact(value: Any, *, rendered: bool = True) -> Any:
    """Return ``value`` with each text and number redacted; the shape of dicts and lists shows.

    :param rendered: whether templates have been rendered; before that, a template is left as it is
    """
    if isinstance(value, Mapping):
        return {name: redact(item, rendered=rendered) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item, rendered=rendered) for item in value]
    if value is None or value == "" or isinstance(value, Redacted):
        return value
    return Redacted(value) if rendered or _is_literal(value) else value


def redact_personal_fields(
    value: Any, fields: PersonalFields = STANDARD_FIELDS, *, rendered: bool = True
) -> Any:
    """Return ``value`` with its personal fields redacted, at any depth."""
    if isinstance(value, Mapping):
        return {
            name: redact(item, rendered=rendered)
            if name in fields
            else redact_personal_fields(item, fields, rendered=rendered)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact_personal_fields(item, fields, rendered=rendered) for item in value]
    return value


def redact_parameters(parameters: Any, fields: PersonalFields, *, rendered: bool) -> Any:
    """Return parameters with their personal fields redacted, and have Airflow mask the values in this task's log.

    Parameters that are not a dict, such as JSON as text, have no names to go by: they are redacted as a whole.

    :param rendered: whether templates have been rendered; before that, a template is left as it is
    """
    values = unwrap(parameters)
    if isinstance(values, Mapping):
        mask_in_logs(values_of_personal_fields(values, fields), rendered=rendered)
        return redact_personal_fields(parameters, fields, rendered=rendered)
    mask_in_logs(all_values(values), rendered=rendered)
    return redact(parameters, rendered=rendered)


def _is_literal(value: object) -> bool:
    """Return whether rendering leaves a value as it is: what has ``resolve`` gives another in its place."""
    if isinstance(value, (str, bytes)):
        return not any(mark in str(value) for mark in ("{{", "{%", "{#"))
    return not isinstance(value, Iterable) and not hasattr(value, "resolve")


def unwrap(value: Any) -> Any:
    """Return ``value`` as it was before it was redacted."""
    if isinstance(value, Redacted):
        return value.value
    if isinstance(value, Mapping):
        return {name: unwrap(item) for name, item in value.items()}
    return [unwrap(item) for item in value] if isinstance(value, list) else value
