"""The socket that the sandbox listens on, its certificate for https, and the thread that serves it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import errno
import ipaddress
import logging
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    from cryptography import x509

BACKLOG_CONNECTIONS = 1024
SHUTDOWN_GRACE_SECONDS = 0.1
CERTIFICATE_LIFETIME = timedelta(days=365)

# A server that listens on every address is reached on the loopback.
_REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104

Returned = TypeVar("Returned")

_log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port`` (0 for a free one).

    :raises OSError: with a message that names the port if it is taken
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # Python appends the address to the system's words.
        reason = str(error.strerror).partition(" (while")[0]
        if error.errno == errno.EADDRINUSE:
            reason = "the port is taken"
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {reason}") from None


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a server that listens on ``host``."""
    return _REACHABLE.get(host, host)


def network_location(host: str, port: int) -> str:
    """Return the part of a URL that names ``host`` and ``port``."""
    name = reachable(host)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


class Certificate:
    """A new ECDSA key with its self-signed certificate, for as long as a sandbox runs.

    :param host: a name or IP address to certify, beside those of the loopback
    """

    def __init__(self, host: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="workflows-sandbox-"))
        self.ca_file = self._folder / "certificate.pem"
        key_file = self._folder / "key.pem"
        try:
            certificate, key = _self_signed(host)
            self.ca_file.write_bytes(certificate)
            key_file.touch(mode=0o600)
            key_file.write_bytes(key)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.ca_file, key_file)
            key_file.unlink()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the file ``ca_file``."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _self_signed(host: str) -> tuple[bytes, bytes]:
    # Imported here because it takes a while and only TLS needs it.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Workflows sandbox")])
    now = datetime.now(timezone.utc)
    other_usages = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usage = x509.KeyUsage(digital_signature=True, key_cert_sign=True, **other_usages)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day of grace, for the clocks of containers differ a little.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_subject_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        # Python 3.13 checks strictly by default, and then requires this extension.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _subject_names(host: str) -> list[x509.GeneralName]:
    return [_subject_name(name) for name in dict.fromkeys(("localhost", "127.0.0.1", "::1", host))]


def _subject_name(name: str) -> x509.GeneralName:
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_about_the_server(record: logging.LogRecord) -> bool:
    # aiohttp logs garbage that a client sent as an error, with a piece of it, which may be personal.
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, web.RequestPayloadError))


_log.addFilter(_is_about_the_server)


class ServerThread:
    """Serve an application on a thread and an event loop of its own until stopped.

    :param application: the application
    :param listener: the socket to listen on; closed at the end
    :param tls: what to serve https with, or None for http
    """

    def __init__(
        self, application: web.Application, listener: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        self._application = application
        self._listener = listener
        self._tls = tls
        self._running: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
        self._running = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name="workflows-sandbox", daemon=True)

    def start(self) -> None:
        """Return once requests are served; raise what prevents it."""
        self._thread.start()
        self._running.result()

    def stop(self) -> None:
        """Return once the server has ended; raise what it ended with, if it failed."""
        loop, stopping = self._running.result()
        # The loop is closed if the server failed by itself; its error is raised below.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join()
        self._ended.result()

    def call(self, function: Callable[[], Returned]) -> Returned:
        """Return what ``function`` returns, or raise what it raises, in the server's thread between requests."""
        loop, _ = self._running.result()
        future: concurrent.futures.Future[Returned] = concurrent.futures.Future()

        def carry_out() -> None:
            try:
                future.set_result(function())
            except Exception as error:  # noqa: BLE001  (raised in the thread that calls)
                future.set_exception(error)

        loop.call_soon_threadsafe(carry_out)
        return future.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  (raised in the thread that starts or stops this one)
            (self._ended if self._running.done() else self._running).set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        stopping = asyncio.Event()
        runner = web.AppRunner(
            self._application,
            access_log=None,
            logger=_log,
            auto_decompress=False,
            shutdown_timeout=SHUTDOWN_GRACE_SECONDS,
        )
        try:
            await runner.setup()
            site = web.SockSite(runner, self._listener, ssl_context=self._tls, backlog=BACKLOG_CONNECTIONS)
            await site.start()
            self._running.set_result((asyncio.get_running_loop(), stopping))
            await stopping.wait()
        finally:
            await runner.cleanup()
            self._listener.close()
