"""The payload of a delivery, and the completion that it is about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import require_id

#: Objects of a body are read down to this level; the top is the first.
MAX_OBJECT_LEVELS = 3
#: The service is asked about this many ids of a delivery at most.
MAX_CANDIDATE_IDS = 4


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is read from the body of a webhook; the service's own response decides what is true of it.

    :param workflow_ids: ids that may be the run's, the likeliest first
    :param workflow_definition_id: id of its workflow definition, if the body has it
    :param statuses: everything that the body calls a status
    :param digest: SHA-256 of the body; copies of a delivery have the same
    """

    workflow_ids: tuple[str, ...]
    workflow_definition_id: str | None
    statuses: frozenset[str]
    digest: bytes


@dataclass(frozen=True, slots=True)
class Completion:
    """A run that has ended, by the service's own response.

    :param workflow_id: id of the run, in lower case
    :param case_id: id of its case, if the response had it
    :param status: the status that it ended in
    :param workflow_definition_id: id of its workflow definition, if the webhook had it
    """

    workflow_id: str
    case_id: str | None
    status: str
    workflow_definition_id: str | None


def read_delivery(body: bytes) -> Delivery | None:
    """Return what a webhook's body is about, or None if it names no workflow.

    The body's shape is not documented. The likeliest id is that of ``workflowId``, at the top or down to two levels
    below, then the ``id`` of an object called ``workflow``, then any other ``id``: a body may have an event's or a
    case's id as well, and only the service can tell them apart.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    objects = list(_objects(content))
    workflows_first = sorted(objects, key=lambda named: named[0] != "workflow")
    found = dict.fromkeys(chain(_ids(objects, "workflowId"), _ids(workflows_first, "id")))
    if not found:
        return None
    statuses = (named.get("status") for _, named in objects)
    return Delivery(
        tuple(islice(found, MAX_CANDIDATE_IDS)),
        next(_ids(objects, "workflowDefinitionId"), None),
        frozenset(status for status in statuses if isinstance(status, str)),
        hashlib.sha256(body).digest(),
    )


def _objects(content: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of a body with their names, outer ones before inner ones."""
    level: list[tuple[str, object]] = [("", content)]
    for _ in range(MAX_OBJECT_LEVELS):
        objects = [(name, value) for name, value in level if isinstance(value, dict)]
        yield from objects
        level = [item for _, value in objects for item in value.items()]


def _ids(objects: list[tuple[str, Mapping[str, Any]]], name: str) -> Iterator[str]:
    for _, content in objects:
        try:
            yield require_id(name, content[name]).lower()
        except (KeyError, InvalidInput):  # noqa: PERF203  (most objects have an id)
            continue
