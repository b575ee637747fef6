"""Free TCP ports of this machine."""

from __future__ import annotations

import random
import socket

# Below the ports that systems give to outgoing connections: what is free now is still free when the server
# that it is meant for has started, ten seconds later.
_LOW, _HIGH = 20_000, 30_000
_RANDOM = random.SystemRandom()


def is_free(port: int) -> bool:
    """Return whether nobody listens on this port, on the loopback address or on all."""
    # Both are tried, for some systems let one listen beside the other.
    return all(_can_listen(address, port) for address in ("127.0.0.1", ""))


def free_ports(number: int) -> list[int]:
    """Return this many different free ports, chosen at random so that several users do not meet."""
    ports: list[int] = []
    for port in _RANDOM.sample(range(_LOW, _HIGH), _HIGH - _LOW):
        if is_free(port):
            ports.append(port)
        if len(ports) == number:
            return ports
    raise OSError(f"no {number} free ports from {_LOW} to {_HIGH}")


def next_free_port(wanted: int) -> int:
    """Return the first free port from ``wanted`` on."""
    for port in range(wanted, min(wanted + 100, 65_536)):
        if is_free(port):
            return port
    raise OSError(f"no free port from {wanted} on")


def _can_listen(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # As servers do it: a port whose last connections are just being forgotten is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError:
            return False
    return True
