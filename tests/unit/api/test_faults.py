"""The fault table, over both clients and all generations of the API.

It says what is repeated, how often the service saw it, and what the caller got.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.api.generations import GENERATIONS
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.sandbox import DEFINITION, FORBIDDEN_DEFINITION, TABLE, Sandbox

from .conftest import Driver

ATTEMPTS = Settings(key="key", secret="secret").max_attempts

STATUS_CALL = "GET /workflows/{workflowId}"
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
#: One of each kind: where one generation has been through all of them, these suffice for the others.
OF_EACH_KIND = [
    SERVER_ERRORS[1],
    UNAVAILABLE[0],
    LOST_RESPONSES[2],
    UNEXPECTED[0],
    UNEXPECTED[2],
    RATE_LIMITED[0],
]


class Runs:
    """Starts runs of a generation, of a case or a record of its own.

    :param client: a client of that generation
    :param sandbox: the service
    :param generation: its number
    """

    def __init__(self, client: Driver, sandbox: Sandbox, generation: int) -> None:
        self.client = client
        self.path = GENERATIONS[generation].run_path
        self.call = f"POST {self.path}"
        self.subject_id: str = (
            client("create_case").case_id if generation == 1 else client("create_record", TABLE, {}).id
        )
        self._given: dict[str, Any] = {"case_id" if generation == 1 else "record_id": self.subject_id}
        if generation == 3:
            self._given |= {"parameters": {"row": 7}, "locale": "en"}
        sandbox.counts.reset()

    def start(self, definition_id: str = DEFINITION) -> str:
        """Start a run, and return its id."""
        workflow_id: str = self.client("start_run", RunDetails(definition_id, **self._given)).id
        return workflow_id


@pytest.fixture(params=GENERATIONS)
def runs(request: pytest.FixtureRequest, client_of: Callable[[int], Driver], sandbox: Sandbox) -> Runs:
    return Runs(client_of(request.param), sandbox, request.param)


def runs_of(sandbox: Sandbox, runs: Runs) -> int:
    """Return how many runs the service has started for the case or the record, having seen no other."""
    assert set(sandbox.counts.runs_per_subject) <= {runs.subject_id}
    return sandbox.counts.runs_per_subject[runs.subject_id]


def started_workflow(client: Driver) -> str:
    case = client("create_case")
    workflow_id: str = client("run_workflow", DEFINITION, case.case_id).id
    return workflow_id


class TestCallThatReads:
    """``GET /workflows/{workflowId}``."""

    @pytest.mark.parametrize("fault", OF_EACH_KIND)
    def test_of_any_generation_is_repeated_until_it_is_responded_to(
        self, runs: Runs, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        workflow_id = runs.start()
        sandbox.fault(**fault, times=ATTEMPTS - 1)

        workflow = runs.client("read_workflow", workflow_id)

        assert (workflow.id, workflow.status) == (workflow_id, "RUNNING")
        assert sandbox.counts.requests[STATUS_CALL] == ATTEMPTS

    # A result has no field that it must have.
    @pytest.mark.parametrize("fault", [one for one in OF_EACH_KIND if one.id != "missing_fields"])
    def test_of_a_result_is_repeated_until_it_is_responded_to(
        self, runs: Runs, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        workflow_id = runs.start(sandbox.define(seconds=0.0, result={"decision": "PASS"}))
        sandbox.fault(**fault, path="/workflows/{workflowId}/result", times=ATTEMPTS - 1)

        result = runs.client("read_result", workflow_id)

        assert result.json_object()["decision"] == "PASS"
        assert sandbox.counts.requests[f"{STATUS_CALL}/result"] == ATTEMPTS

    @pytest.mark.costly(30)
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

    @pytest.mark.costly(20)
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


class Creation:
    """A call that makes what costs nothing, and the client of a generation that has it."""

    def __init__(self, client: Driver, path: str, *call: Any) -> None:
        self.path = path
        self.call = f"POST {path}"
        self._client = client
        self._call = call

    def __call__(self) -> Any:
        return self._client(*self._call)


CREATIONS: dict[str, tuple[Any, ...]] = {
    "/cases": ("create_case",),
    "/parameters": ("create_parameters", DEFINITION, {}),
    "/tables/{tableId}/records": ("create_record", TABLE, {"firstName": "Ada"}),
}
#: What each generation creates that a run is about or is given.
CREATED_IN = {1: ("/cases", "/parameters"), 2: tuple(CREATIONS), 3: ("/tables/{tableId}/records",)}


def created(*generations: int) -> list[Any]:
    return [
        pytest.param((number, path), id=f"{number}-{path}")
        for number in generations
        for path in CREATED_IN[number]
    ]


@pytest.fixture
def create(request: pytest.FixtureRequest, client_of: Callable[[int], Driver]) -> Creation:
    generation, path = request.param
    return Creation(client_of(generation), path, *CREATIONS[path])


class TestCallThatMakesWhatCostsNothing:
    """``POST /cases``, ``/parameters``, ``/tables/{tableId}/records``: one too many is not a run."""

    @pytest.mark.costly(20)
    @pytest.mark.parametrize("create", created(2, 3), indirect=True)
    @pytest.mark.parametrize("fault", OF_EACH_KIND)
    def test_of_a_later_generation_is_repeated_until_it_is_responded_to(
        self, create: Creation, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        sandbox.fault(**fault, path=create.path, times=ATTEMPTS - 1)

        create()

        assert sandbox.counts.requests == {create.call: ATTEMPTS}

    @pytest.mark.costly(30)
    @pytest.mark.parametrize("create", created(1), indirect=True)
    @pytest.mark.parametrize(
        "fault", [*SERVER_ERRORS, *UNAVAILABLE, *LOST_RESPONSES, *UNEXPECTED, *RATE_LIMITED]
    )
    def test_is_repeated_until_it_is_responded_to(
        self, create: Creation, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        sandbox.fault(**fault, path=create.path, times=ATTEMPTS - 1)

        create()

        assert sandbox.counts.requests == {create.call: ATTEMPTS}

    @pytest.mark.costly(20)
    @pytest.mark.parametrize("create", created(1), indirect=True)
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            *[pytest.param(*case.values, errors.ServiceUnavailable, id=case.id) for case in SERVER_ERRORS],
            *[pytest.param(*case.values, errors.ServiceUnavailable, id=case.id) for case in LOST_RESPONSES],
            *[pytest.param(*case.values, errors.UnexpectedResponse, id=case.id) for case in UNEXPECTED],
        ],
    )
    def test_is_given_up_after_the_last_attempt_until_later(
        self, create: Creation, sandbox: Sandbox, fault: dict[str, Any], error: type[errors.WorkflowsError]
    ) -> None:
        sandbox.fault(**fault, path=create.path)

        with pytest.raises(error) as raised:
            create()

        assert raised.value.is_retryable()
        assert sandbox.counts.requests[create.call] == ATTEMPTS

    @pytest.mark.parametrize("create", created(1, 2, 3), indirect=True)
    def test_is_not_repeated_when_it_was_refused(self, create: Creation, sandbox: Sandbox) -> None:
        sandbox.fault("forbidden", path=create.path)

        with pytest.raises(errors.PermissionDenied):
            create()

        assert sandbox.counts.requests[create.call] == 1


@pytest.mark.sampled(3)  # one of each generation
class TestCallThatMustNotBeRepeated:
    """``POST /workflows/run`` and ``POST /workflows``: one call is at most one run."""

    @pytest.mark.parametrize("fault", [*UNAVAILABLE, *RATE_LIMITED])
    def test_is_repeated_when_it_surely_was_not_carried_out(
        self, runs: Runs, sandbox: Sandbox, fault: dict[str, Any]
    ) -> None:
        sandbox.fault(**fault, times=2)

        runs.start()

        assert sandbox.counts.requests[runs.call] == 3
        assert runs_of(sandbox, runs) == 1

    @pytest.mark.parametrize(
        ("fault", "started"),
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
        self, runs: Runs, sandbox: Sandbox, fault: dict[str, Any], started: int
    ) -> None:
        sandbox.fault(**fault, path=runs.path)

        with pytest.raises(errors.OutcomeUnknown) as raised:
            runs.start()

        assert sandbox.counts.requests[runs.call] == 1
        assert runs_of(sandbox, runs) == started
        assert runs.subject_id in str(raised.value)
        assert DEFINITION in str(raised.value)

    def test_is_repeated_when_no_connection_came_about(
        self, runs: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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
        runs.start()

        assert pauses == [1, 2]
        assert runs_of(sandbox, runs) == 1

    def test_is_not_repeated_when_it_was_refused(self, runs: Runs, sandbox: Sandbox) -> None:
        with pytest.raises(errors.PermissionDenied) as raised:
            runs.start(FORBIDDEN_DEFINITION)

        assert sandbox.counts.requests[runs.call] == 1
        assert raised.value.status == 403
        assert raised.value.code
        assert raised.value.fingerprint
        assert raised.value.fingerprint in str(raised.value)

    def test_is_not_repeated_when_it_was_redirected(self, runs: Runs, sandbox: Sandbox) -> None:
        sandbox.fault("redirect", path=runs.path)

        with pytest.raises(errors.UnexpectedResponse):
            runs.start()

        assert sandbox.counts.requests[runs.call] == 1


class TestExpiredToken:
    """401 refreshes once and replays once."""

    def test_is_refreshed_and_the_call_replayed(self, runs: Runs, sandbox: Sandbox) -> None:
        sandbox.expire_tokens()

        runs.start()

        assert sandbox.counts.requests[runs.call] == 2
        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert sandbox.counts.requests["POST /auth/authorize"] == 0
        assert runs_of(sandbox, runs) == 1

    def test_leads_to_authorize_where_refresh_fails(self, runs: Runs, sandbox: Sandbox) -> None:
        sandbox.expire_tokens(refresh=True)

        runs.start()

        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert sandbox.counts.requests["POST /auth/authorize"] == 1
        assert runs_of(sandbox, runs) == 1

    def test_is_replayed_no_more_than_once(self, runs: Runs, sandbox: Sandbox) -> None:
        sandbox.fault("unauthorized", path=runs.path)

        with pytest.raises(errors.AuthenticationFailed):
            runs.start()

        assert sandbox.counts.requests[runs.call] == 2
        assert sandbox.counts.requests["POST /auth/refresh"] == 1
        assert runs_of(sandbox, runs) == 0
