"""Airflow's secrets masker: what it is given to mask, and what it warns of."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from airflow.sdk.log import mask_secret

from airflow_provider_workflows.airflow_internals.configuration import integer
from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_parameters,
)

#: Airflow's own default of ``[logging] min_length_masked_secret``.
DEFAULT_MIN_MASKED_CHARACTERS = 5
_TOO_SHORT = "Skipping masking for a secret"


def _find_log() -> logging.Logger:
    from airflow.sdk._shared.secrets_masker import secrets_masker  # noqa: PLC0415  (not while parsing)

    if not isinstance(secrets_masker.log, logging.Logger):
        raise FeatureChangedError("its log is not a logging.Logger")
    return secrets_masker.log


MASKER_LOG = Feature(
    "airflow.sdk._shared.secrets_masker.secrets_masker.log",
    purpose="read connections without a warning about secrets that are too short to mask",
    without="Airflow warns of those once in a process, such as of the extra `{}` of a connection without any",
    find=_find_log,
)


def _find_redact() -> Any:
    from airflow.sdk._shared.secrets_masker import redact  # noqa: PLC0415  (not while parsing)

    require_parameters(redact, "value")
    return redact


REDACT = Feature(
    "airflow.sdk._shared.secrets_masker.redact(value)",
    purpose="leave out of an alert what Airflow masks in logs",
    without="Alerts say of exceptions that are not this package's own the type alone",
    find=_find_redact,
)


def masked(text: str) -> str | None:
    """Return text with what Airflow masks in logs replaced; None where Airflow cannot do so."""
    redact = REDACT.get()
    return None if redact is None else str(redact(text))


@contextlib.contextmanager
def quiet_about_short_secrets() -> Iterator[None]:
    """Keep Airflow from warning within the block that it does not mask a secret because it is too short.

    Airflow masks the extra of each connection that it reads, as a whole, and its UI stores ``{}`` for one without
    any: each task would begin with a warning, and no secret would be behind it.
    """
    log = MASKER_LOG.get()
    if log is None:
        yield
        return

    def keep(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_TOO_SHORT)

    log.addFilter(keep)
    try:
        yield
    finally:
        log.removeFilter(keep)


def mask(value: Any) -> None:
    """Have Airflow mask a value in logs: text, or what is in a list or a dict.

    In a dict only the values of names count that Airflow takes for those of secrets. Text that is too short for
    Airflow to mask is left out: it would log a warning of it, with each task that handles a country code.

    :param value: JSON
    """
    min_characters = integer("logging", "min_length_masked_secret", default=DEFAULT_MIN_MASKED_CHARACTERS)
    if maskable := _without_short_text(value, min_characters):
        mask_secret(maskable)


def _without_short_text(value: Any, min_characters: int) -> Any:
    if isinstance(value, str):
        return value if len(value) >= min_characters else None
    if isinstance(value, dict):
        kept = {name: _without_short_text(item, min_characters) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item}
    if isinstance(value, (list, tuple)):
        return [item for one in value if (item := _without_short_text(one, min_characters))]
    return None
