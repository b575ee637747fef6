"""The expiry of a run: when it is, when it is overdue, and when polls are due for it."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.log_throttle import utc_time

#: A run that is still pending this many seconds after its expiry counts as failed. What the service says of such a
#: run is not documented, clocks differ, and a run may end as it expires.
EXPIRY_GRACE_SECONDS = 600.0
#: What to do about a run that has expired.
EXPIRED_ADVICE = (
    "A new run has the time until its own expiry; with api_generation 3, a later expires_at gives it more."
)
#: What to do about an overdue run.
OVERDUE_ADVICE = (
    "Find out in the service's dashboard what has become of it; give expires_at a later moment for a new run if "
    "its time was too short."
)


def moment_of(text: object) -> float | None:
    """Return a moment as the service gives it, in seconds since the epoch.

    :param text: ISO 8601; without a time zone it is taken for UTC
    :return: None for anything else, since an odd value must not lose a run
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime_of(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def datetime_of(text: str) -> datetime:
    """Return a moment in ISO 8601, with a time zone if the text has one.

    :raises ValueError: if it has another form
    """
    return datetime.fromisoformat(_in_python(text.strip()))


def _in_python(text: str) -> str:
    """Return a moment as Python 3.10 reads it: with an offset in place of Z, and six digits of a second or none."""
    if text[-1:] in ("Z", "z"):
        text = f"{text[:-1]}+00:00"
    whole, point, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{whole}.{digits[:6]:0<6}{rest[len(digits) :]}" if point else text


def overdue(
    workflow_id: str, status: str, expires_at: float | None, now: float, advice: str = OVERDUE_ADVICE
) -> errors.WorkflowFailed | None:
    """Return the error of a run that should have ended by now, or None.

    :param workflow_id: id of the run
    :param status: its status, which is pending
    :param expires_at: when it expires, in seconds since the epoch; None if that is not known
    :param now: seconds since the epoch
    :param advice: what to do about it, as a sentence
    """
    if expires_at is None or now < expires_at + EXPIRY_GRACE_SECONDS:
        return None
    return errors.WorkflowFailed(
        f"Workflow {workflow_id} is past its expiry ({utc_time(expires_at)}) and still has the status {status}, "
        f"so it counts as failed. {advice}",
        workflow_status=status,
    )


def too_near_to_repeat(error: errors.InvalidInput, last: errors.WorkflowsError) -> errors.WorkflowsError:
    """Return the failure of the call that starts a run, where the expiry has come too near for another attempt.

    :param error: says so
    :param last: what the latest attempt has failed with
    """
    return type(last)(
        f"{last} It was not sent again: {error}. It has come too near since the first attempt: give a later "
        "moment, or a timedelta, which is counted from each attempt.",
        status=last.status,
        code=last.code,
        detail=last.detail,
        fingerprint=last.fingerprint,
        retry=Retry.NEVER,
    )


def due_at_expiry(expires_at: float | None, now: float) -> float:
    """Return the seconds until the next poll that is due for a run's expiry: as it passes, and as it is overdue.

    :param expires_at: when the run expires, in seconds since the epoch; None if that is not known
    :param now: seconds since the epoch
    """
    if expires_at is None:
        return float("inf")
    moments = (expires_at, expires_at + EXPIRY_GRACE_SECONDS)
    return min((moment - now for moment in moments if moment > now), default=float("inf"))
