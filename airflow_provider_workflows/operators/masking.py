"""Keeps personal values out of the task's log and out of the view of rendered templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk.log import mask_secret

from airflow_provider_workflows.api.personal import MASK, STANDARD, PersonalFields


@dataclass(frozen=True, repr=False)
class Masked:
    """A value that shows as ``***`` wherever it is printed or stored.

    Airflow's own masker leaves values of five characters and less alone; a first name is often one.
    """

    value: Any

    def serialize(self) -> str:
        """Return what Airflow stores in the view of rendered templates."""
        return MASK

    def __repr__(self) -> str:
        return MASK


def mask_in_logs(values: Iterable[str]) -> None:
    """Have Airflow mask ``values`` in this task's log, but not templates, which hold no value yet."""
    if known := sorted({value for value in values if value.strip() and "{{" not in value}):
        mask_secret(list(known))


def covered(value: Any) -> Any:
    """Return ``value`` so that nothing of it shows; a dict's or list's shape does."""
    if isinstance(value, Mapping):
        return {name: covered(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [covered(item) for item in value]
    return value if value is None or value == "" or isinstance(value, Masked) else Masked(value)


def covered_where_personal(value: Any, fields: PersonalFields = STANDARD) -> Any:
    """Return ``value`` so that what stands under a personal name in it does not show."""
    if isinstance(value, Mapping):
        return {
            name: covered(item) if name in fields else covered_where_personal(item, fields)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [covered_where_personal(item, fields) for item in value]
    return value


def uncovered(value: Any) -> Any:
    """Return ``value`` as it was before it was covered."""
    if isinstance(value, Masked):
        return value.value
    if isinstance(value, Mapping):
        return {name: uncovered(item) for name, item in value.items()}
    return [uncovered(item) for item in value] if isinstance(value, list) else value
