"""What can stand in the way of a stack."""

from __future__ import annotations


class StackUnavailable(RuntimeError):
    """This machine lacks PostgreSQL or Redis; the message says what to install."""
