"""``make screenshots``: pictures of the pages, of a batch that half fails, in a real Airflow with the sandbox."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, FrameLocator, Page, expect

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.service import READY_CASES
from tests.harness.browser import BrowserUnavailable, headless, signed_in
from tests.harness.local_airflow import LocalAirflow, RunningAirflow

CHECKOUT = Path(__file__).parents[1]
IMAGES = CHECKOUT / "docs" / "images"
DAGS = CHECKOUT / "tests" / "stack" / "dags"
DAG_ID = "pages_batch"
ROWS = 500
#: In pixels; in a tall window all of a batch's page is seen.
WIDTH, TALL, LOW = 1400, 1850, 900
SECONDS = 300.0


def main() -> int:
    """Take the pictures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the batch")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where the pictures go")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        with headless() as browser:
            _take(browser, arguments.folder, arguments.rows)
    except BrowserUnavailable as unavailable:
        print(unavailable, file=sys.stderr)
        return 1
    return 0


def _take(browser: Browser, folder: Path, rows: int) -> None:
    with (
        Sandbox() as sandbox,
        tempfile.TemporaryDirectory() as temporary,
        LocalAirflow(DAGS, sandbox.environment) as local,
        local.standalone() as airflow,
    ):
        run_id = _half_failing(sandbox, airflow, Path(temporary), rows)
        tab = f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id)}/tasks/batch/plugin/workflow"
        single, _ = airflow.run("pages_run", {"definition": DEFINITION, "case": next(iter(READY_CASES))})
        run = f"{airflow.url}/dags/pages_run/runs/{quote(single)}/tasks/run/plugin/workflow"
        with signed_in(
            browser, airflow.url, "admin", local.password, dark=True, width=WIDTH, height=LOW
        ) as page:
            _picture(page, tab, folder / "batch-at-work-dark.png", "Waiting for runs to end")
            _picture(page, run, folder / "run-dark.png", "The run has succeeded.")
        with signed_in(browser, airflow.url, "admin", local.password, width=WIDTH, height=LOW) as page:
            _picture(
                page, f"{airflow.url}/plugin/workflows", folder / "workflows-light.png", "of the last seven"
            )
        airflow.wait(DAG_ID, run_id, SECONDS)
        with signed_in(browser, airflow.url, "admin", local.password, width=WIDTH, height=TALL) as page:
            _picture(page, tab, folder / "batch-failed-light.png", "Why rows did not succeed")


def _half_failing(sandbox: Sandbox, airflow: RunningAirflow, folder: Path, rows: int) -> str:
    """Start a batch of which the runs fail from about the middle on, and return the id of its DAG run."""
    definition = sandbox.define(seconds=(1.0, 45.0), result={"decision": "PASS"})
    sandbox.fault("latency", path="/workflows/run", seconds=0.2)
    cases = folder / "cases.csv"
    cases.write_text("first_name\n" + "".join(f"Ada{row}\n" for row in range(rows)))
    conf = {"cases": str(cases), "output": str(folder / "nightly"), "definition": definition}
    run_id = airflow.trigger(DAG_ID, conf)
    airflow.until(lambda: len(sandbox.counts.runs_per_case) > rows * 0.6, SECONDS, "most of the runs")
    sandbox.define(definition, seconds=(1.0, 45.0), status="REJECTED")
    return run_id


def _picture(page: Page, address: str, path: Path, text: str) -> None:
    """Take a picture of a page of Airflow, once a text is seen in the frame."""
    page.goto(address)
    frame: FrameLocator = page.frame_locator("iframe[title^=Workflow]")
    expect(frame.get_by_text(text).first).to_be_visible(timeout=SECONDS * 1000)
    # The plots are drawn once their script is there, and the rows come with the next request.
    page.wait_for_timeout(6000)
    page.screenshot(path=path)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
