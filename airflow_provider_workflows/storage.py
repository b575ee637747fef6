"""Paths of files and folders, local, remote or in an object store, behind Airflow's ``ObjectStoragePath``."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from pathlib import Path, PurePath
from typing import TypeVar
from urllib.parse import urlsplit

from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.airflow_internals.exceptions import AirflowNotFoundException
from airflow_provider_workflows.airflow_internals.object_storage import renew_file_system
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import is_resolved_later, refuse
from airflow_provider_workflows.log_throttle import QuietLogger

__all__ = [
    "AZURE_HTTP_LOG",
    "OBJECT_STORES",
    "ObjectStoragePath",
    "forget_listing",
    "from_working_directory",
    "is_local",
    "read_connection_again",
    "remove_folder",
    "shown",
    "storage_path",
    "templated_path",
]

log = logging.getLogger(__name__)

#: Azure's library logs two records for each request: 250 KB in the task's log for 600 rows, each line by way of the
#: supervisor, where S3 has 9 KB.
AZURE_HTTP_LOG = QuietLogger("azure.core.pipeline.policies.http_logging_policy")

PathArgument = TypeVar("PathArgument")

_PATH = "a URI, an absolute path or an ObjectStoragePath"
_LOCAL = frozenset({"", "file", "local"})
#: Stores where one put makes the whole object or nothing. No folder is made there: that could make a bucket.
OBJECT_STORES = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "adl"})
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^/@]*)@)?(?P<rest>.*)")
#: How Airflow and its library for paths begin to say that nothing is there for a protocol; in other words it would
#: show as the connection's error.
_NO_FILE_SYSTEM = ("No filesystem registered for scheme", "Unsupported filesystem")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def storage_path(argument: str, value: object) -> ObjectStoragePath:
    """Return ``value`` as a path.

    :param argument: the argument's name, for the error
    :param value: a URI such as ``s3://conn_id@bucket/folder``, an absolute local path, or an ``ObjectStoragePath``
    :raises InvalidInput: if it is not such a place, or cannot be reached from here
    """
    if not isinstance(value, (str, ObjectStoragePath)):
        refuse(argument, _PATH, value)
    text = str(value).strip()
    if problem := _problem(text):
        raise InvalidInput(f"{argument} {problem}")
    scheme = urlsplit(text).scheme or "file"
    try:
        path = value if isinstance(value, ObjectStoragePath) else ObjectStoragePath(text)
        _ = path.fs
    except AirflowNotFoundException:
        problem = f"there is no such connection as that of {shown(text)}"
    except (ImportError, ValueError, TypeError, AttributeError, LookupError) as error:
        problem = _why_not_reached(text, scheme, error)
    else:
        return path
    # Outside of the block: the error that was raised may hold a secret, and must not show beside this one.
    raise InvalidInput(f"{argument}: {problem}")


def _why_not_reached(text: str, scheme: str, error: Exception) -> str:
    if isinstance(error, ImportError) or str(error).startswith(_NO_FILE_SYSTEM):
        name = error.name if isinstance(error, ImportError) else None
        lacking = f": the Python package {name} is missing" if name else ""
        return (
            f"nothing here can reach {scheme}://{lacking}; install the Airflow provider that can, "
            "such as apache-airflow-providers-amazon[s3fs] for s3://"
        )
    from airflow_provider_workflows.storage_connections import connection_problem  # noqa: PLC0415  (an error's)

    uri = _URI.fullmatch(text)
    return connection_problem(shown(text), uri and uri["user"], error)


def from_working_directory(value: PathArgument) -> PathArgument | str:
    """Return a relative local path as an absolute one, for what a person runs where the files are.

    :param value: what was given; anything else than a relative path is returned as it is
    """
    if isinstance(value, PurePath) or (isinstance(value, str) and value.strip() and "://" not in value):
        return str(Path(str(value).strip()).absolute())
    return value


def templated_path(argument: str, value: PathArgument) -> PathArgument:
    """Return a templated path; whether it can be reached is checked when the task runs.

    :param argument: the argument's name, for the error
    :param value: what was given when the DAG was parsed
    :raises InvalidInput: if it is neither a path nor resolved later
    """
    if not isinstance(value, (str, ObjectStoragePath)) and not is_resolved_later(value):
        refuse(argument, _PATH, value)
    return value


def _problem(text: str) -> str | None:
    uri = _URI.fullmatch(text)
    user, place = (uri["user"] or "", uri["rest"]) if uri else ("", text)
    local = uri is None or uri["scheme"].lower() in _LOCAL
    problems = {
        "is empty": not text,
        "is the text 'None', so a template found nothing to put there": text == "None",
        "still holds a template": "{{" in text or "{%" in text,
        "holds a control character": _CONTROL.search(text),
        "is a relative path, which is another place on each worker: give an absolute path or a URI": (
            local and not place.startswith("/")
        ),
        "names no file or folder": not place.strip("/"),
        f"holds a password: keep it in an Airflow connection, and name that as in {shown(text)}": ":" in user,
        f"holds a query: keep what it says in an Airflow connection, as in {shown(text)}": (
            not local and "?" in place
        ),
    }
    return next((problem for problem, found in problems.items() if found), None)


def shown(path: ObjectStoragePath | str) -> str:
    """Return a path as messages show it: without a password or a query."""
    uri = _URI.fullmatch(text := str(path))
    if uri is None:
        return text
    user = f"{uri['user'].partition(':')[0]}@" if uri["user"] else ""
    return f"{uri['scheme']}://{user}{uri['rest'].partition('?')[0]}"


def is_local(path: ObjectStoragePath) -> bool:
    """Return whether a path is on the machine's own file system."""
    return path.protocol in _LOCAL


def forget_listing(path: ObjectStoragePath) -> None:
    """Forget what this process knows of a file and its folder: another process may have written there since.

    s3fs and its like keep the listings that they have read, and say by them that a file is missing, or how long it
    is.

    :param path: the file
    """
    for place in (path.path, path.parent.path):
        path.fs.invalidate_cache(place)


def read_connection_again(path: ObjectStoragePath, error: BaseException) -> bool:
    """Read the connection of a path again after an error, and return whether another attempt is worth while.

    The key in it may have changed: Airflow uses what it said when the process first asked for it. Storage of each
    kind has its own exception for a key that is refused, so that any exception counts. It blocks.

    :param path: the path that could not be read or written; all paths of its connection are renewed
    :param error: what was raised
    """
    if path.conn_id is None:
        return False
    try:
        if not renew_file_system(path.protocol, path.conn_id):
            return False
    except Exception as failure:  # noqa: BLE001  (the error that is there says more)
        log.warning(
            "The storage connection %s could not be read again after %s: %s.",
            path.conn_id,
            type(error).__name__,
            type(failure).__name__,
        )
        return False
    log.warning(
        "%s could not be read or written: %s. The storage connection %s was read again, and is used as it is now.",
        shown(path),
        type(error).__name__,
        path.conn_id,
    )
    return True


def remove_file(path: ObjectStoragePath) -> None:
    """Remove a file if it is there."""
    path.fs.invalidate_cache(path.parent.path)
    if path.fs.exists(path.path):
        with contextlib.suppress(FileNotFoundError):
            path.fs.rm_file(path.path)


def remove_folder(folder: ObjectStoragePath) -> None:
    """Remove a folder and all that is in it, if it is there."""
    if is_local(folder):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder.path)
        return
    # Not rm, which takes the brackets in a name for a pattern, and would remove another folder.
    fs = folder.fs
    fs.invalidate_cache()
    for file in fs.find(folder.path):
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(file)
    if folder.protocol not in OBJECT_STORES:
        for path, _, _ in reversed(list(fs.walk(folder.path))):
            fs.rmdir(path)
