"""The expiry of a run: how it is read, when a run is overdue, and what the wait for one does about it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_workflows.api import Statuses, errors
from airflow_provider_workflows.api.expiry import EXPIRY_GRACE_SECONDS, moment_of
from airflow_provider_workflows.api.models import Workflow
from airflow_provider_workflows.api.polling import LONG_WAIT_SECONDS, PollSchedule, Wait
from airflow_provider_workflows.api.wait_end import success

ID = "63131229-edc5-49d0-888b-7724e65d7d2d"
BEGIN = 1_700_000_000.0
DAY = 86400.0
EXPIRY = BEGIN + 30 * DAY
OVERDUE = EXPIRY + EXPIRY_GRACE_SECONDS


def text_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z")


def workflow(status: str = "RUNNING", expires_at: str | None = text_of(EXPIRY)) -> Workflow:
    fields = {"id": ID, "status": status, "expiresAt": expires_at}
    return Workflow.of_fields({name: value for name, value in fields.items() if value is not None})


def wait(**arguments: object) -> Wait:
    return Wait(ID, BEGIN, **{"draw": lambda: 0.0, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30T12:00:00Z", 1796040000.0),
        ("2026-11-30T12:00:00z", 1796040000.0),
        ("2026-11-30T13:00:00+01:00", 1796040000.0),
        ("2026-11-30T12:00:00.5Z", 1796040000.5),
        ("2026-11-30T12:00:00.123456789Z", 1796040000.123456),
        ("2026-11-30T12:00:00", 1796040000.0),
        (" 2026-11-30T12:00:00Z ", 1796040000.0),
        ("tomorrow", None),
        ("", None),
        (".", None),
        (1796040000, None),
        (None, None),
    ],
)
def test_a_moment_is_read_as_the_service_writes_it_and_an_odd_one_is_left_out(
    text: object, moment: float | None
) -> None:
    assert moment_of(text) == moment


@pytest.mark.parametrize(
    ("status", "now", "words"),
    [
        ("RUNNING", EXPIRY - 1, None),
        ("RUNNING", OVERDUE - 1, None),
        ("RUNNING", OVERDUE, "is past its expiry"),
        ("SOMETHING_NEW", OVERDUE, "still has the status SOMETHING_NEW"),
        ("EXPIRED", OVERDUE, "has expired"),
        ("FAILED", OVERDUE, "failure status FAILED"),
    ],
)
def test_a_run_that_is_pending_after_its_expiry_and_the_grace_fails(
    status: str, now: float, words: str | None
) -> None:
    event = wait().record_workflow(workflow(status), Statuses(), now)

    if words is None:
        assert event is None
    else:
        assert event is not None
        with pytest.raises(errors.WorkflowFailed, match=words) as raised:
            success(event, ID, Statuses())
        assert raised.value.workflow_status == status
        assert not raised.value.is_retryable(under_way=True)


def test_a_run_that_succeeds_after_its_expiry_has_succeeded() -> None:
    assert wait().record_workflow(workflow("COMPLETED"), Statuses(), OVERDUE) == {"status": "COMPLETED"}


def test_a_run_without_an_expiry_is_never_overdue() -> None:
    assert wait().record_workflow(workflow(expires_at=None), Statuses(), OVERDUE) is None


def test_an_expiry_that_was_known_outlives_a_response_without_one() -> None:
    waiting = wait(expires_at=EXPIRY)

    waiting.record_workflow(workflow(expires_at="odd"), Statuses(), BEGIN)

    assert waiting.expires_at == EXPIRY


@pytest.mark.parametrize(
    ("follows_expiry", "expires_at", "event"),
    [
        (False, EXPIRY, {"status": "RUNNING", "timed_out": True}),
        (True, None, {"status": "RUNNING", "timed_out": True}),
        (True, EXPIRY, None),
    ],
)
def test_a_deadline_that_nobody_has_set_yields_to_an_expiry(
    follows_expiry: bool, expires_at: float | None, event: object
) -> None:
    waiting = wait(deadline=BEGIN + 7 * DAY, follows_expiry=follows_expiry, expires_at=expires_at)

    assert waiting.record_status("RUNNING", Statuses(), BEGIN + 8 * DAY) == event


@pytest.mark.parametrize(
    ("age", "slows_down", "expires_at", "pause"),
    [
        (DAY / 2, True, EXPIRY, 300),
        (LONG_WAIT_SECONDS, True, EXPIRY, 300),
        (7 * DAY, True, EXPIRY, 2100),
        (7 * DAY, False, EXPIRY, 300),
        (7 * DAY, True, None, 300),
        (30 * DAY - 60, True, EXPIRY, 60),
        (30 * DAY + 500, True, EXPIRY, 100),
    ],
)
def test_a_run_that_waits_for_a_person_is_polled_less_often_and_at_its_expiry(
    age: float, slows_down: bool, expires_at: float | None, pause: float
) -> None:
    waiting = wait(schedule=PollSchedule(slows_down=slows_down), expires_at=expires_at)

    assert waiting.pause(BEGIN + age) == pytest.approx(pause)


def test_a_run_of_thirty_days_takes_some_1300_polls() -> None:
    waiting = wait(schedule=PollSchedule(slows_down=True), expires_at=EXPIRY)
    now, polls = BEGIN, 1

    while now < EXPIRY:
        now += waiting.pause(now)
        polls += 1

    assert 1200 < polls < 1400
