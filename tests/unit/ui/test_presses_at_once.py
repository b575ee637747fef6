"""Two who press a button of one task at the same time: the first is followed, and the other is told so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_workflows.ui.airflow_api import AirflowApi, ApiResponse
from tests.unit.ui.conftest import Pages, Tasks, batch_report

FAILED = {"batch": "failed", "after": "failed"}
STEPS = ["POST dry", "POST"]


def interrupt(
    monkeypatch: pytest.MonkeyPatch, step: str, interruption: Callable[[], None], *, is_after: bool
) -> None:
    """Have something happen once, before or after a call of Airflow's API."""
    call = AirflowApi.call
    is_left = [True]

    async def interrupted(self: AirflowApi, method: str, *path: str, **given: Any) -> ApiResponse:
        name = f"{method} dry" if (given.get("body") or {}).get("dry_run") else method
        is_now = name == step and bool(is_left)
        if is_now:
            is_left.clear()
        if is_now and not is_after:
            in_thread(interruption)
        response = await call(self, method, *path, **given)
        if is_now and is_after:
            in_thread(interruption)
        return response

    monkeypatch.setattr(AirflowApi, "call", interrupted)


def in_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_what_was_accepted_stays_wherever_the_other_press_comes_in(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch, step: str, is_after: bool
) -> None:
    task = tasks.add_dag(batch_report())
    others: list[httpx.Response] = []
    interrupt(
        monkeypatch, step, lambda: others.append(pages.press(task, "resubmit", rows="7")), is_after=is_after
    )

    first = pages.press(task, "start_over", confirmed_runs=495)

    responses = {"start_over": first, "resubmit": others[0]}
    accepted = [action for action, response in responses.items() if response.status_code == 200]
    assert len(accepted) == 1
    assert (tasks.instruction() or {})["action"] == accepted[0]
    assert {response.status_code for response in responses.values()} == {200, 409}
    assert tasks.states() == {"batch": None, "after": None}


@pytest.mark.parametrize("second", ["repair", "resubmit"])
@pytest.mark.parametrize("pause", [0.0, 0.01, 0.05])
def test_of_two_presses_in_one_moment_one_is_followed(
    pages: Pages, tasks: Tasks, second: str, pause: float
) -> None:
    task = tasks.add_dag(batch_report())
    responses: dict[str, httpx.Response] = {}
    together = threading.Barrier(2)

    def press(action: str, wait: float, **more: Any) -> None:
        together.wait()
        time.sleep(wait)
        responses[action] = pages.press(task, action, **more)

    threads = [
        threading.Thread(target=press, args=("start_over", 0.0), kwargs={"confirmed_runs": 495}),
        threading.Thread(
            target=press, args=(second, pause), kwargs={"rows": "7"} if second == "resubmit" else {}
        ),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    accepted = [action for action, response in responses.items() if response.status_code == 200]
    assert len(accepted) == 1, {action: response.text for action, response in responses.items()}
    assert (tasks.instruction() or {})["action"] == accepted[0]


def test_who_comes_too_late_learns_who_was_first(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tasks.add_dag(batch_report())
    others: list[httpx.Response] = []
    interrupt(monkeypatch, "POST", lambda: others.append(pages.press(task, "repair")), is_after=False)

    pages.press(task, "start_over", confirmed_runs=495)

    assert others[0].json()["detail"].startswith("ada has asked for something first (start over)")


def test_a_clear_that_is_refused_removes_its_own_instruction_alone(
    pages: Pages, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_workflows.ui import instructions  # noqa: PLC0415

    task = tasks.add_dag(batch_report())
    call = AirflowApi.call

    async def refusing(self: AirflowApi, method: str, *path: str, **given: Any) -> ApiResponse:
        if given["body"]["dry_run"]:
            return await call(self, method, *path, **given)
        # Too late by far, another press has taken its place.
        monkeypatch.setattr(AirflowApi, "call", call)
        monkeypatch.setattr(instructions, "PENDING_SECONDS", -1.0)
        in_thread(lambda: others.append(pages.press(task, "resubmit", rows="7")))
        return ApiResponse(409, {"detail": "Task is running"})

    others: list[httpx.Response] = []
    monkeypatch.setattr(AirflowApi, "call", refusing)

    assert pages.press(task, "repair").status_code == 409
    assert others[0].status_code == 200
    assert (tasks.instruction() or {})["action"] == "resubmit"


def stored(action: str, age: float) -> dict[str, Any]:
    return {"format": 1, "id": "a", "action": action, "asked_at": time.time() - age, "asked_by": "bob"}


@pytest.mark.parametrize(
    ("left_behind", "status"),
    [
        (lambda: stored("start_over", 5.0), 409),
        (lambda: stored("start_over", 300.0), 200),
        (lambda: stored("stop", 5.0), 200),
        (lambda: {"format": 2}, 200),
    ],
    ids=["just asked for", "left behind", "a stop", "of another version"],
)
def test_an_instruction_gives_way_only_where_nobody_follows_it_any_more(
    pages: Pages, tasks: Tasks, left_behind: Callable[[], dict[str, Any]], status: int
) -> None:
    task = tasks.add_dag(batch_report())
    earlier = left_behind()
    tasks.leave(task, earlier)

    response = pages.press(task, "repair")

    assert response.status_code == status
    assert tasks.instruction() == earlier if status == 409 else tasks.instruction() != earlier
    assert ("bob" in response.text) is (status == 409)
    assert tasks.states() == (FAILED if status == 409 else {"batch": None, "after": None})
