"""The page Workflows: what it counts, what waits, which connections have trouble, and the search."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

from airflow_provider_workflows.airflow_internals import task_reports
from airflow_provider_workflows.batch.run_index import write_run_index
from airflow_provider_workflows.storage import ObjectStoragePath
from airflow_provider_workflows.ui import app, overview, search
from airflow_provider_workflows.ui.storage_threads import StorageThreads
from tests.unit.ui.conftest import NOW, Pages, Tasks, batch_report, run_report

OTHER_ID = "bbbb0000-0000-4000-8000-000000000009"


def shown(pages: Pages, **given: Any) -> dict[str, Any]:
    response = pages.get("data/overview", **given)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_runs_and_batches_are_counted_by_definition(pages: Pages, tasks: Tasks) -> None:
    ended = NOW.timestamp()
    tasks.add(run_report(outcome="succeeded", submitted_at=ended - 10, ended_at=ended), state="success")
    tasks.add(run_report(outcome="failed", submitted_at=ended - 30, ended_at=ended))
    tasks.add(batch_report())
    tasks.add(batch_report())

    batches, runs = shown(pages)["definitions"]

    assert (batches["batches"], batches["runs"], batches["outcomes"]["succeeded"]) == (2, 0, 824)
    assert (batches["median"], batches["p95"], batches["is_rounded"]) == (1.5, 3.5, True)
    assert (runs["batches"], runs["runs"], runs["outcomes"]) == (0, 2, {"succeeded": 1, "failed": 1})
    assert (runs["median"], runs["p95"], runs["is_rounded"]) == (10.0, 30.0, False)


def test_what_is_at_work_is_listed_the_oldest_first(pages: Pages, tasks: Tasks) -> None:
    since = NOW.timestamp()
    outcomes = {"succeeded": 100, "running": 300, "due": 100}
    tasks.add(
        batch_report(phase="waiting", phase_started_at=since - 50, outcomes=outcomes),
        state="deferred",
        task_id="b",
    )
    tasks.add(run_report(submitted_at=since - 90), state="deferred", task_id="a")
    tasks.add(run_report(), state="failed")

    waiting = shown(pages)["waiting"]

    assert [each["task"]["task_id"] for each in waiting] == ["a", "b"]
    assert [(each["since"], each["rows"], each["ended"]) for each in waiting] == [
        (since - 90, None, None),
        (since - 50, 500, 100),
    ]


def test_tasks_that_have_failed_are_listed_the_latest_first_with_their_outcomes(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "MAX_FAILED", 2)
    for age, name in ((300, "a"), (200, "b"), (100, "c")):
        report = run_report(outcome="failed") if name == "b" else batch_report()
        tasks.add(report, task_id=name, xcom_at=NOW - timedelta(seconds=age))
    tasks.add(batch_report(), task_id="lenient", state="success")
    tasks.add(batch_report(), task_id="tried again soon", state="up_for_retry")

    data = shown(pages)

    assert [(each["task"]["task_id"], each["outcomes"]) for each in data["failed"]] == [
        ("c", batch_report()["outcomes"]),
        ("b", {"failed": 1}),
    ]
    assert data["failed_tasks"] == 3


OUTAGE = {"reason": "503 from the service", "since": 5.0, "until": None}
REFUSED = {"type": "AuthorizationFailed", "message": "401", "code": None, "fingerprint": None}


@pytest.mark.parametrize(
    ("report", "state", "reason"),
    [
        (batch_report(outage=OUTAGE), "deferred", "503 from the service"),
        (batch_report(outage=OUTAGE), "success", None),
        (run_report(outcome="not_submitted", error=REFUSED), "failed", "401"),
        (run_report(outcome="not_submitted", error=REFUSED, at=NOW.timestamp() - 3600), "failed", None),
        (run_report(outcome="failed", error=REFUSED), "failed", None),
    ],
    ids=["an outage", "an outage that is over", "a refused call", "an old one", "a failed workflow"],
)
def test_connections_with_trouble_now_are_named(
    pages: Pages, tasks: Tasks, report: dict[str, Any], state: str, reason: str | None
) -> None:
    tasks.add(report, state=state)

    assert [each["reason"] for each in shown(pages)["trouble"]] == ([] if reason is None else [reason])


REFUSED_ROWS: dict[str, Any] = {
    "rows": 100,
    "reasons": {"not_submitted": [{"reason": "403 FORBIDDEN", "rows": 90, "examples": "1"}]},
}


@pytest.mark.parametrize(
    ("outcomes", "at", "reasons"),
    [
        ({"not_submitted": 90, "succeeded": 10}, 0.0, ["403 FORBIDDEN"]),
        ({"not_submitted": 10, "succeeded": 90}, 0.0, []),
        ({"not_submitted": 90, "succeeded": 10}, -3600.0, []),
    ],
    ids=["most rows", "few rows", "an hour ago"],
)
def test_a_batch_whose_calls_have_failed_is_trouble_of_its_connection(
    pages: Pages, tasks: Tasks, outcomes: dict[str, int], at: float, reasons: list[str]
) -> None:
    tasks.add(batch_report(**REFUSED_ROWS, outcomes=outcomes, at=NOW.timestamp() + at))

    assert [each["reason"] for each in shown(pages)["trouble"]] == reasons


def test_only_dags_that_the_user_may_see_are_counted_and_searched(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager  # noqa: PLC0415

    monkeypatch.setattr(SimpleAuthManager, "filter_authorized_dag_ids", lambda self, **_: {"other"})
    tasks.add(run_report())
    tasks.add(run_report(workflow_id=OTHER_ID), dag_id="other")

    assert shown(pages)["tasks"] == 1
    assert found(pages, run_report()["workflow_id"])["tasks"] == []
    assert len(found(pages, OTHER_ID)["tasks"]) == 1


def test_what_is_older_than_a_week_is_not_counted(pages: Pages, tasks: Tasks) -> None:
    tasks.add(run_report(), xcom_at=NOW - timedelta(days=8))

    assert shown(pages)["tasks"] == 0


def test_a_page_that_was_cut_says_so(pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MAX_REPORTS", 2)
    for age in (300, 200, 100):
        tasks.add(run_report(at=NOW.timestamp() - age), xcom_at=NOW - timedelta(seconds=age))

    data = shown(pages)

    assert (data["tasks"], data["cut"]) == (2, NOW.timestamp() - 200)


@pytest.mark.parametrize("path", ["data/overview", "data/search"])
def test_the_page_takes_five_queries_at_most_whatever_the_number_of_tasks(
    pages: Pages, tasks: Tasks, queries: list[str], path: str
) -> None:
    for _ in range(20):
        tasks.add(run_report())
        tasks.add(batch_report())
    queries.clear()

    pages.get(path, {"wanted": OTHER_ID})

    assert 0 < len(queries) <= 5, queries


@pytest.mark.parametrize("path", ["data/overview", f"data/search?wanted={OTHER_ID}"])
def test_the_page_is_refused_to_who_is_not_signed_in(pages: Pages, tasks: Tasks, path: str) -> None:
    assert pages.get(path, role=None).status_code == 401


def found(pages: Pages, wanted: str) -> dict[str, Any]:
    response = pages.get("data/search", {"wanted": wanted})
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


@pytest.mark.parametrize("field", ["workflow_id", "case_id", "record_id"])
def test_a_run_is_found_by_its_ids(pages: Pages, tasks: Tasks, field: str) -> None:
    wanted = run_report(record_id="dddd0000-0000-4000-8000-000000000001")
    tasks.add(wanted, task_id="wanted", map_index=3)
    tasks.add(run_report(workflow_id=OTHER_ID, case_id=OTHER_ID, error=wanted))

    (task,) = found(pages, wanted[field].upper())["tasks"]

    assert (task["task"]["task_id"], task["task"]["map_index"], task["row"]) == ("wanted", 3, None)


def test_a_row_of_a_batch_is_found_by_its_ids(pages: Pages, tasks: Tasks, tmp_path: Path) -> None:
    for name in ("first", "second"):
        workflow_id = OTHER_ID if name == "second" else run_report()["workflow_id"]
        write_run_index(ObjectStoragePath(str(tmp_path / name)), [(7, workflow_id), (8, None)])
        tasks.add(batch_report(tmp_path / name), task_id=name)
    tasks.add(batch_report("/nowhere"))

    result = found(pages, OTHER_ID.upper())

    assert [(each["task"]["task_id"], each["row"]) for each in result["tasks"]] == [("second", 7)]
    assert (result["searched_batches"], result["unread_batches"], result["cut"]) == (2, 1, False)


def test_a_search_that_was_cut_says_so(pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_BATCHES", 1)
    for _ in range(2):
        tasks.add(batch_report())

    assert found(pages, OTHER_ID)["cut"] is True


@pytest.mark.parametrize("wanted", ["%", "a", " ", OTHER_ID[:-1]])
def test_a_search_takes_a_whole_id_and_says_so(pages: Pages, tasks: Tasks, wanted: str) -> None:
    tasks.add(run_report())

    response = pages.get("data/search", {"wanted": wanted})

    assert response.status_code == 422
    assert "whole id" in response.json()["detail"]


def test_a_search_whose_storage_hangs_shows_what_the_database_knows(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> None:
        raise asyncio.TimeoutError

    monkeypatch.setattr(StorageThreads, "run", hang)
    tasks.add(run_report(workflow_id=OTHER_ID))
    tasks.add(batch_report())

    result = found(pages, OTHER_ID)

    assert (len(result["tasks"]), result["unread_batches"], result["cut"]) == (1, 1, True)


def test_few_wait_for_their_turn_to_read_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MAX_VIEWS_AT_ONCE", 2)
    turns = app._Turns()
    begun, over = threading.Event(), threading.Event()

    def view() -> None:
        with turns:
            begun.set()
            over.wait()

    with ThreadPoolExecutor(2) as threads:
        views = [threads.submit(view) for _ in range(2)]
        begun.wait()
        refused = until_refused(turns)
        over.set()
        for each in views:
            each.result()

    assert refused.status_code == 503
    with turns:
        pass


def until_refused(turns: Any) -> HTTPException:
    """Ask for a turn until both places are taken, which the second thread does at some moment."""
    while True:
        if turns._places.acquire(blocking=False):
            turns._places.release()
            continue
        with pytest.raises(HTTPException) as refused:
            turns.__enter__()
        return refused.value


@pytest.mark.parametrize("most", [1, 500], ids=["named in Python", "named in the query"])
def test_reports_of_other_dags_are_left_out(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager  # noqa: PLC0415

    monkeypatch.setattr(task_reports, "_MOST_NAMED_DAGS", most)
    monkeypatch.setattr(SimpleAuthManager, "filter_authorized_dag_ids", lambda self, **_: {"other", "third"})
    tasks.add(run_report())
    tasks.add(run_report(), dag_id="other")

    assert shown(pages)["tasks"] == 1


@pytest.mark.parametrize(
    ("later", "reasons"),
    [
        (run_report(outcome="succeeded"), []),
        (run_report(outcome="running"), ["401"]),
        (run_report(outcome="succeeded", conn_id="other"), ["401"]),
    ],
    ids=["a run has ended", "nothing was seen", "another connection"],
)
def test_trouble_is_over_once_a_later_run_has_ended(
    pages: Pages, tasks: Tasks, later: dict[str, Any], reasons: list[str]
) -> None:
    tasks.add(
        run_report(outcome="not_submitted", error=REFUSED, at=NOW.timestamp() - 60),
        state="failed",
        xcom_at=NOW - timedelta(seconds=60),
    )
    tasks.add(later, xcom_at=NOW - timedelta(seconds=10))

    assert [each["reason"] for each in shown(pages)["trouble"]] == reasons
