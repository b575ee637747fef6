"""What identifies a file that was written, without its content: all handles have it."""

from __future__ import annotations

from typing_extensions import TypedDict


class FileHandle(TypedDict):
    """Where a file is: ``uri`` as ``output_path`` spells it, ``size`` in bytes, ``sha256`` in hexadecimal."""

    uri: str
    size: int
    sha256: str
