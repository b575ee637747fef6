"""What the tests of the operators share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_workflows.operators import creation


@pytest.fixture(scope="session", autouse=True)
def fast_digests() -> Iterator[None]:
    """Have a digest of personal data take no time: it is slow on purpose, and hundreds are made."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(creation, "DIGEST_ITERATIONS", 1)
        yield
