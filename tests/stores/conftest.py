"""Each store with its emulator, and a batch whose input and output are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage import ObjectStoragePath
from tests.harness.stores.emulators import STORES, emulated
from tests.harness.stores.errors import StoreUnavailable
from tests.harness.stores.gateway import Gateway
from tests.harness.stores.store import CONNECTION_ID, CONNECTION_VARIABLE, Store
from tests.unit.batch_task import BatchTask
from tests.unit.conftest import connected, short_pauses

__all__ = ["connected", "short_pauses"]

# gcsfs would ask by gRPC which kind of bucket it is, which the emulator does not know.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

#: With it, a store that is not installed here fails the tests in place of skipping them.
REQUIRED_VARIABLE = "STORES_REQUIRED"
#: The key of the connection when a test begins; and another one.
KEY, LATER_KEY = "2031-01-01", "2032-01-01"
OBJECT = "in/cases.csv"


@pytest.fixture(scope="session", params=STORES)
def running_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    try:
        with emulated(request.param) as store:
            yield store
    except StoreUnavailable as reason:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        pytest.skip(str(reason))


@pytest.fixture
def store(running_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store where all goes well, with Airflow's connection to it."""
    pytest.importorskip("s3fs", reason="the stores' libraries are in the environment of make test-stores")
    running_store.gateway.well()
    monkeypatch.setenv(CONNECTION_VARIABLE, running_store.connection(KEY))
    yield running_store
    running_store.gateway.well()
    _forget_file_systems()


def _forget_file_systems() -> None:
    """Have the next test make file systems of its own, as another process does."""
    from airflow.sdk.io.store import _STORE_CACHE  # noqa: PLC0415

    for key in [key for key in _STORE_CACHE if key.endswith(f"-{CONNECTION_ID}")]:
        fs = _STORE_CACHE.pop(key).fs
        type(fs).clear_instance_cache()


@dataclass(frozen=True)
class StoreBatch:
    """A batch task whose input and output are in one bucket of a store."""

    store: Store
    bucket: str
    task: BatchTask
    sandbox: Sandbox

    @property
    def gateway(self) -> Gateway:
        return self.store.gateway

    @property
    def input(self) -> str:
        return self.store.uri(self.bucket, OBJECT)

    @property
    def output(self) -> str:
        return self.store.uri(self.bucket, "out")

    def path(self, name: str) -> ObjectStoragePath:
        return ObjectStoragePath(self.store.uri(self.bucket, name))

    def put_cases(self, number: int, name: str = "Ada") -> None:
        """Write the input, as another process does."""
        lines = ["key,first_name", *(f"{row:05},{name}{row}" for row in range(1, number + 1))]
        self.store.put(self.bucket, OBJECT, "\n".join(lines).encode() + b"\n")

    def run(self, **arguments: Any) -> dict[str, Any]:
        """Run one try to its end, in the worker and the triggerer."""
        return self.task.run(self.input, output_path=self.output, **arguments)


@pytest.fixture
def batch(store: Store, connected: Sandbox, short_pauses: None, tmp_path: Path) -> StoreBatch:
    """A batch whose workflows complete at once."""
    task = BatchTask(tmp_path, connected.define(seconds=0.0, result={"decision": "PASS"}))
    return StoreBatch(store, store.new_bucket(), task, connected)
