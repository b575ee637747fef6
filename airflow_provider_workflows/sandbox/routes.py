"""The calls of the API, generation 1: the one table that both the server and its OpenAPI document read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.service import Service


@dataclass(frozen=True)
class Route:
    """One call.

    :param method: the HTTP method
    :param path: the path, with at most one id in it: ``/workflows/{workflowId}``
    :param summary: what the call does
    :param operation: what does it; its argument is the body as a ``request``, or else the id in the path and
        the values of ``flags``
    :param response: the model of the response, or None for plain text
    :param refusals: the statuses that it responses beside success
    :param request: the model of the body, where there is one
    :param success: the status of success
    :param authenticated: whether it needs a token
    :param flags: the names of what the query may hold, ``true`` or ``false``
    """

    method: str
    path: str
    summary: str
    operation: Callable[..., JsonObject | str]
    response: type[models.ResponseBody] | None
    refusals: tuple[int, ...]
    request: type[models.RequestBody] | None = None
    success: int = 200
    authenticated: bool = True
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The route as counts name it."""
        return f"{self.method} {self.path}"


STATUS_PATH = "/workflows/{workflowId}"

ROUTES = (
    Route(
        "POST",
        "/auth/authorize",
        "Obtain tokens for an API key",
        operation=lambda service, body: service.tokens.authorize(body),
        request=models.ApiKey,
        response=models.Tokens,
        refusals=(400, 401, 413, 415),
        authenticated=False,
    ),
    Route(
        "POST",
        "/auth/refresh",
        "Obtain new tokens for a refresh token",
        operation=lambda service, body: service.tokens.refresh(body),
        request=models.RefreshToken,
        response=models.Tokens,
        refusals=(400, 401, 413, 415),
        authenticated=False,
    ),
    Route(
        "GET",
        "/auth/webhooks/key/{kid}",
        "Read a public key that webhooks are signed with",
        operation=lambda service, kid, pem: service.webhooks.keys.read(kid, pem),
        response=None,
        refusals=(400, 404),
        authenticated=False,
        flags=("pem",),
    ),
    Route(
        "POST",
        "/cases",
        "Create a case",
        operation=Service.create_case,
        request=models.CaseDetails,
        response=models.Case,
        refusals=(400, 401, 413, 415),
        success=201,
    ),
    Route(
        "GET",
        "/cases/{caseId}",
        "Read a case",
        operation=Service.read_case,
        response=models.Case,
        refusals=(401, 404),
    ),
    Route(
        "POST",
        "/parameters",
        "Create a set of parameters for a workflow definition",
        operation=Service.create_parameters,
        request=models.ParametersDetails,
        response=models.Parameters,
        refusals=(400, 401, 404, 413, 415),
        success=201,
    ),
    Route(
        "POST",
        "/workflows/run",
        "Run a workflow for a case",
        operation=Service.run,
        request=models.RunDetails,
        response=models.StartedWorkflow,
        refusals=(400, 401, 403, 404, 413, 415),
    ),
    Route(
        "GET",
        STATUS_PATH,
        "Check the status of a workflow",
        operation=Service.read_workflow,
        response=models.Workflow,
        refusals=(401, 404),
    ),
    Route(
        "GET",
        "/workflows/{workflowId}/result",
        "Fetch the result of a completed workflow",
        operation=Service.read_result,
        response=models.WorkflowResult,
        refusals=(401, 404),
    ),
)
