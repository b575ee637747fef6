"""A file in storage that is to be uploaded, checked before anything is sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from airflow_provider_workflows.api.content_types import content_type_of
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.file_limits import MAX_UPLOAD_BYTES
from airflow_provider_workflows.api.uploads import Upload, reading, require_file_name, require_size
from airflow_provider_workflows.storage import forget_listing, is_local, shown, storage_path

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

#: Object stores read this many bytes at once, and keep a few times as many. Their own default is 5 to 50 MB.
_BLOCK_BYTES = 1024 * 1024


def file_to_upload(
    argument: str,
    path: object,
    *,
    file_name: str | None = None,
    content_type: str | None = None,
    max_bytes: int = MAX_UPLOAD_BYTES,
) -> Upload:
    """Check a file in storage, which is read once for that, and return it as ``upload_resource`` takes it.

    No error repeats a path: the name of a file may be that of a person.

    :param argument: the argument's name, for the error
    :param path: the URI of a file, an absolute local path, or an ``ObjectStoragePath``
    :param file_name: its name for the service, without folders; None for its name in storage
    :param content_type: what it is, such as ``application/pdf``; None to tell it from the ending of its name
    :param max_bytes: the largest file that is uploaded, in bytes
    :raises InvalidInput: if there is no such file, it is empty or too large, or the name or the content type cannot
        be right, or the name does not tell the content type
    :raises FileFailed: if it cannot be read
    """
    file = reading(lambda: _path(argument, path))
    try:
        name = file.name if file_name is None else file_name
        require_file_name(name)
        reading(lambda: _require_stored(file, max_bytes))
        return Upload.of(
            name,
            lambda: _opened(file),
            content_type=content_type,
            max_bytes=max_bytes,
        )
    except InvalidInput as error:
        raise InvalidInput(f"{argument}: {error}") from None


def require_stored_file(argument: str, path: object, max_bytes: int = MAX_UPLOAD_BYTES) -> None:
    """Return if a file is in storage and may be uploaded, as far as that shows without reading it.

    :param argument: the argument's name, for the error
    :param path: as ``file_to_upload`` takes it
    :param max_bytes: the largest file that is uploaded, in bytes
    :raises InvalidInput: as ``file_to_upload``, without the path
    :raises FileFailed: if storage does not say whether it is there
    """
    file = reading(lambda: _path(argument, path))
    try:
        require_file_name(file.name)
        reading(lambda: _require_stored(file, max_bytes))
        content_type_of(file.name, None)
    except InvalidInput as error:
        raise InvalidInput(f"{argument}: {error}") from None


def _path(argument: str, path: object) -> ObjectStoragePath:
    try:
        return storage_path(argument, path)
    except InvalidInput as error:
        problem = str(error)
    for text in (shown(str(path).strip()), str(path).strip()):
        # That a template has left the text 'None' is what the problem says.
        problem = problem.replace(text, "the file") if text not in ("", "None") else problem
    # Outside of the block: the first error repeats the path.
    raise InvalidInput(problem)


def _require_stored(file: ObjectStoragePath, max_bytes: int) -> None:
    """Refuse what need not be read for it."""
    with _storage_problems():
        forget_listing(file)
        info = file.fs.info(file.path)
        if info.get("type") == "directory":
            raise InvalidInput("it is a folder: name one file")
        if is_local(file) and info.get("type") != "file":
            # To read a pipe would wait for its writer without end.
            raise InvalidInput("it is not an ordinary file")
        if isinstance(size := info.get("size"), int):
            require_size(size, max_bytes)


@contextlib.contextmanager
def _opened(file: ObjectStoragePath) -> Iterator[BinaryIO]:
    with _storage_problems():
        opened = cast("BinaryIO", file.open("rb", block_size=_BLOCK_BYTES))  # type: ignore[no-untyped-call]
    with opened:
        yield opened


@contextlib.contextmanager
def _storage_problems() -> Iterator[None]:
    problem = ""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        problem = "there is no such file"
    except IsADirectoryError:
        problem = "it is a folder: name one file"
    except PermissionError:
        problem = "there is no permission to read it"
    if problem:
        raise InvalidInput(problem)
