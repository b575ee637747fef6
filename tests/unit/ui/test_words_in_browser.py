"""What a task's page says, in a browser: of polls, of webhooks, and of how far a batch has come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.harness.browser import BrowserUnavailable, headless
from tests.unit.ui.conftest import Pages, Tasks, batch_report, run_report

pytestmark = pytest.mark.thorough

#: Nothing listens there: the test's own API server responds to what the browser asks.
ORIGIN = "http://airflow.test"
PATH = "/workflows/ui/"
#: A page asks for something at most once in this many milliseconds.
INTERVAL_MILLISECONDS = 2000
#: Does what a browser does as a person goes to another tab, or comes back.
_HIDE = """(isUnseen) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isUnseen });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with headless() as running:
            yield running
    except BrowserUnavailable as unavailable:
        if os.environ.get("STACK_REQUIRED"):
            raise
        pytest.skip(str(unavailable))


@pytest.fixture
def opened(browser: Browser, pages: Pages, tasks: Tasks) -> Iterator[Callable[..., Page]]:
    """Open the page of a task with a report."""
    page: Page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # The API server's own event loop must not meet that of Playwright, which is in this thread.
    with ThreadPoolExecutor(1) as thread:

        def respond(route: Route) -> None:
            asked = urlsplit(route.request.url)
            path = f"{asked.path.removeprefix(PATH)}?{asked.query}"
            response = thread.submit(pages.get, path).result()
            headers = {
                name: response.headers[name] for name in ("content-type", "etag") if name in response.headers
            }
            route.fulfill(status=response.status_code, body=response.content, headers=headers)

        page.route("**/*", respond)

        def open_page(report: dict[str, Any], state: str) -> Page:
            task = thread.submit(lambda: tasks.add(report, state=state)).result()
            query = "&".join(f"{name}={value}" for name, value in task.items())
            page.goto(f"{ORIGIN}{PATH}task.html?{query}")
            page.get_by_role("heading", name="What can be done").wait_for()
            return page

        yield open_page
        page.close()
    assert errors == []


@pytest.fixture
def shown(opened: Callable[..., Page]) -> Callable[..., str]:
    """Open the page of a task with a report, and return its text."""

    def show(report: dict[str, Any], state: str) -> str:
        return " ".join(opened(report, state).locator("main").inner_text().split())

    return show


class TestServer:
    @pytest.mark.costly(1)
    @pytest.mark.parametrize(
        ("respond", "words"),
        [
            (lambda route: route.abort(), "The API server cannot be reached"),
            (lambda _: None, "The API server takes long to respond"),
            (
                lambda route: route.fulfill(status=404, json={"detail": "no such task"}),
                "may have been deleted",
            ),
            (lambda route: route.fulfill(status=503, body="<html>"), "responded with status 503"),
        ],
        ids=["gone", "late", "the task is deleted", "a proxy's error"],
    )
    def test_a_page_that_is_open_says_why_nothing_new_comes(
        self, opened: Callable[..., Page], respond: Callable[[Route], None], words: str
    ) -> None:
        page = opened(run_report(), "running")

        page.route("**/data/task*", respond)

        page.get_by_text(words).wait_for(timeout=30_000)


class TestRequests:
    def test_a_page_that_nobody_sees_asks_for_nothing_until_it_is_seen_again(
        self, opened: Callable[..., Page]
    ) -> None:
        page = opened(run_report(), "running")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.evaluate(_HIDE, True)
        # One that was under way ends.
        page.wait_for_timeout(500)
        asked.clear()

        page.wait_for_timeout(2 * INTERVAL_MILLISECONDS)
        asked_unseen = list(asked)
        with page.expect_request("**/data/task*", timeout=INTERVAL_MILLISECONDS):
            page.evaluate(_HIDE, False)

        assert asked_unseen == []

    def test_what_begins_while_a_request_is_under_way_is_followed_though_the_task_had_ended(
        self, opened: Callable[..., Page]
    ) -> None:
        page = opened(run_report(outcome="failed"), "failed")
        page.wait_for_timeout(INTERVAL_MILLISECONDS)
        asked: list[str] = []

        def respond_late(route: Route) -> None:
            asked.append(route.request.url)
            if len(asked) == 1:
                page.evaluate(_HIDE, False)
            route.fallback()

        page.route("**/data/task*", respond_late)
        page.evaluate(_HIDE, False)
        page.wait_for_timeout(2 * INTERVAL_MILLISECONDS)

        assert len(asked) == 2


class TestOverview:
    def test_leads_to_a_task_that_has_failed(self, opened: Callable[..., Page]) -> None:
        page = opened(batch_report(), "failed")
        page.goto(f"{ORIGIN}{PATH}")

        failed = page.get_by_role("region", name="Tasks that have failed")
        failed.get_by_text("80 failed").wait_for()

        assert "/tasks/task_0/plugin/workflow" in str(failed.get_by_role("link").get_attribute("href"))

    def test_keeps_a_number_and_its_unit_on_one_line(self, opened: Callable[..., Page]) -> None:
        page = opened(batch_report(), "failed")
        page.goto(f"{ORIGIN}{PATH}")
        median = page.get_by_role("cell", name="about 1.5 s")

        assert median.evaluate("cell => getComputedStyle(cell).whiteSpace") == "nowrap"


class TestSingleRun:
    def test_shows_of_which_revision_it_is_and_what_executes_it(self, shown: Callable[..., str]) -> None:
        words = shown(run_report(revision=7, execution_version="2.1"), "running")

        assert "revision 7" in words
        assert "execution version 2.1" in words

    def test_shows_the_id_of_the_record_that_it_is_about(self, shown: Callable[..., str]) -> None:
        record_id = "dddd0000-0000-4000-8000-000000000001"

        assert f"record id {record_id}" in shown(run_report(case_id=None, record_id=record_id), "running")

    @pytest.mark.parametrize(
        ("outcome", "state", "is_shown"),
        [
            ("running", "deferred", True),
            # As after somebody has set the task's state: the run goes on, and nobody waits for it.
            ("running", "failed", True),
            ("succeeded", "success", False),
        ],
    )
    def test_shows_when_it_expires_as_long_as_it_goes_on(
        self, shown: Callable[..., str], outcome: str, state: str, is_shown: bool
    ) -> None:
        report = run_report(outcome=outcome, expires_at=time.time() + 86_400)

        assert ("expires 20" in shown(report, state)) is is_shown

    def test_says_how_often_it_was_polled_and_when_the_next_poll_is_due(
        self, shown: Callable[..., str]
    ) -> None:
        now = time.time()
        report = run_report(polls=7, last_poll_at=now - 5, next_poll_at=now + 3600, max_poll_interval=7200.0)

        words = shown(report, "deferred")

        assert "polls 7 " in words
        assert "next poll 20" in words
        assert "(in " in words

    def test_says_what_is_an_estimate(self, shown: Callable[..., str]) -> None:
        now = time.time()
        report = run_report(
            submitted_at=now - 1000,
            polls=7,
            last_poll_at=now - 700,
            next_poll_at=now - 600,
            max_poll_interval=100.0,
        )

        words = shown(report, "deferred")

        assert "(estimated by the poll schedule; reported: 7)" in words
        assert "next poll about 20" in words

    @pytest.mark.parametrize("next_poll_in", [3600, -600], ids=["reported", "estimated"])
    def test_says_of_a_webhook_when_the_next_poll_is_due_at_the_latest(
        self, shown: Callable[..., str], next_poll_in: float
    ) -> None:
        now = time.time()
        report = run_report(
            webhooks=True,
            submitted_at=now - 1000,
            last_poll_at=now - 900,
            next_poll_at=now + next_poll_in,
            max_poll_interval=3600.0,
        )

        words = shown(report, "deferred")

        assert "a webhook is awaited" in words
        assert "next poll at the latest at 20" in words


class TestNextTry:
    def test_says_once_a_press_is_followed_that_what_is_around_the_page_may_be_older(
        self, opened: Callable[..., Page]
    ) -> None:
        page = opened(batch_report(), "failed")
        with page.expect_response("**/data/task*") as asked:
            page.reload()
        begun = {**asked.value.json(), "state": "running", "started_at": time.time()}
        address = page.url
        page.route(f"{ORIGIN}/around", lambda route: route.fulfill(body=f"<iframe src='{address}'></iframe>"))
        page.route("**/data/instruction*", lambda route: route.fulfill(json={"message": "It begins."}))
        page.goto(f"{ORIGIN}/around")
        frame = page.frame_locator("iframe")
        frame.get_by_role("button", name="Repair").click()
        page.route("**/data/task*", lambda route: route.fulfill(json=begun))

        frame.locator("dialog").get_by_role("button", name="Repair").click()

        frame.get_by_text("reload the page to see them anew").wait_for()

    def test_what_the_try_before_has_reported_stays_until_the_next_one_reports(
        self, opened: Callable[..., Page]
    ) -> None:
        page = opened(batch_report(), "up_for_retry")
        with page.expect_response("**/data/task*") as asked:
            page.reload()
        begun = {**asked.value.json(), "state": "running", "try_number": 2, "report": None}

        page.route("**/data/task*", lambda route: route.fulfill(json=begun))

        page.get_by_text("has reported nothing yet").wait_for()
        assert "412 succeeded" in page.locator("main").inner_text()

    def test_a_page_that_is_opened_then_says_that_nothing_is_lost(self, opened: Callable[..., Page]) -> None:
        page = opened(batch_report(), "running")
        with page.expect_response("**/data/task*") as asked:
            page.reload()
        begun = {**asked.value.json(), "state": "running", "try_number": 2, "report": None}
        page.route("**/data/task*", lambda route: route.fulfill(json=begun))

        page.reload()

        page.get_by_text("goes on with what the tries before it have done").wait_for()


class TestBatch:
    def test_names_the_reasons_of_what_has_failed_before_those_of_what_was_skipped(
        self, shown: Callable[..., str]
    ) -> None:
        reason = {"rows": 3, "examples": "1, 2, 3"}
        reasons = {
            "skipped": [{**reason, "reason": "phone: is missing"}],
            "unknown": [{**reason, "reason": "the response was lost"}],
            "failed": [{**reason, "reason": "REJECTED"}],
        }

        words = shown(batch_report(reasons=reasons), "failed")

        places = [words.index(text) for text in ("REJECTED", "the response was lost", "phone: is missing")]
        assert places == sorted(places)

    def test_counts_one_as_one(self, shown: Callable[..., str]) -> None:
        report = batch_report(phase="submitting", rows=1, outcomes={"due": 1}, rows_per_second=1.0)

        words = shown(report, "running")

        assert "Of 1 row: " in words
        assert "1 row a second" in words

    @pytest.mark.parametrize(
        ("number", "of_rows", "of_results"),
        [(1, "1 bad row, skipped", "1 result missing"), (6, "6 bad rows, skipped", "6 results missing")],
    )
    def test_says_of_several_what_it_says_of_one_in_the_plural(
        self, opened: Callable[..., Page], number: int, of_rows: str, of_results: str
    ) -> None:
        outcomes = {"succeeded": 100, "skipped": number, "result_missing": number}
        page = opened(batch_report(outcomes=outcomes), "failed")
        legend = page.locator("ul.legend").first

        on_page = legend.inner_text()
        page.goto(f"{ORIGIN}{PATH}")
        legend.wait_for()
        on_overview = page.locator("main").inner_text()

        assert (of_rows in on_page, of_results in on_page) == (True, True)
        assert (of_rows in on_overview, of_results in on_overview) == (True, True)

    @pytest.mark.parametrize(
        ("phase", "outcomes", "figure"),
        [
            ("submitting", {"running": 100, "due": 400}, "submitted 100 of 500"),
            ("waiting", {"succeeded": 90, "failed": 10, "running": 400}, "ended 100 of 500"),
            ("fetching", {"succeeded": 490, "failed": 10}, "written 100 of 500"),
            ("ended", {"succeeded": 490, "running": 10}, "ended 490 of 500"),
        ],
    )
    def test_counts_what_the_phase_has_done_as_the_log_does(
        self, shown: Callable[..., str], phase: str, outcomes: dict[str, int], figure: str
    ) -> None:
        is_over = phase == "ended"
        report = batch_report(phase=phase, outcomes=outcomes, written=100, ended_at=None)

        words = shown(report, "failed" if is_over else "running")

        assert figure in words
        assert ("Runs are polled once the last row is submitted" in words) is (phase == "submitting")
