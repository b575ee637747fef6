"""Create a case, parameters and the like once over all tries and clears of a task, while the input is the same."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.api.strict_json import with_plain_numbers
from airflow_provider_workflows.operators.records import (
    FlatRecord,
    Records,
    TaskStateRecordStore,
    store_retry,
    without_none,
)
from airflow_provider_workflows.operators.state_store import has_state_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context
    from typing_extensions import Self

    from airflow_provider_workflows.api import WorkflowsClient

#: The keys of the records in the task's state store.
CASE_KEY = "workflow_case"
PARAMETERS_KEY = "workflow_parameters"
RECORD_KEY = "workflow_record"
RESOURCE_KEY = "workflow_resource"
ATTACHMENT_KEY = "workflow_attachment"

#: How often the digest of what was created is iterated; it takes some 40 ms.
DIGEST_ITERATIONS = 50_000


@dataclass(frozen=True)
class Created:
    """What was created.

    :param id: the id that the service gave
    :param details: what else the service gave, if the task returns it
    """

    id: str
    details: dict[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class CreationRecord(FlatRecord):
    """What a task remembers of what it has created: nothing of what is in it.

    :param created_id: the id that the service gave
    :param salt: random bytes, in hexadecimal
    :param digest: a digest of the input, keyed by the salt, in hexadecimal
    :param details: what else the service gave, if the task returns it
    """

    created_id: str
    salt: str
    digest: str
    details: dict[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return without_none(super().to_json())

    @classmethod
    def of(cls, created: Created, content: object) -> Self:
        """Return the record of what was created.

        :param created: what the service gave
        :param content: the input, as JSON
        """
        salt = secrets.token_hex(16)
        return cls(created.id, salt, digest(content, salt), created.details)

    def is_of(self, content: object) -> bool:
        """Return whether that was created from the same input."""
        return hmac.compare_digest(self.digest, digest(content, self.salt))


def digest(content: object, salt: str) -> str:
    """Return a digest of JSON, keyed by a salt in hexadecimal; the same number in another spelling changes nothing.

    :param content: the JSON
    :param salt: bytes, in hexadecimal
    """
    text = json.dumps(with_plain_numbers(content), sort_keys=True, allow_nan=False).encode()
    # Slow on purpose: there are so few personal numbers that a fast hash of one would be found by trying them all.
    return hashlib.pbkdf2_hmac("sha256", text, bytes.fromhex(salt), DIGEST_ITERATIONS).hex()


def creation_records(context: Context, key: str) -> Records[CreationRecord]:
    """Return the record of what a task has created.

    :param context: the task's context
    :param key: one of the keys of this module
    """
    return Records(TaskStateRecordStore(context, key), CreationRecord)


def create_case_once(context: Context, client: WorkflowsClient, details: Mapping[str, Any], log: Any) -> str:
    """Return the id of the case that an earlier try of the task has created, or of one that is created now.

    :param context: the task's context
    :param client: makes the call
    :param details: the case's fields, as ``require_case_details`` has checked them
    :param log: the task's log
    :raises WorkflowsError: if the case cannot be created
    """
    from airflow_provider_workflows.api import endpoints  # noqa: PLC0415  (not while parsing)

    endpoint = endpoints.create_case(details)
    return create_once(
        context,
        CASE_KEY,
        [client.settings.host, endpoint.body],
        lambda: client.perform(endpoint).case_id,
        noun="case",
        log=log,
    )


def create_parameters_once(
    context: Context,
    client: WorkflowsClient,
    workflow_definition_id: str,
    parameters: Mapping[str, Any],
    log: Any,
) -> str:
    """Return the id of the parameters that an earlier try has created, or of those that are created now.

    :param context: the task's context
    :param client: makes the call
    :param workflow_definition_id: id of the workflow definition
    :param parameters: JSON values by name
    :param log: the task's log
    :raises WorkflowsError: if they cannot be created
    """
    from airflow_provider_workflows.api import endpoints  # noqa: PLC0415  (not while parsing)

    endpoint = endpoints.create_parameters(workflow_definition_id, parameters)
    return create_once(
        context,
        PARAMETERS_KEY,
        [client.settings.host, endpoint.body],
        lambda: client.perform(endpoint).id,
        noun="parameters",
        log=log,
    )


def create_once(
    context: Context, key: str, content: object, create: Callable[[], str], *, noun: str, log: Any
) -> str:
    """Return the id of what an earlier try of the task has created from the same input, or of what is created now.

    With another id the task that runs a workflow would take the case for another one, and its run would be billed
    again. Where the task has no state store, each try creates one. A try that ends before the id is stored, at
    its ``execution_timeout`` for one, has not succeeded, so that no other task has had the id.

    :param context: the task's context
    :param key: one of the keys of this module
    :param content: all that is sent, and to which host, as JSON; only a digest of it is stored
    :param create: creates what is asked for, and returns its id
    :param noun: what that is, for the log
    :param log: the task's log
    :raises Exception: if the store cannot be read
    """
    return create_with_details_once(context, key, content, lambda: Created(create()), noun=noun, log=log).id


def create_with_details_once(
    context: Context, key: str, content: object, create: Callable[[], Created], *, noun: str, log: Any
) -> Created:
    """Return what an earlier try of the task has created, as ``create_once`` does, or what is created now.

    :param create: creates what is asked for; its details are stored as well
    """
    if not has_state_store(context):
        return create()
    records = creation_records(context, key)
    try:
        record = records.read()
    except OutcomeUnknown:
        log.warning(
            "The record of an earlier try is of another version and cannot be read; %s is created.", noun
        )
        record = None
    if record is not None and record.is_of(content):
        log.info(
            "%s %s was created by an earlier try of this task from the same input, so nothing is created.",
            noun.capitalize(),
            record.created_id,
        )
        return Created(record.created_id, record.details)
    created = create()
    log.info("Created %s %s.", noun, created.id)
    try:
        store_retry(f"The id of {noun} {created.id}", log).run(
            lambda: records.write(CreationRecord.of(created, content))
        )
    except Exception:  # noqa: BLE001  (what was created is there, and of use)
        log.warning(
            "The id of %s %s could not be stored: a retry or a clear creates another, whose run is a new one.",
            noun,
            created.id,
        )
    return created
