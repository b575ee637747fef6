"""A batch whose runs wait for an end user says so once, and never the link."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.models import StartedWorkflow
from airflow_provider_workflows.batch.end_user_runs import EndUserRuns
from airflow_provider_workflows.sandbox import Sandbox

from .submitting import Rows

ID = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
LINK = "https://example.test/link?token=Brunhilde"


def started(**fields: Any) -> StartedWorkflow:
    return StartedWorkflow.model_validate({"id": ID, "link": LINK, "token": "Brunhilde", **fields})


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("involves_end_user", [True, False])
async def test_one_warning_in_a_try_whose_runs_have_links(
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    generation: int,
    *,
    involves_end_user: bool,
) -> None:
    definition_id = sandbox.define(seconds=0.0, involves_end_user=involves_end_user)
    async with sandbox.async_client(max_attempts=1, api_generation=generation) as client:
        rows = Rows(client, tmp_path, definition_id)

        await rows.submit([{"parameters": {"limit": number}} for number in range(5)])

    has_links = involves_end_user and generation == 3
    warnings = warnings_in(caplog)
    assert len(rows.outcomes) == 5
    assert len(warnings) == has_links
    assert all("WorkflowsHook.read_link(workflow_id)" in text for text in warnings)
    details = [run.details for run in sandbox.workflows if run.details is not None]
    links = [secret for each in details for secret in (each.link, each.token) if secret]
    assert len(links) == 10 * has_links
    assert [link for link in links if link in caplog.text] == []


@pytest.mark.parametrize(
    ("expires_at", "words"),
    [
        ("2026-12-28T10:00:00Z", "waits for an end user, who must open its link by 2026-12-28 10:00:00 UTC"),
        (None, "waits for an end user, who must open its link before the run expires"),
        ("Brunhilde", "waits for an end user, who must open its link before the run expires"),
    ],
)
def test_it_says_how_long_a_run_waits(
    caplog: pytest.LogCaptureFixture, expires_at: str | None, words: str
) -> None:
    EndUserRuns().note(started(expires_at=expires_at))

    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"Workflow {ID} {words}")
    assert "Brunhilde" not in caplog.text


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    runs = EndUserRuns()

    for link in (None, "", LINK, LINK):
        runs.note(started(link=link))

    assert len(warnings_in(caplog)) == 1
