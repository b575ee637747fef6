"""Download a file by a signed link: without the token, piece by piece, and the link is told to nobody."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import ipaddress
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, TypeVar
from urllib.parse import SplitResult, urlsplit

from airflow_provider_workflows import __version__
from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.effects import Compute, Flow, Sleep
from airflow_provider_workflows.api.file_limits import SLOWEST_BYTES_PER_SECOND
from airflow_provider_workflows.api.http_response import Head, Source, body_pieces, read_head
from airflow_provider_workflows.api.http_rules import UnsoundResponse
from airflow_provider_workflows.api.network import certificate_authorities, no_response, tls_context
from airflow_provider_workflows.api.proxies import proxy_and_headers, proxy_for
from airflow_provider_workflows.api.retry import retry_after
from airflow_provider_workflows.api.settings import Settings, is_loopback
from airflow_provider_workflows.api.timed_reading import ReaderWithDeadline

if TYPE_CHECKING:
    from airflow_provider_workflows.api.endpoints import Endpoint
    from airflow_provider_workflows.api.exchange import Exchange
    from airflow_provider_workflows.api.record_models import AttachmentLink

_T = TypeVar("_T")

_PORTS = {"http": 80, "https": 443}

OpenTarget: TypeAlias = Callable[[], "contextlib.AbstractContextManager[BinaryIO]"]
"""Opens a file to write: it is there once its block has ended without an exception, and is not otherwise."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was downloaded.

    :param size: in bytes
    :param sha256: of its content, in hexadecimal digits
    """

    size: int
    sha256: str = field(repr=False)


def download_attachment(
    exchange: Exchange,
    endpoint: Endpoint[AttachmentLink],
    settings: Settings,
    open_target: OpenTarget,
    max_bytes: int,
) -> Flow[Downloaded]:
    """Return the flow that downloads an attachment; each attempt has a new link, for a link expires soon.

    :param exchange: makes the call that gives the link
    :param endpoint: that call
    :param settings: which certificates are trusted, and the bounds of a call
    :param open_target: opens the file to write, once for each attempt
    :param max_bytes: the largest file that is downloaded, in bytes
    :raises WorkflowsError: the one that fits; the file is then not there, or as it was before
    """
    attempts = exchange.attempts()
    while True:
        link = (yield from exchange.perform(endpoint)).link
        outcome: Downloaded | errors.WorkflowsError = yield Compute(
            partial(_downloaded_or_error, str(endpoint), link, settings, open_target, max_bytes)
        )
        if isinstance(outcome, Downloaded):
            return outcome
        if isinstance(outcome, errors.FileFailed):
            # Storage that fails does so again at once, and each attempt would load the whole file.
            raise outcome
        yield Sleep(attempts.pause(outcome))


def _downloaded_or_error(
    what: str, link: str, settings: Settings, open_target: OpenTarget, max_bytes: int
) -> Downloaded | errors.WorkflowsError:
    try:
        with _written(open_target) as write:
            return _download(what, link, settings, write, max_bytes)
    except errors.WorkflowsError as error:
        return error


def _download(
    what: str, link: str, settings: Settings, write: Callable[[bytes], None], max_bytes: int
) -> Downloaded:
    address = _address(what, link, settings)
    about = f"{what}: the file, which is at {address.hostname},"
    digest, size = hashlib.sha256(), 0
    deadline = time.monotonic() + settings.retry_seconds
    has_begun = False
    try:
        with _response(address, settings) as (head, source, reader):
            has_begun = True
            _require_file(about, head)
            reader.deadline = deadline
            for piece in body_pieces(source, head, must_have_end=True):
                size += len(piece)
                if size > max_bytes:
                    raise errors.InvalidInput(
                        f"{about} has more bytes, and at most {max_bytes:,} are downloaded; max_bytes allows more"
                    )
                reader.deadline = deadline + size / SLOWEST_BYTES_PER_SECOND
                digest.update(piece)
                write(piece)
    except errors.WorkflowsError:
        raise
    except (EOFError, OSError, ValueError, UnsoundResponse, http.client.HTTPException) as error:
        reply = no_response(error, arrived=has_begun)
    else:
        return Downloaded(size, digest.hexdigest())
    # Outside of the block: an exception of a library may repeat the link.
    if has_begun:
        raise errors.ServiceUnavailable(
            f"{about} did not arrive as a whole ({reply.reason}). Try again later."
        )
    kind = errors.TlsFailed if reply.tls else errors.ServiceUnreachable
    raise kind(f"{about} could not be reached ({reply.reason}). Check the network and the proxy settings.")


def _address(what: str, link: str, settings: Settings) -> SplitResult:
    try:
        address = urlsplit(link)
        host, _ = address.hostname, address.port
    except ValueError:
        host = None
    if (
        not host
        or not link.isascii()
        or any(ord(character) <= 32 or ord(character) == 127 for character in link)
    ):
        raise errors.UnexpectedResponse(f"{what}: the response has a link that is not a URL.")
    service = urlsplit(settings.host)
    is_where_the_service_is = host == service.hostname or (
        is_loopback(host) and is_loopback(str(service.hostname))
    )
    is_plain = address.scheme == "http" == service.scheme and is_where_the_service_is
    if address.scheme != "https" and not is_plain:
        raise errors.UnexpectedResponse(
            f"{what}: the response has a link that is not https, so it was not followed: what it leads to could be "
            "read or changed on its way."
        )
    if _is_on_this_machine(host) and not is_where_the_service_is:
        raise errors.UnexpectedResponse(
            f"{what}: the response has a link to the machine that this runs on, where the service is not, so it "
            "was not followed."
        )
    if "@" in address.netloc:
        raise errors.UnexpectedResponse(f"{what}: the response has a link with a user in it.")
    return address


def _is_on_this_machine(host: str) -> bool:
    """Return whether a host can be reached from this machine alone: loopback, or an address of the link to it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # 127.1 and 2130706433 are spellings of an address too.
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            name = host.removesuffix(".")
            return name == "localhost" or name.endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_loopback or address.is_link_local or address.is_unspecified


@contextlib.contextmanager
def _response(address: SplitResult, settings: Settings) -> Iterator[tuple[Head, Source, ReaderWithDeadline]]:
    """Yield the head of the response, what its body is read from, and what bounds the time for that.

    Not by urllib3, which logs the path with its signature.
    """
    connection = _connection(address, settings)
    with contextlib.closing(connection):
        connection.connect()
        path = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
        host = address.netloc
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
            f"User-Agent: airflow-provider-workflows/{__version__}\r\nConnection: close\r\n\r\n"
        )
        connection.sock.settimeout(settings.read_timeout)
        connection.sock.sendall(request.encode("ascii"))
        reader = ReaderWithDeadline(connection.sock.makefile("rb", buffering=0), connection.sock)
        with io.BufferedReader(reader) as source:
            yield read_head(source), source, reader


def _connection(address: SplitResult, settings: Settings) -> http.client.HTTPConnection:
    host, port = str(address.hostname), address.port or _PORTS[address.scheme]
    proxy, proxy_headers = proxy_and_headers(proxy_for(f"{address.scheme}://{address.netloc}"))
    gate = urlsplit(proxy) if proxy else None
    if gate is not None and gate.scheme != "http":
        raise errors.InvalidInput(
            f"the environment names an https proxy for {host}, and files are downloaded through http proxies only; "
            "name the host in NO_PROXY to do without it"
        )
    next_host = host if gate is None else str(gate.hostname)
    next_port = port if gate is None else gate.port or 80
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        context = tls_context(certificate_authorities(settings.verify))
        connection = http.client.HTTPSConnection(
            next_host, next_port, timeout=settings.connect_timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(next_host, next_port, timeout=settings.connect_timeout)
    if gate is not None:
        connection.set_tunnel(host, port, proxy_headers)
    return connection


def _require_file(about: str, head: Head) -> None:
    """Refuse a response that is not the file. Of its body nothing is read: it may repeat the link."""
    if head.status == 200:
        codings = b",".join(head.values(b"content-encoding")).strip().lower()
        if codings not in (b"", b"identity", b"none"):
            raise errors.UnexpectedResponse(
                f"{about} is sent in a coding that was not asked for.", status=200
            )
        return
    if head.status == 429 or head.status >= 500:
        asked = head.values(b"retry-after")
        raise errors.ServiceUnavailable(
            f"{about} was not sent ({head.status}). Try again later.",
            status=head.status,
            retry_after=retry_after(asked[0].decode("latin-1") if asked else None, now=time.time()),
        )
    if 300 <= head.status < 400:
        raise errors.UnexpectedResponse(
            f"{about} is said to be somewhere else ({head.status}), which is not followed.",
            status=head.status,
        )
    raise errors.UnexpectedResponse(
        f"{about} was not sent ({head.status}): its link may have expired.", status=head.status
    )


@contextlib.contextmanager
def _written(open_target: OpenTarget) -> Iterator[Callable[[bytes], None]]:
    """Yield what writes to the file, which is in its place once the block has ended without an exception."""
    with contextlib.ExitStack() as stack:
        file = _stored(lambda: stack.enter_context(open_target()))

        def write(piece: bytes) -> None:
            _stored(lambda: file.write(piece))

        yield write
        _stored(stack.close)


def _stored(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except errors.WorkflowsError:
        raise
    except Exception as error:  # noqa: BLE001  (each kind of storage has its own)
        reason = (
            os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
        )
    # Outside of the block: the text of the storage's error may hold a name, and must not show beside this one.
    raise errors.FileFailed(f"The file to download into cannot be written: {reason}.")
