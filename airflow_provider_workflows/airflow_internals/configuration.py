"""Airflow's configuration, under the name that this Airflow has for it."""

from __future__ import annotations

from typing import Any

from airflow_provider_workflows.airflow_internals.feature import Feature, require_attributes


def _find_configuration() -> Any:
    try:
        from airflow.sdk.configuration import conf  # noqa: PLC0415
    except ImportError:
        # Below Airflow 3.2.
        from airflow.configuration import conf  # noqa: PLC0415
    require_attributes(conf, "get", "getboolean", "getint")
    return conf


CONFIGURATION: Feature[Any] = Feature(
    "airflow.sdk.configuration.conf, or airflow.configuration.conf: get, getboolean, getint",
    purpose="read Airflow's configuration",
    without="Each option counts as if it was not set",
    find=_find_configuration,
)


def option(section: str, name: str) -> str | None:
    """Return the text of an option; None if it is not set, or empty.

    :param section: the section of Airflow's configuration
    :param name: the option's name
    """
    conf = CONFIGURATION.get()
    if conf is None:
        return None
    text: str | None = conf.get(section, name, fallback=None)
    return text.strip() or None if text is not None else None


def _find_options() -> Any:
    conf = _find_configuration()
    require_attributes(conf, "has_section", "options")
    return conf


OPTION_NAMES: Feature[Any] = Feature(
    "airflow.sdk.configuration.conf, or airflow.configuration.conf: has_section, options",
    purpose="list the options that a section of Airflow's configuration has",
    without="A misspelled option of airflow.cfg is ignored without a word",
    find=_find_options,
)


def option_names(section: str) -> list[str]:
    """Return the names of the options that a section of Airflow's configuration file has.

    :param section: the section's name
    """
    conf = OPTION_NAMES.get()
    return list(conf.options(section)) if conf is not None and conf.has_section(section) else []


def boolean(section: str, name: str, *, default: bool) -> bool:
    """Return an option that is true or false.

    :param section: the section of Airflow's configuration
    :param name: the option's name
    :param default: what counts where it is not set
    :raises AirflowConfigException: if it is neither
    """
    conf = CONFIGURATION.get()
    return default if conf is None else bool(conf.getboolean(section, name, fallback=default))


def integer(section: str, name: str, *, default: int) -> int:
    """Return an option that is a whole number.

    :param section: the section of Airflow's configuration
    :param name: the option's name
    :param default: what counts where it is not set
    :raises AirflowConfigException: if it is another
    """
    conf = CONFIGURATION.get()
    return default if conf is None else int(conf.getint(section, name, fallback=default))
