"""The built site has no dead link and loads nothing from elsewhere, and what checks that finds both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from development.documentation.built_site import problems
from tests.harness.browser import BrowserUnavailable, find_chromium, headless
from tests.harness.snippets import CHECKOUT, DOCS

PAGE = '<html><body><h1 id="top">A page</h1>{}</body></html>'


@pytest.mark.sampled(99)
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="other.html#there">A link</a> <a href="#top">top</a>', None),
        ('<a href="https://example.org/">A link that loads nothing</a>', None),
        ('<img src="data:image/png;base64,AA==">', None),
        ('<a href="gone.html">A link</a>', "index.html: gone.html leads nowhere"),
        ('<a href="other.html#gone">A link</a>', "index.html: other.html#gone names an anchor"),
        ('<script src="https://example.org/a.js"></script>', "loads https://example.org/a.js from elsewhere"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "loads //example.org/a.css from elsewhere"),
        ('<p style="background: url(https://example.org/a.png)">', "loads https://example.org/a.png from"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(tmp_path: Path, body: str, problem: str | None) -> None:
    (tmp_path / "index.html").write_text(PAGE.format(body))
    (tmp_path / "other.html").write_text(PAGE.format('<h2 id="there">A part</h2>'))

    found = list(problems(tmp_path))

    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


def test_a_stylesheet_that_loads_a_font_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text(
        "@import 'https://fonts.example.org/a.css'; @font-face { src: url(a.woff2) }"
    )

    assert list(problems(tmp_path)) == ["a.css loads https://fonts.example.org/a.css from elsewhere"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as it is built, in a folder."""
    folder = tmp_path_factory.mktemp("documentation")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "--builder", "html"]
    # Airflow would make its configuration in the user's home.
    environment = os.environ | {"AIRFLOW_HOME": str(folder / "airflow")}
    done = subprocess.run(
        [*command, "--doctree-dir", str(folder / "doctrees"), str(DOCS), str(folder / "site")],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.mark.thorough
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site: Path) -> None:
    assert list(problems(site)) == []


@pytest.mark.thorough
@pytest.mark.slow
def test_no_large_page_is_wider_than_a_window(site: Path) -> None:
    try:
        find_chromium()
    except BrowserUnavailable as error:
        pytest.skip(str(error))
    # Their frame is the same on all; the largest have the widest tables.
    largest = sorted(site.rglob("*.html"), key=lambda path: path.stat().st_size)[-8:]
    too_wide = []

    with headless() as browser:
        page = browser.new_page()
        for path in largest:
            page.goto(path.as_uri())
            for width in (400, 900, 1100, 1366, 1600):
                page.set_viewport_size({"width": width, "height": 900})
                if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                    too_wide.append(f"{path.relative_to(site)} at {width}")

    assert too_wide == []
