"""The extra fields of a connection, for Airflow's form and for reading them.

This imports nothing heavy: Airflow reads it whenever it lists its providers.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Number of the latest generation in ``api/generations.py``, which is not imported here.
LATEST_GENERATION = 3


@dataclass(frozen=True)
class ExtraField:
    """One field of the connection's extra.

    :param section: the group of fields in the form that it belongs to
    :param label: its name in the form
    :param description: the form's help text
    :param schema: JSON schema for the form
    :param parse: turns JSON, or the text of a URI, into the setting's value; raises ValueError if it cannot
    """

    section: str
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


def _generation(value: Any) -> int:
    number = _count(value)
    if number > LATEST_GENERATION:
        raise ValueError
    return number


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

#: The groups of the form, whose fields are next to each other below.
_API, _STATUSES, _WEBHOOKS, _REQUESTS = "API", "Statuses", "Webhooks", "Requests"
_PERSONAL_DATA, _DASHBOARD, _TLS = "Personal data", "Dashboard", "TLS"

FIELDS: Mapping[str, ExtraField] = {
    "api_generation": ExtraField(
        _API,
        "API generation",
        "Which generation of the service's API is used: 1 with cases, 2 with cases or records, 3 with records and "
        "with parameters that are sent as a run is started. Default: 1.",
        {"type": ["integer", "null"], "minimum": 1, "maximum": 3},
        _generation,
    ),
    "success_statuses": ExtraField(
        _STATUSES,
        "Success statuses",
        "Statuses that mean success, separated by commas, written as the service writes them. "
        "Default: COMPLETED.",
        _TEXT,
        _names,
    ),
    "failure_statuses": ExtraField(
        _STATUSES,
        "Failure statuses",
        "Statuses that mean failure, separated by commas. Every other status counts as pending. Default: "
        "FAILED, ERROR, REJECTED, CANCELLED, CANCELED, EXPIRED, TERMINATED, TIMED_OUT.",
        _TEXT,
        _names,
    ),
    "webhooks": ExtraField(
        _WEBHOOKS,
        "Receive webhooks",
        "Take the service's webhooks at /workflows/webhooks/ and this connection's id, on Airflow's API server, "
        "and poll workflows seldom. Default: no.",
        {"type": ["boolean", "null"], "default": False},
        _truth,
    ),
    "webhook_key_seconds": ExtraField(
        _WEBHOOKS,
        "Webhook key age (seconds)",
        "How long a public key of the service is used before it is fetched again: one that was withdrawn is "
        "accepted for that long. Default, and the most: 3600.",
        {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 3600},
        _above_zero,
    ),
    "connect_timeout": ExtraField(
        _REQUESTS,
        "Connect timeout (seconds)",
        "How long to wait for a connection, TLS included. Default: 10.",
        _NUMBER,
        _above_zero,
    ),
    "read_timeout": ExtraField(
        _REQUESTS,
        "Read timeout (seconds)",
        "How long to wait without a byte of a response. Default: 60.",
        _NUMBER,
        _above_zero,
    ),
    "max_attempts": ExtraField(
        _REQUESTS,
        "Attempts per call",
        "How many requests a call makes at most. A request that may have started a run is never repeated, "
        "whatever this says. Default: 5.",
        {"type": ["integer", "null"], "minimum": 1},
        _count,
    ),
    "requests_per_second": ExtraField(
        _REQUESTS,
        "Requests per second",
        "How many polls each triggerer, and how many requests each batch, makes in a second at most. "
        "Default: what [workflows] requests_per_second in Airflow's configuration says, or no cap.",
        _NUMBER,
        _above_zero,
    ),
    "personal_fields": ExtraField(
        _PERSONAL_DATA,
        "Personal fields",
        "Further names of fields whose values are personal, separated by commas, beside those of a case. They are "
        "redacted in parameters and results, whatever their spelling.",
        _TEXT,
        _names,
    ),
    "hash_secret": ExtraField(
        _PERSONAL_DATA,
        "Hash secret",
        "At least 32 characters that hashes of personal numbers are keyed with (hash_personal_numbers). "
        "Anyone who has it can find the numbers.",
        {"type": ["string", "null"], "format": "password"},
        _text,
    ),
    "dashboard_url": ExtraField(
        _DASHBOARD,
        "Dashboard URL",
        "Address of a workflow's page in the dashboard, with {workflow_id} in it, for the link of a task.",
        _TEXT,
        _text,
    ),
    "verify": ExtraField(
        _TLS,
        "Verify TLS",
        "true, false, or the path of a CA file for a certificate from a private authority. Default: true.",
        _TEXT,
        _verification,
    ),
    "allow_http": ExtraField(
        _TLS,
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
    _generation: "1, 2 or 3",
    _truth: "true or false",
    _verification: "true, false or the path of a CA file",
    _names: "names separated by commas",
}


def read_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a connection's extra holds; a field that is null or empty is left out.

    :raises ValueError: naming the field and what it must be
    """
    settings, problems = _read(extra)
    if problems:
        raise ValueError(problems[0])
    return settings


def wrong_values(extra: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the values in a connection's extra, a clause for each field, without the value."""
    return _read(extra)[1]


def _read(extra: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    settings: dict[str, Any] = {}
    problems = []
    for name, field in FIELDS.items():
        value = extra.get(name)
        if value is None or value == "":
            continue
        try:
            settings[name] = field.parse(value)
        except (ValueError, OverflowError):
            problems.append(f"its extra {name!r} must be {_WANTED[field.parse]}")
    return settings, problems


def unknown_names(extra: Mapping[str, Any]) -> list[str]:
    """Return which names in a connection's extra are of no field, each with the name that it is nearest to.

    :param extra: the extra
    :return: such as ``["'read_timout' (did you mean 'read_timeout'?)"]``
    """
    unknown = []
    for name in sorted(set(extra) - set(FIELDS)):
        nearest = difflib.get_close_matches(name.lower(), FIELDS, 1)
        unknown.append(f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else f"{name!r}")
    return unknown
