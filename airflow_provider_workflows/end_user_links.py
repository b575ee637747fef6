"""The link of a run's end user: a secret, which is passed on by a reference that the service resolves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from typing_extensions import TypedDict

from airflow_provider_workflows.airflow_internals.secrets_masker import mask
from airflow_provider_workflows.api.errors import InvalidInput, LinkMissing
from airflow_provider_workflows.hooks.workflows import WorkflowsHook

if TYPE_CHECKING:
    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.models import WorkflowFields


class LinkReference(TypedDict):
    """Names a run whose end user has a link, and the connection to ask for it by. Fit for an XCom."""

    workflows_conn_id: str
    workflow_id: str


def masked_link(workflow: WorkflowFields) -> str | None:
    """Return the link in a response, and have Airflow mask it and its token in logs; None without one.

    Masked are the spellings as well in which the error of a callback may repeat the link: as a value in the URL of
    a request, and without its host.

    :param workflow: what the service has said of the run
    """
    secrets = [secret for secret in (workflow.link, workflow.token) if secret]
    if workflow.link:
        secrets += _without_host(workflow.link)
    mask(
        [spelling for secret in secrets for spelling in (secret, quote(secret, safe=""), quote_plus(secret))]
    )
    return workflow.link or None


def _without_host(link: str) -> list[str]:
    """Return a link's path with its query, as errors of HTTP clients have it, and its fragment."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return []
    return [parts._replace(scheme="", netloc="", fragment="").geturl(), parts.fragment]


def link_of_run(client: WorkflowsClient, workflow_id: str) -> str:
    """Ask the service for the link of a run's end user (``GET /workflows/{workflowId}``), and return it.

    :param client: makes the call
    :param workflow_id: id of the run
    :raises LinkMissing: if the service gives none
    """
    link = masked_link(client.read_workflow(workflow_id))
    if link is None:
        raise LinkMissing(
            f"Workflow {workflow_id} has no link: no end user takes part in it, it was started by another "
            "api_generation than 3, or the service does not give its link any more."
        )
    return link


def read_link(reference: Mapping[str, Any]) -> str:
    """Return the link of a run's end user, asked for anew. Airflow masks it in the log of the task that calls this.

    The link is a secret: who has it can act as the end user. Hand it on, and neither return nor print it.

    :param reference: the XCom ``end_user_link`` of a ``RunWorkflowOperator`` with ``push_link``
    :raises InvalidInput: if it is not such a reference
    :raises LinkMissing: if the service gives no link for the run
    :raises WorkflowsError: what else went wrong
    """
    names = LinkReference.__annotations__
    if not isinstance(reference, Mapping) or not all(isinstance(reference.get(name), str) for name in names):
        raise InvalidInput(
            "read_link takes the XCom end_user_link of a RunWorkflowOperator with push_link=True, which a run "
            "without an end user does not have"
        )
    client = WorkflowsHook(reference["workflows_conn_id"]).get_conn()
    return link_of_run(client, reference["workflow_id"])
