"""What the tests of the operators share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_workflows.operators import creation, handover


@pytest.fixture(scope="session", autouse=True)
def fast_digests() -> Iterator[None]:
    """Have a digest of personal data take no time: it is slow on purpose, and hundreds are made."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(creation, "DIGEST_ITERATIONS", 1)
        yield


class Variables:
    """Airflow's Variables, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.descriptions: dict[str, str | None] = {}

    def get(self, key: str, default: Any, deserialize_json: bool) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any, description: str | None, serialize_json: bool) -> None:
        self.values[key], self.descriptions[key] = json.dumps(value), description

    def delete(self, key: str) -> None:
        del self.values[key]


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Airflow's Variables, which are read once by a try that finds out what the one before has left."""
    monkeypatch.setattr(handover, "Variable", variables := Variables())
    monkeypatch.setattr(handover, "HANDOVER_SECONDS", 0.0)
    return variables
