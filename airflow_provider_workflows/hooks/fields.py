"""The extra fields of a connection, for Airflow's form and for reading them.

This imports nothing heavy: Airflow reads it whenever it lists its providers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ExtraField:
    """One field of the connection's extra.

    :param label: its name in the form
    :param description: the form's help text
    :param schema: JSON schema for the form
    :param parse: turns JSON, or the text of a URI, into the setting's value; raises ValueError if it cannot
    """

    label: str
    description: str
    schema: Mapping[str, Any]
    parse: Callable[[Any], Any]


def _above_zero(value: Any) -> float:
    number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    if not 0 < number < math.inf:
        raise ValueError
    return number


def _count(value: Any) -> int:
    count = int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else 0
    if count < 1:
        raise ValueError
    return count


def _truth(value: Any) -> bool:
    truth = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in truth:
        return truth[value.strip().lower()]
    raise ValueError


def _verification(value: Any) -> bool | str:
    try:
        return _truth(value)
    except ValueError:
        if isinstance(value, str):
            return value.strip()
        raise


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError
    names = tuple(item.strip() for item in value if item.strip())
    if not names:
        raise ValueError
    return names


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004  (the message is the same for every value)
    return value.strip()


_NUMBER = {"type": ["number", "null"], "exclusiveMinimum": 0}
_TEXT = {"type": ["string", "null"]}

FIELDS: Mapping[str, ExtraField] = {
    "connect_timeout": ExtraField(
        "Connect timeout (seconds)",
        "How long to wait for a connection, TLS included. Default: 10.",
        _NUMBER,
        _above_zero,
    ),
    "read_timeout": ExtraField(
        "Read timeout (seconds)",
        "How long to wait without a byte of a response. Default: 60.",
        _NUMBER,
        _above_zero,
    ),
    "max_attempts": ExtraField(
        "Attempts per call",
        "How many requests a call makes at most. A request that may have started a run is never repeated, "
        "whatever this says. Default: 5.",
        {"type": ["integer", "null"], "minimum": 1},
        _count,
    ),
    "success_statuses": ExtraField(
        "Success statuses",
        "Statuses that mean success, separated by commas, written as the service writes them. "
        "Default: COMPLETED.",
        _TEXT,
        _names,
    ),
    "failure_statuses": ExtraField(
        "Failure statuses",
        "Statuses that mean failure, separated by commas. Every other status counts as pending. Default: "
        "FAILED, ERROR, REJECTED, CANCELLED, CANCELED, EXPIRED, TERMINATED, TIMED_OUT.",
        _TEXT,
        _names,
    ),
    "requests_per_second": ExtraField(
        "Requests per second",
        "How many polls each triggerer, and how many requests each batch, makes in a second at most. "
        "Default: no cap.",
        _NUMBER,
        _above_zero,
    ),
    "dashboard_url": ExtraField(
        "Dashboard URL",
        "Address of a workflow's page in the dashboard, with {workflow_id} in it, for the link of a task.",
        _TEXT,
        _text,
    ),
    "webhooks": ExtraField(
        "Receive webhooks",
        "Take the service's webhooks at /workflows/webhooks/ and this connection's id, on Airflow's API server, "
        "and poll workflows seldom. Default: no.",
        {"type": ["boolean", "null"], "default": False},
        _truth,
    ),
    "webhook_key_seconds": ExtraField(
        "Webhook key age (seconds)",
        "How long a public key of the service is used before it is fetched again: one that was withdrawn is "
        "accepted for that long. Default, and the most: 3600.",
        {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 3600},
        _above_zero,
    ),
    "personal_fields": ExtraField(
        "Personal fields",
        "Further names of fields whose values are personal, separated by commas, beside those of a case. They are "
        "redacted in parameters and results, whatever their spelling.",
        _TEXT,
        _names,
    ),
    "hash_secret": ExtraField(
        "Hash secret",
        "At least 32 characters that hashes of personal numbers are keyed with (hash_personal_numbers). "
        "Anyone who has it can find the numbers.",
        {"type": ["string", "null"], "format": "password"},
        _text,
    ),
    "verify": ExtraField(
        "Verify TLS",
        "true, false, or the path of a CA file for a certificate from a private authority. Default: true.",
        _TEXT,
        _verification,
    ),
    "allow_http": ExtraField(
        "Allow plain http",
        "Permit http:// to a host that is not this machine. Secrets and personal data then travel "
        "unencrypted. Default: no.",
        {"type": ["boolean", "null"], "default": False},
        _truth,
    ),
}

_WANTED: Mapping[Callable[[Any], Any], str] = {
    _above_zero: "a number above 0",
    _text: "text",
    _count: "a whole number from 1",
    _truth: "true or false",
    _verification: "true, false or the path of a CA file",
    _names: "names separated by commas",
}


def read_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a connection's extra holds; a field that is null or empty is left out.

    :raises ValueError: naming the field and what it must be
    """
    settings: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value = extra.get(name)
        if value is None or value == "":
            continue
        try:
            settings[name] = field.parse(value)
        except (ValueError, OverflowError):
            raise ValueError(f"its extra {name!r} must be {_WANTED[field.parse]}") from None
    return settings
