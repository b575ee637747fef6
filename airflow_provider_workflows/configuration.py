"""The options of ``[workflows]`` in Airflow's configuration: what they are, and the only reading of them.

Each is the default of the argument of its name. It is read when an operator, a sensor, a trigger or a client is
made, never while a module is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from airflow_provider_workflows.airflow_internals import configuration
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.polling import (
    MAX_OUTAGE_SECONDS,
    MAX_POLL_INTERVAL_SECONDS,
    POLL_INTERVAL_SECONDS,
)
from airflow_provider_workflows.unknown_options import warn_of_unknown_options

SECTION = "workflows"
#: The largest number of calls that a batch may have under way at once.
LARGEST_MAX_CONCURRENCY = 1000
MAX_CONCURRENCY = 32


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


def _zero_or_more(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError
    return number


def _concurrency(text: str) -> int:
    number = int(text)
    if not 1 <= number <= LARGEST_MAX_CONCURRENCY:
        raise ValueError
    return number


def _folder(text: str) -> str:
    if "://" not in text and not text.startswith("/"):
        raise ValueError
    return text


@dataclass(frozen=True)
class Option:
    """One option of the section.

    :param description: what it does, for ``airflow config list`` and the documentation
    :param type: ``"float"``, ``"integer"`` or ``"string"``
    :param default: what counts where it is not set; None for none
    :param permitted: what its text may be, to follow "must be"
    :param parse: turns the text into the value; raises ValueError if it cannot
    :param example: a text for the documentation
    :param version_added: the version of this package that has brought it
    """

    description: str
    type: str
    default: float | None
    permitted: str
    parse: Callable[[str], Any]
    example: str | None = None
    version_added: str = "0.1.0"


OPTIONS: Mapping[str, Option] = {
    "poll_interval": Option(
        "The shortest time between two polls of a run, in seconds. A sensor that reschedules pauses for at least a "
        "minute.",
        "float",
        POLL_INTERVAL_SECONDS,
        "a number of seconds above 0",
        _above_zero,
    ),
    "max_poll_interval": Option(
        "The longest time between two polls of a run, in seconds. In between, a poll is due after a fifth of the "
        "run's age.",
        "float",
        MAX_POLL_INTERVAL_SECONDS,
        "a number of seconds above 0",
        _above_zero,
    ),
    "max_outage": Option(
        "How long the service may be out of reach before a task fails, in seconds.",
        "float",
        MAX_OUTAGE_SECONDS,
        "a number of seconds, 0 or more",
        _zero_or_more,
    ),
    "requests_per_second": Option(
        "The largest number of polls that each triggerer, and of requests that each batch, makes in a second, for "
        "connections that name none. Without it there is no cap.",
        "float",
        None,
        "a number above 0",
        _above_zero,
        example="20",
    ),
    "max_concurrency": Option(
        "The largest number of calls that a batch has under way at once.",
        "integer",
        MAX_CONCURRENCY,
        f"a whole number from 1 to {LARGEST_MAX_CONCURRENCY:,}",
        _concurrency,
    ),
    "state_folder": Option(
        "URI of a folder, in storage that all workers share, for what tasks must remember of the runs that they "
        "have started. Needed where Airflow has no task state store, which is below Airflow 3.3.",
        "string",
        None,
        "a URI such as s3://conn_id@bucket/folder, or an absolute path",
        _folder,
        example="s3://aws_default@bucket/workflows-state",
    ),
}


def poll_interval() -> float:
    """Return the shortest time between two polls of a run, in seconds.

    :raises InvalidInput: if the option is not a number above 0
    """
    return float(_value("poll_interval"))


def max_poll_interval() -> float:
    """Return the longest time between two polls of a run, in seconds.

    :raises InvalidInput: if the option is not a number above 0, or is below ``poll_interval``
    """
    seconds, shortest = float(_value("max_poll_interval")), poll_interval()
    if seconds < shortest:
        _refuse(
            "max_poll_interval",
            f"at least as long as [{SECTION}] poll_interval ({shortest:g})",
            f"{seconds:g}",
        )
    return seconds


def max_outage() -> float:
    """Return how long the service may be out of reach before a task fails, in seconds.

    :raises InvalidInput: if the option is not a number, or below 0
    """
    return float(_value("max_outage"))


def requests_per_second() -> float | None:
    """Return the largest number of requests in a second for a connection that names none; None for no cap.

    :raises InvalidInput: if the option is not a number above 0
    """
    number: float | None = _value("requests_per_second")
    return number


def max_concurrency() -> int:
    """Return the largest number of calls that a batch has under way at once.

    :raises InvalidInput: if the option is not a whole number, or out of bounds
    """
    return int(_value("max_concurrency"))


def state_folder() -> str | None:
    """Return the folder for what tasks must remember, as a URI or an absolute path; None if it is not set.

    :raises InvalidInput: if the option is neither a URI nor an absolute path
    """
    folder: str | None = _value("state_folder")
    return folder


#: What stands for an argument that a DAG doesn't give, by the argument's name.
ARGUMENT_DEFAULTS: Mapping[str, Callable[[], float]] = {
    "poll_interval": poll_interval,
    "max_poll_interval": max_poll_interval,
    "max_outage": max_outage,
    "max_concurrency": max_concurrency,
}


def mistakes() -> list[str]:
    """Return what is wrong with the section, in a text for each option that cannot be right."""
    texts = map(_mistake, (*ARGUMENT_DEFAULTS.values(), requests_per_second, state_folder))
    # max_poll_interval is compared with poll_interval, and says what is wrong with that.
    return list(dict.fromkeys(filter(None, texts)))


def warn_of_unknown() -> None:
    """Log a warning for each option of the section that is unknown, such as a misspelled one; once per process."""
    warn_of_unknown_options(SECTION, OPTIONS)


def provider_info() -> dict[str, Any]:
    """Return the section as ``provider_info.schema.json`` of Airflow has it."""
    return {
        SECTION: {
            "description": (
                "Defaults of the provider for TransactionLink's Workflows API. Each is the default of the argument "
                "of that name of operators, sensor and triggers."
            ),
            "options": {
                name: {
                    "description": f"{option.description}\n",
                    "version_added": option.version_added,
                    "type": option.type,
                    "example": option.example,
                    "default": None if option.default is None else f"{option.default:g}",
                }
                for name, option in OPTIONS.items()
            },
        }
    }


def _mistake(read: Callable[[], object]) -> str | None:
    try:
        read()
    except InvalidInput as error:
        return str(error)
    return None


def _value(name: str) -> Any:
    warn_of_unknown()
    option = OPTIONS[name]
    text = configuration.option(SECTION, name)
    if text is None:
        return option.default
    try:
        return option.parse(text)
    except ValueError:
        _refuse(name, option.permitted, None if option.type == "string" else repr(text))


def _refuse(name: str, permitted: str, text: str | None) -> NoReturn:
    given = "" if text is None else f", not {text}"
    raise InvalidInput(
        f"[{SECTION}] {name} in Airflow's configuration must be {permitted}{given}. Set it in airflow.cfg, or as "
        f"AIRFLOW__{SECTION.upper()}__{name.upper()}"
    )
