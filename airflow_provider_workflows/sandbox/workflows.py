"""A workflow that was started, and how the API gives it: in the shape of the generation that started it."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_workflows.sandbox.definitions import Definition
from airflow_provider_workflows.sandbox.responses import JsonObject

RUNNING = "RUNNING"
EXPIRED = "EXPIRED"
WORKSPACE = "6f0d8b1c-24e7-4a53-9b80-d1c7e95f3a42"


@dataclass(frozen=True, slots=True)
class Details:
    """What only a workflow of generation 3 has.

    :param locale: the language of what an end user is shown
    :param expires_at: when it expires, in ISO 8601
    :param link: where its end user takes part; None if it has no end user
    :param token: the secret in the link
    """

    locale: str
    expires_at: str
    link: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that was started.

    :param id: its id
    :param case: its case, as the API gives it; empty if it has none
    :param definition: its definition, as it was when the workflow was started
    :param parameters: the values of its parameters
    :param created_date: when it was started, in ISO 8601
    :param ends_at: when it ends, in seconds of the service's clock
    :param generation: that of the request that started it: 1, 2 or 3
    :param record_id: its record's id; None if it has none
    :param details: what only a workflow of generation 3 has
    :param expires_at: when it expires unless it has ended, in seconds of the service's clock
    """

    id: str
    case: JsonObject
    definition: Definition
    parameters: JsonObject
    created_date: str
    ends_at: float
    generation: int = 1
    record_id: str | None = None
    details: Details | None = None
    expires_at: float = float("inf")

    @property
    def case_id(self) -> str | None:
        """Its case's id, if it has one."""
        return self.case.get("caseId")

    @property
    def end(self) -> tuple[float, str]:
        """When it ends, in seconds of the service's clock, and the status in which it does."""
        if self.expires_at < self.ends_at:
            return self.expires_at, EXPIRED
        return self.ends_at, self.definition.status

    def status(self, now: float) -> str:
        """Return its status at a moment of the service's clock."""
        ends_at, status = self.end
        return RUNNING if now < ends_at else status

    def started(self, now: float) -> JsonObject:
        """Return the response to the request that started it."""
        if self.details is not None:
            return self._details(self.details, now)
        return self._ids(caseId=self.case_id, recordId=self.record_id) | {"status": self.status(now)}

    def response(self, now: float) -> JsonObject:
        """Return the workflow as the API gives it at a moment of the service's clock."""
        origin = {} if self.details is None else {"origin": "API"}
        return self.started(now) | origin

    def result(self, findings: JsonObject, version: int) -> JsonObject:
        """Return its result in a version of the API.

        :param findings: what it has found out
        """
        generation = max(self.generation, version)
        case = {name: value for name, value in self.case.items() if generation == 1 or name != "partyDetails"}
        record = {} if self.record_id is None else {"recordId": self.record_id}
        return {
            **case,
            **record,
            "createdDate": self.created_date,
            "parameters": self.parameters,
            **findings,
        }

    def _details(self, details: Details, now: float) -> JsonObject:
        # What the service says of the two versions, and of a run with an end user, beyond their names is unknown.
        link = {} if details.link is None else {"link": details.link, "token": details.token}
        return {
            "id": self.id,
            "workspaceId": WORKSPACE,
            "workflowDefinitionId": self.definition.id,
            "parameters": self.parameters,
            "name": self.definition.name,
            "revision": self.definition.revision,
            "status": self.status(now),
            "locale": details.locale,
            "expiresAt": details.expires_at,
            "uiOptions": {},
            "executionType": "BACKGROUND" if details.link is None else "INTERACTIVE",
            "executionVersion": 1,
            **link,
        }

    def _ids(self, **ids: str | None) -> JsonObject:
        return {"id": self.id, **{name: value for name, value in ids.items() if value is not None}}
