"""The bodies of deliveries while they are on their way: bounded in number and in bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive

#: The longest body that is read, in bytes.
MAX_BODY_BYTES = 256 * 1024
#: Of one connection, this many bodies are on their way at once, and this many bytes of them are kept.
MAX_UPLOADS = 64
MAX_UPLOADED_BYTES = 8 * 1024 * 1024


class BodyTooLong(Exception):
    """A body has more than ``MAX_BODY_BYTES``; it was read no further."""


class BodyGivenUp(Exception):
    """A body came so slowly that newer ones took its place."""


class ClientGone(Exception):
    """The client closed the connection before its body had come."""


@dataclass(eq=False, slots=True)
class _Upload:
    task: asyncio.Task[object] | None
    received: int = 0
    is_given_up: bool = False


class Uploads:
    """The bodies of one connection's deliveries that are on their way.

    Who has seen one delivery knows the id of a key, and can begin any number of bodies and never end them. Where
    there are too many, the one that began first is given up: a body of the service's comes with its request.
    """

    def __init__(self) -> None:
        self._under_way: dict[_Upload, None] = {}
        self._received = 0

    def __len__(self) -> int:
        return len(self._under_way)

    async def read(self, receive: Receive) -> bytes:
        """Return the body of a request.

        :param receive: returns the next message of the request, as ASGI has it
        :raises BodyTooLong: at ``MAX_BODY_BYTES``
        :raises BodyGivenUp: if it came too slowly while others came
        :raises ClientGone: if the client went away
        """
        upload = _Upload(asyncio.current_task())
        self._under_way[upload] = None
        if len(self._under_way) > MAX_UPLOADS:
            self._give_up_the_first()
        chunks: list[bytes] = []
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                chunk = message.get("body", b"")
                upload.received += len(chunk)
                self._received += len(chunk)
                if upload.received > MAX_BODY_BYTES:
                    raise BodyTooLong
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
                if self._received > MAX_UPLOADED_BYTES:
                    self._give_up_the_first()
                    if upload.is_given_up:
                        # The rest of it may be there already, and then waiting for it ends nothing.
                        await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not upload.is_given_up:
                raise
            if upload.task is not None and hasattr(upload.task, "uncancel"):
                upload.task.uncancel()
            raise BodyGivenUp("its body came slowly, and newer ones took its place") from None
        finally:
            del self._under_way[upload]
            self._received -= upload.received

    def _give_up_the_first(self) -> None:
        first = next((upload for upload in self._under_way if not upload.is_given_up), None)
        if first is not None and first.task is not None:
            first.is_given_up = True
            first.task.cancel()
