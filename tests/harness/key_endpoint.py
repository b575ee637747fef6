"""A service that hands out one public key, and responds to requests for keys as it is told."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from typing_extensions import Self

HANGING_SECONDS = 60.0
_NOT_FOUND = {"fingerprint": "f1", "errors": [{"code": "KEY_NOT_FOUND", "message": "There is no such key."}]}

#: What an endpoint out of order responds with, by the name of what is wrong: status, content type and text.
FAULTS: dict[str, tuple[int, str, str]] = {
    "page": (200, "text/html", "<html>Please log in.</html>"),
    "redirect": (302, "text/html", ""),
    "bad_request": (400, "text/html", "<html>Bad request</html>"),
    "forbidden": (403, "text/html", "<html>Forbidden</html>"),
    "page_not_found": (404, "text/html", "<html>Not found</html>"),
    "too_many_requests": (429, "text/html", "<html>Slow down</html>"),
    "error": (500, "text/html", "<html>Error</html>"),
    "empty": (200, "text/plain", ""),
}
HANGING = "hanging"


class KeyEndpoint:
    """A service with one signing key, in the running event loop; an asynchronous context manager.

    :param fault: what is wrong with it: a name of ``FAULTS``, ``HANGING``, or None
    """

    def __init__(self, fault: str | None = None) -> None:
        self.fault = fault
        self.private_key = rsa.generate_private_key(65537, 2048)
        self.key_id = str(uuid.uuid4())
        #: The ids that keys were asked for by, in turn.
        self.requests: list[str] = []
        public_key = self.private_key.public_key()
        self.pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/auth/webhooks/key/{kid}", self._respond)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        _, port = self._runner.addresses[0][:2]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def connection(self) -> dict[str, Any]:
        """A connection of Airflow to it, which takes webhooks."""
        return {
            "conn_type": "workflows",
            "host": self.url,
            "password": "tot_0123456789",
            "extra": {"webhooks": True},
        }

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        key_id = request.match_info["kid"]
        self.requests.append(key_id)
        if self.fault == HANGING:
            await asyncio.sleep(HANGING_SECONDS)
        if self.fault in FAULTS:
            status, content_type, text = FAULTS[self.fault]
            headers = {"Location": "http://127.0.0.1:9/elsewhere"} if status == 302 else {}
            return web.Response(status=status, text=text, content_type=content_type, headers=headers)
        if key_id != self.key_id:
            return web.json_response(_NOT_FOUND, status=404)
        return web.Response(text=self.pem, content_type="text/plain")
