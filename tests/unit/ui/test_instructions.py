"""The buttons: what each leaves for the task, what Airflow is asked to do, who may press it, and who has."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.operators.instruction import Instruction
from tests.unit.ui.conftest import Pages, Tasks, batch_report, run_report

FAILED = {"batch": "failed", "after": "failed"}
CLEARED = {"batch": None, "after": None}


@pytest.mark.parametrize(
    ("action", "more", "kept"),
    [
        ("repair", {}, {}),
        ("start_over", {"confirmed_runs": 495}, {}),
        ("resubmit", {"rows": "1-50,61"}, {"rows": "1-50,61"}),
        ("resubmit", {"outcome": "failed"}, {"outcome": "failed"}),
        ("resubmit", {"outcome": "unknown"}, {"outcome": "unknown"}),
    ],
    ids=["repair", "start over", "rows", "an outcome", "unknown rows, as the DAG lets them"],
)
def test_a_button_leaves_an_instruction_and_clears_the_task(
    pages: Pages, tasks: Tasks, action: str, more: dict[str, Any], kept: dict[str, Any]
) -> None:
    response = pages.press(tasks.add_dag(batch_report(resubmits_unknown=True)), action, **more)

    assert response.status_code == 200, response.text
    assert (
        response.json()["message"]
        == "Airflow has cleared the task, and 1 after it: it begins in a few seconds."
    )
    stored = tasks.instruction()
    assert stored is not None
    assert {name: stored[name] for name in ("action", "asked_by", *kept)} == {
        "action": action,
        "asked_by": "ada",
    } | kept
    assert Instruction.from_json(stored).to_json() == stored
    assert tasks.states() == CLEARED


def test_the_tasks_after_it_can_be_left_alone(pages: Pages, tasks: Tasks) -> None:
    pages.press(tasks.add_dag(batch_report()), "repair", include_downstream=False)

    assert tasks.states() == {"batch": None, "after": "failed"}


def test_a_mapped_task_is_cleared_alone_among_its_like(pages: Pages, tasks: Tasks) -> None:
    task = tasks.add_dag(batch_report(), mapped=True)

    assert pages.press(task, "repair").status_code == 200
    assert tasks.states() == {"batch 0": "failed", "batch 1": None, "after": None}
    assert pages.data(task)["instruction"]["action"] == "repair"


def test_the_audit_log_names_who_has_pressed_which_button(pages: Pages, tasks: Tasks) -> None:
    pages.press(tasks.add_dag(batch_report()), "resubmit", rows="7")

    log = tasks.audit_log()
    assert (
        "workflow_resubmit",
        "ada",
        {"action": "resubmit", "rows": "7", "include_downstream": True},
    ) in log
    assert "post_clear_task_instances" in [event for event, user, _ in log if user == "ada"]


def test_stop_leaves_the_task_as_it_is(pages: Pages, tasks: Tasks) -> None:
    task = tasks.add_dag(batch_report(phase="submitting"), state="running")

    response = pages.press(task, "stop")

    assert response.status_code == 200
    assert (tasks.instruction() or {})["action"] == "stop"
    assert tasks.states() == {"batch": "running", "after": "running"}
    assert pages.data(task)["buttons"]["stop"].startswith("ada has asked for it already")


@pytest.mark.parametrize(
    ("report", "state", "action", "more"),
    [
        (batch_report(), "running", "repair", {}),
        (batch_report(), "failed", "stop", {}),
        (batch_report(), "failed", "start_over", {}),
        (batch_report(), "failed", "start_over", {"confirmed_runs": 494}),
        (batch_report(), "failed", "resubmit", {}),
        (batch_report(), "failed", "resubmit", {"rows": "1", "outcome": "failed"}),
        (batch_report(), "failed", "resubmit", {"rows": "1; drop"}),
        (batch_report(), "failed", "resubmit", {"rows": "1-501"}),
        (batch_report(), "failed", "resubmit", {"rows": "0-5"}),
        (batch_report(), "failed", "resubmit", {"rows": "9-5"}),
        (batch_report(first_row=501), "failed", "resubmit", {"rows": "500"}),
        (batch_report(), "failed", "resubmit", {"outcome": "unknown"}),
        (batch_report(), "failed", "resubmit", {"outcome": "running"}),
        (batch_report(), "failed", "resubmit", {"outcome": "result_missing"}),
        (run_report(outcome="succeeded"), "failed", "repair", {}),
        (run_report(outcome="failed"), "failed", "resubmit", {"rows": "1"}),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason_and_changes_nothing(
    pages: Pages, tasks: Tasks, report: dict[str, Any], state: str, action: str, more: dict[str, Any]
) -> None:
    response = pages.press(tasks.add_dag(report, state=state), action, **more)

    assert response.status_code == 409
    assert len(response.json()["detail"]) > 20
    assert tasks.instruction() is None
    assert set(tasks.states().values()) == {state}
    assert tasks.audit_log() == []


def test_rows_that_end_before_they_begin_are_called_that(pages: Pages, tasks: Tasks) -> None:
    response = pages.press(tasks.add_dag(batch_report()), "resubmit", rows="1,9-5")

    assert response.json()["detail"].startswith("9-5 ends before it begins")


@pytest.mark.parametrize("role", ["viewer", None], ids=["a viewer", "nobody"])
def test_a_button_is_refused_to_who_may_not_clear_the_task(pages: Pages, tasks: Tasks, role: Any) -> None:
    response = pages.press(tasks.add_dag(batch_report()), "repair", role=role)

    assert response.status_code == (401 if role is None else 403)
    assert ("not signed in" if role is None else "You may not clear this task") in response.json()["detail"]
    assert tasks.instruction() is None
    assert tasks.states() == FAILED


OTHER_SITES = {
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a site beside it": {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
    "another origin": {"Origin": "http://evil.example"},
    "nothing said": {},
}


@pytest.mark.parametrize("headers", OTHER_SITES.values(), ids=OTHER_SITES)
def test_another_web_site_cannot_press_a_button(pages: Pages, tasks: Tasks, headers: dict[str, str]) -> None:
    response = pages.press(tasks.add_dag(batch_report()), "repair", headers=headers)

    assert response.status_code == 403
    assert response.json()["detail"] == "The request does not come from Airflow's own pages."
    assert tasks.instruction() is None
    assert tasks.states() == FAILED


@pytest.mark.parametrize("host", ["http://testserver", "https://testserver"])
def test_an_old_browser_that_names_its_origin_can_press_a_button(
    pages: Pages, tasks: Tasks, host: str
) -> None:
    assert pages.press(tasks.add_dag(batch_report()), "repair", headers={"Origin": host}).status_code == 200


def test_a_form_of_another_site_cannot_press_a_button(pages: Pages, tasks: Tasks) -> None:
    task = tasks.add_dag(batch_report())

    response = pages.client.post(
        "/workflows/ui/data/instruction",
        params=task,
        content='{"action": "repair"}',
        headers={**pages.signed_in("admin"), "Content-Type": "text/plain"},
    )

    assert response.status_code in (415, 422)
    assert tasks.states() == FAILED


def refuse(status: int, *, calls: set[str]) -> Any:
    """Return an API that refuses some calls, and carries out the others."""
    from airflow_provider_workflows.ui.airflow_api import AirflowApi, ApiResponse  # noqa: PLC0415

    call = AirflowApi.call

    async def refusing(self: AirflowApi, method: str, *path: str, **given: Any) -> ApiResponse:
        is_dry = (given.get("body") or {}).get("dry_run") is True
        if (f"{method} dry" if is_dry else method) in calls:
            return ApiResponse(status, {"detail": "Forbidden"})
        return await call(self, method, *path, **given)

    return refusing


@pytest.mark.parametrize(
    "calls",
    [{"POST dry", "POST"}, {"POST"}],
    ids=["at once", "once the instruction is there"],
)
def test_nothing_is_left_where_airflow_refuses_the_clear(
    pages: Pages, tasks: Tasks, calls: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_workflows.ui.airflow_api import AirflowApi  # noqa: PLC0415

    monkeypatch.setattr(AirflowApi, "call", refuse(403, calls=calls))

    response = pages.press(tasks.add_dag(batch_report()), "repair")

    assert response.status_code == 403
    assert response.json()["detail"].startswith("You may not") or "Forbidden" in response.json()["detail"]
    assert tasks.instruction() is None
    assert tasks.states() == FAILED


def test_a_task_that_has_begun_in_the_meantime_is_left_at_work(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_workflows.ui import app  # noqa: PLC0415

    task = tasks.add_dag(batch_report(), state="running")
    monkeypatch.setattr(app, "require_sense", lambda *_: None)

    response = pages.press(task, "repair")

    assert response.status_code == 409
    assert tasks.instruction() is None
    assert set(tasks.states().values()) == {"running"}
