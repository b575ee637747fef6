"""Airflow as it runs in production, as plain processes of this machine: what docker-compose.yaml describes."""

from __future__ import annotations

from development.stack.components import Executor
from development.stack.errors import StackUnavailable
from development.stack.stack import Stack

__all__ = ["Executor", "Stack", "StackUnavailable"]
