"""The exchange's decisions, one by one, without a socket and with a clock of the test's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_workflows.api import Settings, endpoints, errors
from airflow_provider_workflows.api.effects import (
    Effect,
    Exclusive,
    Flow,
    NoResponse,
    Response,
    SendRequest,
    Sleep,
)
from airflow_provider_workflows.api.exchange import Exchange
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.api.run_details import RunDetails

WORKFLOW = "63131229-edc5-49d0-888b-7724e65d7d2d"
NOW = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


def response(code: int = 200, headers: dict[str, str] | None = None, /, **body: Any) -> Response:
    return Response(code, headers or {}, json.dumps(body).encode())


def tokens(number: int, life: float | None = 3600) -> Response:
    return response(accessToken=f"access-{number}", refreshToken=f"refresh-{number}", expiryDuration=life)


RUNNING = response(id=WORKFLOW, status="RUNNING")


class Driver:
    """Carries out effects with scripted replies, and keeps what was sent and how long it slept."""

    def __init__(self, clock: Clock, *replies: Response | NoResponse) -> None:
        self.clock = clock
        self.replies = list(replies)
        self.sent: list[SendRequest] = []
        self.slept: list[float] = []

    def run(self, flow: Flow[Any]) -> Any:
        reply: Response | NoResponse | None = None
        while True:
            try:
                effect: Effect = flow.send(reply)
            except StopIteration as finished:
                return finished.value
            reply = None
            if isinstance(effect, SendRequest):
                self.sent.append(effect)
                reply = self.replies.pop(0)
            elif isinstance(effect, Sleep):
                self.slept.append(effect.seconds)
                self.clock.moment += effect.seconds
            else:
                self.run(effect.flow)

    @property
    def paths(self) -> list[str]:
        return [send.path for send in self.sent]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def exchange_with(clock: Clock, draw: float = 1.0, **settings: Any) -> Exchange:
    return Exchange(
        Settings(key="key", secret="secret", **settings),
        backoff=Backoff(),
        clock=clock,
        now=lambda: NOW,
        draw=lambda: draw,
    )


def read_workflow(workflows: Exchange) -> Flow[Any]:
    return workflows.perform(endpoints.read_workflow(WORKFLOW))


class TestPause:
    def test_follows_retry_after(self, clock: Clock) -> None:
        driver = Driver(clock, tokens(1), response(429, {"retry-after": "3"}), RUNNING)

        driver.run(read_workflow(exchange_with(clock, draw=0.0)))

        assert driver.slept == [3.0]


class TestBounds:
    def test_no_try_begins_after_the_time_is_up(self, clock: Clock) -> None:
        driver = Driver(clock, tokens(1), *[response(503, {"retry-after": "5"})] * 9)

        with pytest.raises(errors.ServiceUnavailable):
            driver.run(read_workflow(exchange_with(clock, draw=0.0, max_attempts=9, retry_seconds=12)))

        assert driver.slept == [5.0, 5.0]

    def test_a_longer_wait_than_is_left_is_handed_to_the_caller_at_once(self, clock: Clock) -> None:
        driver = Driver(clock, tokens(1), response(429, {"retry-after": "3600"}))

        with pytest.raises(errors.RateLimited) as raised:
            driver.run(read_workflow(exchange_with(clock)))

        assert raised.value.retry_after == 3600
        assert driver.slept == []

    def test_a_response_may_take_the_read_timeout_however_little_time_is_left(self, clock: Clock) -> None:
        driver = Driver(clock, tokens(1), response(503, {"retry-after": "9"}), RUNNING)

        driver.run(read_workflow(exchange_with(clock, draw=0.0, retry_seconds=10, read_timeout=7)))

        assert [send.timeout for send in driver.sent[1:]] == [10, 7]


class TestTokens:
    def test_are_obtained_with_the_first_call_and_kept(self, clock: Clock) -> None:
        workflows = exchange_with(clock)
        driver = Driver(clock, tokens(1), RUNNING, RUNNING)

        driver.run(read_workflow(workflows))
        driver.run(read_workflow(workflows))

        assert driver.paths == ["/auth/authorize", f"/workflows/{WORKFLOW}", f"/workflows/{WORKFLOW}"]
        assert driver.sent[2].headers["Authorization"] == "Bearer access-1"

    @pytest.mark.parametrize(
        ("life", "age", "renewed"),
        [
            (3600, 3539, False),
            (3600, 3540, True),
            (100, 89, False),
            (100, 90, True),
            (None, 10**9, False),
            (0, 10**9, False),
        ],
    )
    def test_are_refreshed_early(self, clock: Clock, life: float | None, age: float, renewed: bool) -> None:
        workflows = exchange_with(clock)
        driver = Driver(clock, tokens(1, life), RUNNING, *[tokens(2)] * renewed, RUNNING)
        driver.run(read_workflow(workflows))

        clock.moment += age
        driver.run(read_workflow(workflows))

        assert ("/auth/refresh" in driver.paths) is renewed

    def test_that_are_valid_still_are_used_when_an_early_refresh_fails(self, clock: Clock) -> None:
        workflows = exchange_with(clock, max_attempts=1)
        driver = Driver(clock, tokens(1, 100), RUNNING, response(503), response(503), RUNNING, RUNNING)
        driver.run(read_workflow(workflows))

        clock.moment += 92
        driver.run(read_workflow(workflows))
        driver.run(read_workflow(workflows))

        assert driver.sent[-1].headers["Authorization"] == "Bearer access-1"
        assert driver.paths.count("/auth/refresh") == 1

    def test_of_an_unreachable_service_are_not_asked_for_twice(self, clock: Clock) -> None:
        workflows = exchange_with(clock, max_attempts=1)
        driver = Driver(clock, tokens(1, 100), RUNNING, NoResponse("refused", arrived=False))
        driver.run(read_workflow(workflows))

        clock.moment += 101
        with pytest.raises(errors.ServiceUnreachable):
            driver.run(read_workflow(workflows))

        assert driver.paths[-1] == "/auth/refresh"

    def test_that_no_header_could_carry_are_refused(self, clock: Clock) -> None:
        driver = Driver(clock, response(accessToken="two\r\nlines"))

        with pytest.raises(errors.UnexpectedResponse, match="accessToken") as raised:
            driver.run(read_workflow(exchange_with(clock, max_attempts=1)))

        assert "two" not in str(raised.value)

    def test_a_call_that_waited_for_a_renewal_takes_what_it_brought(self, clock: Clock) -> None:
        workflows = exchange_with(clock)
        driver = Driver(clock, tokens(1), RUNNING, tokens(2))
        driver.run(read_workflow(workflows))
        first, second = read_workflow(workflows), read_workflow(workflows)
        for flow in (first, second):
            flow.send(None)
        renewals = [flow.send(response(401)) for flow in (first, second)]

        for renewal in renewals:
            assert isinstance(renewal, Exclusive)
            driver.run(renewal.flow)

        assert driver.paths.count("/auth/refresh") == 1
        replays = [flow.send(None) for flow in (first, second)]
        assert [replay.headers["Authorization"] for replay in replays] == ["Bearer access-2"] * 2

    def test_appear_in_no_log_and_no_repr(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        workflows = exchange_with(clock)
        driver = Driver(
            clock, tokens(1), response(401), response(400), response(503), tokens(2), response(503), RUNNING
        )

        driver.run(read_workflow(workflows))

        shown = caplog.text + repr(driver.sent)
        assert "Trying again" in shown
        assert not [word for word in ("access-", "refresh-", "secret") if word in shown]


class TestEveryStatus:
    """One error for each refusal, whichever call it befalls."""

    @pytest.mark.parametrize(
        ("status", "repeatable", "starts_a_run"),
        [
            (400, errors.RequestRejected, errors.RequestRejected),
            (403, errors.PermissionDenied, errors.PermissionDenied),
            (404, errors.NotFound, errors.NotFound),
            (405, errors.RequestRejected, errors.RequestRejected),
            (408, errors.ServiceUnavailable, errors.OutcomeUnknown),
            (409, errors.RequestRejected, errors.RequestRejected),
            (415, errors.RequestRejected, errors.RequestRejected),
            (425, errors.ServiceUnavailable, errors.OutcomeUnknown),
            (429, errors.RateLimited, errors.RateLimited),
            (500, errors.ServiceUnavailable, errors.OutcomeUnknown),
            (502, errors.ServiceUnavailable, errors.OutcomeUnknown),
            (503, errors.ServiceUnavailable, errors.ServiceUnavailable),
            (504, errors.ServiceUnavailable, errors.OutcomeUnknown),
            (599, errors.ServiceUnavailable, errors.OutcomeUnknown),
            (302, errors.UnexpectedResponse, errors.UnexpectedResponse),
            (303, errors.UnexpectedResponse, errors.OutcomeUnknown),
        ],
    )
    def test_has_its_error(
        self, clock: Clock, status: int, repeatable: type[Exception], starts_a_run: type[Exception]
    ) -> None:
        refusal = response(status, fingerprint="f-1", errors=[{"code": "C", "message": "why"}])
        raised = []
        for call in (
            endpoints.read_workflow(WORKFLOW),
            endpoints.create_case({}),
            endpoints.create_parameters(WORKFLOW, {}),
            endpoints.run_workflow(RunDetails(WORKFLOW, WORKFLOW)),
        ):
            driver = Driver(clock, tokens(1), refusal)
            with pytest.raises(errors.WorkflowsError) as caught:
                driver.run(exchange_with(clock, max_attempts=1).perform(call))
            raised.append(caught.value)

        assert [type(error) for error in raised] == [*[repeatable] * 3, starts_a_run]
        assert {error.status for error in raised} == {status}
        if not 300 <= status < 400:
            assert {(error.code, error.detail, error.fingerprint) for error in raised} == {
                ("C", "why", "f-1")
            }
            assert all("f-1" in str(error) and "C: why" in str(error) for error in raised)

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>no</html>", b"[]", b"null", b'{"errors": "x"}', b"\xff\xfe", b"[" * 100_000],
        ids=["empty", "html", "list", "null", "wrong type", "binary", "deep"],
    )
    @pytest.mark.parametrize("status", [200, 400, 500])
    def test_survives_any_body(self, clock: Clock, status: int, body: bytes) -> None:
        driver = Driver(clock, tokens(1), Response(status, {}, body))

        with pytest.raises(errors.WorkflowsError) as raised:
            driver.run(exchange_with(clock, max_attempts=1).perform(endpoints.read_workflow(WORKFLOW)))

        assert len(str(raised.value)) < 600

    def test_unknown_fields_of_a_response_are_kept(self, clock: Clock) -> None:
        came = {"id": WORKFLOW, "status": "RUNNING", "later": {"deep": [1, None]}}
        driver = Driver(clock, tokens(1), response(**came))

        workflow = driver.run(read_workflow(exchange_with(clock)))

        assert workflow.json_object() == came


def test_an_error_crosses_processes_unchanged() -> None:
    error = errors.RateLimited("slow", status=429, code="C", detail="d", fingerprint="f", retry_after=2.0)

    copy = errors.error_from_json(json.loads(json.dumps(error.to_json())))

    assert type(copy) is errors.RateLimited
    assert str(copy) == "slow"
    assert vars(copy) == vars(error)
