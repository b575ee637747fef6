"""The payload of a delivery: which runs it is about, or what its shape is where it names none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import is_id, require_id
from airflow_provider_workflows.api.redaction import REDACTED
from airflow_provider_workflows.api.response_json import NotJson, parse_response
from airflow_provider_workflows.api.versions import Evidence
from airflow_provider_workflows.counted import counted

#: Objects of a body are read down to this level; the top is the first.
MAX_OBJECT_LEVELS = 3
#: Of a body that names no workflow, the log has the shape to this level, with this many names of an object, and
#: this many characters in all.
MAX_SHAPE_LEVELS = 4
MAX_SHAPE_NAMES = 12
MAX_SHAPE_CHARACTERS = 500
#: The service is asked about this many ids of a delivery at most.
MAX_CANDIDATE_IDS = 4

_TYPES = {dict: "object", str: "text", bool: "bool", int: "number", float: "number"}
_PLAIN_NAME = re.compile(r"[a-z][A-Za-z_]{0,29}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is read from the body of a webhook; the service's own response decides what is true of it.

    :param workflow_ids: ids that may be the run's, the likeliest first
    :param workflow_definition_id: id of its workflow definition, if the body has it
    :param statuses: everything that the body calls a status
    :param digest: SHA-256 of the body, and the delivery's number in it; copies of a delivery have the same
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
    :param evidence: what the response has said of it beside that, if anything
    """

    workflow_id: str
    case_id: str | None
    status: str
    workflow_definition_id: str | None
    evidence: Evidence | None = None

    @property
    def evidence_fields(self) -> dict[str, int | str]:
        """The evidence that there is, by the names of a report's fields."""
        return {} if self.evidence is None else self.evidence.json_object()


@dataclass(frozen=True, slots=True)
class Payload:
    """What a webhook's body says.

    :param deliveries: one for each part that names a workflow: the body itself, or an item of the array that it is
    :param parts_without_workflow: how many parts name no workflow
    :param shape: the names and types of the last of those, without its values; empty if all name one
    """

    deliveries: tuple[Delivery, ...]
    parts_without_workflow: int
    shape: str


def read_payload(body: bytes) -> Payload:
    """Return what a webhook's body says; an array is read as a delivery for each item.

    The body's shape is not documented. The likeliest id is that of ``workflowId``, at the top or down to two levels
    below, then the ``id`` of an object called ``workflow``, then any other ``id``: a body may have an event's or a
    case's id as well, and only the service can tell them apart.
    """
    try:
        # Leniently: one odd value in a body must not lose what it says of a run.
        content = parse_response(body).value
    except NotJson:
        return Payload((), 1, f"{counted(len(body), 'byte')} and no JSON")
    parts = content if isinstance(content, list) and content else [content]
    digest = hashlib.sha256(body).digest()
    deliveries, without_workflow = [], []
    for number, part in enumerate(parts):
        delivery = _read_delivery(part, digest + number.to_bytes(4, "big"))
        if delivery is None:
            without_workflow.append(part)
        else:
            deliveries.append(delivery)
    shape = shape_of(without_workflow[-1]) if without_workflow else ""
    return Payload(tuple(deliveries), len(without_workflow), shape)


def shape_of(content: object) -> str:
    """Return the names and types of JSON, without its values: ``{id: UUID, data: {amount: number}}``.

    A name may be personal as well: one that is not a plain word, such as one with a digit, shows as ``***``.
    """
    shape = _shape(content, 1)
    return shape if len(shape) <= MAX_SHAPE_CHARACTERS else f"{shape[:MAX_SHAPE_CHARACTERS]}..."


def _shape(content: object, level: int) -> str:
    if isinstance(content, dict) and level <= MAX_SHAPE_LEVELS:
        items = islice(content.items(), MAX_SHAPE_NAMES)
        shapes = [f"{_plain(name)}: {_shape(value, level + 1)}" for name, value in items]
        more = ["..."] if len(content) > MAX_SHAPE_NAMES else []
        return "{" + ", ".join(shapes + more) + "}"
    if isinstance(content, list):
        of = f" of {_shape(content[0], level + 1)}" if content and level <= MAX_SHAPE_LEVELS else ""
        return f"array with {counted(len(content), 'item')}{of}"
    if isinstance(content, str) and is_id(content.strip()):
        return "UUID"
    return "null" if content is None else _TYPES[type(content)]


def _plain(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else REDACTED


def _read_delivery(content: object, digest: bytes) -> Delivery | None:
    """Return what a part of a body is about, or None if it names no workflow."""
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
        digest,
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
