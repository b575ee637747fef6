"""What the tests of the hooks share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.hooks.workflows import WorkflowsHook


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any] | str], WorkflowsHook]:
    """Define the connection ``workflows_default`` and return its hook."""

    def connect(value: dict[str, Any] | str) -> WorkflowsHook:
        text = value if isinstance(value, str) else json.dumps({"conn_type": "workflows", **value})
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", text)
        return WorkflowsHook()

    return connect
