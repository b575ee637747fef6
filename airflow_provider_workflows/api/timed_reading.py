"""Read what comes over a connection within a time for all of it, and not for each read alone."""

from __future__ import annotations

import io
import socket
import ssl
import time
from typing import Any


class ReaderWithDeadline(io.RawIOBase):
    """The bytes that come over a connection. Until ``deadline`` is moved, all reads together get the time for one.

    A socket's timeout bounds the wait for the next byte only: headers that drip in could take days.

    :param source: reads the socket
    :param connection: the socket, whose timeout is the time for all reads
    """

    def __init__(self, source: io.RawIOBase, connection: socket.socket) -> None:
        self._source = source
        self._connection = connection
        self._timeout = connection.gettimeout()
        #: Whether the response has been read, so that nothing more is waited for.
        self.is_over = False
        #: Whether the other side has sent all that it will.
        self.has_ended = False
        #: When all must have been read, in seconds of ``time.monotonic``; None for no bound but that of each read.
        self.deadline = None if self._timeout is None else time.monotonic() + self._timeout

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what comes into ``buffer``, and return how many bytes; raise ``TimeoutError`` once time is up."""
        if self.is_over:
            return self._read_what_is_there(buffer)
        if self.deadline is None:
            return self._source.readinto(buffer)
        seconds_left = self.deadline - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(min(seconds_left, self._timeout or seconds_left))
        try:
            return self._source.readinto(buffer)
        finally:
            self._connection.settimeout(self._timeout)

    def _read_what_is_there(self, buffer: Any) -> int | None:
        self._connection.settimeout(0)
        try:
            read = self._source.readinto(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            read = 0
        finally:
            self._connection.settimeout(self._timeout)
        self.has_ended = self.has_ended or read == 0
        return read

    def fileno(self) -> int:
        """Return the number of the socket."""
        return self._source.fileno()

    def close(self) -> None:
        """Close what reads the socket."""
        self._source.close()
        super().close()
