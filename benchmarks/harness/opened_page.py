"""What a page of ours costs in the browser that shows it, as the browser's own developer tools say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow
from playwright.sync_api import BrowserContext, CDPSession, Page, Response

from benchmarks.harness.processes import MeasurementFailed
from benchmarks.harness.report import progress

MEGABYTE = 1_000_000.0
#: In which the plugin ``plugins/queries`` says how many SQL statements a response took.
_QUERIES_HEADER = "x-database-queries"
_DATA = "/workflows/ui/data/"


@dataclass(frozen=True)
class Load:
    """What it took to open the page in a browser that has nothing of it yet.

    :param first_paint: seconds until anything is seen
    :param shown: seconds until the figures and the plots of the batch are seen
    :param received: bytes that were received, compressed, headers included, the data of the page included
    """

    first_paint: float
    shown: float
    received: float


@dataclass(frozen=True)
class Sample:
    """What an open page has of the machine's memory.

    :param minutes: since it was opened
    :param heap: bytes of JavaScript objects that are in use
    :param private: bytes that the browser's process of the page shares with no other
    :param nodes: of the document and of what is kept of it
    :param requests: for data, so far
    :param where: what the batch does, and rows by outcome
    """

    minutes: float
    heap: float
    private: float
    nodes: float
    requests: int
    where: str


@dataclass
class Views:
    """The responses with data that a browser has received.

    :param queries: SQL statements of each, by view
    :param seconds: from the request to the whole response of each, by view
    """

    queries: dict[str, list[int]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, response: Response) -> None:
        """Take down what a response has cost."""
        _, is_data, view = response.url.partition("?")[0].partition(_DATA)
        if not is_data:
            return
        self.queries.setdefault(view, []).append(int(response.headers[_QUERIES_HEADER]))
        timing = response.request.timing
        self.seconds.setdefault(view, []).append((timing["responseStart"] - timing["requestStart"]) / 1000)

    @property
    def number(self) -> int:
        """How many there were."""
        return sum(map(len, self.queries.values()))


def sample_of(page: Page, tools: CDPSession, minutes: float, views: Views, found: Any) -> Sample:
    """Return what an open page has of memory.

    :param tools: of the page's own developer tools
    :param minutes: since it was opened
    :param views: the responses that it has received
    :param found: the report of the batch
    """
    # Twice: what the first has set free is let go by the second.
    for _ in range(2):
        tools.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
    counts = ", ".join(f"{number:,} {name}" for name, number in found["outcomes"].items())
    sample = Sample(
        minutes,
        metrics["JSHeapUsedSize"],
        _private_bytes(page.context),
        metrics["Nodes"],
        views.number,
        f"{found['phase']}: {counts}",
    )
    progress(f"after {minutes:g} minutes: heap {sample.heap / MEGABYTE:.2f} MB; {sample.where}")
    return sample


def _private_bytes(context: BrowserContext) -> float:
    """Return the memory of the browser's processes that show pages."""
    browser = context.browser
    if browser is None:
        raise MeasurementFailed("the browser has ended")
    tools = browser.new_browser_cdp_session()
    processes = tools.send("SystemInfo.getProcessInfo")["processInfo"]
    tools.detach()
    return float(
        sum(
            psutil.Process(one["id"]).memory_full_info().uss for one in processes if one["type"] == "renderer"
        )
    )


def open_page(page: Page, address: str) -> Load:
    """Open the page of a batch, and return what that took.

    :param page: of a browser that has nothing of it yet
    """
    tools = page.context.new_cdp_session(page)
    tools.send("Network.enable")
    received = 0.0

    def note(event: Any) -> None:
        nonlocal received
        received += event["encodedDataLength"]

    tools.on("Network.loadingFinished", note)
    page.goto(address)
    page.locator("figure canvas").nth(1).wait_for()
    shown = float(page.evaluate("performance.now()"))
    page.get_by_role("table", name="with something wrong").wait_for()
    page.wait_for_load_state("networkidle")
    paints = page.evaluate(
        "Object.fromEntries(performance.getEntriesByType('paint').map(e => [e.name, e.startTime]))"
    )
    return Load(float(paints["first-contentful-paint"]) / 1000, shown / 1000, received)
