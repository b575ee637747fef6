"""What the package says once in the log of each component of Airflow, when Airflow loads its plugin."""

from __future__ import annotations

import logging

from airflow_provider_workflows import configuration
from airflow_provider_workflows.airflow_internals.versions import is_supervised, say_what_is_lacking

log = logging.getLogger(__name__)

_said: list[str] = []


def say_at_start_up() -> None:
    """Log what this version of Airflow lacks, and which options are unknown or cannot be right, once per process.

    The process of a task says nothing: the log of each task, of all DAGs, would begin with it.
    """
    say_what_is_lacking()
    if is_supervised():
        return
    configuration.warn_of_unknown()
    for mistake in _mistakes():
        if mistake not in _said:
            _said.append(mistake)
            log.error(
                "%s. DAGs that need this option cannot be parsed, and tasks that need it fail before they send "
                "anything, until it is corrected.",
                mistake,
            )


def _mistakes() -> list[str]:
    try:
        return configuration.mistakes()
    except Exception as error:  # noqa: BLE001  (a component of Airflow must start all the same)
        return [f"[workflows] in Airflow's configuration cannot be read ({type(error).__name__})"]
