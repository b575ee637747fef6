"""The name of a process, by which a later one sees whether it has ended."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import socket
from pathlib import Path

#: Stands for the name of a process that is not known: it may be at work.
UNKNOWN_PROCESS = "unknown"


def this_process() -> str:
    """Return a name for this process that no other has, on any machine, but one that comes after its end."""
    return f"{_machine()}:{os.getpid()}"


def has_ended(process: str) -> bool:
    """Return whether a process has surely ended: it is of this machine and its number is free.

    :param process: what ``this_process`` returned there
    """
    machine, _, number = process.rpartition(":")
    if machine != _machine() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@functools.cache
def _machine() -> str:
    # Containers may share a host's name, or a host the numbers of processes: the namespace tells them apart.
    boot = namespace = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    # Without these nothing can be told, so that no other process may take this machine for its own.
    return f"{socket.gethostname()}/{boot}/{namespace or secrets.token_hex(8)}"
