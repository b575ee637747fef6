"""The Workflows API itself, small and honest, for tests, demos and users without credentials."""

from __future__ import annotations

from airflow_provider_workflows.sandbox.counts import SeenRequest
from airflow_provider_workflows.sandbox.definitions import (
    DEFINITION,
    END_USER_DEFINITION,
    FAILING_DEFINITION,
    FORBIDDEN_DEFINITION,
    SCREENING_DEFINITION,
    SLOW_DEFINITION,
    UNKNOWN_STATUS_DEFINITION,
)
from airflow_provider_workflows.sandbox.server import Sandbox
from airflow_provider_workflows.sandbox.tables import READY_RECORD, TABLE, TYPED_TABLE

__all__ = [
    "DEFINITION",
    "END_USER_DEFINITION",
    "FAILING_DEFINITION",
    "FORBIDDEN_DEFINITION",
    "READY_RECORD",
    "SCREENING_DEFINITION",
    "SLOW_DEFINITION",
    "TABLE",
    "TYPED_TABLE",
    "UNKNOWN_STATUS_DEFINITION",
    "Sandbox",
    "SeenRequest",
]
