"""What the components of a stack call themselves, for they share a machine and would share its name."""

from __future__ import annotations

import os

VARIABLE = "STACK_COMPONENT"


def component() -> str:
    """Return the name of the component that this process belongs to, as ``[core] hostname_callable``."""
    return os.environ.get(VARIABLE, "localhost")
