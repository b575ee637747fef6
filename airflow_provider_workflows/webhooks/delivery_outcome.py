"""What became of a delivery, for the service and for the count."""

from __future__ import annotations

import enum


class TryAgainLater(Exception):
    """A delivery could not be confirmed or written: the service is to repeat it."""


class DeliveryOutcome(enum.Enum):
    """What became of a delivery, as it is counted."""

    REFUSED = "refused"
    NAMES_NO_WORKFLOW = "without a workflow"
    UNKNOWN_WORKFLOW = "unknown workflow"
    NOT_ENDED = "not ended"
    REPEATED = "repeated"
    TAKEN = "taken"
