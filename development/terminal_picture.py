"""Take a picture of what a command has printed: ``COMMAND | python -m development.terminal_picture FILE``.

Colours are kept. With ``--last LINES`` only the end is shown. Chromium draws it, with a font of this machine.
"""

from __future__ import annotations

import argparse
import html
import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.harness.browser import BrowserUnavailable, headless

PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #1e1e2e; }}
pre {{ display: inline-block; margin: 0; padding: 18px 22px; color: #e4e4ef; background: #1e1e2e;
       font: 15px/1.45 "DejaVu Sans Mono", monospace; }}
.prompt {{ color: #7fd88f; }}
</style><pre><span class="prompt">$ {command}</span>
{lines}</pre>"""


def main() -> int:
    """Read standard input, write the picture, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where the picture goes")
    parser.add_argument("--command", default="make demo-batch", help="what is shown as the command")
    parser.add_argument("--last", type=int, default=60, help="how many lines of the end are shown")
    parser.add_argument("--columns", type=int, default=110, help="columns of the terminal")
    arguments = parser.parse_args()
    shown = sys.stdin.read().splitlines()[-arguments.last :]
    try:
        with headless() as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 400}, device_scale_factor=1.5)
            lines = _as_html("\n".join(shown), arguments.columns)
            page.set_content(PAGE.format(command=html.escape(arguments.command), lines=lines))
            page.locator("pre").screenshot(path=arguments.file)
    except BrowserUnavailable as unavailable:
        print(unavailable, file=sys.stderr)
        return 1
    return 0


def _as_html(text: str, columns: int) -> str:
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text), soft_wrap=False)
    exported: str = console.export_html(inline_styles=True, code_format="{code}", theme=MONOKAI)
    return exported


if __name__ == "__main__":
    sys.exit(main())
