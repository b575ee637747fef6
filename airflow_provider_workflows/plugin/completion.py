"""What a delivery tells, and what is made of it once the service has confirmed it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.models import identifier


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is taken from the body of a webhook: ids only, and no word of how the workflow stands.

    :param workflow_id: id of the workflow
    :param workflow_definition_id: id of its definition, where the body has it
    """

    workflow_id: str
    workflow_definition_id: str | None


@dataclass(frozen=True, slots=True)
class Completion:
    """A workflow that has ended, by the service's own answer.

    :param workflow_id: id of the workflow
    :param case_id: id of its case, where the answer had it
    :param status: the status that it ended in
    :param workflow_definition_id: id of its definition, where the webhook had it
    """

    workflow_id: str
    case_id: str | None
    status: str
    workflow_definition_id: str | None


def read_delivery(body: bytes) -> Delivery | None:
    """Return what a webhook's body is about, or None when it names no workflow.

    The body's shape is not documented: the id is that of ``workflowId``, else ``id``, at the top or one level down.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    levels = list(_levels(content))
    workflow_id = _first(levels, "workflowId") or _first(levels, "id")
    if workflow_id is None:
        return None
    return Delivery(workflow_id, _first(levels, "workflowDefinitionId"))


def _levels(content: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, dict):
        yield content
        yield from (value for value in content.values() if isinstance(value, dict))


def _first(levels: list[Mapping[str, Any]], name: str) -> str | None:
    for level in levels:
        try:
            return identifier(name, level.get(name)).lower()
        except InvalidInput:  # noqa: PERF203  (two levels)
            continue
    return None
