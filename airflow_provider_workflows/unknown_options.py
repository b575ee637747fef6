"""Options of a section of Airflow's configuration that nobody reads, such as misspelled ones."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Collection, Iterator

from airflow_provider_workflows.airflow_internals import configuration

log = logging.getLogger(__name__)

#: Sections of which this process has said what is unknown.
_said: set[str] = set()


def warn_of_unknown_options(section: str, options: Collection[str]) -> None:
    """Log a warning for each option that is set and unknown, with the name that it is nearest to; once per process.

    :param section: the section's name
    :param options: names of the options that it has
    """
    if section in _said:
        return
    _said.add(section)
    try:
        sentences = list(_sentences(section, options))
    except Exception as error:  # noqa: BLE001  (a component of Airflow must start all the same)
        sentences = [
            f"The names in [{section}] of Airflow's configuration cannot be read: {type(error).__name__}."
        ]
    for sentence in sentences:
        log.warning("%s", sentence)


def _sentences(section: str, options: Collection[str]) -> Iterator[str]:
    prefix = f"AIRFLOW__{section.upper()}__"
    for name in configuration.option_names(section):
        if name not in options:
            yield _sentence(f"option [{section}] {name}", name, options, str)
    for name in sorted(os.environ):
        # Airflow reads a variable in capitals alone.
        if name.upper().startswith(prefix) and name not in {
            f"{prefix}{option.upper()}" for option in options
        }:
            given = name[len(prefix) :].lower()
            yield _sentence(
                f"environment variable {name}", given, options, lambda option: prefix + option.upper()
            )


def _sentence(what: str, name: str, options: Collection[str], spelled: Callable[[str], str]) -> str:
    nearest = difflib.get_close_matches(name, options, 1)
    meant = (
        f"Did you mean {spelled(nearest[0])}?" if nearest else f"Options are {', '.join(sorted(options))}."
    )
    return f"The {what} of Airflow's configuration is unknown, so it changes nothing. {meant}"
