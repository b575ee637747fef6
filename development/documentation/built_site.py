"""Check a built site: every link of it leads somewhere, and no page loads anything from elsewhere.

``python -m development.documentation.built_site FOLDER`` prints what is wrong, and exits with 1 if something is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes that make a browser load something as soon as the page is opened.
_LOADING = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("object", "data"),
}
#: Kinds of ``<link>`` by which nothing is loaded.
_PASSIVE_LINKS = {"canonical", "index", "search", "next", "prev", "author", "help"}
_IN_STYLESHEET = re.compile(r"""(?:url\(\s*|@import\s+)['"]?([^'")\s]+)""")


class _Page(HTMLParser):
    """What a page loads, what it links to, and which anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.anchors.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        self.loaded += [value for name, value in attributes.items() if (tag, name) in _LOADING]
        self.loaded += _IN_STYLESHEET.findall(attributes.get("style", ""))
        if tag == "link" and not _PASSIVE_LINKS & set(attributes.get("rel", "").split()):
            self.loaded.append(attributes.get("href", ""))
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])


def problems(site: Path) -> Iterator[str]:
    """Yield what is wrong with a site, a line for each thing.

    :param site: folder of the built site
    """
    for path in sorted(site.rglob("*.html")):
        page = _read(path)
        name = path.relative_to(site)
        for url in page.loaded:
            if urlsplit(url).scheme not in ("", "data") or urlsplit(url).netloc:
                yield f"{name} loads {url} from elsewhere"
        for url in page.links + page.loaded:
            if problem := _problem_of_link(path, url):
                yield f"{name}: {url} {problem}"
    for path in sorted(site.rglob("*.css")):
        for url in _IN_STYLESHEET.findall(path.read_text(encoding="utf-8")):
            if urlsplit(url).scheme not in ("", "data") or urlsplit(url).netloc:
                yield f"{path.relative_to(site)} loads {url} from elsewhere"


@cache
def _read(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def _problem_of_link(path: Path, url: str) -> str | None:
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "leads nowhere"
    has_anchors = target.suffix == ".html" and parts.fragment
    if has_anchors and unquote(parts.fragment) not in _read(target).anchors:
        return "names an anchor that the page does not have"
    return None


def main(arguments: list[str]) -> int:
    """Print the problems of the site in the folder that is named, and return the exit code."""
    site = Path(arguments[0])
    found = list(problems(site))
    for line in found:
        print(line, file=sys.stderr)
    pages = sum(1 for _ in site.rglob("*.html"))
    print(f"{site}: {pages} pages, {len(found)} problems; open {site}/index.html")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
