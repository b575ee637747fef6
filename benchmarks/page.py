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
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser

from benchmarks.harness import report
from benchmarks.harness.items import write_items
from benchmarks.harness.opened_page import MEGABYTE, Load, Sample, Views, open_page, sample_of
from benchmarks.harness.processes import working_folder
from benchmarks.harness.report import AtMost, progress
from benchmarks.harness.sandbox import SandboxProcess, sandbox_process
from tests.harness.browser import BrowserUnavailable, headless, signed_in
from tests.harness.local_airflow import USERNAME, LocalAirflow, RunningAirflow

DAG_ID = "benchmark_page"
_DAGS_FOLDER = Path(__file__).parent / "dags" / "page"
_PLUGINS_FOLDER = Path(__file__).parent / "plugins" / "queries"
#: The runs take between these, in seconds: the last end when the page has been open for long.
_RUN_SECONDS = (1.0, 900.0)
_STATUS = "REJECTED"
_BEGIN_SECONDS = 600.0
_INTERVAL_SECONDS = 2.0
_KILOBYTE = 1000.0


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
                samples.append(sample_of(page, tools, after, views, _report(airflow, run_id)))
        with signed_in(browser, airflow.url, USERNAME, local.password) as page:
            page.on("response", views.note)
            page.goto(f"{airflow.url}/workflows/ui/")
            page.get_by_role("table").first.wait_for()
        opened = []
        for number in range(1, loads + 1):
            with signed_in(browser, airflow.url, USERNAME, local.password, height=1200) as page:
                opened.append(open_page(page, address))
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


def _lines(loads: Sequence[Load], samples: Sequence[Sample], views: Views) -> list[str]:
    columns = ("JS heap, MB", "process, MB", "nodes", "requests")
    lines = report.heading("the open page, after minutes", columns)
    for one in samples:
        cells = (
            f"{one.heap / MEGABYTE:.2f}",
            f"{one.private / MEGABYTE:.1f}",
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
        AtMost(
            "all that is received, compressed", max(one.received for one in loads) / _KILOBYTE, 300.0, " kB"
        ),
        AtMost("SQL statements of a view", max(map(max, views.queries.values())), 5.0),
        AtMost(f"requests for data in {last.minutes:g} minutes", last.requests, most),
        AtMost(f"the JS heap grows {since}", (last.heap - middle.heap) / MEGABYTE, 1.0, " MB"),
        AtMost(
            f"the browser's process grows {since}", (last.private - middle.private) / MEGABYTE, 10.0, " MB"
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
