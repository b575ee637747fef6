"""What Airflow's secrets masker logs while a connection is read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from airflow_provider_workflows.airflow_internals.feature import Feature, FeatureChangedError

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
