"""A web server on a thread of its own, with an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import socket
import ssl
import threading

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

BACKLOG = 1024
GRACE_SECONDS = 0.1

_log = logging.getLogger(__name__)


def _is_ours(record: logging.LogRecord) -> bool:
    # aiohttp logs garbage that a caller sent as an error, with a piece of it, which may be personal.
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, web.RequestPayloadError))


_log.addFilter(_is_ours)


class ServerThread:
    """Serves an application until stopped.

    :param application: what to serve
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
        """Return as soon as requests are answered; what prevents that is raised."""
        self._thread.start()
        self._running.result()

    def stop(self) -> None:
        """Return as soon as the server is gone; what went wrong with it is raised."""
        loop, stopping = self._running.result()
        # The loop is closed if the server broke down by itself; then its error is raised below.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join()
        self._ended.result()

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
            shutdown_timeout=GRACE_SECONDS,
        )
        try:
            await runner.setup()
            await web.SockSite(runner, self._listener, ssl_context=self._tls, backlog=BACKLOG).start()
            self._running.set_result((asyncio.get_running_loop(), stopping))
            await stopping.wait()
        finally:
            await runner.cleanup()
            self._listener.close()
