"""The name under which Airflow tests a connection, in place of the one that it is stored under."""

from __future__ import annotations

import re

from airflow_provider_workflows.airflow_internals.feature import Feature, FeatureChangedError

#: Letters and digits. One without a capital, which is one of a hundred, is taken for a name of its own.
_TEMPORARY_NAME = re.compile(r"(?=.*[A-Z])[A-Za-z0-9]{8}")


def _find_temporary_names() -> bool:
    from airflow.utils.strings import get_random_string  # noqa: PLC0415

    if not re.fullmatch(r"[A-Za-z0-9]{8}", get_random_string()):  # type: ignore[no-untyped-call]
        raise FeatureChangedError("get_random_string returns a string of another form")
    return True


TEMPORARY_NAMES = Feature(
    "airflow.utils.strings.get_random_string() of 8 letters and digits, as the name of a connection under test",
    purpose="tell the name that Airflow tests a connection under from the connection's own",
    without="What Test connection says names the connection by the name that Airflow tests it under",
    find=_find_temporary_names,
)


def is_temporary_name(conn_id: str) -> bool:
    """Return whether Airflow has made up a connection's id to test what is in its form."""
    return bool(_TEMPORARY_NAME.fullmatch(conn_id)) and TEMPORARY_NAMES.is_available()
