"""Files behind an ``ObjectStoragePath``, written so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_workflows.airflow_internals.object_storage import renew_file_system
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import is_resolved_later, refuse
from airflow_provider_workflows.log_throttle import QuietLogger

__all__ = [
    "AZURE_HTTP_LOG",
    "ObjectStoragePath",
    "is_local",
    "read_connection_again",
    "remove_folder",
    "replacing",
    "require_writable",
    "shown",
    "storage_path",
    "templated_path",
    "write_whole",
]

log = logging.getLogger(__name__)

#: Azure's library logs two records for each request: 250 KB in the task's log for 600 rows, each line by way of the
#: supervisor, where S3 has 9 KB.
AZURE_HTTP_LOG = QuietLogger("azure.core.pipeline.policies.http_logging_policy")

PathArgument = TypeVar("PathArgument")

_PATH = "a URI, an absolute path or an ObjectStoragePath"
_LOCAL = frozenset({"", "file", "local"})
#: Stores where one put makes the whole object or nothing. No folder is made there: that could make a bucket.
_OBJECT_STORES = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "adl"})
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^/@]*)@)?(?P<rest>.*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: Errors that another try would not change; any other error of storage may pass.
_LASTING = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
_LASTING_NUMBERS = frozenset({errno.EROFS, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP})


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
        raise InvalidInput(f"{argument}: there is no such connection as that of {shown(text)}") from None
    except (ValueError, ImportError):
        raise InvalidInput(
            f"{argument}: nothing here can reach {scheme}://; install the Airflow provider that can, "
            "such as apache-airflow-providers-amazon[s3fs] for s3://"
        ) from None
    return path


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


def write_whole(path: ObjectStoragePath, content: bytes) -> None:
    """Write a file, and the folders above it: it is there as a whole, or as it was before.

    :raises OSError: if it cannot be written
    """
    if path.protocol in _OBJECT_STORES:
        path.fs.pipe_file(path.path, content)
        return
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: ObjectStoragePath) -> Iterator[BinaryIO]:
    """Yield a file to write, which takes the place of ``path`` once the block has ended without an exception.

    The content for an object store waits on the worker's disk (``TMPDIR``) until then.

    :raises OSError: if it cannot be written
    """
    if path.protocol in _OBJECT_STORES:
        writing = _to_object(path)
    elif is_local(path):
        writing = _to_file(path)
    else:
        writing = _to_remote_file(path)
    with writing as file:
        yield cast("BinaryIO", file)


@contextlib.contextmanager
def _to_object(path: ObjectStoragePath) -> Iterator[IO[bytes]]:
    # One put, and not a temporary object that is moved: that would be a copy, which Azure may still be making
    # when it returns. The file has no name, so that a killed worker leaves nobody's data on its disk.
    with tempfile.TemporaryFile() as file:
        yield file
        file.flush()
        file.seek(0)
        path.fs.put_file(f"/dev/fd/{file.fileno()}", path.path)


@contextlib.contextmanager
def _to_file(path: ObjectStoragePath) -> Iterator[IO[bytes]]:
    final = Path(path.path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(_temporary_name(path.fs, path))
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)


@contextlib.contextmanager
def _to_remote_file(path: ObjectStoragePath) -> Iterator[IO[bytes]]:
    fs = path.fs
    fs.makedirs(path.parent.path, exist_ok=True)
    temporary = f"{path.parent.path.rstrip('/')}/{_temporary_name(fs, path)}"
    file = fs.open(temporary, "wb")
    try:
        yield file
        file.close()
        _move(fs, temporary, path.path)
    except BaseException:
        # Closing makes a file of the half that was written, so it cannot be left to the garbage collector.
        for tidy in (file.close, lambda: fs.rm_file(temporary)):
            with contextlib.suppress(Exception):
                tidy()
        raise


def _temporary_name(fs: Any, path: ObjectStoragePath) -> str:
    """Remove the files that killed tries have left, and return a name beside ``path`` to write under.

    Each try has its own name: of two that write at once, neither may put the other's half file in place.
    """
    with contextlib.suppress(FileNotFoundError):
        fs.invalidate_cache(path.parent.path)
        for left in fs.ls(path.parent.path, detail=False):
            name = left.rpartition("/")[2]
            if name.startswith(f"_{path.name}.") and name.endswith(".part"):
                with contextlib.suppress(FileNotFoundError):
                    fs.rm_file(left)
    return f"_{path.name}.{secrets.token_hex(4)}.part"


def _move(fs: Any, source: str, target: str) -> None:
    if type(fs).mv is AbstractFileSystem.mv:
        # fsspec's own mv takes the brackets in a name for a pattern.
        fs.cp_file(source, target)
        fs.rm_file(source)
        return
    try:
        fs.mv(source, target)
    except OSError as error:
        # SMB does not move a file over another.
        if error.errno != errno.EEXIST and not isinstance(error, FileExistsError):
            raise
        fs.rm_file(target)
        fs.mv(source, target)


def _sync_folder(folder: Path) -> None:
    """Make a file's new name survive a loss of power, if the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def require_writable(argument: str, folder: ObjectStoragePath) -> None:
    """Make a folder, and write a file there and remove it again.

    :param argument: the argument's name, for the error
    :raises InvalidInput: naming the folder and the reason, if another try would not change it
    :raises Exception: what storage raises otherwise, such as for a lost connection
    """
    probe = folder / f"_writable.{secrets.token_hex(4)}.part"
    try:
        write_whole(probe, b"")
        probe.fs.rm_file(probe.path)
    except OSError as error:
        if not isinstance(error, _LASTING) and error.errno not in _LASTING_NUMBERS:
            raise
        reason = _reason(error)
        raise InvalidInput(f"{argument}: {shown(folder)} cannot be written: {reason}") from None


def _reason(error: OSError) -> str:
    if error.errno == errno.EEXIST or isinstance(error, FileExistsError):
        return "a file is in the way"
    if error.errno is not None:
        return os.strerror(error.errno)
    # Object stores give no number.
    return "Permission denied" if isinstance(error, PermissionError) else "no such bucket or folder"


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
    if folder.protocol not in _OBJECT_STORES:
        for path, _, _ in reversed(list(fs.walk(folder.path))):
            fs.rmdir(path)
