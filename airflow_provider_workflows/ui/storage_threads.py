"""Threads in which the pages read storage: one that hangs holds up no other request of the API server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from airflow_provider_workflows.api.errors import InvalidInput

log = logging.getLogger(__name__)

#: This many requests read storage at once, in one process of the API server.
MAX_CONCURRENT_READS = 4
#: Nobody waits longer for storage.
READ_TIMEOUT_SECONDS = 15.0

T = TypeVar("T")


class StorageThreads:
    """Reads storage in threads of its own.

    :param timeout: how long a request waits for storage, in seconds
    """

    def __init__(self, timeout: float = READ_TIMEOUT_SECONDS) -> None:
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT_READS, "workflows-pages")
        self._timeout = timeout

    async def run(self, read: Callable[[], T]) -> T:
        """Return what a function returns that blocks.

        :raises asyncio.TimeoutError: if it takes too long; the thread goes on until storage responds
        :raises Exception: what the function raises
        """
        done = asyncio.get_running_loop().run_in_executor(self._threads, read)
        return await asyncio.wait_for(done, self._timeout)


def storage_failure(error: BaseException) -> dict[str, Any]:
    """Return what the page says of storage that cannot be read: the type, and no text, which may hold a secret.

    :param error: what was raised
    """
    if isinstance(error, asyncio.TimeoutError):
        words = f"storage did not respond within {READ_TIMEOUT_SECONDS:.0f} seconds"
    elif isinstance(error, FileNotFoundError):
        words = "the file is not there, or not on this machine: a path on a worker's own disk is no path here"
    elif isinstance(error, InvalidInput):
        words = str(error)
    else:
        words = "the API server cannot read it; its log says more"
        log.warning("A file for a page could not be read: %s.", type(error).__name__, exc_info=error)
    return {"type": type(error).__name__, "message": words}
