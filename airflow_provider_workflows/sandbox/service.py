"""The service behind the API: cases, parameters and workflows, in memory for the life of the sandbox."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.counts import Counts
from airflow_provider_workflows.sandbox.definitions import READY_DEFINITIONS, Definition
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal
from airflow_provider_workflows.sandbox.tokens import Tokens

if TYPE_CHECKING:
    # For types alone: webhooks import the faults, and these the routes, which name the service's methods.
    from airflow_provider_workflows.sandbox.webhooks import Webhooks

RUNNING = "RUNNING"
PERSONAL_FIELDS = ("firstName", "lastName", "personalNumber", "email", "phone")
BUSINESS_FIELDS = ("companyName", "companyNumber", "companyAddress")

READY_CASES = {
    "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1": models.CaseDetails(first_name="Jana", last_name="Returning"),
    "e58b0d43-96f2-4c7a-8d31-b27f5a09c3e8": models.CaseDetails(company_name="Returning Limited"),
}
"""The cases of returning users, which exist from the start, by id."""


@dataclass(frozen=True, slots=True)
class _Parameters:
    definition_id: str
    values: JsonObject


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that was started.

    :param id: its id
    :param case: its case, as the API gives it
    :param definition: its definition, as it was when the workflow was started
    :param parameters: the values of its parameters
    :param created_date: when it was started, in ISO 8601
    :param ends_at: when it ends, in seconds of the service's clock
    """

    id: str
    case: JsonObject
    definition: Definition
    parameters: JsonObject
    created_date: str
    ends_at: float

    def status(self, now: float) -> str:
        """Return its status at a moment of the service's clock."""
        return RUNNING if now < self.ends_at else self.definition.status

    def response(self, now: float) -> JsonObject:
        """Return the workflow as the API gives it at a moment of the service's clock."""
        return {"id": self.id, "caseId": self.case["caseId"], "status": self.status(now)}


class Service:
    """Carry out requests that are permitted and well-formed.

    Requests come from the server's thread alone; definitions may be added from any thread.

    :param tokens: what requests are authenticated with
    :param counts: where created cases and runs are counted
    :param seed: of the random numbers that decide how long runs take
    :param webhooks: what sends a webhook when a run ends
    :param clock: returns monotonic seconds
    """

    def __init__(
        self, tokens: Tokens, counts: Counts, seed: int, webhooks: Webhooks, clock: Callable[[], float]
    ) -> None:
        self.tokens = tokens
        self.webhooks = webhooks
        self.definitions = {definition.id: definition for definition in READY_DEFINITIONS}
        self._counts = counts
        self._clock = clock
        # No secret depends on these numbers, and a seed makes a test reproducible.
        self._random = random.Random(seed)  # noqa: S311
        self._cases = {case_id: _case(case_id, details) for case_id, details in READY_CASES.items()}
        self._parameters: dict[str, _Parameters] = {}
        self.workflows: dict[str, Workflow] = {}

    def create_case(self, details: models.CaseDetails) -> JsonObject:
        """Create a case and return it."""
        case = _case(str(uuid.uuid4()), details)
        self._cases[case["caseId"]] = case
        self._counts.case_created()
        return case

    def read_case(self, case_id: str) -> JsonObject:
        """Return the case.

        :raises Refusal: 404 if there is no such case
        """
        try:
            return self._cases[case_id]
        except KeyError:
            raise Refusal(404, "CASE_NOT_FOUND", "There is no such case.") from None

    def create_parameters(self, details: models.ParametersDetails) -> JsonObject:
        """Keep a set of parameters for a definition.

        :raises Refusal: 404 if there is no such definition
        """
        definition = self._definition(details.workflow_definition_id)
        parameters_id = str(uuid.uuid4())
        self._parameters[parameters_id] = _Parameters(definition.id, details.parameters)
        return {"id": parameters_id, "workflowDefinitionId": definition.id}

    def run(self, details: models.RunDetails) -> JsonObject:
        """Start a workflow.

        :raises Refusal: 404 for an unknown case, definition or parameters; 403 if the definition may not be
            run; 400 if it needs parameters and has none, or another definition's
        """
        case = self.read_case(details.case_id)
        definition = self._definition(details.workflow_definition_id)
        if not definition.may_run:
            raise Refusal(403, "FORBIDDEN", "The permission can_run is missing for this workflow definition.")
        parameters = self._parameters_for(definition, details.parameters_id)
        workflow = Workflow(
            id=str(uuid.uuid4()),
            case=case,
            definition=definition,
            parameters=parameters,
            created_date=_now(),
            ends_at=self._clock() + self._random.uniform(*definition.bounds),
        )
        self.workflows[workflow.id] = workflow
        self._counts.run_created(case["caseId"])
        self.webhooks.workflow_started(
            workflow.id,
            case["caseId"],
            name=definition.name,
            status=definition.status,
            ends_at=workflow.ends_at,
        )
        return workflow.response(self._clock())

    def read_workflow(self, workflow_id: str) -> JsonObject:
        """Return the workflow with its status.

        :raises Refusal: 404 if there is no such workflow
        """
        return self._workflow(workflow_id).response(self._clock())

    def read_result(self, workflow_id: str) -> JsonObject:
        """Return the result of a workflow that has ended.

        :raises Refusal: 404 if there is no such workflow, or no result of it (yet)
        """
        workflow = self._workflow(workflow_id)
        findings = None if workflow.status(self._clock()) == RUNNING else workflow.definition.findings
        if findings is None:
            raise Refusal(404, "RESULT_NOT_AVAILABLE", "There is no result: the workflow has not completed.")
        return {
            **workflow.case,
            "createdDate": workflow.created_date,
            "parameters": workflow.parameters,
            **findings,
        }

    def _definition(self, definition_id: str) -> Definition:
        try:
            return self.definitions[definition_id]
        except KeyError:
            raise Refusal(404, "DEFINITION_NOT_FOUND", "There is no such workflow definition.") from None

    def _parameters_for(self, definition: Definition, parameters_id: str | None) -> JsonObject:
        if parameters_id is None:
            if definition.needs_parameters:
                raise Refusal(400, "PARAMETERS_REQUIRED", "This workflow definition needs parameters.")
            return {}
        parameters = self._parameters.get(parameters_id)
        if parameters is None:
            raise Refusal(404, "PARAMETERS_NOT_FOUND", "There are no such parameters.")
        if parameters.definition_id != definition.id:
            raise Refusal(400, "PARAMETERS_MISMATCH", "The parameters belong to another workflow definition.")
        return parameters.values

    def _workflow(self, workflow_id: str) -> Workflow:
        try:
            return self.workflows[workflow_id]
        except KeyError:
            raise Refusal(404, "WORKFLOW_NOT_FOUND", "There is no such workflow.") from None


def _case(case_id: str, details: models.CaseDetails) -> JsonObject:
    given = details.body()
    return {
        "createdDate": _now(),
        "caseId": case_id,
        "partyId": str(uuid.uuid4()),
        "partyDetails": {
            "personal": {name: given[name] for name in PERSONAL_FIELDS if name in given},
            "business": {name: given[name] for name in BUSINESS_FIELDS if name in given},
            "documents": given.get("documents", []),
        },
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
