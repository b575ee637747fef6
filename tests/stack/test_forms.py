"""Airflow's own forms in a browser: a connection is made and tested, and a DAG triggered, as a person does it."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.sandbox import DEFINITION
from tests.harness.local_airflow import EXAMPLE_DAGS

from .pages import Pages

# Slow: an Airflow of its own, for what a change of the provider seldom breaks. `make test` has a budget of time.
pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]

BATCH, TASK = "workflows_daily_batch", "run_batch"
AUTHORIZE = "POST /auth/authorize"
RUN = "POST /workflows/run"
#: A secret that the service does not know, and that has no place in what a person is shown.
WRONG_SECRET = "wrong-secret-of-the-forms"


@pytest.fixture(scope="module")
def pages_dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An example with its data, whose form is complete as it opens."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copy(EXAMPLE_DAGS / f"{BATCH}.py", folder)
    shutil.copytree(EXAMPLE_DAGS / "data", folder / "data")
    return folder


def add_connection(pages: Pages, page: Page, connection_id: str, *, login: str, password: str) -> Locator:
    """Fill in Airflow's form of a connection to the sandbox, save it, and return its row in the list."""
    page.goto(f"{pages.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").fill("Workflows")
    page.get_by_role("option", name="Workflows", exact=True).click()
    form.locator("input[name=connection_id]").fill(connection_id)
    host, _, port = pages.sandbox.url.rpartition(":")
    for label, value in (
        ("Base URL", host),
        ("Port", port),
        ("API key (deprecated)", login),
        ("Organization token or secret", password),
    ):
        form.get_by_label(label, exact=True).fill(value)
    form.get_by_role("button", name="Save").click()
    expect(form).not_to_be_visible()
    return page.get_by_role("row").filter(has_text=connection_id)


def press_test(page: Page, row: Locator, title: str, words: str) -> None:
    """Press Test in the row of a connection, and read what appears for five seconds in the corner."""
    row.get_by_role("button", name="Test Connection").click()
    messages = page.get_by_role("status").filter(has_text=re.compile("Test Connection (Successful|Failed)"))
    # The newest comes first, and an older one may still be there.
    expect(messages.first).to_have_text(re.compile(f"^{re.escape(title)}{words}"))


def expect_icon(row: Locator, color: str) -> None:
    expect(row.get_by_role("button", name="Test Connection").locator("svg")).to_have_attribute("color", color)


def accepted(pages: Pages, credentials: str) -> str:
    """Return the pattern of what is said of a connection that the service accepts."""
    subject = r"The connection \(which Airflow tests under the temporary name \w+\)"
    address = re.escape(f"{pages.sandbox.url} (generation 1 of the API)")
    return f"{subject} is accepted at {address}, with its {credentials}"


def test_a_connection_with_a_key_is_made_in_the_form_and_its_test_says_that_the_key_is_deprecated(
    pages: Pages, page: Page
) -> None:
    sandbox = pages.sandbox
    sandbox.counts.reset()

    row = add_connection(pages, page, "with_a_key", login=sandbox.key, password=sandbox.secret)
    press_test(
        page,
        row,
        "Test Connection Successful",
        accepted(pages, "API key and secret, which the service has deprecated"),
    )

    expect_icon(row, "green")
    assert sandbox.counts.requests[AUTHORIZE] == 1
    assert sandbox.counts.requests[RUN] == 0


def test_a_connection_with_a_token_is_made_in_the_form_and_accepted(pages: Pages, page: Page) -> None:
    sandbox = pages.sandbox
    sandbox.counts.reset()

    row = add_connection(pages, page, "with_a_token", login="", password=sandbox.organization_token)
    press_test(page, row, "Test Connection Successful", accepted(pages, r"organization token\."))

    expect_icon(row, "green")
    assert sandbox.counts.requests[AUTHORIZE] == 0
    assert "tot_" in {seen.headers.get("authorization") for seen in sandbox.counts.seen}


def test_a_wrong_secret_is_refused_until_it_is_corrected_in_the_form(pages: Pages, page: Page) -> None:
    sandbox = pages.sandbox
    sandbox.counts.reset()

    row = add_connection(pages, page, "with_a_wrong_secret", login=sandbox.key, password=WRONG_SECRET)
    press_test(page, row, "Test Connection Failed", r".*: Credentials rejected: (?!.*wrong-secret)")
    expect_icon(row, "red")
    assert [seen.status for seen in sandbox.counts.seen if seen.path == "/auth/authorize"] == [401]

    row.get_by_role("button", name="Edit Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Organization token or secret", exact=True).fill(sandbox.secret)
    form.get_by_role("button", name="Save").click()
    expect(form).not_to_be_visible()
    press_test(page, row, "Test Connection Successful", accepted(pages, "API key and secret"))
    expect_icon(row, "green")
    assert [seen.status for seen in sandbox.counts.seen if seen.path == "/auth/authorize"] == [401, 200]


def test_a_batch_is_started_by_the_trigger_button_and_watched_to_its_end(pages: Pages, page: Page) -> None:
    # Long enough that the page is open before the runs have ended.
    pages.sandbox.define(DEFINITION, seconds=20.0)
    pages.sandbox.counts.reset()
    runs = f"/dags/{BATCH}/dagRuns"
    pages.airflow.until(
        lambda: pages.airflow.call("GET", "/dags", dag_id_pattern=BATCH)["dags"],
        120,
        f"the DAG {BATCH} to be found",
    )

    page.goto(f"{pages.url}/dags/{BATCH}")
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    expect(form.locator("[name=element_cases]")).to_have_value(re.compile("nightly_cases.csv$"))
    form.get_by_role("button", name="Trigger", exact=True).click()
    expect(form).not_to_be_visible()

    pages.airflow.until(lambda: pages.airflow.call("GET", runs)["dag_runs"], 60, "a run")
    (run,) = pages.airflow.call("GET", runs)["dag_runs"]
    run_id = run["dag_run_id"]
    frame = pages.open(page, run_id, BATCH, TASK)
    expect(frame.get_by_text(re.compile("Task (queued|running|deferred)"))).to_be_visible()
    expect(frame.get_by_text("Task success")).to_be_visible()

    report = pages.airflow.xcom(BATCH, run_id, TASK, "workflow_report")
    expect(frame.get_by_text(f"{report['rows']} of {report['rows']}", exact=True)).to_be_visible()
    rows = list(read_output(report["output"]))
    submitted = [row["case_id"] for row in rows if row["outcome"] != "skipped"]
    assert report["outcomes"] == Counter(row["outcome"] for row in rows)
    assert pages.sandbox.counts.runs_per_case == dict.fromkeys(submitted, 1)
    assert pages.sandbox.counts.requests[RUN] == len(submitted)
    assert run["triggering_user_name"] == "admin"
