"""Headless Chromium, signed in to an Airflow."""

from __future__ import annotations

import contextlib
import json
import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

#: As distributions name it.
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)
#: A busy machine takes its time over a page.
TIMEOUT_MILLISECONDS = 60_000


class BrowserUnavailable(RuntimeError):
    """There is no Chromium on this machine."""


def find_chromium() -> str:
    """Return the path of the machine's own Chromium: none is downloaded.

    :raises BrowserUnavailable: if it has none
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise BrowserUnavailable(f"none of {', '.join(_NAMES)} is installed: apt-get install chromium")
    return found


@contextlib.contextmanager
def headless() -> Iterator[Browser]:
    """Start a browser, and end it afterwards.

    :raises BrowserUnavailable: if the machine has none
    """
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def signed_in(
    browser: Browser,
    url: str,
    username: str,
    password: str,
    *,
    dark: bool = False,
    width: int = 1280,
    height: int = 900,
) -> Iterator[Page]:
    """Open a page of a user, and close it afterwards.

    :param browser: which
    :param url: base URL of Airflow
    :param username: who signs in
    :param password: the user's
    :param dark: whether the user prefers dark pages
    :param width: of the window, in pixels
    :param height: of the window, in pixels
    """
    scheme: Any = "dark" if dark else "light"
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    try:
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        _sign_in(context, url, username, password)
        if dark:
            context.add_init_script("localStorage.setItem('theme', 'dark')")
        yield context.new_page()
    finally:
        context.close()


def token(url: str, username: str, password: str) -> str:
    """Return a token of Airflow's API for a user."""
    request = urllib.request.Request(
        f"{url}/auth/token",
        json.dumps({"username": username, "password": password}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        return str(json.load(response)["access_token"])


def _sign_in(context: BrowserContext, url: str, username: str, password: str) -> None:
    parts = urlsplit(url)
    cookie: Any = {
        "name": "_token",
        "value": token(url, username, password),
        "domain": parts.hostname,
        "path": parts.path or "/",
        "httpOnly": True,
        "sameSite": "Lax",
    }
    context.add_cookies([cookie])
