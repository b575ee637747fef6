"""A chat channel that prints the alerts that are posted to it, in place of Slack's."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from development.terminal import coloured, say

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

MAX_BYTES = 1024 * 1024


class AlertChannel:
    """An incoming webhook on a free port of this machine that shows what is posted to it, as a context manager.

    :param show: is called with the text of each message
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._show = show or _print_alert
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        show = self._show

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), MAX_BYTES)
                try:
                    text = str(json.loads(self.rfile.read(length))["text"])
                except (ValueError, LookupError, TypeError):
                    self._respond(400)
                    return
                show(text)
                self._respond(200)

            def _respond(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Log nothing: the message is shown."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="alert-channel", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._thread is not None:
            self._thread.join()

    @property
    def connection(self) -> dict[str, Any]:
        """The fields of an Airflow connection to it."""
        if self._server is None:
            raise RuntimeError("AlertChannel is a context manager; enter it first")
        return {"conn_type": "generic", "password": f"http://127.0.0.1:{self._server.server_port}/"}


def _print_alert(text: str) -> None:
    lines = text.splitlines()
    # Apart from what else is printed, which may be much.
    say("\n".join(["", coloured("Alert", "red"), *(f"  {line}" for line in lines), ""]))
