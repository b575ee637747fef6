"""Programs of Debian's packages: found where they are installed, or installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from development.stack.errors import StackUnavailable

INSTALL_SECONDS = 300.0

# Where servers are that no user's PATH has; Debian keeps those of PostgreSQL apart by version.
_FURTHER_FOLDERS = ("/usr/sbin", "/usr/local/sbin")
_POLICY = Path("/usr/sbin/policy-rc.d")


def find(program: str, folders: Sequence[Path] = ()) -> Path | None:
    """Return the path of a program, or None if it is not installed.

    :param folders: looked through first
    """
    path = [*map(str, folders), os.environ.get("PATH", os.defpath), *_FURTHER_FOLDERS]
    found = shutil.which(program, path=os.pathsep.join(path))
    return Path(found) if found else None


def install(package: str, what: str) -> None:
    """Install a package of Debian.

    :param package: its name
    :param what: what it is, for the message
    :raises StackUnavailable: when this user or machine cannot, or it fails
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StackUnavailable(
            f"{what} is neither running nor installed here. Install it (on Debian: apt-get install {package}), "
            "or run this as root where apt-get is, which installs it."
        )
    with _services_not_started():
        _apt_get("update", "-qq")
        _apt_get("install", "-qq", "--yes", "--no-install-recommends", package)


def _apt_get(*arguments: str) -> None:
    # Another stack may be installing at this moment.
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackUnavailable(f"{' '.join(command)} took longer than {INSTALL_SECONDS:g} seconds") from None
    if done.returncode:
        raise StackUnavailable(f"{' '.join(command)} failed:\n{done.stderr.strip()[-1000:]}")


@contextlib.contextmanager
def _services_not_started() -> Iterator[None]:
    """Keep packages from starting what they install: that would go on running afterwards."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    try:
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
