"""What the page of a large batch costs: its first paint, its bytes, the browser's memory, and SQL statements.

Run by ``make bench-page`` or ``python -m benchmarks.page``: a whole Airflow with SQLite, and headless Chromium. The
runs of the batch all fail, so that its page lists as many rows with something wrong as there can be. The page is
open while the batch is at work; then it is opened anew, again and again.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Response

from benchmarks.harness import report
from benchmarks.harness.processes import MeasurementFailed, working_folder
from benchmarks.harness.report import AtMost, progress
from benchmarks.harness.sandbox import SandboxProcess, sandbox_process
from benchmarks.mapped import write_items
from tests.harness.browser import BrowserUnavailable, headless, signed_in
from tests.harness.local_airflow import USERNAME, LocalAirflow, RunningAirflow

DAG_ID = "benchmark_page"
_DAGS_FOLDER = Path(__file__).parent / "dags" / "page"
_PLUGINS_FOLDER = Path(__file__).parent / "plugins" / "queries"
#: In which the plugin of that folder says how many statements a response took.
_QUERIES_HEADER = "x-database-queries"
_DATA = "/workflows/ui/data/"
#: The runs take between these, in seconds: the last end when the page has been open for long.
_RUN_SECONDS = (1.0, 900.0)
_STATUS = "REJECTED"
_BEGIN_SECONDS = 600.0
_INTERVAL_SECONDS = 2.0
_KB, _MB = 1000.0, 1_000_000.0


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


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    parser = report.argument_parser("benchmarks.page", __doc__ or "")
    parser.add_argument("--rows", type=int, default=100_000, help="of the batch (%(default)s)")
    parser.add_argument(
        "--minutes",
        type=float,
        nargs="+",
        default=[1.0, 3.0, 5.0, 10.0],
        help="after which the memory of the open page is read (1 3 5 10)",
    )
    parser.add_argument(
        "--loads", type=int, default=10, help="how often the page is opened anew (%(default)s)"
    )
    arguments = parser.parse_args()
    begin = time.monotonic()
    try:
        with headless() as browser:
            loads, samples, views = _measure(browser, arguments.rows, arguments.minutes, arguments.loads)
    except BrowserUnavailable as unavailable:
        sys.stderr.write(f"{unavailable}\n")
        return 1
    results = {
        "loads": [asdict(load) for load in loads],
        "samples": [asdict(sample) for sample in samples],
        "views": asdict(views),
    }
    report.conclude(
        _lines(loads, samples, views),
        _figures(loads, samples, views),
        results,
        begin=begin,
        packages=("apache-airflow", "playwright"),
        file=arguments.json,
    )
    return 0


def _measure(
    browser: Browser, rows: int, minutes: Sequence[float], loads: int
) -> tuple[list[Load], list[Sample], Views]:
    with (
        working_folder() as folder,
        sandbox_process() as service,
        LocalAirflow(
            _DAGS_FOLDER, service.environment | {"AIRFLOW__CORE__PLUGINS_FOLDER": str(_PLUGINS_FOLDER)}
        ) as local,
        local.standalone() as airflow,
    ):
        progress(f"a batch of {rows:,} rows begins")
        run_id = _begin(airflow, service, folder, rows)
        address = f"{airflow.url}/workflows/ui/task.html?{urlencode(_task(run_id))}"
        views = Views()
        with signed_in(browser, airflow.url, USERNAME, local.password, height=1200) as page:
            page.on("response", views.note)
            tools = page.context.new_cdp_session(page)
            tools.send("Performance.enable")
            page.goto(address)
            samples = []
            opened_at = time.monotonic()
            for after in sorted(minutes):
                while (left := opened_at + after * 60 - time.monotonic()) > 0:
                    # Its events are dealt with while this waits.
                    page.wait_for_timeout(min(left, 5.0) * 1000)
                samples.append(_sample(page, tools, after, views, _report(airflow, run_id)))
        with signed_in(browser, airflow.url, USERNAME, local.password) as page:
            page.on("response", views.note)
            page.goto(f"{airflow.url}/workflows/ui/")
            page.get_by_role("table").first.wait_for()
        opened = []
        for number in range(1, loads + 1):
            with signed_in(browser, airflow.url, USERNAME, local.password, height=1200) as page:
                opened.append(_open(page, address))
            progress(f"opened {number} of {loads} times: first paint after {opened[-1].first_paint:.2f} s")
    return opened, samples, views


def _task(run_id: str) -> dict[str, str]:
    return {"dag_id": DAG_ID, "run_id": run_id, "task_id": "batch"}


def _begin(airflow: RunningAirflow, service: SandboxProcess, folder: Path, rows: int) -> str:
    """Start a batch, and return the id of its DAG run once it has reported something."""
    conf = {
        "items": write_items(folder / "items.jsonl", rows),
        "output": str(folder / "output"),
        "definition": service.define(_RUN_SECONDS, status=_STATUS),
    }
    run_id = airflow.trigger(DAG_ID, conf)
    airflow.until(lambda: _report(airflow, run_id), _BEGIN_SECONDS, "the first report of the batch")
    return run_id


def _report(airflow: RunningAirflow, run_id: str) -> Any:
    return airflow.page_data("task", **_task(run_id))["report"]


def _sample(page: Page, tools: CDPSession, minutes: float, views: Views, found: Any) -> Sample:
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
    progress(f"after {minutes:g} minutes: heap {sample.heap / _MB:.2f} MB; {sample.where}")
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


def _open(page: Page, address: str) -> Load:
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


def _lines(loads: Sequence[Load], samples: Sequence[Sample], views: Views) -> list[str]:
    columns = ("JS heap, MB", "process, MB", "nodes", "requests")
    lines = report.heading("the open page, after minutes", columns)
    for one in samples:
        cells = (
            f"{one.heap / _MB:.2f}",
            f"{one.private / _MB:.1f}",
            f"{one.nodes:.0f}",
            str(one.requests),
        )
        lines += [report.row(f"{one.minutes:g}", cells), f"    {one.where}"]
    lines += ["", *report.heading("a view", ("responses", "SQL, at most", "median, s", "slowest, s"))]
    for view, queries in sorted(views.queries.items()):
        seconds = views.seconds[view]
        cells = (
            str(len(queries)),
            str(max(queries)),
            f"{statistics.median(seconds):.3f}",
            f"{max(seconds):.3f}",
        )
        lines.append(report.row(view, cells))
    shown = [load.shown for load in loads]
    return [
        *lines,
        "",
        f"figures and plots are seen after {statistics.median(shown):.2f} s, at most {max(shown):.2f} s",
        "",
    ]


def _figures(loads: Sequence[Load], samples: Sequence[Sample], views: Views) -> list[AtMost]:
    paints = [load.first_paint for load in loads]
    first, last = samples[0], samples[-1]
    # The later half: what a page has to build up it has by then.
    middle = samples[len(samples) // 2 - 1] if len(samples) > 1 else first
    since = f"from minute {middle.minutes:g} to {last.minutes:g}"
    most = last.minutes * 60 / _INTERVAL_SECONDS + 1
    return [
        AtMost("first paint, median", statistics.median(paints), 1.0, " s"),
        AtMost("first paint, slowest", max(paints), 1.0, " s"),
        AtMost("all that is received, compressed", max(one.received for one in loads) / _KB, 300.0, " kB"),
        AtMost("SQL statements of a view", max(map(max, views.queries.values())), 5.0),
        AtMost(f"requests for data in {last.minutes:g} minutes", last.requests, most),
        AtMost(f"the JS heap grows {since}", (last.heap - middle.heap) / _MB, 1.0, " MB"),
        AtMost(f"the browser's process grows {since}", (last.private - middle.private) / _MB, 10.0, " MB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
