"""What can stand in the way of a stack."""

from __future__ import annotations


class StackUnavailable(RuntimeError):
    """This machine lacks PostgreSQL or Redis, and they cannot be installed; the message says what would help."""
