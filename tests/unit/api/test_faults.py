"""The fault table, over both clients: what is repeated, how often the service saw it, what the caller got."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.sandbox import DEFINITION, FORBIDDEN_DEFINITION, Sandbox

from .conftest import Driver

ATTEMPTS = Settings(key="key", secret="secret").max_attempts

STATUS_CALL = "GET /workflows/{workflowId}"
RUN_CALL = "POST /workflows/run"

SERVER_ERRORS = [
    pytest.param({"name": "server_error", "status": status, "form": form}, id=f"{status}-{form}")
    for status in (500, 502, 504)
    for form in ("json", "html", "empty")
]
UNAVAILABLE = [
    pytest.param({"name": "server_error", "status": 503, "form": form}, id=f"503-{form}")
    for form in ("json", "html", "empty")
]
LOST_RESPONSES = [pytest.param({"name": name}, id=name) for name in ("cut_before", "cut_during", "cut_after")]
UNEXPECTED = [
    pytest.param({"name": name}, id=name)
    for name in ("truncated_json", "html_ok", "missing_fields", "redirect")
]
RATE_LIMITED = [
    pytest.param({"name": "rate_limited"}, id="429"),
    pytest.param({"name": "rate_limited", "retry_after": 0}, id="429-seconds"),
    pytest.param({"name": "rate_limited", "retry_after": "Sun, 06 Nov 1994 08:49:37 GMT"}, id="429-date"),
    pytest.param({"name": "rate_limited", "retry_after": "soon"}, id="429-garbage"),
]


def started_workflow(client: Driver) -> str:
    case = client("create_case")
    return client("run_workflow", DEFINITION, case.case_id).id


class TestCallThatReads:
    """``GET /workflows/{workflowId}``."""

    @pytest.mark.parametrize(
        "fault", [*SERVER_ERRORS, *UNAVAILABLE, *LOST_RESPONSES, *UNEXPECTED, *RATE_LIMITED]
    )
    def test_is_repeated_until_it_is_responded_to(
        self, client: Driver, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        workflow_id = started_workflow(client)
        sandbox.fault(**fault, times=ATTEMPTS - 1)

        workflow = client("read_workflow", workflow_id)

        assert workflow.status == "RUNNING"
        assert sandbox.counts.requests[STATUS_CALL] == ATTEMPTS

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            *[pytest.param(*case.values, errors.ServiceUnavailable, id=case.id) for case in SERVER_ERRORS],
            *[pytest.param(*case.values, errors.ServiceUnavailable, id=case.id) for case in UNAVAILABLE],
            *[pytest.param(*case.values, errors.ServiceUnavailable, id=case.id) for case in LOST_RESPONSES],
            *[pytest.param(*case.values, errors.UnexpectedResponse, id=case.id) for case in UNEXPECTED],
            *[pytest.param(*case.values, errors.RateLimited, id=case.id) for case in RATE_LIMITED],
        ],
    )
    def test_is_given_up_after_the_last_attempt(
        self, client: Driver, sandbox: Sandbox, fault: dict[str, Any], error: type[Exception]
    ) -> None:
        workflow_id = started_workflow(client)
        sandbox.fault(**fault)

        with pytest.raises(error):
            client("read_workflow", workflow_id)

        assert sandbox.counts.requests[STATUS_CALL] == ATTEMPTS

    def test_is_not_repeated_where_that_cannot_help(self, client: Driver, sandbox: Sandbox) -> None:
        workflow_id = started_workflow(client)
        sandbox.fault("forbidden")

        with pytest.raises(errors.PermissionDenied):
            client("read_workflow", workflow_id)

        assert sandbox.counts.requests[STATUS_CALL] == 1


@pytest.mark.parametrize(
    "call", [["create_case"], ["create_parameters", DEFINITION, {}]], ids=["/cases", "/parameters"]
)
class TestCallThatMakesWhatCostsNothing:
    """``POST /cases`` and ``POST /parameters``: a case or a set of parameters too many is not a run."""

    @staticmethod
    def path(call: list[Any]) -> str:
        return {"create_case": "/cases", "create_parameters": "/parameters"}[call[0]]

    @pytest.mark.parametrize(
        "fault", [*SERVER_ERRORS, *UNAVAILABLE, *LOST_RESPONSES, *UNEXPECTED, *RATE_LIMITED]
    )
    def test_is_repeated_until_it_is_responded_to(
        self, client: Driver, sandbox: Sandbox, call: list[Any], fault: dict[str, Any]
    ) -> None:
        path = self.path(call)
        sandbox.fault(**fault, path=path, times=ATTEMPTS - 1)

        client(*call)

        assert sandbox.counts.requests == {f"POST {path}": ATTEMPTS}

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            *[pytest.param(*case.values, errors.ServiceUnavailable, id=case.id) for case in SERVER_ERRORS],
            *[pytest.param(*case.values, errors.ServiceUnavailable, id=case.id) for case in LOST_RESPONSES],
            *[pytest.param(*case.values, errors.UnexpectedResponse, id=case.id) for case in UNEXPECTED],
        ],
    )
    def test_is_given_up_after_the_last_attempt_until_later(
        self,
        client: Driver,
        sandbox: Sandbox,
        call: list[Any],
        fault: dict[str, Any],
        error: type[errors.WorkflowsError],
    ) -> None:
        path = self.path(call)
        sandbox.fault(**fault, path=path)

        with pytest.raises(error) as raised:
            client(*call)

        assert raised.value.is_retryable()
        assert sandbox.counts.requests[f"POST {path}"] == ATTEMPTS

    def test_is_not_repeated_when_it_was_refused(
        self, client: Driver, sandbox: Sandbox, call: list[Any]
    ) -> None:
        path = self.path(call)
        sandbox.fault("forbidden", path=path)

        with pytest.raises(errors.PermissionDenied):
            client(*call)

        assert sandbox.counts.requests[f"POST {path}"] == 1


class TestCallThatMustNotBeRepeated:
    """``POST /workflows/run``: one call is at most one run."""

    @pytest.mark.parametrize("fault", [*UNAVAILABLE, *RATE_LIMITED])
    def test_is_repeated_when_it_surely_was_not_carried_out(
        self, client: Driver, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        case_id = client("create_case").case_id
        sandbox.fault(**fault, times=2)

        client("run_workflow", DEFINITION, case_id)

        assert sandbox.counts.requests[RUN_CALL] == 3
        assert sandbox.counts.runs_per_case[case_id] == 1

    @pytest.mark.parametrize(
        ("fault", "runs"),
        [
            *[pytest.param(*case.values, 0, id=case.id) for case in SERVER_ERRORS],
            pytest.param({"name": "server_error", "status": 500, "work_done": True}, 1, id="500-done"),
            pytest.param({"name": "cut_before"}, 0, id="cut_before"),
            pytest.param({"name": "cut_during"}, 1, id="cut_during"),
            pytest.param({"name": "cut_after"}, 1, id="cut_after"),
            pytest.param({"name": "truncated_json"}, 1, id="truncated_json"),
            pytest.param({"name": "missing_fields"}, 1, id="missing_fields"),
            pytest.param({"name": "html_ok"}, 0, id="html_ok"),
        ],
    )
    def test_is_sent_once_when_its_outcome_is_unknown(
        self, client: Driver, sandbox: Sandbox, fault: dict[str, Any], runs: int
    ) -> None:
        case_id = client("create_case").case_id
        sandbox.fault(**fault, path="/workflows/run")

        with pytest.raises(errors.OutcomeUnknown) as raised:
            client("run_workflow", DEFINITION, case_id)

        assert sandbox.counts.requests[RUN_CALL] == 1
        assert sandbox.counts.runs_per_case[case_id] == runs
        assert case_id in str(raised.value)
        assert DEFINITION in str(raised.value)

    def test_is_repeated_when_no_connection_came_about(
        self, client: Driver, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        case_id = client("create_case").case_id
        sandbox.stop()
        pauses: list[int] = []

        def come_back(_: Backoff, failures: int, *__: object) -> float:
            pauses.append(failures)
            if len(pauses) == 2:
                sandbox.start()
            return 0.0

        monkeypatch.setattr(Backoff, "seconds", come_back)

        # A connection that was kept from before may still be tried, and found closed before anything is sent
        # on it; both clients drop such a connection when the service closes it.
        client("run_workflow", DEFINITION, case_id)

        assert pauses == [1, 2]
        assert sandbox.counts.runs_per_case[case_id] == 1

    def test_is_not_repeated_when_it_was_refused(self, client: Driver, sandbox: Sandbox) -> None:
        case_id = client("create_case").case_id

        with pytest.raises(errors.PermissionDenied) as raised:
            client("run_workflow", FORBIDDEN_DEFINITION, case_id)

        assert sandbox.counts.requests[RUN_CALL] == 1
        assert raised.value.status == 403
        assert raised.value.code
        assert raised.value.fingerprint
        assert raised.value.fingerprint in str(raised.value)

    def test_is_not_repeated_when_it_was_redirected(self, client: Driver, sandbox: Sandbox) -> None:
        case_id = client("create_case").case_id
        sandbox.fault("redirect", path="/workflows/run")

        with pytest.raises(errors.UnexpectedResponse):
            client("run_workflow", DEFINITION, case_id)

        assert sandbox.counts.requests[RUN_CALL] == 1


class TestExpiredToken:
    """401 refreshes once and replays once."""

    def test_is_refreshed_and_the_call_replayed(self, client: Driver, sandbox: Sandbox) -> None:
        case_id = client("create_case").case_id
        sandbox.expire_tokens()

        client("run_workflow", DEFINITION, case_id)

        assert sandbox.counts.requests[RUN_CALL] == 2
        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert sandbox.counts.requests["POST /auth/authorize"] == 0
        assert sandbox.counts.runs_per_case[case_id] == 1

    def test_leads_to_authorize_where_refresh_fails(self, client: Driver, sandbox: Sandbox) -> None:
        case_id = client("create_case").case_id
        sandbox.expire_tokens(refresh=True)

        client("run_workflow", DEFINITION, case_id)

        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert sandbox.counts.requests["POST /auth/authorize"] == 1
        assert sandbox.counts.runs_per_case[case_id] == 1

    def test_is_replayed_no_more_than_once(self, client: Driver, sandbox: Sandbox) -> None:
        case_id = client("create_case").case_id
        sandbox.fault("unauthorized", path="/workflows/run")

        with pytest.raises(errors.AuthenticationFailed):
            client("run_workflow", DEFINITION, case_id)

        assert sandbox.counts.requests[RUN_CALL] == 2
        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert sandbox.counts.runs_per_case[case_id] == 0
