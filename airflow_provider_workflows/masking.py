"""Have Airflow mask values in the logs of a task or triggerer."""

from __future__ import annotations

from typing import Any

from airflow.sdk import conf
from airflow.sdk.log import mask_secret

#: Airflow's own default of ``[logging] min_length_masked_secret``.
DEFAULT_MIN_MASKED_CHARACTERS = 5


def mask(value: Any) -> None:
    """Have Airflow mask a value in logs: text, or what is in a list or a dict.

    In a dict only the values of names count that Airflow takes for those of secrets. Text that is too short for
    Airflow to mask is left out: it would log a warning of it, with each task that handles a country code.

    :param value: JSON
    """
    min_characters = conf.getint(
        "logging", "min_length_masked_secret", fallback=DEFAULT_MIN_MASKED_CHARACTERS
    )
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
