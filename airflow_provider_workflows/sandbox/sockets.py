"""Where the sandbox listens, and how that is written."""

from __future__ import annotations

import errno
import socket

# Who listens on every address is reached on the loopback.
_REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port`` (0 for a free one).

    :raises OSError: saying so when the port is taken
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {reason}") from None


def reachable(host: str) -> str:
    """Return the address at which this machine reaches what listens on ``host``."""
    return _REACHABLE.get(host, host)


def network_location(host: str, port: int) -> str:
    """Return the part of a URL that names ``host`` and ``port``."""
    name = reachable(host)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
