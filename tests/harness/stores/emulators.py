"""Starts the emulator of a store, with its gateway."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.harness.ports import free_ports
from tests.harness.process import Process
from tests.harness.servers import HOST, temporary_folder, wait_for_response
from tests.harness.stores.amazon import AmazonS3
from tests.harness.stores.azure import ACCOUNT, ACCOUNT_KEY, AzureBlobs
from tests.harness.stores.errors import StoreUnavailable
from tests.harness.stores.google import GoogleStorage
from tests.harness.stores.store import Store

STORES: Mapping[str, type[Store]] = {"s3": AmazonS3, "gcs": GoogleStorage, "azure": AzureBlobs}
#: Where ``make test-stores`` installs Azurite, in its environment.
_AZURITE = "azurite/node_modules/azurite/dist/src/blob/main.js"


@contextlib.contextmanager
def emulated(name: str) -> Iterator[Store]:
    """Provide a store within the block.

    :param name: a key of ``STORES``
    :raises StoreUnavailable: if its emulator is not installed here
    :raises AirflowFailed: when the emulator does not start, with the end of its log
    """
    own_port, gateway_port = free_ports(2)
    command = _command(name, own_port)
    with temporary_folder(f"{name}-") as folder:
        log = folder / "log"
        environment = {
            **os.environ,
            # What listens elsewhere must not be taken for one of ours.
            "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}",
            "TMPDIR": str(folder),
        }
        with Process(command, environment, log) as process:
            wait_for_response(name, process, lambda: _listens(own_port), log)
            store = STORES[name](f"http://{HOST}:{own_port}")
            with store.gateway.running(gateway_port):
                yield store


def _command(name: str, port: int) -> list[str]:
    if name == "azure":
        return _azurite(port)
    module, arguments = {
        "s3": ("moto", ["-m", "moto.server", "-H", HOST, "-p", str(port)]),
        "gcs": (
            "gcp_storage_emulator",
            ["-m", "gcp_storage_emulator", "start", "-H", HOST, "--port", str(port), "-M", "-q"],
        ),
    }[name]
    if importlib.util.find_spec(module) is None:
        raise StoreUnavailable(f"{module} is not installed here: make test-stores installs it")
    return [sys.executable, *arguments]


def _azurite(port: int) -> list[str]:
    program = Path(sys.prefix, _AZURITE)
    node = shutil.which("node")
    if node is None or not program.exists():
        raise StoreUnavailable(
            "Azurite is not installed here: it needs npm (on Debian: apt-get install npm), and then "
            "make test-stores installs it"
        )
    options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    return [node, str(program), "--blobHost", HOST, "--blobPort", str(port), *options]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
