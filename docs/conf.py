"""How Sphinx builds the site: ``make docs``, and ``docs/documentation.md`` on why it is Sphinx."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT))

from airflow_provider_workflows import __version__  # noqa: E402
from development.documentation.generated import fill  # noqa: E402

project = "airflow-provider-workflows"
author = "The authors of airflow-provider-workflows"
copyright = author  # noqa: A001
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
# What Airflow tests, and what is written to be read in the checkout alone.
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
# Two pages have more than one heading of the first level.
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = f"airflow-provider-workflows {release}"
html_logo = html_favicon = "images/logo.svg"
html_theme_options = {"sidebar_hide_name": False}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# Nothing of the machine that builds the site, so that two builds are the same.
html_last_updated_fmt = None

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}


def _fill(_app: Any, _page: str, source: list[str]) -> None:
    source[0] = fill(source[0])


def setup(app: Any) -> None:
    """Have the tables that are made from the code written into the pages before Sphinx reads them."""
    app.connect("source-read", _fill)
