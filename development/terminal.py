"""How the programs of this package talk to the terminal, and how it ends them."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def coloured(text: str, colour: str) -> str:
    """Return ``text`` in a colour, where standard output is a terminal that may show it.

    :param colour: ``bold``, ``dim``, ``red``, ``green`` or ``yellow``
    """
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def say(text: str = "") -> None:
    """Print a line at once, whatever the terminal's encoding."""
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)


def clean_up_when_terminated() -> None:
    """Let SIGTERM and SIGHUP unwind the program, as Ctrl-C does, so that it stops what it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # One that is ignored stays so: that is what nohup does.
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _exit)


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
