"""What "Test connection" says: whether the service accepts the credentials, and what is wrong with the fields."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_workflows import api
from airflow_provider_workflows.api import endpoints, errors
from airflow_provider_workflows.api.settings import DEFAULT_HOST
from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, public_key

if TYPE_CHECKING:
    from airflow_provider_workflows.api import Settings, WorkflowsClient

#: How long testing a connection may wait for each response, in seconds: a person waits at the button.
TEST_TIMEOUT_SECONDS = 10.0
#: The id of no workflow and of no key.
_NO_ID = str(uuid.UUID(int=0))

_REASONS = (
    (errors.TlsFailed, "TLS failure"),
    (errors.ServiceUnreachable, "Host unreachable"),
    (errors.AuthenticationFailed, "Credentials rejected"),
)


def result_of_test(subject: str, settings: Settings, problems: Sequence[str]) -> tuple[bool, str]:
    """Authorize at the service; return whether all is well, and what is wrong and what to do about it.

    :param subject: the words that name the connection
    :param settings: what the connection says
    :param problems: what is wrong with its fields, though tasks would run with it
    """
    settings = dataclasses.replace(
        settings,
        max_attempts=1,
        connect_timeout=min(settings.connect_timeout, TEST_TIMEOUT_SECONDS),
        read_timeout=min(settings.read_timeout, TEST_TIMEOUT_SECONDS),
    )
    with api.WorkflowsClient(settings) as client:
        try:
            scopes = _require_credentials(client)
        except errors.WorkflowsError as error:
            return False, " ".join([f"{subject}: {_reason(error, settings.host)}", *_sentences(problems)])
        keys_problem = _key_endpoint_problem(client)
    generation = f"generation {int(settings.api_generation)} of the API"
    said = [f"{subject} is accepted at {settings.host} ({generation}), {_credentials(settings)}.", *scopes]
    if keys_problem is None:
        said.append(
            f"Webhooks are {'on' if settings.webhooks else 'off'}; the endpoint of their keys responds."
        )
    elif settings.webhooks:
        problems = [*problems, f"webhooks are on, and none would be taken, because {keys_problem}"]
    else:
        said.append(f"Webhooks are off; {keys_problem}")
    return not problems, " ".join([*_sentences(problems), *said])


def _sentences(problems: Sequence[str]) -> list[str]:
    return [f"{problem[0].upper()}{problem[1:].removesuffix('.')}." for problem in problems]


def _credentials(settings: Settings) -> str:
    if settings.organization_token is not None:
        return "with its organization token"
    return "with its API key and secret, which the service has deprecated: an organization token takes their place"


def _require_credentials(client: WorkflowsClient) -> list[str]:
    """Return once the service has accepted the credentials, with what is known of missing permissions.

    :raises WorkflowsError: what is wrong
    """
    is_token = client.settings.organization_token is not None
    if is_token:
        _require_the_service(client)
    else:
        client.authorize()
    # An organization token is checked only when it is used, so a workflow is read that cannot exist.
    try:
        client.read_workflow(_NO_ID)
    except errors.PermissionDenied as error:
        if _is_from_the_service(error):
            code = "" if error.code is None else f" {error.code}"
            return [
                (
                    f"It may lack the permission to read workflows (the service responded with 403{code}): give it "
                    "can_run on the definitions, or can_view_workspace."
                )
            ]
        raise
    except errors.NotFound as error:
        if not _is_from_the_service(error):
            raise
    except errors.AuthenticationFailed:
        raise
    except errors.WorkflowsError:
        if is_token:
            raise
    return []


def _require_the_service(client: WorkflowsClient) -> None:
    """Raise unless there is an API that refuses a refresh token that cannot be right."""
    try:
        client.perform(endpoints.refresh("none"))
    except errors.RequestRejected as error:
        if error.status not in (400, 401):
            raise


def _key_endpoint_problem(client: WorkflowsClient) -> str | None:
    """Return why the keys of webhooks cannot be fetched, as a clause; None if they can."""
    try:
        public_key(client.perform(endpoints.read_webhook_key(_NO_ID)).text)
    except SignatureInvalid as error:
        return f"the endpoint of their keys does not respond as it should: {error}"
    except errors.NotFound as error:
        if _is_from_the_service(error):
            return None
        return f"the endpoint of their keys does not exist at this base URL: {error}"
    except errors.WorkflowsError as error:
        return f"the endpoint of their keys does not respond as it should: {error}"
    return None


def _is_from_the_service(error: errors.WorkflowsError) -> bool:
    return error.code is not None or error.fingerprint is not None


def _reason(error: errors.WorkflowsError, host: str) -> str:
    if isinstance(error, errors.NotFound):
        return (
            f"Wrong base URL: there is no Workflows API at {host}, which responded with 404. The base URL is that "
            f"of the service alone, such as {DEFAULT_HOST}."
        )
    other = "The service refused" if _is_from_the_service(error) else "Not the Workflows API"
    reason = next((words for kind, words in _REASONS if isinstance(error, kind)), other)
    return f"{reason}: {error}"
