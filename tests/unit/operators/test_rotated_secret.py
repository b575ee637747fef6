"""A secret or a token that is rotated while a task runs: it goes on with what the connection says by then."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import AUTHORIZE_CALL, RESULT_CALL, RUN_CALL, STATUS_CALL, BatchTask, cases

from .test_run_modes import Operator, Sensor, Subject

ROWS = 40
VARIABLE = "AIRFLOW_CONN_WORKFLOWS_DEFAULT"

pytestmark = [pytest.mark.usefixtures("connected", "short_pauses"), pytest.mark.sampled(2)]


class Credentials:
    """What a connection authorizes with.

    :param kind: ``"token"`` or ``"key"``
    """

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        self.sandbox = sandbox
        self.monkeypatch = monkeypatch
        self.kind = kind
        self.store()

    def store(self) -> None:
        """Have the connection say what the service accepts now."""
        accepted = self.sandbox.connection if self.kind == "token" else self.sandbox.connection_with_key
        self.monkeypatch.setenv(VARIABLE, json.dumps(accepted))

    def rotate(self) -> None:
        """Have the service accept others from now on."""
        if self.kind == "token":
            self.sandbox.rotate_organization_token()
        else:
            self.sandbox.rotate_secret()

    @property
    def rejections(self) -> int:
        """How many requests the service has rejected for their credentials."""
        return sum(seen.status == 401 for seen in self.sandbox.requests_seen)


class Rotation:
    """Rotates the credentials once the sandbox has seen a call, and the connection once the old were rejected."""

    def __init__(self, sandbox: Sandbox, credentials: Credentials) -> None:
        self.sandbox = sandbox
        self.credentials = credentials
        self._thread: threading.Thread | None = None

    def after(self, call: str, number: int) -> None:
        self._thread = threading.Thread(target=self._rotate, args=(call, number), daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        assert self._thread is not None
        self._thread.join(60)
        return not self._thread.is_alive()

    def _rotate(self, call: str, number: int) -> None:
        _until(lambda: self.sandbox.counts.requests[call] >= number)
        self.credentials.rotate()
        _until(lambda: self.credentials.rejections >= 3)
        self.credentials.store()


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(params=["token", "key"])
def credentials(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Credentials:
    return Credentials(connected, monkeypatch, request.param)


@pytest.fixture
def rotation(sandbox: Sandbox, credentials: Credentials) -> Iterator[Rotation]:
    made = Rotation(sandbox, credentials)
    yield made
    assert made.is_over()


@pytest.mark.costly(4)
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("call", "number", "deferrable"),
    [
        (RUN_CALL, 5, True),
        (STATUS_CALL, 5, True),
        (STATUS_CALL, 5, False),
        (RESULT_CALL, 5, True),
    ],
    ids=["submitting", "waiting in the triggerer", "waiting in the worker", "fetching"],
)
def test_a_batch_goes_on(
    batch: BatchTask, sandbox: Sandbox, rotation: Rotation, call: str, number: int, deferrable: bool
) -> None:
    seconds = 0.3 if call == STATUS_CALL else 0.0
    sandbox.define(batch.definition_id, seconds=seconds)
    if call != STATUS_CALL:
        sandbox.fault("latency", seconds=0.01)
    rotation.after(call, number)

    batch.run(cases(ROWS), deferrable=deferrable, max_concurrency=4)

    assert batch.outcomes == ["succeeded"] * ROWS
    assert sum(sandbox.counts.runs_per_case.values()) == ROWS
    assert max(sandbox.counts.runs_per_case.values()) == 1


@pytest.mark.costly(4)
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        (Sensor, {"deferrable": False, "mode": "poke"}),
        (Sensor, {"deferrable": False, "mode": "reschedule"}),
        (Sensor, {"deferrable": True}),
        (Operator, {"deferrable": False}),
        (Operator, {"deferrable": True}),
    ],
    ids=["sensor-poke", "sensor-reschedule", "sensor-deferrable", "operator-sync", "operator-deferrable"],
)
def test_a_wait_goes_on(
    sandbox: Sandbox, context: dict[str, Any], rotation: Rotation, kind: type[Subject], mode: dict[str, Any]
) -> None:
    rotation.after(STATUS_CALL, 2)

    kind(sandbox, context, **mode).wait(sandbox.define(seconds=1.0))  # type: ignore[attr-defined]


@pytest.mark.thorough
def test_a_batch_whose_first_call_is_rejected_fails_at_once(
    batch: BatchTask, sandbox: Sandbox, credentials: Credentials
) -> None:
    credentials.rotate()

    with pytest.raises(errors.AuthenticationFailed):
        batch.run(cases(ROWS))

    assert sandbox.counts.requests == {"POST /cases" if credentials.kind == "token" else AUTHORIZE_CALL: 1}
