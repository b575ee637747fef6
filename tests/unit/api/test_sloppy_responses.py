"""One table over both clients: what one accepts the other accepts too, what is dangerous both refuse."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from airflow_provider_workflows.api import Settings, errors
from tests.harness.hostile_server import HostileServer, Pieces, ReceivedRequest, gzipped, json_response

from .conftest import Driver

Drive = Callable[..., Driver]

WORKFLOW = "11111111-1111-4111-8111-111111111111"
NEXT_WORKFLOW = "22222222-2222-4222-8222-222222222222"
CASE = "33333333-3333-4333-8333-333333333333"
BODY = json.dumps({"id": WORKFLOW, "status": "RUNNING"}).encode()
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"


def response(
    *headers: str, body: bytes = BODY, first: str = "HTTP/1.1 200 OK", line_end: str = "\r\n"
) -> bytes:
    return (line_end.join([first, *headers]) + 2 * line_end).encode("latin-1") + body


def chunks(body: bytes = BODY, extension: str = "", trailers: str = "") -> bytes:
    return b"%x%s\r\n%s\r\n0\r\n%s\r\n" % (len(body), extension.encode(), body, trailers.encode())


def coded(coding: str, body: bytes) -> bytes:
    return response(f"Content-Length: {len(body)}", f"Content-Encoding: {coding}", body=body)


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


def gzipped_times(number: int) -> bytes:
    body = BODY
    for _ in range(number):
        body = gzipped(body)
    return body


INTERIM = b"HTTP/1.1 103 Interim\r\nLink: </x>; rel=preload\r\n\r\n"
HEADERS_OF_126 = [f"X-{number}: 1" for number in range(126)]

#: Odd, but it can mean one thing only. A pair ends with the connection.
ACCEPTED: dict[str, bytes | tuple[bytes, None]] = {
    "a header of 9 KB": response(LENGTH, "X: " + "a" * 9000),
    "a header of 60 KB": response(LENGTH, "X: " + "a" * 60_000),
    "a reason of 9 KB": response(LENGTH, first="HTTP/1.1 200 " + "O" * 9000),
    "127 headers": response(LENGTH, *HEADERS_OF_126),
    "1 MB of headers": response(LENGTH, *["X: " + "a" * 20_000] * 50),
    "a status line without a reason": response(LENGTH, first="HTTP/1.1 200"),
    "empty lines before the status line": b"\r\n\n" + response(LENGTH),
    "lines that end with a line feed alone": response(LENGTH, line_end="\n"),
    "white space around a length": response(f"Content-Length: \t {len(BODY)} \t"),
    "zeros before a length": response(f"Content-Length: 000{len(BODY)}"),
    "a header in two lines": response(LENGTH, "X: one\r\n  two"),
    "a length in a line of its own": response(f"Content-Length:\r\n {len(BODY)}"),
    "white space before the first header": response(" X: folded", LENGTH),
    "Latin-1 in a header": response(LENGTH, "X: \xe9"),
    "no length": (response(), None),
    "HTTP/1.0": (response(first="HTTP/1.0 200 OK"), None),
    "chunks": response(CHUNKED, body=chunks()),
    "chunks, written Chunked": response("Transfer-Encoding: Chunked", body=chunks()),
    "chunks, with white space around the word": response("Transfer-Encoding:  chunked ", body=chunks()),
    "a chunk with an extension": response(CHUNKED, body=chunks(extension=';a="b;c"')),
    "zeros before the size of a chunk": response(CHUNKED, body=b"0" * 20 + chunks()),
    "white space behind the size of a chunk": response(CHUNKED, body=chunks(extension="  ")),
    "headers behind the chunks": response(CHUNKED, body=chunks(trailers="X: y\r\n")),
    "a header in two lines behind the chunks": response(CHUNKED, body=chunks(trailers="X: y\r\n z\r\n")),
    "gzip": coded("gzip", gzipped(BODY)),
    "x-gzip": coded("x-gzip", gzipped(BODY)),
    "GZIP with white space around it": coded(" GZIP ", gzipped(BODY)),
    "gzip in two parts": coded("gzip", gzipped(BODY[:9]) + gzipped(BODY[9:])),
    "zeros behind gzip": coded("gzip", gzipped(BODY) + bytes(50)),
    "other bytes behind gzip": coded("gzip", gzipped(BODY) + b"padding"),
    "deflate": coded("deflate", zlib.compress(BODY)),
    "deflate without its wrapping": coded("deflate", raw_deflate(BODY)),
    "zeros behind deflate": coded("deflate", zlib.compress(BODY) + bytes(9)),
    "gzip twice": coded("gzip, gzip", gzip.compress(gzipped(BODY))),
    "gzip five times": coded(", ".join(["gzip"] * 5), gzipped_times(5)),
    "deflate in gzip": coded("deflate, gzip", gzipped(zlib.compress(BODY))),
    "gzip in identity": coded("gzip, identity", gzipped(BODY)),
    "a content encoding of another name": coded("utf-8", BODY),
    "an empty content encoding": coded("", BODY),
    "100": b"HTTP/1.1 100 Continue\r\n\r\n" + response(LENGTH),
    "102": b"HTTP/1.1 102 Processing\r\n\r\n" + response(LENGTH),
    "103 with a header": INTERIM + response(LENGTH),
    "103 with a length": b"HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n" + response(LENGTH),
    "50 times 103": INTERIM * 50 + response(LENGTH),
    "a second response": response(LENGTH) + response(LENGTH),
    "a broken cookie": response(LENGTH, "Set-Cookie: \xff=;;;=,"),
    "a broken content type": response(LENGTH, 'Content-Type: ;;;="', "Content-Type: x"),
    "a broken Keep-Alive": response(
        LENGTH, "Keep-Alive: max=x, timeout=abc, =, timeout=99999999999999999999"
    ),
}

#: Where it ends, or what it means, depends on who reads it.
REFUSED: dict[str, bytes | tuple[bytes, None]] = {
    "a header of 70 KB": response(LENGTH, "X: " + "a" * 70_000),
    "150 headers": response(LENGTH, *[f"X-{number}: 1" for number in range(150)]),
    "the same length twice": response(LENGTH, LENGTH),
    "two lengths": response(LENGTH, "Content-Length: 5"),
    "two lengths in a list": response(f"Content-Length: {len(BODY)}, {len(BODY)}"),
    "a length with a plus sign": response(f"Content-Length: +{len(BODY)}"),
    "a length below zero": response("Content-Length: -5"),
    "a length in hexadecimal": response(f"Content-Length: 0x{len(BODY):x}"),
    "a length with an underscore": response(f"Content-Length: {len(BODY) // 10}_{len(BODY) % 10}"),
    "an empty length": (response("Content-Length:"), None),
    "a length of 5,000 digits": response("Content-Length: " + "9" * 5000),
    "a longer length than the body": (response(f"Content-Length: {len(BODY) + 10}"), None),
    "a shorter length than the body": response(LENGTH, body=BODY + b"more"),
    "white space before the colon of a length": response(f"Content-Length : {len(BODY)}"),
    "white space before the colon of chunks": response("Transfer-Encoding : chunked", body=chunks()),
    "white space before another colon": response(LENGTH, "X : 1"),
    "a line without a colon": response(LENGTH, "garbage"),
    "a header without a name": response(LENGTH, ": x"),
    "a name with white space": response(LENGTH, "X y: x"),
    "NUL in a header": response(LENGTH, "X: a\0b"),
    "a carriage return in a header": response(LENGTH, "X: a\rY: b"),
    "a length beside chunks": response(LENGTH, CHUNKED, body=chunks()),
    "chunks beside a length": response(CHUNKED, LENGTH, body=chunks()),
    "chunks twice": response(CHUNKED, CHUNKED, body=chunks()),
    "chunks twice in a list": response("Transfer-Encoding: chunked, chunked", body=chunks()),
    "chunks in HTTP/1.0": (response(CHUNKED, body=chunks(), first="HTTP/1.0 200 OK"), None),
    "something like chunks": (response("Transfer-Encoding: xchunked", body=chunks()), None),
    "gzip as a transfer encoding": response("Transfer-Encoding: gzip, chunked", body=chunks(gzipped(BODY))),
    "identity as a transfer encoding": response(LENGTH, "Transfer-Encoding: identity"),
    "a chunk's size with a plus sign": response(CHUNKED, body=b"+" + chunks()),
    "a chunk's size with 0x": response(CHUNKED, body=b"0x" + chunks()),
    "a chunk's size with an underscore": response(CHUNKED, body=b"0_" + chunks()),
    "a chunk's size of 20 digits": response(CHUNKED, body=b"f" * 20 + b"\r\n"),
    "chunks with line feeds alone": response(CHUNKED, body=chunks().replace(b"\r\n", b"\n")),
    "a chunk without its end": response(CHUNKED, body=b"%x\r\n%s0\r\n\r\n" % (len(BODY), BODY)),
    "a chunk with another end": response(CHUNKED, body=b"%x\r\n%sXX0\r\n\r\n" % (len(BODY), BODY)),
    "500 headers behind the chunks": response(CHUNKED, body=chunks(trailers="X: y\r\n" * 500)),
    "130 headers with those behind the chunks": response(
        CHUNKED, *HEADERS_OF_126[:30], body=chunks(trailers="X: y\r\n" * 100)
    ),
    "a length behind the chunks": response(CHUNKED, body=chunks(trailers="Content-Length: 5\r\n")),
    "a line without a colon behind the chunks": response(CHUNKED, body=chunks(trailers="garbage\r\n")),
    "a header without a name behind the chunks": response(CHUNKED, body=chunks(trailers=": x\r\n")),
    "white space before a colon behind the chunks": response(CHUNKED, body=chunks(trailers="X : x\r\n")),
    "white space before the first header behind the chunks": response(
        CHUNKED, body=chunks(trailers=" X: x\r\n")
    ),
    "a carriage return in a header behind the chunks": response(
        CHUNKED, body=chunks(trailers="X: a\rY: b\r\n")
    ),
    "a carriage return in the extension of a chunk": response(CHUNKED, body=chunks(extension=";a\rb")),
    "NUL in the extension of a chunk": response(CHUNKED, body=chunks(extension=";a\0b")),
    "an empty extension of a chunk": response(CHUNKED, body=chunks(extension=";")),
    "an open quote in the extension of a chunk": response(CHUNKED, body=chunks(extension=';a="b')),
    "chunks without the last one": (response(CHUNKED, body=b"%x\r\n%s\r\n" % (len(BODY), BODY)), None),
    "chunks without the last line": (response(CHUNKED, body=chunks()[:-2]), None),
    "gzip that is cut off": coded("gzip", gzipped(BODY)[:-6]),
    "gzip with another checksum": coded("gzip", gzipped(BODY)[:-8] + b"abcd" + gzipped(BODY)[-4:]),
    "gzip that is not": coded("gzip", BODY),
    "gzip six times": coded(", ".join(["gzip"] * 6), gzipped_times(6)),
    "103 that ends the connection": b"HTTP/1.1 103 E\r\nConnection: close\r\n\r\n" + response(LENGTH),
    "103 in HTTP/1.0": b"HTTP/1.0 103 E\r\n\r\n" + response(LENGTH),
    "a carriage return in the reason": response(LENGTH, first="HTTP/1.1 200 O\rK"),
    "HTTP/2.0": response(LENGTH, first="HTTP/2.0 200 OK"),
    "HTTP/2": response(LENGTH, first="HTTP/2 200"),
    "HTTP/1.2": response(LENGTH, first="HTTP/1.2 200 OK"),
    "HTTP/0.9": response(LENGTH, first="HTTP/0.9 200 OK"),
    "another protocol": response(LENGTH, first="ICY 200 OK"),
    "two spaces in the status line": response(LENGTH, first="HTTP/1.1  200 OK"),
    "a space before the status line": response(LENGTH, first=" HTTP/1.1 200 OK"),
    "a status of two digits": response(LENGTH, first="HTTP/1.1 20 OK"),
    "a status of four digits": response(LENGTH, first="HTTP/1.1 2000 OK"),
    "a status below 100": response(LENGTH, first="HTTP/1.1 099 OK"),
    "a status above 599": response(LENGTH, first="HTTP/1.1 999 OK"),
    "101": response(LENGTH, "Upgrade: x", "Connection: upgrade", first="HTTP/1.1 101 Switching Protocols"),
    "a body of 204": response(LENGTH, first="HTTP/1.1 204 No Content"),
}


def sloppy(of: bytes | tuple[bytes, None]) -> HostileServer:
    """Return a server that responds with this, and properly for the next workflow."""

    def respond(request: ReceivedRequest) -> Pieces:
        if request.path.endswith(NEXT_WORKFLOW):
            return [json_response({"id": NEXT_WORKFLOW, "status": "NEXT"})]
        return of if isinstance(of, tuple) else [of]

    return HostileServer(respond)


def settings(server: HostileServer, max_attempts: int = 1) -> Settings:
    return Settings(host=server.host, secret="tot_x", max_attempts=max_attempts, read_timeout=2.0)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_can_mean_one_thing_only_is_accepted(drive: Drive, name: str) -> None:
    with sloppy(ACCEPTED[name]) as server:
        client = drive(settings(server))

        assert client("read_workflow", WORKFLOW).status == "RUNNING"
        assert client("read_workflow", NEXT_WORKFLOW).status == "NEXT"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_dangerous_is_refused(drive: Drive, name: str) -> None:
    with sloppy(REFUSED[name]) as server:
        client = drive(settings(server))

        with pytest.raises(errors.WorkflowsError) as raised:
            client("read_workflow", WORKFLOW)

        assert raised.value.is_retryable()
        assert client("read_workflow", NEXT_WORKFLOW).status == "NEXT"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_dangerous_does_not_say_whether_a_run_was_started(drive: Drive, name: str) -> None:
    with sloppy(REFUSED[name]) as server:
        client = drive(settings(server, max_attempts=3))

        with pytest.raises(errors.OutcomeUnknown):
            client("run_workflow", WORKFLOW, CASE)

        assert server.calls == ["POST /workflows/run"]


@pytest.mark.parametrize("piece_bytes", [1, 7])
def test_a_response_that_comes_in_small_pieces_is_read(drive: Drive, piece_bytes: int) -> None:
    whole = INTERIM + response(CHUNKED, "Content-Encoding: gzip", body=chunks(gzipped(BODY)))
    pieces = [whole[start : start + piece_bytes] for start in range(0, len(whole), piece_bytes)]
    with HostileServer(lambda _: pieces) as server:
        client = drive(settings(server))

        assert client("read_workflow", WORKFLOW).status == "RUNNING"


def test_a_body_that_unpacks_beyond_any_size_is_refused(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("client", "async_client"):
        monkeypatch.setattr(f"airflow_provider_workflows.api.{module}.MAX_RESPONSE_BYTES", 100_000)
    with sloppy(coded("gzip", gzipped(bytes(1_000_000)))) as server:
        client = drive(settings(server))

        with pytest.raises(errors.ServiceUnavailable, match="longer than"):
            client("read_workflow", WORKFLOW)


class TestInterimResponse:
    """1xx: the response itself comes later, in a packet of its own."""

    @pytest.mark.parametrize("status", [100, 102, 103, 199])
    def test_is_skipped_and_the_next_call_gets_its_own_response(self, drive: Drive, status: int) -> None:
        def respond(request: ReceivedRequest) -> Pieces:
            own = {"id": request.path.rpartition("/")[2], "status": "COMPLETED"}
            return [b"HTTP/1.1 %d Interim\r\n\r\n" % status, 0.05, json_response(own)]

        with HostileServer(respond) as server:
            client = drive(settings(server))

            ids = [client("read_workflow", workflow).id for workflow in (WORKFLOW, NEXT_WORKFLOW) * 2]

        assert ids == [WORKFLOW, NEXT_WORKFLOW] * 2
        assert server.connections == 1

    @pytest.mark.parametrize("status", [102, 103])
    def test_is_not_a_refusal_of_a_run(self, drive: Drive, status: int) -> None:
        started = {"id": WORKFLOW, "caseId": CASE, "status": "RUNNING"}

        def respond(_: ReceivedRequest) -> Pieces:
            return [b"HTTP/1.1 %d Interim\r\n\r\n" % status, 0.05, json_response(started)]

        with HostileServer(respond) as server:
            client = drive(settings(server, max_attempts=3))

            assert client("run_workflow", WORKFLOW, CASE).id == WORKFLOW

        assert server.calls == ["POST /workflows/run"]

    def test_101_is_an_error_and_its_connection_is_not_used_again(self, drive: Drive) -> None:
        with sloppy(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
        ) as server:
            client = drive(settings(server))

            with pytest.raises(errors.ServiceUnavailable, match="101"):
                client("read_workflow", WORKFLOW)

            assert client("read_workflow", NEXT_WORKFLOW).status == "NEXT"
            assert server.connections == 2
