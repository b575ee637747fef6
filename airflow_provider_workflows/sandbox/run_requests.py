"""The bodies of the requests that start a run, in each generation, and what is refused in them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from airflow_provider_workflows.api.models import RequestBody
from airflow_provider_workflows.sandbox.responses import Refusal

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
