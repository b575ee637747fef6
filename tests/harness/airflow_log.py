"""What Airflow logs as JSON, a record per line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

JSON_LOGS = {"AIRFLOW__LOGGING__JSON_LOGS": "True"}
"""The environment variable that makes Airflow write such lines."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the log.

    :param time: when it was written
    :param level: such as ``info``
    :param logger: who wrote it
    :param event: the message
    :param fields: all of the above and whatever else it has
    """

    time: datetime
    level: str
    logger: str
    event: str
    fields: Mapping[str, Any]

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The exception and what caused it."""
        return self.fields.get("exception") or self.fields.get("error_detail") or []


def read(line: str) -> Record | None:
    """Return the record on a line, or None if something else printed it."""
    try:
        fields = json.loads(line)
        time = datetime.fromisoformat(fields["timestamp"].replace("Z", "+00:00"))
        return Record(time, fields["level"], str(fields.get("logger")), fields["event"], fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def readable(fields: Mapping[str, Any]) -> str:
    """Return all fields of a record as text: a line with the message, then its exceptions."""
    rest = dict(fields)
    errors = (rest.pop("exception", None) or []) + (rest.pop("error_detail", None) or [])
    parts = [str(rest.pop(name, None) or "") for name in ("timestamp", "level", "event")]
    parts += [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in rest.items()]
    return "\n".join([" ".join(part for part in parts if part), *map(exception_text, errors)])


def exception_text(error: Mapping[str, Any]) -> str:
    """Return an exception as text, with the places that it came through but not their folders."""
    places = [
        f"    at {PurePath(frame['filename']).name}:{frame['lineno']} {frame['name']}"
        for frame in error.get("frames") or []
    ]
    return "\n".join([f"{error.get('exc_type')}: {error.get('exc_value')}", *places])
