"""The endpoints of the API, all generations: the table that both the server and its OpenAPI document read."""

from __future__ import annotations

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.route import Route
from airflow_provider_workflows.sandbox.service import END_USER_PATH
from airflow_provider_workflows.sandbox.table_routes import TABLE_ROUTES
from airflow_provider_workflows.sandbox.tokens import Scope
from airflow_provider_workflows.sandbox.workflows import CaseRun, InlineRun, RecordRun

__all__ = ["ALL_ROUTES", "ROUTES", "STATUS_PATH", "Route"]

STATUS_PATH = "/workflows/{workflowId}"
TO_RUN: tuple[Scope, ...] = ("can_run",)
TO_READ_RUNS: tuple[Scope, ...] = ("can_run", "can_view_workspace")

ROUTES = (
    Route(
        "POST",
        "/auth/authorize",
        "Obtain tokens for an API key",
        operation=lambda service, call: service.tokens.authorize(call.body),
        request=models.ApiKey,
        response=models.Tokens,
        refusals=(400, 401, 413, 415),
        authenticated=False,
    ),
    Route(
        "POST",
        "/auth/refresh",
        "Obtain new tokens for a refresh token",
        operation=lambda service, call: service.tokens.refresh(call.body),
        request=models.RefreshToken,
        response=models.Tokens,
        refusals=(400, 401, 413, 415),
        authenticated=False,
    ),
    Route(
        "GET",
        "/auth/webhooks/key/{kid}",
        "Read a public key that webhooks are signed with",
        operation=lambda service, call: service.webhooks.keys.read(call.ids["kid"], call.query.get("pem")),
        response=None,
        refusals=(400, 404),
        authenticated=False,
        query={"pem": "boolean"},
    ),
    Route(
        "POST",
        "/cases",
        "Create a case",
        operation=lambda service, call: service.create_case(call.body),
        request=models.CaseDetails,
        response=models.Case,
        refusals=(400, 401, 406, 413, 415),
        success=201,
        versioned=True,
    ),
    Route(
        "GET",
        "/cases/{caseId}",
        "Read a case",
        operation=lambda service, call: service.read_case(call.ids["caseId"]),
        response=models.Case,
        refusals=(401, 404, 406),
        versioned=True,
    ),
    Route(
        "POST",
        "/parameters",
        "Create a set of parameters for a workflow definition",
        operation=lambda service, call: service.create_parameters(call.body),
        request=models.ParametersDetails,
        response=models.Parameters,
        refusals=(400, 401, 404, 406, 413, 415),
        success=201,
        versioned=True,
    ),
    Route(
        "POST",
        "/workflows/run",
        "Run a workflow for a case, or for a record",
        operation=lambda service, call: service.run(call.body),
        request=CaseRun,
        later_requests={2: RecordRun},
        response=models.StartedWorkflow,
        refusals=(400, 401, 403, 404, 406, 413, 415),
        scopes=TO_RUN,
        versioned=True,
    ),
    Route(
        "GET",
        STATUS_PATH,
        "Check the status of a workflow",
        operation=lambda service, call: service.read_workflow(call.ids["workflowId"]),
        response=models.Workflow,
        refusals=(401, 403, 404, 406),
        scopes=TO_READ_RUNS,
        versioned=True,
    ),
    Route(
        "GET",
        "/workflows/{workflowId}/result",
        "Fetch the result of a completed workflow",
        operation=lambda service, call: service.read_result(call.ids["workflowId"], call.version),
        response=models.WorkflowResult,
        refusals=(401, 403, 404, 406),
        scopes=TO_READ_RUNS,
        versioned=True,
    ),
    Route(
        "POST",
        "/workflows",
        "Run a workflow with the parameters in the body (generation 3)",
        operation=lambda service, call: service.run_inline(call.body, call.base_url),
        request=InlineRun,
        response=models.StartedWorkflow,
        refusals=(400, 401, 403, 404, 413, 415),
        scopes=TO_RUN,
    ),
    Route(
        "GET",
        END_USER_PATH,
        "Take part in a workflow as its end user (the sandbox's own)",
        operation=lambda service, call: service.open_link(call.query.get("token")),
        response=None,
        refusals=(400, 404, 410),
        authenticated=False,
        query={"token": "string"},
    ),
)

#: Those above, and those for tables and files.
ALL_ROUTES = ROUTES + TABLE_ROUTES
