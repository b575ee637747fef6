"""Read one HTTP/1.1 response from a connection (RFC 9112), for the synchronous client.

``http.client`` takes a length with a plus sign, both of two lengths, a chunk without its end, 103 for the response
itself, and more. This reader refuses what aiohttp refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from airflow_provider_workflows.api.http_rules import (
    MAX_HEADER_LINE_BYTES,
    MAX_HEADER_LINES,
    UnsoundResponse,
    require_sound_head,
)

_STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([0-9]{3})(?: [^\r]*)?", re.DOTALL)
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# The size may have zeros before it; an extension is printable, and its quotes end in the line.
_CHUNK_SIZE = re.compile(rb'0*([0-9A-Fa-f]{1,15})[ \t]*(?:;(?:[ !#-~]|"[ !#-~]*")+)?')
_WHITE_SPACE = b" \t"
_WITHOUT_BODY = frozenset({204, 304})


class Source(Protocol):
    """Bytes that come over a connection, buffered."""

    def readline(self, size: int, /) -> bytes:
        """Return the bytes to the next line feed, or fewer at the end or after ``size``."""

    def read(self, size: int, /) -> bytes:
        """Return ``size`` bytes, or fewer at the end."""

    def read1(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, as soon as there are some; none at the end."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a response.

    :param version: the version in its status line
    :param status: its status code
    :param headers: names and values as they came
    """

    version: tuple[int, int]
    status: int
    headers: list[tuple[bytes, bytes]] = field(repr=False)

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a header, by its name in lower case."""
        return [value for other, value in self.headers if other.lower() == name]

    @property
    def keeps_connection(self) -> bool:
        """Whether the connection may be used for another request (RFC 9112, section 9.3)."""
        tokens = {
            token.strip().lower() for value in self.values(b"connection") for token in value.split(b",")
        }
        if self.status == 101 or b"close" in tokens:
            return False
        return self.version == (1, 1) or b"keep-alive" in tokens


def read_head(source: Source) -> Head:
    """Return the head of the response itself, behind those of 1xx responses (RFC 9110, section 15.2).

    101 is not skipped: what follows it is not HTTP, and this package has not asked for that.

    :raises UnsoundResponse: if it is not a sound head
    :raises EOFError: if the connection was closed before
    """
    while True:
        head = _read_one_head(source)
        if head.status == 101 or not 100 <= head.status < 200:
            return head
        if not head.keeps_connection:
            raise UnsoundResponse("a 1xx response that ends the connection")


def _read_one_head(source: Source) -> Head:
    line = b""
    while not line:
        line = _line(source)
    first = _STATUS_LINE.fullmatch(line)
    if first is None:
        raise UnsoundResponse("no status line of HTTP/1.1")
    headers: list[tuple[bytes, bytes]] = []
    for _ in range(MAX_HEADER_LINES):
        line = _line(source)
        if not line:
            break
        headers.append(_header(line, headers))
    else:
        raise UnsoundResponse(f"more than {MAX_HEADER_LINES} headers")
    head = Head((int(first[1]), int(first[2])), int(first[3]), headers)
    require_sound_head(head.version, head.status, headers)
    return head


def _header(line: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    if line[:1] in (b" ", b"\t") and headers:
        # A value that goes on in the next line (RFC 9112, section 5.2).
        name, value = headers.pop()
        value = value + b" " + line.strip(_WHITE_SPACE)
        if len(value) > MAX_HEADER_LINE_BYTES:
            raise UnsoundResponse("a header that is too long")
        return name, value.strip(_WHITE_SPACE)
    name, colon, value = line.lstrip(_WHITE_SPACE).partition(b":")
    if not colon or _NAME.fullmatch(name) is None:
        raise UnsoundResponse("a header line without a name")
    if b"\0" in value or b"\r" in value:
        raise UnsoundResponse("a header with a control character")
    return name, value.strip(_WHITE_SPACE)


def _line(source: Source) -> bytes:
    line = source.readline(MAX_HEADER_LINE_BYTES + 2)
    if not line.endswith(b"\n"):
        if len(line) > MAX_HEADER_LINE_BYTES:
            raise UnsoundResponse("a header that is too long")
        raise EOFError
    return line[:-2] if line.endswith(b"\r\n") else line[:-1]


def read_body(
    source: Source, head: Head, *, max_bytes: int, require_time: Callable[[], None]
) -> bytes | None:
    """Return the body as it came, its content codings included.

    :param source: where the head was read from
    :param head: the head of the response
    :param max_bytes: how long the body may be
    :param require_time: called between reads; raises once the time for the response is over
    :return: None if the body is longer than that
    :raises UnsoundResponse: if it is not framed as its head says
    :raises EOFError: if the connection was closed before its end
    """
    body = bytearray()
    for piece in body_pieces(source, head):
        body += piece
        if len(body) > max_bytes:
            return None
        require_time()
    return bytes(body)


def body_pieces(source: Source, head: Head, *, must_have_end: bool = False) -> Iterator[bytes]:
    """Yield the body as it comes, its content codings included.

    :param source: where the head was read from
    :param head: the head of the response
    :param must_have_end: whether a body is refused whose end is only that of the connection: it may be cut off
    :raises UnsoundResponse: if it is not framed as its head says
    :raises EOFError: if the connection was closed before its end
    """
    if head.status in _WITHOUT_BODY or head.status < 200:
        return
    if head.values(b"transfer-encoding"):
        yield from _chunks(source, head)
    elif lengths := head.values(b"content-length"):
        yield from _exactly(source, _length(lengths[0]))
    elif must_have_end:
        raise UnsoundResponse("a body without a length")
    else:
        yield from iter(lambda: source.read1(_READ_BYTES), b"")


_READ_BYTES = 65536


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 15:
        raise UnsoundResponse("a length that is not a number of bytes")
    return int(value)


def _exactly(source: Source, length: int) -> Iterator[bytes]:
    while length > 0:
        # What has come is taken at once: waiting for all of it would hide that it only drips in.
        piece = source.read1(min(length, _READ_BYTES))
        if not piece:
            raise EOFError
        length -= len(piece)
        yield piece


def _chunks(source: Source, head: Head) -> Iterator[bytes]:
    while size := _chunk_size(source):
        yield from _exactly(source, size)
        if source.read(2) != b"\r\n":
            raise UnsoundResponse("a chunk that is longer than it says")
    _skip_trailers(source, MAX_HEADER_LINES - len(head.headers))


def _skip_trailers(source: Source, max_lines: int) -> None:
    """Read the headers behind the chunks, which say nothing here (RFC 9110, section 6.5.1)."""
    is_first = True
    for _ in range(max_lines + 1):
        line = _line(source)
        if not line:
            return
        name, colon, _ = line.partition(b":")
        # A value may go on in the next line.
        if is_first or line[:1] not in (b" ", b"\t"):
            if not colon or _NAME.fullmatch(name) is None or name.lower() == b"content-length":
                raise UnsoundResponse("a header behind the body that must not be there")
            is_first = False
        if b"\r" in line:
            raise UnsoundResponse("a header with a control character")
    raise UnsoundResponse(f"more than {MAX_HEADER_LINES} headers, with those behind the body")


def _chunk_size(source: Source) -> int:
    line = source.readline(MAX_HEADER_LINE_BYTES + 2)
    if not line.endswith(b"\n") and len(line) <= MAX_HEADER_LINE_BYTES:
        raise EOFError
    match = _CHUNK_SIZE.fullmatch(line[:-2]) if line.endswith(b"\r\n") else None
    if match is None:
        raise UnsoundResponse("a chunk without its size")
    return int(match[1], 16)
