"""The built site has no dead link and loads nothing from elsewhere, and what checks that finds both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from development.documentation.built_site import problems
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


@pytest.mark.thorough
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "--builder", "html"]
    # Airflow would make its configuration in the user's home.
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    done = subprocess.run(
        [*command, "--doctree-dir", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "site")],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(problems(tmp_path / "site")) == []
