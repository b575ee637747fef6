"""The service behind the API: cases, parameters and workflows, in memory for the life of the sandbox."""

from __future__ import annotations

import dataclasses
import math
import random
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.counts import Counts
from airflow_provider_workflows.sandbox.definitions import READY_DEFINITIONS, Definition
from airflow_provider_workflows.sandbox.received_files import ReceivedFiles, SignedLinks
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal, moment_text, now_text
from airflow_provider_workflows.sandbox.tables import Tables
from airflow_provider_workflows.sandbox.tokens import Tokens
from airflow_provider_workflows.sandbox.workflows import (
    EXPIRED,
    RUNNING,
    CaseRun,
    Details,
    InlineRun,
    RecordRun,
    Workflow,
    require_life,
)

if TYPE_CHECKING:
    # For types alone: webhooks import the faults, and these the routes, which name the service's methods.
    from airflow_provider_workflows.sandbox.webhooks import Webhooks

END_USER_PATH = "/link"
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


class Service:
    """Carry out requests that are permitted and well-formed.

    Requests come from the server's thread alone; definitions may be added from any thread.

    :param tokens: what requests are authenticated with
    :param webhooks: what sends a webhook when a run ends
    :param files: what receives files
    :param counts: where what is created is counted
    :param seed: of the random numbers that decide how long runs take, and which result they have
    :param clock: returns monotonic seconds
    """

    def __init__(
        self,
        tokens: Tokens,
        webhooks: Webhooks,
        files: ReceivedFiles,
        *,
        counts: Counts,
        seed: int,
        clock: Callable[[], float],
    ) -> None:
        self.tokens = tokens
        self.webhooks = webhooks
        self.files = files
        self.tables = Tables(counts)
        self.links = SignedLinks(clock)
        self.definitions = {definition.id: definition for definition in READY_DEFINITIONS}
        self.counts = counts
        self._clock = clock
        # No secret depends on these numbers, and a seed makes a test reproducible.
        self._random = random.Random(seed)  # noqa: S311
        self._cases = {case_id: _case(case_id, details) for case_id, details in READY_CASES.items()}
        self._parameters: dict[str, _Parameters] = {}
        self.workflows: dict[str, Workflow] = {}
        self._workflow_by_token: dict[str, str] = {}

    def define(self, definition: Definition) -> None:
        """Add a definition, or replace the one with its id for the runs to come, as its next revision."""
        earlier = self.definitions.get(definition.id)
        if earlier is not None and "revision" not in definition.model_fields_set:
            definition = definition.model_copy(update={"revision": earlier.revision + 1})
        self.definitions[definition.id] = definition

    def create_case(self, details: models.CaseDetails) -> JsonObject:
        """Create a case and return it."""
        case = _case(str(uuid.uuid4()), details)
        self._cases[case["caseId"]] = case
        self.counts.case_created()
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

    def run(self, details: CaseRun | RecordRun) -> JsonObject:
        """Start a workflow of generation 1 or 2.

        :raises Refusal: 404 for an unknown case, record, definition or parameters; 403 if the definition may not be
            run; 400 if it needs parameters and has none, or another definition's
        """
        case = {} if details.case_id is None else self.read_case(details.case_id)
        generation, record_id = 1, None
        if isinstance(details, RecordRun):
            generation, record_id = 2, details.record_id
            self.tables.require_record(record_id)
        definition = self._runnable(details.workflow_definition_id)
        parameters = self._parameters_for(definition, details.parameters_id)
        return self._start(
            Workflow(
                id=str(uuid.uuid4()),
                case=case,
                definition=definition,
                parameters=parameters,
                created_date=now_text(),
                ends_at=self._clock() + self._seconds(definition),
                generation=generation,
                record_id=record_id,
            )
        )

    def run_inline(self, details: InlineRun, base_url: str) -> JsonObject:
        """Start a workflow of generation 3.

        :param base_url: where the sandbox is reached, for the link of an end user
        :raises Refusal: 404 for an unknown record or definition; 403 if the definition may not be run; 400 if it
            needs parameters and has none, or expires too soon or too late
        """
        self.tables.require_record(details.record_id)
        definition = self._runnable(details.workflow_definition_id)
        if definition.needs_parameters and not details.parameters:
            raise _parameters_required()
        life = require_life(details.expires_at)
        token = secrets.token_urlsafe(32) if definition.involves_end_user else None
        workflow = Workflow(
            id=str(uuid.uuid4()),
            case={},
            definition=definition,
            parameters=details.parameters,
            created_date=now_text(),
            ends_at=math.inf if token else self._clock() + self._seconds(definition),
            generation=3,
            record_id=details.record_id,
            details=Details(
                locale=details.locale,
                expires_at=moment_text(details.expires_at or datetime.now(timezone.utc) + life),
                link=f"{base_url}{END_USER_PATH}?token={token}" if token else None,
                token=token,
            ),
            expires_at=self._clock() + life.total_seconds(),
        )
        if token:
            self._workflow_by_token[token] = workflow.id
        return self._start(workflow)

    def open_link(self, token: str | None) -> str:
        """Have the end user of a workflow do what is asked of them, and say so.

        :raises Refusal: 400 without a token, 404 for an unknown one, 410 if the workflow has ended
        """
        if not token:
            raise Refusal(400, "TOKEN_REQUIRED", "token: is missing.")
        workflow_id = self._workflow_by_token.get(token)
        if workflow_id is None:
            raise Refusal(404, "LINK_NOT_FOUND", "There is no such link.")
        workflow = self.workflows[workflow_id]
        if workflow.status(self._clock()) != RUNNING:
            raise Refusal(410, "WORKFLOW_ENDED", "The workflow has ended.")
        if workflow.ends_at == math.inf:
            ends_at = self._clock() + self._seconds(workflow.definition)
            self._change(dataclasses.replace(workflow, ends_at=ends_at))
        return "The end user has done their part.\n"

    def expire(self, workflow_id: str | None = None) -> list[str]:
        """Let workflows of generation 3 that are running expire now.

        :param workflow_id: the one to expire; None for all
        :returns: the ids of those that have expired thereby
        :raises Refusal: 404 if there is no such workflow
        """
        now = self._clock()
        chosen = list(self.workflows.values()) if workflow_id is None else [self._workflow(workflow_id)]
        expiring = [one for one in chosen if one.details is not None and one.status(now) == RUNNING]
        for workflow in expiring:
            self._change(dataclasses.replace(workflow, expires_at=now))
        return [workflow.id for workflow in expiring]

    def read_workflow(self, workflow_id: str) -> JsonObject:
        """Return the workflow with its status, in the shape of the generation that started it.

        :raises Refusal: 404 if there is no such workflow
        """
        return self._workflow(workflow_id).response(self._clock())

    def read_result(self, workflow_id: str, version: int) -> JsonObject:
        """Return the result of a workflow that has ended, in a version of the API.

        :raises Refusal: 404 if there is no such workflow, or no result of it (yet)
        """
        workflow = self._workflow(workflow_id)
        status = workflow.status(self._clock())
        findings = None if status in (RUNNING, EXPIRED) else workflow.definition.findings
        if findings is None:
            raise Refusal(404, "RESULT_NOT_AVAILABLE", "There is no result: the workflow has not completed.")
        return workflow.result(findings, version)

    def _start(self, workflow: Workflow) -> JsonObject:
        self.workflows[workflow.id] = workflow
        self.counts.run_created(workflow.case_id, workflow.record_id, workflow.parameters)
        ends_at, status = workflow.end
        self.webhooks.workflow_started(
            workflow.id, workflow.case_id, name=workflow.definition.name, status=status, ends_at=ends_at
        )
        return workflow.started(self._clock())

    def _change(self, workflow: Workflow) -> None:
        self.workflows[workflow.id] = workflow
        ends_at, status = workflow.end
        self.webhooks.end_changed(workflow.id, status=status, ends_at=ends_at)

    def _seconds(self, definition: Definition) -> float:
        return self._random.uniform(*definition.bounds)

    def _runnable(self, definition_id: str) -> Definition:
        definition = self._definition(definition_id)
        if not definition.may_run:
            raise Refusal(403, "FORBIDDEN", "The permission can_run is missing for this workflow definition.")
        return definition.drawn(self._random)

    def _definition(self, definition_id: str) -> Definition:
        try:
            return self.definitions[definition_id]
        except KeyError:
            raise Refusal(404, "DEFINITION_NOT_FOUND", "There is no such workflow definition.") from None

    def _parameters_for(self, definition: Definition, parameters_id: str | None) -> JsonObject:
        if parameters_id is None:
            if definition.needs_parameters:
                raise _parameters_required()
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
        "createdDate": now_text(),
        "caseId": case_id,
        "partyId": str(uuid.uuid4()),
        "partyDetails": {
            "personal": {name: given[name] for name in PERSONAL_FIELDS if name in given},
            "business": {name: given[name] for name in BUSINESS_FIELDS if name in given},
            "documents": given.get("documents", []),
        },
    }


def _parameters_required() -> Refusal:
    return Refusal(400, "PARAMETERS_REQUIRED", "This workflow definition needs parameters.")
