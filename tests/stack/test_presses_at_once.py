"""Buttons of one task that people press in one moment, at two API servers, on PostgreSQL."""

from __future__ import annotations

import json
import sysconfig
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.browser import token
from tests.harness.ports import free_ports
from tests.harness.process import Process
from tests.harness.stack import Stack
from tests.harness.stack.hostname import VARIABLE

from .conftest import StartStack

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]

BATCH = "pages_batch"
ROWS = 12
USERS = ("admin", "bob")
SERVER_SECONDS = 120.0
#: What each button submits where all rows have failed, by what is sent for it.
REPAIR: dict[str, Any] = {"action": "repair"}
START_OVER: dict[str, Any] = {"action": "start_over", "confirmed_runs": ROWS}
THREE_ROWS: dict[str, Any] = {"action": "resubmit", "rows": "3-5"}
ONE_ROW: dict[str, Any] = {"action": "resubmit", "rows": "7"}
RUNS = {"repair": ROWS, "start_over": ROWS, "3-5": 3, "7": 1}


@dataclass
class Press:
    """One press of a button.

    :param asked: what was sent
    :param response: to it
    """

    asked: dict[str, Any]
    response: httpx.Response

    @property
    def runs(self) -> int:
        """How many runs it asks for."""
        return RUNS[self.asked.get("rows") or self.asked["action"]]


@dataclass
class People:
    """Browser sessions of two users, each at two API servers.

    :param stack: the Airflow
    :param sandbox: the service
    :param sessions: of the browsers
    :param folder: of inputs and outputs
    """

    stack: Stack
    sandbox: Sandbox
    sessions: list[httpx.Client]
    folder: Path

    def batch(self, definition: str, rows: int = ROWS) -> str:
        """Start a batch, and return the id of its DAG run."""
        name = uuid.uuid4().hex
        cases = self.folder / f"{name}.csv"
        cases.write_text("first_name\n" + "".join(f"Ada{row}\n" for row in range(rows)))
        conf = {"cases": str(cases), "output": str(self.folder / name), "definition": definition}
        return self.stack.running.trigger(BATCH, conf)

    def failed_batch(self) -> str:
        """Run a batch whose rows all fail, and whose service is well again afterwards."""
        definition = self.sandbox.define(seconds=0.2, status="FAILED")
        run_id = self.batch(definition)
        assert self.stack.running.wait(BATCH, run_id) == "failed"
        self.sandbox.define(definition, seconds=0.2)
        return run_id

    def can_stop(self, run_id: str) -> bool:
        """Return whether the page of a batch lets people stop its submission."""
        response = self.sessions[0].get(f"/workflows/ui/data/task?{_query(run_id)}")
        return response.status_code == httpx.codes.OK and response.json()["buttons"]["stop"] is None

    def press(self, run_id: str, *asked: dict[str, Any]) -> list[Press]:
        """Press a button in each session, all in one moment."""
        together = threading.Barrier(len(asked))
        presses: list[Press] = []

        def press(session: httpx.Client, body: dict[str, Any]) -> None:
            together.wait()
            response = session.post(f"/workflows/ui/data/instruction?{_query(run_id)}", json=body)
            presses.append(Press(body, response))

        threads = [
            threading.Thread(target=press, args=each) for each in zip(self.sessions, asked, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return presses

    def settled(self, run_id: str) -> None:
        """Wait until a batch that was cleared has ended again."""
        running = self.stack.running
        running.until(lambda: self._tries(run_id) > 1, 120, "the next try")
        running.wait(BATCH, run_id)

    def cleared_by(self, run_id: str) -> list[str]:
        """Return who has cleared a batch, as Airflow's audit log has it."""
        events = self.stack.running.call("GET", "/eventLogs", dag_id=BATCH, run_id=run_id)["event_logs"]
        return [each["owner"] for each in events if each["event"] == "post_clear_task_instances"]

    def _tries(self, run_id: str) -> int:
        ((tries,),) = self.stack.sql(
            "SELECT try_number FROM task_instance WHERE run_id = :run AND task_id = 'batch'", run=run_id
        )
        return int(str(tries))


def _query(run_id: str) -> str:
    return urlencode({"dag_id": BATCH, "run_id": run_id, "task_id": "batch"})


def session(url: str, user: str, password: str) -> httpx.Client:
    """Return what a browser sends whose user is signed in: the cookie, and where the request comes from."""
    headers = {"Cookie": f"_token={token(url, user, password)}", "Sec-Fetch-Site": "same-origin"}
    return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def people(
    start_stack: StartStack, module_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[People]:
    users = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:admin" for user in USERS)}
    with start_stack(module_sandbox, users, workers=1, triggerers=1) as stack:
        (port,) = free_ports(1)
        urls = [stack.running.url, f"http://127.0.0.1:{port}"]
        airflow = str(Path(sysconfig.get_path("scripts"), "airflow"))
        environment = {**stack.environment, VARIABLE: "api-server-2"}
        log = stack.folder / "api-server-2.log"
        with Process([airflow, "api-server", "--port", str(port)], environment, log):
            stack.running.until(lambda: responds(urls[1]), SERVER_SECONDS, "the second API server")
            passwords = json.loads(
                (stack.folder / "simple_auth_manager_passwords.json.generated").read_text()
            )
            sessions = [session(url, user, passwords[user]) for user in USERS for url in urls]
            yield People(stack, module_sandbox, sessions, tmp_path_factory.mktemp("presses"))
            for each in sessions:
                each.close()


def responds(url: str) -> bool:
    """Return whether an API server responds."""
    try:
        return httpx.get(f"{url}/api/v2/version", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param([REPAIR] * 4, id="one button"),
        pytest.param([THREE_ROWS, THREE_ROWS, ONE_ROW, REPAIR], id="some rows or all that failed"),
        pytest.param([START_OVER, REPAIR, ONE_ROW, START_OVER], id="a part or everything"),
    ],
)
@pytest.mark.parametrize("attempt", [1, 2])
def test_of_presses_in_one_moment_one_is_followed_and_billed_once(
    people: People, asked: list[dict[str, Any]], attempt: int
) -> None:
    run_id = people.failed_batch()
    before = people.sandbox.counts.runs_per_case

    presses = people.press(run_id, *asked)

    accepted = [press for press in presses if press.response.is_success]
    assert Counter(press.response.status_code for press in presses) == {200: 1, 409: 3}
    people.settled(run_id)
    runs = people.sandbox.counts.runs_per_case - before
    assert sum(runs.values()) == accepted[0].runs
    # A start over makes new cases; no case has two more runs.
    assert set(runs.values()) == {1}
    assert len(people.cleared_by(run_id)) == 1


def test_a_stop_that_all_press_is_one_and_so_is_the_repair_after_it(people: People) -> None:
    rows = 60
    before = people.sandbox.counts.runs_per_case
    people.sandbox.fault("latency", path="/workflows/run", seconds=0.5)
    run_id = people.batch(people.sandbox.define(seconds=0.2), rows)
    people.stack.running.until(lambda: people.can_stop(run_id), 120, "the submission")

    stops = people.press(run_id, *[{"action": "stop"}] * 4)
    people.stack.running.wait(BATCH, run_id)
    submitted = len(people.sandbox.counts.runs_per_case - before)
    people.sandbox.clear_faults()
    repairs = people.press(run_id, *[REPAIR] * 4)
    people.settled(run_id)

    for presses in (stops, repairs):
        assert Counter(press.response.status_code for press in presses) == {200: 1, 409: 3}
    assert 0 < submitted < rows
    assert Counter((people.sandbox.counts.runs_per_case - before).values()) == {1: rows}
