"""The data of a task's page: what it shows, to whom, and what it costs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.ui.conftest import DAG_ID, NOW, RUN_ID, Pages, Tasks, batch_report, run_report


@pytest.mark.parametrize("report", [run_report(), batch_report()], ids=["run", "batch"])
def test_the_page_shows_what_the_task_has_reported(
    pages: Pages, tasks: Tasks, report: dict[str, Any]
) -> None:
    data = pages.data(tasks.add(report))

    assert data["report"] == report
    assert (data["state"], data["is_over"]) == ("failed", True)


@pytest.mark.parametrize(
    "value",
    [None, "text", {"format": 2, "kind": "run"}, {"format": 1, "kind": "other"}, {"format": 1}],
    ids=["none", "text", "another format", "another kind", "no kind"],
)
def test_what_is_no_report_is_not_shown(pages: Pages, tasks: Tasks, value: Any) -> None:
    data = pages.data(tasks.add(value))

    assert data["report"] is None
    assert set(data["buttons"].values()) == {"The task has reported nothing yet."}


@pytest.mark.parametrize(
    "report",
    [
        run_report(submitted_at="abc"),
        run_report(submitted_at=1e300),
        run_report(at=float(2**60)),
        run_report(error="text"),
        batch_report(outcomes=None),
        batch_report(outcomes={"failed": "many"}),
        batch_report(rows="many"),
        batch_report(completions={"start": "abc"}),
        batch_report(durations={"counts": [None]}),
        batch_report(reasons={"failed": [1]}),
        batch_report(outage={"since": -1}),
    ],
)
def test_a_report_that_cannot_be_shown_is_named_so(
    pages: Pages, tasks: Tasks, report: dict[str, Any]
) -> None:
    data = pages.data(tasks.add(report))

    assert data["report"] is None
    assert data["notice"].startswith("What the task has reported cannot be shown")


@pytest.mark.parametrize("map_index", [2**31, 99999999999999999999])
def test_an_index_that_no_task_can_have_is_refused(pages: Pages, tasks: Tasks, map_index: int) -> None:
    task = tasks.add(batch_report())

    assert pages.get("data/task", {**task, "map_index": str(map_index)}).status_code == 422


def test_a_mapped_task_shows_its_own_report(pages: Pages, tasks: Tasks) -> None:
    tasks.add(run_report(polls=1), task_id="mapped", map_index=0)
    second = tasks.add(run_report(polls=2), task_id="mapped", map_index=1)

    assert pages.data(second)["report"]["polls"] == 2


def test_a_task_that_is_not_there_is_not_found(pages: Pages, tasks: Tasks) -> None:
    response = pages.get("data/task", {"dag_id": DAG_ID, "run_id": RUN_ID, "task_id": "missing"})

    assert response.status_code == 404


@pytest.mark.parametrize("path", ["task.html", "data/task", "data/rows", "data/rows.csv"])
def test_a_page_and_its_data_are_refused_to_who_is_not_signed_in(
    pages: Pages, tasks: Tasks, path: str
) -> None:
    task = tasks.add(batch_report())

    response = pages.get(path, task, role=None)

    assert response.status_code == 401
    assert "DOCUMENT_EXPIRED" not in response.text


@pytest.mark.parametrize("path", ["task.html", "data/task", "data/rows", "data/rows.csv"])
def test_a_page_and_its_data_are_refused_to_who_may_not_see_the_task(
    pages: Pages, tasks: Tasks, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager  # noqa: PLC0415

    monkeypatch.setattr(
        SimpleAuthManager, "is_authorized_dag", lambda self, *, details, **_: details.id != DAG_ID
    )
    refused, shown = tasks.add(batch_report()), tasks.add(batch_report(), dag_id="other")

    response = pages.get(path, refused)

    assert response.status_code == 403
    assert "DOCUMENT_EXPIRED" not in response.text
    assert pages.get(path, shown).status_code != 403


def test_two_names_of_a_dag_do_not_let_anybody_past_the_check(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager  # noqa: PLC0415

    asked: list[str] = []
    monkeypatch.setattr(
        SimpleAuthManager, "is_authorized_dag", lambda self, *, details, **_: asked.append(details.id) or True
    )
    task = tasks.add(batch_report())

    response = pages.get("data/task", [("dag_id", "other"), *task.items()])

    assert response.status_code == 200
    assert set(asked) == {DAG_ID}


def test_a_viewer_sees_the_page_and_may_press_no_button(pages: Pages, tasks: Tasks) -> None:
    data = pages.data(tasks.add(batch_report()), role="viewer")

    assert data["report"]["rows"] == 500
    (reason,) = set(data["buttons"].values())
    assert reason.startswith("You may not clear this task")


def test_a_view_takes_five_queries_at_most(pages: Pages, tasks: Tasks, queries: list[str]) -> None:
    task = tasks.add(batch_report(), state="deferred", deferred_at=NOW - timedelta(minutes=2))
    pages.data(task)
    queries.clear()

    pages.data(task)

    assert 0 < len(queries) <= 5, queries


def test_what_has_not_changed_is_not_sent_again(pages: Pages, tasks: Tasks) -> None:
    task = tasks.add(batch_report())
    first = pages.get("data/task", task)

    second = pages.get("data/task", task, **{"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.content) == (304, b"")


DEFERRED = {"state": "deferred", "deferred_at": NOW - timedelta(seconds=90)}


@pytest.mark.parametrize(
    ("task", "seconds_ago", "says_so"),
    [
        (DEFERRED, None, True),
        (DEFERRED, 300.0, True),
        (DEFERRED, 1.0, False),
        (DEFERRED | {"deferred_at": NOW + timedelta(hours=1)}, None, False),
        ({"state": "running"}, None, False),
    ],
    ids=["none", "a dead one", "a living one", "just deferred", "not deferred"],
)
def test_a_task_that_waits_for_a_triggerer_says_so(
    pages: Pages, tasks: Tasks, task: dict[str, Any], seconds_ago: float | None, says_so: bool
) -> None:
    if seconds_ago is not None:
        tasks.add_triggerer(seconds_ago)

    notice = pages.data(tasks.add(run_report(), **task))["notice"]

    assert (notice is not None and "none is running" in notice) is says_so


@pytest.mark.parametrize(
    ("state", "seconds_ago", "says_so"),
    [
        ("running", 90.0, True),
        ("running", 3600.0, True),
        ("running", None, True),
        ("running", 5.0, False),
        ("deferred", 90.0, False),
        ("failed", 90.0, False),
    ],
    ids=["a lost one", "one of an earlier try", "one that never was", "a living one", "deferred", "ended"],
)
def test_a_task_whose_worker_is_silent_says_so(
    pages: Pages, tasks: Tasks, state: str, seconds_ago: float | None, says_so: bool
) -> None:
    now = datetime.now(timezone.utc)
    heartbeat_at = None if seconds_ago is None else now - timedelta(seconds=seconds_ago)
    tasks.add_triggerer(0.0)

    notice = pages.data(tasks.add(batch_report(), state=state, heartbeat_at=heartbeat_at))["notice"]

    assert (notice or "").startswith("The worker has not been heard of") is says_so


@pytest.mark.parametrize(
    ("report", "state", "says_so"),
    [
        (batch_report(phase="submitting"), "failed", True),
        (batch_report(phase="waiting"), "up_for_retry", True),
        (batch_report(), "failed", False),
        (batch_report(phase="submitting"), "queued", False),
        (run_report(), "failed", False),
    ],
    ids=["submitting", "before a retry", "reported to its end", "about to begin", "a single run"],
)
def test_a_batch_whose_try_was_cut_off_says_that_more_may_have_been_submitted(
    pages: Pages, tasks: Tasks, report: dict[str, Any], state: str, says_so: bool
) -> None:
    notice = pages.data(tasks.add(report, state=state))["notice"]

    assert (notice or "").startswith("The latest try was cut off") is says_so


@pytest.mark.parametrize(
    ("state", "changes", "says_so"),
    [
        ("failed", {}, True),
        ("success", {"action": "start_over"}, True),
        ("failed", {"seconds_ago": 1.0}, False),
        ("failed", {"seconds_ago": 2 * 86_400.0}, False),
        ("failed", {"seconds_ago": 3600.0}, False),
        ("failed", {"action": "stop"}, False),
        ("queued", {}, False),
        (None, {}, False),
        ("failed", {"format": 2}, False),
        ("failed", {"asked_at": "text"}, False),
    ],
    ids=[
        "left",
        "start over",
        "just now",
        "too old",
        "the task has begun since",
        "a stop",
        "queued",
        "cleared",
        "another version's",
        "damaged",
    ],
)
def test_an_instruction_without_a_clear_is_called_that(
    pages: Pages, tasks: Tasks, state: str | None, changes: dict[str, Any], says_so: bool
) -> None:
    asked_at = datetime.now(timezone.utc).timestamp() - changes.pop("seconds_ago", 60.0)
    instruction = {
        "format": 1,
        "id": "1",
        "action": "repair",
        "asked_at": asked_at,
        "asked_by": "ada",
        **changes,
    }

    notice = pages.data(tasks.add(batch_report(), state=state, instruction=instruction))["notice"]

    assert (notice or "").startswith("ada has asked for something") is says_so


def test_an_instruction_that_waits_is_shown(pages: Pages, tasks: Tasks) -> None:
    instruction = {"format": 1, "id": "1", "action": "repair", "asked_at": 1.0, "asked_by": "ada"}

    data = pages.data(tasks.add(batch_report(), instruction=instruction))

    assert data["instruction"]["asked_by"] == "ada"
    assert "id" not in data["instruction"]
