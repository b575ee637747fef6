"""The servers' programs, where they are installed on this machine. Nothing is installed from here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.harness.stack.errors import StackUnavailable

# Where servers are that no user's PATH has; Debian keeps those of PostgreSQL apart by version.
_FURTHER_FOLDERS = ("/usr/sbin", "/usr/local/sbin")


def require_program(names: Sequence[str], what: str, package: str, folders: Sequence[Path] = ()) -> Path:
    """Return the path of a program that is installed.

    :param names: what it may be called, the usual name first
    :param what: what it belongs to, for the message
    :param package: the package of Debian that has it
    :param folders: searched before the PATH
    :raises StackUnavailable: with the one line that helps, if it is not installed
    """
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath), *_FURTHER_FOLDERS])
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    raise StackUnavailable(
        f"{what} is neither running nor installed here: install it (on Debian: apt-get install {package})"
    )
