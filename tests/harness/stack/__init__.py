"""Airflow as it runs in production, as plain processes of this machine: what docker-compose.yaml describes."""

from __future__ import annotations

from tests.harness.stack.components import Executor
from tests.harness.stack.errors import StackUnavailable
from tests.harness.stack.stack import Stack

__all__ = ["Executor", "Stack", "StackUnavailable"]
