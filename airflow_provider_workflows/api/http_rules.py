"""Which HTTP responses are read, and how: one set of rules for the synchronous and the asynchronous client.

aiohttp reads responses with a parser in C, and the synchronous client with ``http_response.py``. What aiohttp takes
and should not, ``require_sound_head`` refuses for both; what it refuses, ``http_response.py`` refuses as well.
``tests/unit/api/test_sloppy_responses.py`` runs one table of responses over both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

#: Lines of headers, with the status line: aiohttp's own number.
MAX_HEADER_LINES = 128
#: A line of the head. Gateways add cookies and tokens, which are longer than the 8 KB that aiohttp reads by itself.
MAX_HEADER_LINE_BYTES = 65536
#: What both clients ask for. Both decode it by ``decoded``: each library has its own idea of the same words.
ACCEPT_ENCODING = "gzip, deflate"
#: This many content codings on top of each other are decoded, which is as many as urllib3 takes.
MAX_CODINGS = 5
#: A connection is kept for this many seconds after its last response.
MAX_IDLE_SECONDS = 60.0
#: A call that makes something is sent over a connection that was used within this many seconds, or a new one.
#: Servers and proxies close idle connections after 5 seconds (uvicorn, Node.js, Apache) or more. One that closes as
#: the next request comes leaves it unknown whether a run was started.
MAX_IDLE_SECONDS_BEFORE_MAKING = 2.0
#: A server that says when it closes an idle connection may do so this many seconds earlier, as the caller sees it.
IDLE_MARGIN_SECONDS = 1.0


class UnsoundResponse(Exception):
    """What came over the connection is not an HTTP response that can be trusted; the text says why."""


def require_sound_head(
    version: tuple[int, int] | None, status: int, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    """Refuse a response whose end, or whose meaning, another reader would see elsewhere (RFC 9112, section 6.3).

    :param version: the version in the status line
    :param status: the status code
    :param headers: names and values as they came
    :raises UnsoundResponse: if it must not be read
    """
    if version not in _VERSIONS:
        raise UnsoundResponse("a version that is not HTTP/1.1 or HTTP/1.0")
    if status < 100:
        raise UnsoundResponse("a status below 100")
    # Searched as one text, because this is done for each poll.
    names = b"\n%s\n" % b"\n\n".join([name for name, _ in headers]).lower()
    if b" " in names or b"\t" in names:
        raise UnsoundResponse("white space before the colon of a header")
    lengths, codings = names.count(b"\ncontent-length\n"), names.count(b"\ntransfer-encoding\n")
    if codings:
        if version == _HTTP_1_0:
            raise UnsoundResponse("chunks in HTTP/1.0")
        values = [value.strip().lower() for name, value in headers if name.lower() == b"transfer-encoding"]
        if values[0] != b"chunked":
            raise UnsoundResponse("a transfer encoding that is not chunked")
    if lengths + codings > 1:
        raise UnsoundResponse("both a length and chunks" if lengths and codings else "its length twice")


_HTTP_1_0 = (1, 0)
_VERSIONS = (_HTTP_1_0, (1, 1))


def idle_seconds(method: str, keep_alive: str | None) -> float:
    """Return for how long a connection may have been idle that a request is sent over.

    :param method: the request's method; ``GET`` makes nothing and can be repeated
    :param keep_alive: the latest ``Keep-Alive`` header of the service, such as ``timeout=5``; None if it sent none
    """
    seconds = MAX_IDLE_SECONDS if method == "GET" else MAX_IDLE_SECONDS_BEFORE_MAKING
    if keep_alive is None:
        return seconds
    for parameter in keep_alive.split(","):
        name, _, value = parameter.partition("=")
        digits = value.strip()
        if name.strip().lower() == "timeout" and digits.isascii() and digits.isdigit() and len(digits) < 10:
            return min(seconds, int(digits) - IDLE_MARGIN_SECONDS)
    return seconds


def decoded(body: bytes, codings: Iterable[str], *, max_bytes: int) -> bytes | None:
    """Return the body without its content codings (RFC 9110, section 8.4.1).

    Servers send gzip under an older name (``x-gzip``), zeros behind the end, and deflate without its wrapping. A
    coding of another name is left alone: servers put the character set there, or "none", and where it was real,
    the body does not read as JSON.

    :param body: the body as it came
    :param codings: the values of the ``Content-Encoding`` headers
    :param max_bytes: how long the body may become
    :return: None if it is longer than that
    :raises UnsoundResponse: if the body is not what its headers say, or is cut off
    """
    names = [name.strip().lower() for value in codings for name in value.split(",")]
    names = [name for name in names if name in _WINDOW_BITS]
    if len(names) > MAX_CODINGS:
        raise UnsoundResponse(f"more than {MAX_CODINGS} content codings")
    for name in reversed(names):
        if not body:
            break
        unpacked = b"".join(_unpacked(body, name, max_bytes))
        if len(unpacked) > max_bytes:
            return None
        body = unpacked
    return body


#: For ``zlib``: a header of gzip or zlib is expected.
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_GZIP_BEGINNING = b"\x1f\x8b"


def _unpacked(packed: bytes, coding: str, max_bytes: int) -> Iterator[bytes]:
    window_bits, left = _WINDOW_BITS[coding], max_bytes + 1
    # A zlib header is a multiple of 31 whose low four bits are 8 (RFC 1950, section 2.2).
    if coding == "deflate" and (packed[0] & 15 != 8 or int.from_bytes(packed[:2], "big") % 31):
        window_bits = -15
    try:
        while left > 0:
            member = zlib.decompressobj(window_bits)
            piece = member.decompress(packed, left)
            left -= len(piece)
            yield piece
            if left > 0 and not member.eof:
                raise UnsoundResponse("a compressed body that is cut off")
            packed = member.unused_data
            # What is behind the end is another part of a gzip file, or padding.
            if coding == "deflate" or not packed.startswith(_GZIP_BEGINNING):
                return
    except zlib.error:
        raise UnsoundResponse("a body that is not compressed as its headers say") from None
