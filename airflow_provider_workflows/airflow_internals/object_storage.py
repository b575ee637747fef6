"""Files behind a connection: what Airflow keeps of them for the life of a process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_parameters,
)


def _find_file_systems() -> Callable[[str, str], Any]:
    from airflow.sdk.io import attach, get_fs  # noqa: PLC0415  (not while parsing)
    from airflow.sdk.io.store import ObjectStore  # noqa: PLC0415

    require_parameters(attach, "protocol", "conn_id")
    require_parameters(get_fs, "scheme", "conn_id")
    # What is assigned to one stays; of a property it would raise.
    if not isinstance(vars(ObjectStore).get("fs"), functools.cached_property):
        raise FeatureChangedError("ObjectStore.fs is not a cached property")

    def renew(protocol: str, conn_id: str) -> None:
        # Made first: if the connection cannot be read, what there is stays in use.
        file_system = get_fs(protocol, conn_id)
        attach(protocol=protocol, conn_id=conn_id).fs = file_system

    return renew


FILE_SYSTEMS = Feature(
    "airflow.sdk.io: get_fs(scheme, conn_id), and ObjectStore.fs as a cached property of what attach(...) keeps",
    purpose="use a storage connection as it is after a change",
    without="A triggerer uses a changed storage connection once it is restarted",
    find=_find_file_systems,
)


def renew_file_system(protocol: str, conn_id: str) -> bool:
    """Read a storage connection again, and have all paths of this process use what it says now.

    Airflow keeps one file system for each protocol and connection for the life of a process, and a triggerer lives
    for weeks.

    :param protocol: how URIs of it begin, such as ``s3``
    :param conn_id: id of the connection
    :return: False where this Airflow keeps file systems in another way
    :raises Exception: if the connection cannot be read
    """
    renew = FILE_SYSTEMS.get()
    if renew is None:
        return False
    renew(protocol, conn_id)
    return True
