"""What a run is started with, in any generation of the API, checked before anything is sent."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.expiry import datetime_of
from airflow_provider_workflows.api.generations import require_arguments
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.strict_json import require_json_object
from airflow_provider_workflows.counted import counted

SHORTEST_LIFE = timedelta(minutes=30)
LONGEST_LIFE = timedelta(days=30)
#: A language, and what may follow it: ``en``, ``pl``, ``pt-BR``.
_LOCALE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")

#: What ``expires_at`` must be, as errors say it.
_EXPIRY = "a datetime with a time zone, such a moment in ISO 8601 (2026-12-24T18:00:00+01:00), or a timedelta"


@dataclass(frozen=True)
class RunDetails:
    """What a run is started with.

    :param workflow_definition_id: id of the workflow definition
    :param case_id: id of the case (generation 1 and 2)
    :param parameters_id: id of the parameters (generation 1 and 2)
    :param record_id: id of the record that the run is about (generation 2 and 3)
    :param parameters: JSON values by name (generation 3)
    :param locale: language of what an end user is shown, such as ``en`` (generation 3)
    :param expires_at: when the run expires, as a datetime or text in ISO 8601 with a time zone, or after which
        time, as a timedelta: from 30 minutes to 30 days ahead (generation 3)
    """

    workflow_definition_id: str
    case_id: str | None = None
    parameters_id: str | None = None
    record_id: str | None = None
    parameters: Mapping[str, Any] | None = field(default=None, repr=False)
    locale: str | None = None
    expires_at: datetime | timedelta | str | None = None

    @property
    def given(self) -> frozenset[str]:
        """The names of what was given besides the definition."""
        names = ("case_id", "parameters_id", "record_id", "parameters", "locale", "expires_at")
        return frozenset(name for name in names if getattr(self, name) is not None)

    @property
    def about(self) -> str:
        """The words for the case or the record that the run is for, such as ``case 3b2d...``; empty without one."""
        if self.case_id is not None:
            return f"case {self.case_id}"
        return "" if self.record_id is None else f"record {self.record_id}"

    @property
    def subject(self) -> str:
        """The words for the case or the record, and the definition."""
        return " and ".join(filter(None, (self.about, f"definition {self.workflow_definition_id}")))

    def require(self, generation: int) -> None:
        """Return if a run of a generation could be started with this, now or before it was to expire.

        :param generation: number of the API's generation
        :raises InvalidInput: as ``body`` does, but for an expiry that has passed: a run may be there already
        """
        require_arguments(self.given, generation)
        if self.expires_at is not None:
            require_life(self.expires_at)
        dataclasses.replace(self, expires_at=None).body(generation)

    def body(self, generation: int, now: datetime | None = None) -> dict[str, Any]:
        """Return the JSON object that starts the run.

        :param generation: number of the API's generation
        :param now: the moment from which a life is counted; the present one if it is left out
        :raises InvalidInput: naming an argument that cannot be right, or that the generation does not have
        """
        require_arguments(self.given, generation)
        fields: dict[str, Any] = {}
        if self.case_id is not None:
            fields["caseId"] = require_id("case_id", self.case_id)
        if self.record_id is not None:
            fields["recordId"] = require_id("record_id", self.record_id)
        fields["workflowDefinitionId"] = require_id("workflow_definition_id", self.workflow_definition_id)
        if self.parameters_id is not None:
            fields["parametersId"] = require_id("parameters_id", self.parameters_id)
        if self.parameters is not None:
            fields["parameters"] = require_json_object("parameters", self.parameters)
        if self.locale is not None:
            fields["locale"] = require_locale(self.locale)
        if self.expires_at is not None:
            fields["expiresAt"] = require_expiry(self.expires_at, now or datetime.now(timezone.utc))
        return fields


def require_locale(locale: str) -> str:
    """Return a locale, such as ``en``.

    :raises InvalidInput: if it has another form
    """
    if _LOCALE.fullmatch(locale) is None:
        raise InvalidInput("locale must be a language such as 'en' or 'pt-BR'")
    return locale


def require_life(expires_at: object) -> datetime | timedelta:
    """Return when a run expires, or after which time, if that could be right whatever the time is.

    :param expires_at: a datetime or text in ISO 8601, with a time zone, or a timedelta from 30 minutes to 30 days
    :raises InvalidInput: saying what is wrong with it; the text itself may be anything, so it is not repeated
    """
    if isinstance(expires_at, str):
        try:
            expires_at = datetime_of(expires_at)
        except (ValueError, OverflowError):
            raise InvalidInput(f"expires_at must be {_EXPIRY}, not a str of another form") from None
    if isinstance(expires_at, datetime):
        if expires_at.tzinfo is None:
            raise InvalidInput("expires_at has no time zone: give a datetime with one, or a timedelta")
    elif not isinstance(expires_at, timedelta):
        raise InvalidInput(f"expires_at must be {_EXPIRY}, not {type(expires_at).__name__}")
    elif not SHORTEST_LIFE <= expires_at <= LONGEST_LIFE:
        raise InvalidInput("expires_at must be from 30 minutes to 30 days ahead")
    return expires_at


def require_expiry(expires_at: datetime | timedelta | str, now: datetime) -> str:
    """Return when a run expires, in ISO 8601 and UTC.

    :param expires_at: the moment, with a time zone, or the time until it
    :param now: the moment from which it is counted
    :raises InvalidInput: if it is less than 30 minutes or more than 30 days ahead, or has no time zone
    """
    expires_at = require_life(expires_at)
    left = expires_at if isinstance(expires_at, timedelta) else expires_at - now
    if not SHORTEST_LIFE <= left <= LONGEST_LIFE:
        raise InvalidInput(
            f"expires_at must be from 30 minutes to 30 days ahead, and {_in_utc(now + left)} {_distance(left)}"
        )
    # A timedelta of exactly 30 minutes must not be too short by the time that the request takes.
    margin = timedelta(seconds=30)
    return _in_utc(now + min(max(left, SHORTEST_LIFE + margin), LONGEST_LIFE - margin))


def _in_utc(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _distance(left: timedelta) -> str:
    if left <= timedelta(0):
        return "has passed"
    return f"is {counted(left.days, 'day') if left.days else counted(left.seconds // 60, 'minute')} ahead"
