"""The pages themselves: nothing from elsewhere, nothing in line, and no way to any other file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_workflows
from airflow_provider_workflows.plugin import WorkflowsPlugin
from tests.unit.ui.conftest import Pages, Tasks, batch_report

STATIC = Path(airflow_provider_workflows.__file__).parent / "ui" / "static"
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and path.parent == STATIC)


@pytest.mark.parametrize("path", ["", "task.html"])
def test_a_page_may_load_nothing_from_elsewhere_and_be_framed_by_airflow_alone(
    pages: Pages, tasks: Tasks, path: str
) -> None:
    response = pages.get(path, tasks.add(batch_report()))

    policy = response.headers["Content-Security-Policy"]
    assert response.status_code == 200
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["", "task.html"])
def test_all_that_a_page_names_is_there(pages: Pages, tasks: Tasks, path: str) -> None:
    task = tasks.add(batch_report())
    text = pages.get(path, task).text
    named = re.findall(r'(?:src|href)="(static/[^"]+)"', text)
    scripts = [name for name in named if name.endswith(".js") and "vendor" not in name]
    for script in scripts:
        imported = re.findall(r'from "\./([a-z]+\.js)"', pages.get(script).text)
        scripts += [f"static/{name}" for name in imported if f"static/{name}" not in scripts]

    assert {pages.get(name).status_code for name in {*named, *scripts}} == {200}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_page_has_a_script_or_a_style_in_line_or_makes_markup_of_text(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\bstyle=|<style|\bon[a-z]+=\"", text)
    assert not re.search(r"\.innerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function", text)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_each_address_is_relative_so_that_a_path_before_airflows_own_does_no_harm(path: Path) -> None:
    assert not re.search(r"""["'`](?:/[a-z]|https?://)""", path.read_text())


@pytest.mark.parametrize("name", ["static/../app.py", "static/%2e%2e/app.py", "static/missing.js", "static/"])
def test_no_other_file_is_served(pages: Pages, name: str) -> None:
    assert pages.get(name).status_code == 404


@pytest.mark.parametrize("name", ["", "static/style.css", "static/task.js"])
def test_nothing_is_served_to_who_is_not_signed_in(pages: Pages, name: str) -> None:
    assert pages.get(name, role=None).status_code == 401


def test_a_refused_page_says_so_in_words(pages: Pages) -> None:
    response = pages.get("", role=None)

    assert response.headers["Content-Type"].startswith("text/html")
    assert "not signed in" in response.text


def test_a_script_is_sent_again_only_if_it_has_changed(pages: Pages) -> None:
    etag = pages.get("static/task.js").headers["ETag"]

    assert pages.get("static/task.js", **{"If-None-Match": etag}).status_code == 304


def test_airflow_has_a_tab_for_each_task_instance_and_a_page_in_its_navigation(pages: Pages) -> None:
    response = pages.client.get("/api/v2/plugins", headers=pages.signed_in("admin"))

    (plugin,) = (each for each in response.json()["plugins"] if each["name"] == "workflows")
    views = {view["url_route"]: view for view in plugin["external_views"]}
    assert {name: view["destination"] for name, view in views.items()} == {
        "workflows": "nav",
        "workflow": "task_instance",
    }
    assert not any(view["href"].startswith("/") for view in views.values())
    assert len(WorkflowsPlugin.fastapi_apps) == 1


def test_the_webhook_app_has_all_other_paths(pages: Pages) -> None:
    response = pages.client.get("/workflows/webhooks/somebody")

    assert response.status_code == 405
