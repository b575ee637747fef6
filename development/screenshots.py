"""``make screenshots``: pictures of the pages, of a batch that half fails, in a real Airflow with the sandbox."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, FrameLocator, Page, expect

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.service import READY_CASES
from tests.harness.browser import BrowserUnavailable, headless, signed_in
from tests.harness.local_airflow import USERNAME, LocalAirflow, RunningAirflow

CHECKOUT = Path(__file__).parents[1]
IMAGES = CHECKOUT / "docs" / "images"
DAGS = CHECKOUT / "tests" / "stack" / "dags"
DAG_ID = "pages_batch"
ROWS = 500
#: Long enough for all pictures of a batch that is at work, also on a busy machine.
RUN_SECONDS = (1.0, 120.0)
#: In pixels; in a tall window all of a batch's page is seen.
WIDTH, NARROW = 1400, 400
LOW, HIGH, TALL = 900, 1420, 1850
SECONDS = 300.0


@dataclass(frozen=True)
class _Picture:
    """A picture of a page.

    :param name: of the file
    :param path: of the page, below Airflow's base URL
    :param awaited: text that the page has once it is as it should be in the picture
    :param dark: whether its user prefers dark pages
    :param width: of the window, in pixels
    :param height: of the window, in pixels
    """

    name: str
    path: str
    awaited: str
    dark: bool = False
    width: int = WIDTH
    height: int = LOW

    def variants(self, own_path: str) -> list[_Picture]:
        """Return the same page in light and dark colours, in Airflow and, without it, in a narrow window.

        :param own_path: where the page is without Airflow around it
        """
        subject = self.name.rpartition("-")[0]
        found = []
        for dark in (False, True):
            wide = replace(self, name=f"{subject}-{'dark' if dark else 'light'}", dark=dark)
            found += [wide, replace(wide, name=f"{wide.name}-narrow", path=own_path, width=NARROW)]
        return found


def main() -> int:
    """Take the pictures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the batch (%(default)s)")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where the pictures go")
    parser.add_argument(
        "--all",
        type=Path,
        metavar="FOLDER",
        help="take each page in light and dark colours and in a narrow window as well, to see whether all is well",
    )
    arguments = parser.parse_args()
    for folder in filter(None, (arguments.folder, arguments.all)):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with headless() as browser:
            _take(browser, arguments.folder, arguments.all, arguments.rows)
    except BrowserUnavailable as unavailable:
        print(unavailable, file=sys.stderr)
        return 1
    return 0


def _take(browser: Browser, folder: Path, folder_of_all: Path | None, rows: int) -> None:
    with (
        Sandbox() as sandbox,
        tempfile.TemporaryDirectory() as temporary,
        LocalAirflow(DAGS, sandbox.environment) as local,
        local.standalone() as airflow,
    ):

        def take(picture: _Picture, own_path: str) -> None:
            _save(browser, local, picture, folder)
            for variant in picture.variants(own_path) if folder_of_all is not None else ():
                _save(browser, local, variant, cast("Path", folder_of_all))

        single, _ = airflow.run("pages_run", {"definition": DEFINITION, "case": next(iter(READY_CASES))})
        run_id = _half_failing(sandbox, airflow, Path(temporary), rows)
        batch, own_batch = _paths(DAG_ID, run_id, "batch")
        take(_Picture("batch-at-work-dark", batch, "runs end at", dark=True, height=HIGH), own_batch)
        take(_Picture("workflows-light", "plugin/workflows", "of the last seven"), "workflows/ui/")
        run, own_run = _paths("pages_run", single, "run")
        take(_Picture("run-dark", run, "The run has succeeded.", dark=True), own_run)
        airflow.wait(DAG_ID, run_id, SECONDS)
        take(_Picture("batch-failed-light", batch, "Why rows did not succeed", height=TALL), own_batch)


def _paths(dag_id: str, run_id: str, task_id: str) -> tuple[str, str]:
    """Return the paths of a task's page, in Airflow and by itself."""
    ids = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}
    in_airflow = f"dags/{dag_id}/runs/{quote(run_id)}/tasks/{task_id}/plugin/workflow"
    return in_airflow, f"workflows/ui/task.html?{urlencode(ids)}"


def _half_failing(sandbox: Sandbox, airflow: RunningAirflow, folder: Path, rows: int) -> str:
    """Start a batch of which the runs fail from about the middle on, and return the id of its DAG run."""
    definition = sandbox.define(seconds=RUN_SECONDS, result={"decision": "PASS"})
    sandbox.fault("latency", path="/workflows/run", seconds=0.2)
    cases = folder / "cases.csv"
    cases.write_text("first_name\n" + "".join(f"Ada{row}\n" for row in range(rows)))
    conf = {"cases": str(cases), "output": str(folder / "nightly"), "definition": definition}
    run_id = airflow.trigger(DAG_ID, conf)
    airflow.until(lambda: len(sandbox.counts.runs_per_case) > rows * 0.6, SECONDS, "most of the runs")
    sandbox.define(definition, seconds=RUN_SECONDS, status="REJECTED")
    return run_id


def _save(browser: Browser, local: LocalAirflow, picture: _Picture, folder: Path) -> None:
    """Save a picture of a page, once it has the text."""
    with signed_in(
        browser,
        local.url,
        USERNAME,
        local.password,
        dark=picture.dark,
        width=picture.width,
        height=picture.height,
    ) as page:
        page.goto(f"{local.url}/{picture.path}")
        is_in_airflow = "plugin/" in picture.path
        shown: Page | FrameLocator = page.frame_locator("iframe[title^=Workflow]") if is_in_airflow else page
        expect(shown.get_by_text(picture.awaited).first).to_be_visible(timeout=SECONDS * 1000)
        # The plots are drawn once their script is there, and the rows come with the next request.
        page.wait_for_timeout(3000)
        path = folder / f"{picture.name}.png"
        page.screenshot(path=path, full_page=not is_in_airflow)
    _make_small(path)
    sys.stdout.write(f"{path}, {path.stat().st_size // 1000} kB\n")
    sys.stdout.flush()


def _make_small(path: Path) -> None:
    """Reduce a picture to 256 colours, which leaves a third of its bytes, where pngquant is installed."""
    pngquant = shutil.which("pngquant")
    if pngquant is not None:
        options = ("--force", "--skip-if-larger", "--strip", "--speed", "1", "--quality", "80-98", "--output")
        # It ends with 98 or 99 where the picture would not be smaller or as good, and leaves it as it is.
        subprocess.run([pngquant, *options, str(path), str(path)], check=False)


if __name__ == "__main__":
    sys.exit(main())
