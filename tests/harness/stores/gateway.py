"""A server in front of an emulator: it checks keys, counts requests, and has uploads break off or take long."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

START_SECONDS = 30.0
#: Google's uploads name their object there.
_HEAD_BYTES = 2000
_OF_THE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "expect")


class Gateway:
    """Passes each request on to an emulator and its response back.

    :param emulator: URL of the emulator
    :param key_of: returns the key that a request was made with; None if it names none
    :param refuse: makes the response to a request whose key is not valid
    :param takes_halves: whether the emulator gets the first half of an upload that breaks off: one that keeps it
        as the object, which no store does, must not
    :param respond: makes the response to a request that the emulator does not know; None to pass it on
    """

    def __init__(
        self,
        emulator: str,
        *,
        key_of: Callable[[web.Request], str | None],
        refuse: Callable[[web.Request], web.Response],
        takes_halves: bool = True,
        respond: Callable[[Gateway, web.Request, bytes], web.Response | None] = lambda *_: None,
    ) -> None:
        self._emulator = URL(emulator)
        self._key_of = key_of
        self._refuse = refuse
        self._takes_halves = takes_halves
        self._respond = respond
        self.url = ""
        self._session: ClientSession
        #: The key that is valid; None while each one is.
        self.valid_key: str | None = None
        #: Each upload takes this many seconds longer.
        self.upload_seconds = 0.0
        #: This many uploads, from the next one on, break off in the middle.
        self.cuts_left = 0
        #: Which uploads may break off and take long, by what their URL or the first of their bytes hold.
        self.affected = ""
        self.cuts = self.refusals = self.uploads = 0

    def well(self) -> None:
        """Have all go well from now on, and count anew."""
        self.valid_key, self.upload_seconds, self.cuts_left, self.affected = None, 0.0, 0, ""
        self.cuts = self.refusals = self.uploads = 0

    @contextlib.contextmanager
    def running(self, port: int) -> Iterator[Gateway]:
        """Serve within the block, in a thread.

        :param port: where
        """
        loop = asyncio.new_event_loop()
        started, ended = threading.Event(), asyncio.Event()

        async def serve() -> None:
            connector = TCPConnector(limit=0)
            async with ClientSession(
                connector=connector, auto_decompress=False, timeout=ClientTimeout(total=None)
            ) as session:
                self._session = session
                application = web.Application(client_max_size=1 << 30)
                application.router.add_route("*", "/{path:.*}", self._handle)
                runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", port, backlog=256).start()
                started.set()
                await ended.wait()
                await runner.cleanup()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        if not started.wait(START_SECONDS):
            raise OSError(f"no gateway at port {port}")
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join(START_SECONDS)
            loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        own = self._respond(self, request, body)
        if own is not None:
            return own
        if self.valid_key is not None and self._key_of(request) != self.valid_key:
            self.refusals += 1
            return self._refuse(request)
        is_upload = request.method in ("PUT", "POST") and bool(body)
        self.uploads += is_upload
        if is_upload and (self.affected in request.raw_path or self.affected.encode() in body[:_HEAD_BYTES]):
            await asyncio.sleep(self.upload_seconds)
            if self.cuts_left:
                self.cuts_left -= 1
                self.cuts += 1
                await self._cut(request, body)
        return await self._pass_on(request, body)

    async def _cut(self, request: web.Request, body: bytes) -> None:
        """Send the emulator the first half of an upload, and close both connections."""

        async def first_half() -> AsyncIterator[bytes]:
            yield body[: len(body) // 2]
            await asyncio.sleep(0.05)
            raise ConnectionResetError

        with contextlib.suppress(ClientError, OSError):
            if not self._takes_halves:
                raise ConnectionResetError
            await self._pass_on(request, first_half(), {"Content-Length": str(len(body))})
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError

    async def _pass_on(
        self, request: web.Request, body: Any, further: dict[str, str] | None = None
    ) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if _is_passed_on(name)]
        url = self._emulator.join(URL(request.raw_path, encoded=True))
        async with self._session.request(
            request.method,
            url,
            headers=[*headers, *(further or {}).items()],
            data=body or None,
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        ) as response:
            content = await response.read()
            passed_on = web.Response(status=response.status, reason=response.reason, body=content)
            for name, value in response.headers.items():
                # A response may name the URL of the next request.
                if _is_passed_on(name):
                    passed_on.headers[name] = value.replace(str(self._emulator.origin()), self.url)
            return passed_on


def _is_passed_on(name: str) -> bool:
    return name.lower() not in _OF_THE_CONNECTION
