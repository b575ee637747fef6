"""The fixtures of the batch's tests, for those of its operator."""

from __future__ import annotations

from tests.unit.batch.conftest import batch, connected, remote, service, short_pauses, tried

__all__ = ["batch", "connected", "remote", "service", "short_pauses", "tried"]
