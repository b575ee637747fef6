"""Which statuses of a workflow mean success, which failure, and which that it goes on."""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_workflows.api.errors import InvalidInput

log = logging.getLogger(__name__)

SUCCESS_STATUSES = ("COMPLETED",)
FAILURE_STATUSES = (
    "FAILED",
    "ERROR",
    "REJECTED",
    "CANCELLED",
    "CANCELED",
    "EXPIRED",
    "TERMINATED",
    "TIMED_OUT",
)
#: Of a run that was not completed before its expiry.
EXPIRED_STATUS = "EXPIRED"
PENDING_STATUSES = ("RUNNING",)


class Outcome(enum.Enum):
    """What a status says about a workflow."""

    SUCCESS = "success"
    FAILURE = "failure"
    PENDING = "pending"


@dataclass(frozen=True)
class Statuses:
    """The statuses that end a wait. Every other status is pending, whatever it says.

    The service's full enumeration is not documented, so both sets are configuration. Statuses are
    compared as they are, upper and lower case included.

    :param success: statuses that mean success
    :param failure: statuses that mean failure
    """

    success: frozenset[str] = frozenset(SUCCESS_STATUSES)
    failure: frozenset[str] = frozenset(FAILURE_STATUSES)

    def __post_init__(self) -> None:
        if not self.success:
            raise InvalidInput("success_statuses is empty: no workflow could ever succeed")
        if both := sorted(self.success & self.failure):
            raise InvalidInput(f"success_statuses and failure_statuses both name {', '.join(both)}")

    @classmethod
    def of(cls, success: Iterable[str] | None, failure: Iterable[str] | None) -> Statuses:
        """Return the statuses given, with the defaults for what is None.

        A status that is given on one side leaves the default of the other side.
        """
        succeeding = frozenset(SUCCESS_STATUSES if success is None else success)
        failing = frozenset(FAILURE_STATUSES if failure is None else failure)
        if failure is None:
            failing -= succeeding
        if success is None:
            succeeding -= failing
        return cls(succeeding, failing)

    @property
    def problems(self) -> list[str]:
        """What cannot be right about the statuses, as clauses; nothing is refused, since not all are documented."""
        return [
            f"{name} names {status!r}, {problem}"
            for name, statuses in (("success_statuses", self.success), ("failure_statuses", self.failure))
            for status in sorted(statuses)
            if (problem := _problem(status))
        ]

    def outcome(self, status: str) -> Outcome:
        """Return what ``status`` means; one without a meaning is pending, and is logged once in a process."""
        if status in self.success:
            return Outcome.SUCCESS
        if status in self.failure:
            return Outcome.FAILURE
        if status not in PENDING_STATUSES and status not in _reported:
            _reported.add(status)
            log.warning(
                "The status %r of a workflow is not recognised and counts as pending. If it ends a workflow, "
                "name it in the connection's success_statuses or failure_statuses.",
                status,
            )
        return Outcome.PENDING


def _problem(status: str) -> str | None:
    if status in PENDING_STATUSES:
        return "which is the status of a workflow that goes on"
    written = re.sub(r"[\s-]+", "_", status.upper())
    documented = (*SUCCESS_STATUSES, *FAILURE_STATUSES, *PENDING_STATUSES)
    if status in documented or written not in documented:
        return None
    return f"which the service writes {written!r}: upper and lower case are compared as well"


_reported: set[str] = set()
