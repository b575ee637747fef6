"""The blocks of code in the documentation, each with what a comment above it says is to be done with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
_MARK = re.compile(r"\s*<!-- (.+?) -->\s*")


@dataclass(frozen=True)
class Snippet:
    """One block of code.

    :param page: the page's path in the checkout
    :param line: the number of its first line
    :param language: what follows the fence: ``python``, ``sh``
    :param text: its lines
    :param mark: the comment above it, such as ``dag`` or ``not run: it needs nginx``; empty without one
    """

    page: str
    line: int
    language: str
    text: str
    mark: str

    @property
    def id(self) -> str:
        """Where it is, as editors take it."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that the page has the reader save it as."""
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else None

    @property
    def not_run(self) -> bool:
        """Whether the page says that it is not run, and why."""
        return self.mark.startswith("not run: ")


def pages() -> list[Path]:
    """Return the pages of the documentation, and the README."""
    return [CHECKOUT / "README.md", *sorted(DOCS.rglob("*.md"))]


def snippets_of(page: Path) -> Iterator[Snippet]:
    """Yield the blocks of code of a page, in its order.

    :param page: the file
    """
    mark = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block" and (match := _MARK.fullmatch(token.content)):
            mark = match[1]
        elif token.type == "fence":
            language = token.info.partition(" ")[0]
            line = (token.map or [0])[0] + 2
            yield Snippet(str(page.relative_to(CHECKOUT)), line, language, token.content, mark)
            mark = ""
        elif token.nesting >= 0 and token.type != "inline":
            mark = ""


def snippets(*languages: str) -> list[Snippet]:
    """Return the blocks of code of all pages in one of these languages."""
    found = (snippet for page in pages() for snippet in snippets_of(page))
    return [snippet for snippet in found if snippet.language in languages]
