"""What can stand in the way of an emulator."""

from __future__ import annotations


class StoreUnavailable(RuntimeError):
    """This machine lacks the emulator of a store; the message says how it comes here."""
