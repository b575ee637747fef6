"""What a file is, as its ``Content-Type`` says: given, or told from the ending of its name."""

from __future__ import annotations

import functools
import mimetypes
import re
from pathlib import PurePosixPath

from airflow_provider_workflows.api.errors import InvalidInput

_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_CONTENT_TYPE = re.compile(rf"{_WORD}/{_WORD}(; ?{_WORD}=({_WORD}|\"[A-Za-z0-9 !#$&^_.+:/-]*\"))*")
_OFFICE = "application/vnd.openxmlformats-officedocument"
#: Endings of documents that Python does not know in each of its versions.
_ENDINGS = {
    ".avif": "image/avif",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jfif": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".p7m": "application/pkcs7-mime",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".rtf": "application/rtf",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".xml": "application/xml",
    ".gz": "application/gzip",
    ".bz2": "application/x-bzip2",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}


def content_type_of(name: str, given: str | None = None) -> str:
    """Return a file's content type.

    :param name: the file's name
    :param given: what a caller says that it is; None to tell it from the ending of the name
    :raises InvalidInput: if what is given has not the form of one, or the ending is unknown; without the name
    """
    if given is not None:
        return require_content_type(given)
    ending = PurePosixPath(name).suffix.lower()
    found = _ENDINGS.get(ending) or _known_to_python().get(ending)
    if found is None:
        which = "is unknown" if ending else "is missing"
        raise InvalidInput(
            f"the ending of the file's name {which}, so it does not tell the content type; give content_type, such "
            "as 'application/pdf'"
        )
    return found


@functools.cache
def _known_to_python() -> dict[str, str]:
    # Without what the machine adds to them: each worker would send something else.
    return mimetypes.MimeTypes().types_map[True]


def require_content_type(given: object) -> str:
    """Return a content type such as ``application/pdf``.

    :raises InvalidInput: if it has another form
    """
    if not isinstance(given, str):
        raise InvalidInput(f"content_type must be text such as 'application/pdf', not {type(given).__name__}")
    if _CONTENT_TYPE.fullmatch(given) is None:
        raise InvalidInput("content_type must be a type and a subtype, such as 'application/pdf'")
    return given
