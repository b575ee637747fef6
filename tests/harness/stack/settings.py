"""The settings of the stack: those of the settings file, and the addresses that are chosen at its start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
SETTINGS_FILE = CHECKOUT / "stack.env"

SECRETS = frozenset(
    {
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__CORE__FERNET_KEY",
    }
)
"""The settings that are secrets: new ones for each stack, those of files in docker-compose.yaml."""

ADDRESSES = frozenset(
    {
        "AIRFLOW__API__BASE_URL",
        "AIRFLOW__API__HOST",
        "AIRFLOW__API__PORT",
        "AIRFLOW__CELERY__BROKER_URL",
        "AIRFLOW__CELERY__RESULT_BACKEND",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",
    }
)
"""The settings that say what is where, which differs between containers and processes of one machine."""


def read_settings(file: Path = SETTINGS_FILE) -> dict[str, str]:
    """Return the settings of a file with a ``NAME=VALUE`` in each line that is neither empty nor a comment.

    :raises ValueError: naming a line that is something else
    """
    settings: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator or not name.isidentifier() or value != value.strip():
            raise ValueError(f"{file.name}, line {number}: not of the form NAME=VALUE")
        settings[name] = value
    return settings


COMMAND_SUFFIX = "_CMD"
"""Behind the name of a setting, of which the value is then what a command prints."""


def is_setting(name: str) -> bool:
    """Return whether an environment variable of this name is a setting of Airflow."""
    return name.startswith("AIRFLOW__")


def shared_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of an environment that are neither addresses nor secrets."""
    return {
        name: value
        for name, value in environment.items()
        if is_setting(name) and name.removesuffix(COMMAND_SUFFIX) not in ADDRESSES | SECRETS
    }
