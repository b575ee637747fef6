"""Moments as the API writes them."""

from __future__ import annotations

from datetime import datetime, timezone


def now_text() -> str:
    """Return the present moment in ISO 8601, in UTC."""
    return text_of(datetime.now(timezone.utc))


def text_of(moment: datetime) -> str:
    """Return a moment in ISO 8601, in UTC."""
    in_utc = moment.astimezone(timezone.utc)
    return in_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
