"""Every endpoint of the API's generation 1 as a value: method, path, models, and whether it is repeatable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from airflow_provider_workflows.api import models
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.strict_json import require_json_object

ResponseModel = TypeVar("ResponseModel", bound=models.ResponseBody)
_NO_IDS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[ResponseModel]):
    """An endpoint with its ids and its body filled in: all that a call needs.

    :param method: the HTTP method
    :param path: the path with its ids filled in
    :param response: the model of a successful response
    :param repeatable: whether a request may be repeated after it may have been carried out: because it only reads,
        or because another case, set of parameters or token costs nothing. One that is not repeatable, and that is
        ``POST /workflows/run`` alone, is repeated only if it surely was not carried out.
    :param body: the JSON object to send, or None
    :param authenticated: whether the request carries a token
    :param sensitive: whether the body holds personal data or secrets, which no message may repeat
    :param text: whether the response is text instead of JSON; its model takes it as ``text``
    :param expected: the ids that the response must name, if it names any, by the API's names of their fields:
        ``{"caseId": "3b2d..."}``
    :param ids: the ids that messages name besides the path's: ``{"case": "3b2d..."}``
    """

    method: str
    path: str
    response: type[ResponseModel]
    repeatable: bool
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    authenticated: bool = True
    sensitive: bool = False
    text: bool = False
    expected: Mapping[str, str] = field(default_factory=lambda: _NO_IDS)
    ids: Mapping[str, str] = field(default_factory=lambda: _NO_IDS)

    def __str__(self) -> str:
        """Return the endpoint and its ids as messages name it."""
        about = ", ".join(f"{name} {value}" for name, value in self.ids.items())
        return f"{self.method} {self.path}" + (f" ({about})" if about else "")


def authorize(key: str, secret: str) -> Endpoint[models.Tokens]:
    """``POST /auth/authorize``: tokens for an API key."""
    return _token_endpoint("/auth/authorize", models.ApiKey(key=key, secret=secret))


def refresh(refresh_token: str) -> Endpoint[models.Tokens]:
    """``POST /auth/refresh``: new tokens for a refresh token."""
    return _token_endpoint("/auth/refresh", models.RefreshToken(refresh_token=refresh_token))


def _token_endpoint(path: str, request: models.RequestBody) -> Endpoint[models.Tokens]:
    return Endpoint(
        "POST", path, models.Tokens, repeatable=True, body=request.body(), authenticated=False, sensitive=True
    )


def create_case(details: Mapping[str, Any]) -> Endpoint[models.Case]:
    """``POST /cases``: a new case; repeating it makes another, which costs nothing.

    :param details: fields of ``models.CaseDetails``, in Python's or the API's spelling; all are optional
    :raises InvalidInput: naming the fields that are wrong, never a value
    """
    case = models.require_case_details(details)
    return Endpoint("POST", "/cases", models.Case, repeatable=True, body=case.body(), sensitive=True)


def read_case(case_id: str) -> Endpoint[models.Case]:
    """``GET /cases/{caseId}``: a case.

    :raises InvalidInput: if ``case_id`` is not a UUID
    """
    case_id = require_id("case_id", case_id)
    return Endpoint("GET", f"/cases/{case_id}", models.Case, repeatable=True, expected={"caseId": case_id})


def create_parameters(
    workflow_definition_id: str, parameters: Mapping[str, Any]
) -> Endpoint[models.Parameters]:
    """``POST /parameters``: a new set of parameters for a definition; another one costs nothing.

    :param parameters: JSON values by name
    :raises InvalidInput: if ``workflow_definition_id`` is not a UUID, or JSON cannot express a value
    """
    definition = require_id("workflow_definition_id", workflow_definition_id)
    details = models.ParametersDetails(
        workflow_definition_id=definition, parameters=require_json_object("parameters", parameters)
    )
    return Endpoint(
        "POST",
        "/parameters",
        models.Parameters,
        repeatable=True,
        body=details.body(),
        sensitive=True,
        expected={"workflowDefinitionId": definition},
        ids={"definition": definition},
    )


def run_workflow(
    workflow_definition_id: str, case_id: str, parameters_id: str | None = None
) -> Endpoint[models.StartedWorkflow]:
    """``POST /workflows/run``: a new run, which is billed; repeating it would bill another.

    :raises InvalidInput: if one of the ids is not a UUID
    """
    details = models.RunDetails(
        case_id=require_id("case_id", case_id),
        workflow_definition_id=require_id("workflow_definition_id", workflow_definition_id),
        parameters_id=None if parameters_id is None else require_id("parameters_id", parameters_id),
    )
    return Endpoint(
        "POST",
        "/workflows/run",
        models.StartedWorkflow,
        repeatable=False,
        body=details.body(),
        expected={"caseId": details.case_id},
        ids={"case": details.case_id, "definition": details.workflow_definition_id},
    )


def read_workflow(workflow_id: str, case_id: str | None = None) -> Endpoint[models.Workflow]:
    """``GET /workflows/{workflowId}``: a workflow with its status.

    :param case_id: the case that it must be of; None if that is not known
    :raises InvalidInput: if one of the ids is not a UUID
    """
    workflow_id = require_id("workflow_id", workflow_id)
    return Endpoint(
        "GET",
        f"/workflows/{workflow_id}",
        models.Workflow,
        repeatable=True,
        expected={"id": workflow_id, **_case(case_id)},
    )


def read_result(workflow_id: str, case_id: str | None = None) -> Endpoint[models.WorkflowResult]:
    """``GET /workflows/{workflowId}/result``: the result of a completed workflow.

    :param case_id: the case that it must be of; None if that is not known
    :raises InvalidInput: if one of the ids is not a UUID
    """
    workflow_id = require_id("workflow_id", workflow_id)
    return Endpoint(
        "GET",
        f"/workflows/{workflow_id}/result",
        models.WorkflowResult,
        repeatable=True,
        # What a definition puts under "id" is its own affair.
        expected={"workflowId": workflow_id, **_case(case_id)},
    )


def _case(case_id: str | None) -> Mapping[str, str]:
    return {} if case_id is None else {"caseId": require_id("case_id", case_id)}


def read_webhook_key(key_id: str) -> Endpoint[models.PlainText]:
    """``GET /auth/webhooks/key/{kid}``: the public key that webhooks are signed with, as PEM; needs no token.

    :raises InvalidInput: if ``key_id`` is not a UUID
    """
    return Endpoint(
        "GET",
        f"/auth/webhooks/key/{require_id('kid', key_id)}?pem=true",
        models.PlainText,
        repeatable=True,
        authenticated=False,
        text=True,
    )
