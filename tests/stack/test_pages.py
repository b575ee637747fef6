"""The pages in a browser, against a whole Airflow and the sandbox: what people see, press, and must not."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FrameLocator, Page, Request, expect

from airflow_provider_workflows.sandbox import DEFINITION
from airflow_provider_workflows.sandbox.service import READY_CASES
from tests.harness.browser import signed_in, token

from .pages import BATCH, ROWS, VIEWER, Pages

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

#: A page asks for something at most once in this many seconds.
INTERVAL_SECONDS = 2.0


@pytest.fixture(scope="module")
def failed_run(pages: Pages) -> str:
    """A batch that has failed halfway, which no test changes."""
    return pages.half_failed()


def press(frame: FrameLocator, button: str, fill: Callable[[FrameLocator], None] = lambda _: None) -> None:
    """Press a button, and the one of its dialog."""
    frame.get_by_role("button", name=button).first.click()
    fill(frame)
    frame.locator("dialog").get_by_role("button", name=button).click()
    expect(frame.locator("dialog")).not_to_be_visible()


def test_a_batch_is_watched_to_its_end(pages: Pages, page: Page) -> None:
    definition = pages.sandbox.define(seconds=6.0)
    asked: list[float] = []

    def note(request: Request) -> None:
        if "/workflows/ui/data/" in request.url:
            asked.append(time.monotonic())

    page.on("request", note)
    begun = time.monotonic()
    run_id = pages.batch(definition=definition)
    frame = pages.open(page, run_id)

    expect(frame.get_by_text(f"{ROWS} of {ROWS}", exact=True)).to_be_visible()
    expect(frame.get_by_text("Task success")).to_be_visible()

    # The one that finds that the task is done may come at once.
    assert len(asked) <= (time.monotonic() - begun) / INTERVAL_SECONDS + 2
    done = len(asked)
    page.wait_for_timeout(3 * INTERVAL_SECONDS * 1000)
    assert len(asked) == done


def test_a_repair_runs_only_those_rows_again_that_have_failed(pages: Pages, page: Page) -> None:
    run_id = pages.half_failed()
    before = pages.sandbox.counts.runs_per_case
    failed = pages.report(run_id)["outcomes"]["failed"]
    frame = pages.open(page, run_id)
    expect(
        frame.get_by_text(re.compile(f"keeps {ROWS - failed}, waits for 0, submits {failed}"))
    ).to_be_visible()

    press(frame, "Repair")

    pages.wait(run_id, "success")
    expect(frame.get_by_text("Task success")).to_be_visible()
    # What was said of the press is over.
    expect(frame.get_by_text("begins in a few seconds")).to_have_count(0)
    again = pages.sandbox.counts.runs_per_case - before
    assert 0 < failed < ROWS
    assert sum(again.values()) == failed
    assert pages.report(run_id)["outcomes"] == {"succeeded": ROWS}
    events = pages.airflow.call("GET", "/eventLogs", dag_id=BATCH, run_id=run_id)["event_logs"]
    assert {(each["event"], each["owner"]) for each in events} >= {
        ("workflow_repair", "admin"),
        ("post_clear_task_instances", "admin"),
    }


@pytest.mark.slow
def test_rows_that_are_selected_are_resubmitted_and_no_other(pages: Pages, page: Page) -> None:
    run_id = pages.half_failed()
    failed = pages.report(run_id)["outcomes"]["failed"]
    before = sum(pages.sandbox.counts.runs_per_case.values())
    frame = pages.open(page, run_id)

    boxes = frame.get_by_role("checkbox", name=re.compile("select row"))
    expect(boxes.first).to_be_visible()
    for number in range(3):
        boxes.nth(number).check()
    press(frame, "Resubmit these rows")

    pages.airflow.until(
        lambda: sum(pages.sandbox.counts.runs_per_case.values()) == before + 3, 120, "three more runs"
    )
    pages.airflow.until(
        lambda: (pages.report(run_id) or {}).get("outcomes", {}).get("failed") == failed - 3,
        120,
        "the report",
    )
    assert sum(pages.sandbox.counts.runs_per_case.values()) == before + 3


@pytest.mark.slow
def test_starting_over_asks_for_the_number_of_runs(pages: Pages, page: Page) -> None:
    run_id = pages.half_failed(6)
    before = sum(pages.sandbox.counts.runs_per_case.values())
    frame = pages.open(page, run_id)
    frame.get_by_role("button", name="Start over").click()
    go = frame.locator("dialog").get_by_role("button", name="Start over")

    expect(go).to_be_disabled()
    frame.get_by_label(re.compile("Type the number of runs")).fill("7")
    expect(go).to_be_disabled()
    frame.get_by_label(re.compile("Type the number of runs")).fill("6")
    go.click()

    pages.wait(run_id, "success")
    assert sum(pages.sandbox.counts.runs_per_case.values()) - before == 6


@pytest.mark.slow
def test_a_batch_that_is_told_to_stop_submits_no_further_row_and_a_repair_submits_the_rest(
    pages: Pages, page: Page
) -> None:
    definition = pages.sandbox.define(seconds=0.5)
    pages.sandbox.fault("latency", path="/workflows/run", seconds=1.0)
    pages.sandbox.counts.reset()
    rows = 150
    run_id = pages.batch(rows, definition=definition)
    frame = pages.open(page, run_id)
    stop = frame.get_by_role("button", name="Stop submitting").first
    expect(stop).to_be_enabled()

    press(frame, "Stop submitting")

    pages.wait(run_id, "failed")
    submitted = len(pages.sandbox.counts.runs_per_case)
    assert 0 < submitted < rows
    expect(frame.get_by_text("has stopped the submission")).to_be_visible()
    pages.sandbox.clear_faults()
    press(frame, "Repair")
    pages.wait(run_id, "success")
    assert Counter(pages.sandbox.counts.runs_per_case.values()) == {1: rows}


def test_a_viewer_sees_the_page_and_airflow_refuses_the_buttons(pages: Pages, failed_run: str) -> None:
    password = pages.passwords[VIEWER]
    with signed_in(pages.browser, pages.url, VIEWER, password) as page:
        frame = pages.open(page, failed_run)
        expect(frame.get_by_text("You may not clear this task").first).to_be_visible()
        expect(frame.get_by_role("button", name="Repair")).to_be_disabled()

    headers = {
        "Authorization": f"Bearer {token(pages.url, VIEWER, password)}",
        "Content-Type": "application/json",
    }
    request = pages.data(failed_run, "data/instruction", **headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, b'{"action": "repair"}')
    assert refused.value.code == 403
    assert pages.airflow.task_states(BATCH, failed_run)["batch"] == "failed"


@pytest.mark.parametrize("path", ["task.html", "data/task", "data/rows", "data/rows.csv", "data/instruction"])
def test_who_is_not_signed_in_gets_no_page_no_data_and_no_button(
    pages: Pages, failed_run: str, path: str
) -> None:
    body = b'{"action": "repair"}' if path == "data/instruction" else None
    request = pages.data(failed_run, path, **{"Content-Type": "application/json"})

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, body)

    assert refused.value.code == 401


def serious(page: Page) -> list[str]:
    """Return what axe-core finds that is serious or critical in the page of this package."""
    results = Axe().run(page).response
    return [
        f"{each['id']}: {[node['target'] for node in each['nodes']]}"
        for each in results["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", ["task.html", ""], ids=["batch", "overview"])
def test_axe_finds_nothing_serious(pages: Pages, failed_run: str, name: str, width: int, dark: bool) -> None:
    admin = pages.passwords["admin"]
    with signed_in(pages.browser, pages.url, "admin", admin, dark=dark, width=width) as page:
        page.goto(pages.data(failed_run, name).full_url)
        expect(page.get_by_role("table").first).to_be_visible()
        page.wait_for_load_state("networkidle")

        assert page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
        assert serious(page) == []
        # Nothing but tables scrolls sideways.
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_page_follows_airflows_theme_while_it_is_open(pages: Pages, page: Page, failed_run: str) -> None:
    frame = pages.open(page, failed_run)
    expect(frame.get_by_role("heading", name="Progress")).to_be_visible()
    root = frame.locator("html")
    expect(root).to_have_attribute("data-theme", "light")

    page.evaluate("document.documentElement.classList.replace('light', 'dark')")

    expect(root).to_have_attribute("data-theme", "dark")


def test_the_page_can_be_used_by_the_keyboard(pages: Pages, page: Page, failed_run: str) -> None:
    page.goto(pages.data(failed_run, "task.html").full_url)
    expect(page.get_by_role("button", name="Repair")).to_be_enabled()

    page.get_by_role("button", name="Repair").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect(page.get_by_role("button", name="Repair")).to_be_focused()


@pytest.mark.slow
def test_the_page_workflows_finds_a_row_and_leads_to_its_task(
    pages: Pages, page: Page, failed_run: str
) -> None:
    rows = (Path(pages.report(failed_run)["output"])).read_text().splitlines()
    workflow_id = json.loads(rows[6])["workflow_id"]
    page.goto(f"{pages.url}/plugin/workflows")
    frame = page.frame_locator("iframe[title=Workflows]")
    expect(frame.get_by_text("of the last seven days")).to_be_visible()

    frame.get_by_role("searchbox").fill(workflow_id)
    frame.get_by_role("button", name="Search").click()
    expect(frame.get_by_text(", row 7")).to_be_visible()
    frame.locator("#found").get_by_role("link").click()

    tab = page.frame_locator("iframe[title=Workflow]")
    expect(tab.get_by_role("heading", name="Workflow of batch")).to_be_visible()
    assert f"/airflow/dags/{BATCH}/runs/" in page.url


@pytest.mark.slow
def test_a_single_run_shows_its_ids_and_how_it_ended(pages: Pages, page: Page) -> None:
    case = next(iter(READY_CASES))
    run_id, state = pages.airflow.run("pages_run", {"definition": DEFINITION, "case": case})
    assert state == "success"

    page.goto(f"{pages.url}/dags/pages_run/runs/{quote(run_id)}/tasks/run/plugin/workflow")

    frame = page.frame_locator("iframe[title=Workflow]")
    run = frame.get_by_role("region", name="Run", exact=True)
    expect(run.get_by_text("The run has succeeded.")).to_be_visible()
    expect(run.get_by_text(case)).to_be_visible()
