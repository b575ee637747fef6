"""What ``pyproject.toml`` declares, without a reader of TOML, which Python 3.10 lacks."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]


def section(name: str) -> str:
    """Return the lines of a table of ``pyproject.toml``."""
    text = (CHECKOUT / "pyproject.toml").read_text()
    return f"\n{text}".split(f"\n[{name}]\n", 1)[1].split("\n[", 1)[0]


def project_urls() -> dict[str, str]:
    """Return the project's addresses by what they lead to."""
    return dict(re.findall(r'(?m)^(\w+) = "(https://[^"]+)"$', section("project.urls")))
