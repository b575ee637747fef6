"""What starts a workflow, in each generation, and how the API gives it: in the shape of that generation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from airflow_provider_workflows.api.models import RequestBody
from airflow_provider_workflows.sandbox.definitions import Definition
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal

RUNNING = "RUNNING"
EXPIRED = "EXPIRED"
WORKSPACE = "6f0d8b1c-24e7-4a53-9b80-d1c7e95f3a42"
SHORTEST_LIFE = timedelta(minutes=30)
LONGEST_LIFE = timedelta(days=30)


def _require_text(value: Any) -> Any:
    # A moment may otherwise be given as a number of seconds.
    if not isinstance(value, str):
        raise ValueError("must be text in ISO 8601")  # noqa: TRY004  (pydantic reports a ValueError only)
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_require_text)]


class CaseRun(RequestBody):
    """Body of ``POST /workflows/run``, version 1."""

    case_id: str
    workflow_definition_id: str
    parameters_id: str | None = None


class RecordRun(RequestBody):
    """Body of ``POST /workflows/run``, version 2: a record in place of a case, and both optional."""

    workflow_definition_id: str
    record_id: str | None = None
    case_id: str | None = None
    parameters_id: str | None = None


class InlineRun(RequestBody):
    """Body of ``POST /workflows``, generation 3: the parameters are in it."""

    workflow_definition_id: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    locale: str = Field(default="en", min_length=1)
    record_id: str | None = None
    expires_at: Moment | None = None


def require_life(expires_at: datetime | None) -> timedelta:
    """Return for how long a run that is started now may go on.

    :param expires_at: when it expires; None for as late as is possible
    :raises Refusal: 400 if that is less than 30 minutes or more than 30 days ahead
    """
    if expires_at is None:
        return LONGEST_LIFE
    life = expires_at - datetime.now(timezone.utc)
    if SHORTEST_LIFE <= life <= LONGEST_LIFE:
        return life
    raise Refusal(400, "INVALID_EXPIRY", "expiresAt: must be between 30 minutes and 30 days ahead.")


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
