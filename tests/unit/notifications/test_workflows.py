"""Alerts: what they say, where they go, and what happens when they cannot."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest
import structlog
from airflow.sdk import DAG, AsyncCallback, BaseHook, BaseOperator, SyncCallback
from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
from airflow.sdk.execution_time import comms, task_runner
from airflow.sdk.execution_time.callback_supervisor import execute_callback
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.callback import CallbackTrigger
from typing_extensions import Self

from airflow_provider_workflows.airflow_internals.secrets_masker import mask
from airflow_provider_workflows.api import errors, retry
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.notifications import delivery
from airflow_provider_workflows.notifications.message import MAX_MESSAGE_CHARACTERS, failure_message
from airflow_provider_workflows.notifications.workflows import WorkflowsNotifier
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from tests.unit.tasks import TaskStateStore

TOKEN = "T0SECRET/B0SECRET/hXq9SECRET"
PERSON = "Brunhilde Kowalska"
OFTEN = {"poll_interval": 0.05, "max_poll_interval": 0.05}


class ChatChannel:
    """An incoming webhook of a chat service, as a context manager.

    :param statuses: what it responds with first, one after the other; 200 after that
    """

    def __init__(self, *statuses: int) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.statuses = list(statuses)
        self._ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/services/{TOKEN}"

    @property
    def deaf_url(self) -> str:
        """Where what is sent gets no response."""
        return f"{self.url}/deaf"

    def __enter__(self) -> Self:
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                channel.requests.append(self.path)
                if self.path.endswith("/deaf"):
                    channel._ended.wait()
                    return
                status = channel.statuses.pop(0) if channel.statuses else 200
                if status == 200:
                    (text,) = json.loads(body).values()
                    channel.messages.append(text)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def channel() -> Any:
    with ChatChannel() as running:
        yield running


@pytest.fixture
def logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], str]]:
    """Return all that was logged so far: Airflow's loggers print, those of libraries may not."""
    with caplog.at_level(logging.DEBUG):
        yield lambda: caplog.text + "".join(capsys.readouterr())


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org")
    monkeypatch.setattr(retry, "BACKOFF", Backoff(0.01))


class Comms:
    """Responds to what a callback asks Airflow: the states of tasks, and their XComs."""

    def __init__(
        self, states: dict[str, str], xcoms: dict[tuple[str, int | None, str], Any], seconds: float
    ) -> None:
        self.states, self.xcoms, self.seconds = states, xcoms, seconds

    async def start_reader(self) -> None:
        """Only a triggerer's has this."""

    def send(self, msg: Any) -> Any:
        if isinstance(msg, comms.GetTaskStates):
            time.sleep(self.seconds)
            return comms.TaskStatesResult(task_states={"r1": self.states})
        if isinstance(msg, comms.GetXCom):
            value = self.xcoms.get((msg.task_id, msg.map_index, msg.key))
            return comms.XComResult(key=msg.key, value=value)
        raise TypeError(type(msg))


def response(
    monkeypatch: pytest.MonkeyPatch, states: dict[str, str], xcoms: dict[Any, Any], seconds: float = 0.0
) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(states, xcoms, seconds), raising=False)


def instance(task: Any, **fields: Any) -> Any:
    given = {
        "id": uuid.uuid4(),
        "dag_id": "checks",
        "run_id": "r1",
        "task_id": task.task_id,
        "try_number": 1,
        "map_index": -1,
        "task": task,
    }
    return RuntimeTaskInstance.model_construct(**given | fields)


class Xcoms:
    """What an operator needs of its task instance while it runs."""

    dag_id, run_id, task_id, map_index, max_tries, try_number = "checks", "r1", "run", -1, 0, 1

    def xcom_push(self, key: str, value: Any) -> None:
        pass


def failed(operator: BaseOperator, **fields: Any) -> dict[str, Any]:
    """Run a task that fails, and return the context of its callbacks."""
    running: Any = {"ti": Xcoms(), "task_state_store": TaskStateStore()}
    operator.render_template_fields(running)
    with pytest.raises((errors.WorkflowsError, AirflowException)) as raised:
        operator.execute(running)
    ti = instance(operator, **{"max_tries": 0, "state": "failed", **fields})
    return {"ti": ti, "task": operator, "exception": raised.value}


def new_case(sandbox: Sandbox) -> str:
    with sandbox.client() as client:
        return client.create_case(last_name=PERSON).case_id


def new_workflow(sandbox: Sandbox, definition_id: str) -> str:
    with sandbox.client() as client:
        return client.run_workflow(definition_id, client.create_case().case_id).id


SECRET_KEY = "a-key-of-somebody"


def _no_connection(*_: object) -> Any:
    raise AirflowNotFoundException("It is not there")


PAGE_LINE = "Page: https://airflow.example.org/dags/checks/runs/r1/tasks/run/plugin/workflow"


class TestMessageOfATask:
    def test_of_a_run_that_fails_says_which_how_and_where_to_find_more(self, sandbox: Sandbox) -> None:
        case_id = new_case(sandbox)
        operator = RunWorkflowOperator(
            task_id="run",
            workflow_definition_id=sandbox.define(seconds=0, status="FAILED"),
            case_id=case_id,
            wait_for_completion=True,
            **OFTEN,
        )

        lines = failure_message(failed(operator, map_index=3, max_tries=2)).splitlines()

        workflow_id = sandbox.requests_seen[-1].path.removeprefix("/workflows/")
        assert lines == [
            "Task run[3] of DAG checks has failed, try 1 of 3 of run r1. No retry comes.",
            f"Workflow {workflow_id}, status FAILED, case {case_id}, definition {operator.workflow_definition_id}",
            "Page: https://airflow.example.org/dags/checks/runs/r1/tasks/run/mapped/3/plugin/workflow",
            "Try 1 has failed: the run has failed, status FAILED.",
            "Airflow does not retry the task.",
            "A repair (press Repair, or clear the task): 1 run billed; submits a new run.",
            (
                'Starting over (press Start over, or set on_clear="start_over" and clear the task): 1 run billed; '
                "submits a new run, whatever there is."
            ),
            f"Error: WorkflowFailed: Workflow {workflow_id} ended in the failure status FAILED.",
            "Log: https://airflow.example.org/dags/checks/runs/r1/tasks/run/mapped/3?try_number=1",
        ]

    def test_of_a_sensor_says_the_workflow_and_the_error_that_airflow_s_was_raised_from(
        self, sandbox: Sandbox
    ) -> None:
        workflow_id = new_workflow(sandbox, sandbox.define(seconds=0, status="FAILED"))
        context = failed(WorkflowStatusSensor(task_id="wait", workflow_id=workflow_id, poke_interval=0.05))

        text = failure_message(context)

        assert isinstance(context["exception"], AirflowFailException)
        assert f"Workflow {workflow_id}, status FAILED\n" in text
        assert f"Error: WorkflowFailed: Workflow {workflow_id} ended" in text

    @pytest.mark.thorough
    def test_of_a_batch_says_its_counts_and_its_output_and_nothing_of_a_row(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        operator = RunWorkflowBatchOperator(
            task_id="run",
            workflow_definition_id=sandbox.define(seconds=0, status="FAILED"),
            items=[{"last_name": PERSON}, {"last_name": PERSON}],
            output_path=str(tmp_path),
            deferrable=False,
            **OFTEN,
        )

        lines = failure_message(failed(operator)).splitlines()

        assert lines[1] == f"Definition {operator.workflow_definition_id}"
        assert lines[2] == PAGE_LINE
        assert lines[3] == "Try 1 of the batch has ended: 2 failed; 2 rows in all."
        assert lines[4] == "2 failed: 2 \N{MULTIPLICATION SIGN} FAILED, rows 1\N{EN DASH}2."
        assert lines[5] == f"Output: {tmp_path}/results.jsonl"
        assert "Airflow does not retry the task." in lines[7]
        assert "2 runs billed; keeps 0, waits for 0, submits 2 anew" in lines[8]
        assert not [line for line in lines if line.startswith("Error: ")]
        assert PERSON not in "\n".join(lines)

    @pytest.mark.parametrize(
        ("exception", "line"),
        [
            (RuntimeError(PERSON), "Error: RuntimeError"),
            (errors.NotFound("There is no case 1."), "Error: NotFound: There is no case 1."),
            ("gone", "Error: str"),
            (None, None),
        ],
        ids=["of somebody else", "of ours", "a text", "unknown"],
    )
    def test_has_the_words_of_our_own_errors_only(self, exception: object, line: str | None) -> None:
        operator = BaseOperator(task_id="other")
        ti = instance(operator, max_tries=0, state="failed")

        text = failure_message({"ti": ti, "task": operator, "exception": exception})

        assert [found for found in text.splitlines() if found.startswith("Error")] == [line] * bool(line)
        assert PERSON not in text

    def test_of_a_missing_connection_says_which_and_of_which_case_and_definition(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(BaseHook, "get_connection", _no_connection)
        case_id = str(uuid.uuid4())
        operator = RunWorkflowOperator(
            task_id="run",
            workflow_definition_id=DEFINITION,
            case_id=case_id,
            workflows_conn_id="no_such_connection",
        )

        lines = failure_message(failed(operator)).splitlines()

        assert lines[1] == f"Case {case_id}, definition {DEFINITION}"
        assert lines[2] == PAGE_LINE
        assert lines[3] == "Try 1 has failed: no run was started."
        (error,) = [line for line in lines if line.startswith("Error: ")]
        assert error.startswith("Error: ConnectionNotFound: There is no connection 'no_such_connection'")

    def test_of_a_run_about_a_record_says_which(self) -> None:
        record_id = str(uuid.uuid4())
        operator = RunWorkflowOperator(
            task_id="run",
            workflow_definition_id=DEFINITION,
            record_id=record_id,
            workflows_conn_id="nowhere",
            **OFTEN,
        )

        lines = failure_message(failed(operator)).splitlines()

        assert lines[1] == f"Record {record_id}, definition {DEFINITION}"

    @pytest.mark.parametrize("part", ["Dobrawa", "Zynd"])
    def test_of_a_person_whose_name_airflow_masks_in_part_nothing_is_left(self, part: str) -> None:
        # Masked for good in this process: the name of nobody else in the tests.
        person = "Dobrawa Zyndramowa"
        mask(part)
        operator = RunWorkflowBatchOperator(
            task_id="run",
            workflow_definition_id=DEFINITION,
            items=[{"last_name": person}],
            output_path="/tmp",
        )
        context = {"ti": instance(operator, max_tries=0, state="failed"), "task": operator}

        text = failure_message({**context, "exception": RuntimeError(f"no {person} here")})

        assert "Error: RuntimeError: no *** here" in text.splitlines()

    @pytest.mark.parametrize(
        ("exception", "words"),
        [
            (RuntimeError(f"no {PERSON} here"), "RuntimeError: no *** here"),
            (
                ValueError("could not convert 'Nowak' and \"Kos\""),
                "ValueError: could not convert *** and ***",
            ),
            (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
            (TimeoutError("after 7 s for a.b@example.org"), "TimeoutError: after 7 s for ***"),
            (KeyError("02250100101 and 123-456-789"), "KeyError: ***"),
            (
                ConnectionError(f"lost {DEFINITION} of 02250100101"),
                f"ConnectionError: lost {DEFINITION} of ***",
            ),
            (PermissionError(f"key {SECRET_KEY}"), "PermissionError: key ***"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    def test_of_somebody_else_s_exception_has_the_words_without_what_may_be_personal(
        self, exception: Exception, words: str
    ) -> None:
        mask(SECRET_KEY)
        operator = RunWorkflowBatchOperator(
            task_id="run",
            workflow_definition_id=DEFINITION,
            items=[{"last_name": PERSON}],
            output_path="/tmp",
        )
        ti = instance(operator, max_tries=0, state="failed")

        text = failure_message({"ti": ti, "task": operator, "exception": exception})

        assert f"Error: {words}" in text.splitlines()

    def test_of_a_batch_whose_process_was_killed_says_what_was_reported_last(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report = dataclasses.replace(BatchReport.begun(DEFINITION, 0.0), outcomes={"due": 3, "running": 2})
        response(monkeypatch, {}, {("run", None, "workflow_report"): report.to_json()})
        operator = RunWorkflowBatchOperator(
            task_id="run",
            workflow_definition_id=DEFINITION,
            items=[{"last_name": PERSON}],
            output_path="/tmp",
        )

        lines = failure_message({"ti": instance(operator), "task": operator}).splitlines()

        assert lines[3] == "Batch, while submitting: 2 running, 3 due"

    @pytest.mark.parametrize(("try_number", "words"), [(1, " No retry comes."), (3, "")])
    def test_says_that_no_retry_comes_where_one_was_left(self, try_number: int, words: str) -> None:
        ti = instance(BaseOperator(task_id="other"), max_tries=2, state="failed", try_number=try_number)

        (line, _) = failure_message({"ti": ti}).splitlines()

        assert line == f"Task other of DAG checks has failed, try {try_number} of 3 of run r1.{words}"

    def test_tells_a_failure_that_is_retried_from_one_that_is_final(self) -> None:
        ti = instance(BaseOperator(task_id="other"), max_tries=2, state="up_for_retry")

        assert failure_message({"ti": ti}).startswith(
            "Task other of DAG checks has failed and will be retried, try 1 of 3"
        )

    def test_of_a_process_that_was_killed_finds_the_workflow_that_it_left(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workflow_id = str(uuid.uuid4())
        response(monkeypatch, {}, {("run", None, "workflow_id"): workflow_id})
        operator = RunWorkflowOperator(
            task_id="run", workflow_definition_id=DEFINITION, case_id="{{ params.case }}"
        )

        lines = failure_message({"ti": instance(operator), "task": operator}).splitlines()

        assert lines[0] == "Task run of DAG checks has failed, try 1 of 1 of run r1."
        assert lines[1:3] == [
            f"Workflow {workflow_id}, definition {DEFINITION}",
            PAGE_LINE,
        ]

    def test_repeats_nothing_that_stands_in_the_place_of_an_id(self) -> None:
        operator = WorkflowStatusSensor(task_id="wait", workflow_id=PERSON)

        text = failure_message(failed(operator))

        assert "Error: InvalidInput: workflow_id has" in text
        assert PERSON not in text

    def test_is_no_template(self) -> None:
        ti = instance(BaseOperator(task_id="other"), run_id="{{ 7 * 7 }}{% x %}")

        text = failure_message({"ti": ti, "exception": errors.NotFound("{# gone #}")})

        assert "{{" not in text
        assert "{%" not in text
        assert "{#" not in text

    def test_is_no_longer_than_receivers_take(self, monkeypatch: pytest.MonkeyPatch) -> None:
        task_id = "s" * 240
        response(monkeypatch, {f"{task_id}_{number}": "failed" for number in range(9)}, {})
        with DAG("checks", schedule=None) as dag:
            BaseOperator.partial(task_id=task_id).expand(doc=["a"])

        text = failure_message({"dag": dag, "run_id": "r1", "reason": "task_failure"})

        assert len(text) == MAX_MESSAGE_CHARACTERS


DEADLINE = {
    "dag_run": {
        "dag_id": "checks",
        "dag_run_id": "r1",
        "state": "running",
        "queued_at": "2026-11-24T10:00:00Z",
        "start_date": None,
        "conf": {"last_name": PERSON},
    },
    "deadline": {"id": "d1", "deadline_time": "2026-11-24T12:00:00+01:00"},
}
RUN_LINE = "Run: https://airflow.example.org/dags/checks/runs/r1"


class TestMessageOfADagRun:
    def test_lists_what_failed_with_its_workflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        workflow_id, link = str(uuid.uuid4()), "https://dashboard.example.org/w"
        states = {"run_1": "failed", "run_0": "success", "step_2": "failed", "other": "upstream_failed"}
        left = {("run", 1, "workflow_link"): link, ("run", 1, "workflow_id"): workflow_id}
        response(monkeypatch, states, left)
        with DAG("checks", schedule=None) as dag:
            RunWorkflowOperator.partial(task_id="run", case_id="c").expand(workflow_definition_id=["a", "b"])
            BaseOperator(task_id="step_2")
            BaseOperator(task_id="other")

        lines = failure_message({"dag": dag, "run_id": "r1", "reason": "task_failure"}).splitlines()

        tasks = "https://airflow.example.org/dags/checks/runs/r1/tasks"
        assert lines == [
            "DAG checks has failed, run r1: task failure.",
            f"Task run[1], workflow {workflow_id}, {link}: {tasks}/run/mapped/1",
            f"Task step_2: {tasks}/step_2",
            RUN_LINE,
        ]

    def test_lists_ten_tasks_and_counts_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        response(monkeypatch, {f"step_{number}": "failed" for number in range(1200)}, {})
        with DAG("checks", schedule=None) as dag:
            BaseOperator.partial(task_id="step").expand(doc=["a"])

        lines = failure_message({"dag": dag, "run_id": "r1", "reason": "task_failure"}).splitlines()

        assert len(lines) == 13
        assert lines[-2:] == ["And 1,190 tasks more.", RUN_LINE]


class TestMessageOfADeadline:
    def test_says_since_when_and_what_is_under_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        workflow_id, link = str(uuid.uuid4()), "https://dashboard.example.org/w"
        left = {
            ("run", None, "workflow_link"): link,
            ("run", None, "workflow_id"): workflow_id,
            ("batch", 4, "workflow_report"): dataclasses.replace(
                BatchReport.begun(DEFINITION, 0.0), outcomes={"running": 12, "succeeded": 1988}
            ).to_json(),
        }
        states = {"run": "deferred", "batch_4": "running", "case": "success", "old": "failed"}
        response(monkeypatch, states, left)

        assert failure_message(DEADLINE).splitlines() == [
            "DAG checks is late, run r1: it was due by 2026-11-24 11:00:00 UTC, and its state was running.",
            "Queued at 2026-11-24 10:00:00 UTC, started at an unknown time.",
            "Task batch_4: running, batch with 1,988 succeeded, 12 running",
            "Task old: failed",
            f"Task run: deferred, workflow {workflow_id}, {link}",
            RUN_LINE,
        ]

    def test_asks_for_no_more_than_a_worker_is_responded_to_and_tells_nothing_of_the_run_s_conf(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []
        monkeypatch.setattr(
            task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=asked.append), raising=False
        )

        lines = failure_message(DEADLINE).splitlines()

        assert not asked
        assert len(lines) == 3
        assert lines[-1] == RUN_LINE
        assert PERSON not in "\n".join(lines)


def connect(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_ALERTS", json.dumps({"conn_type": "generic", **connection}))


def context_of_a_failure() -> Any:
    ti = instance(BaseOperator(task_id="other"), max_tries=0, state="failed")
    return {"ti": ti, "exception": RuntimeError("no"), "params": {"channel": "alerts"}}


class TestNotifier:
    @pytest.mark.parametrize("parts", [("", "{base}/services/{token}"), ("{base}/services/", "/{token}")])
    def test_posts_one_message_to_where_the_connection_says(
        self, channel: ChatChannel, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, str]
    ) -> None:
        base = channel.url.partition("/services")[0]
        host, password = (part.format(base=base, token=TOKEN) for part in parts)
        connect(monkeypatch, host=host, password=password)

        WorkflowsNotifier("workflows_{{ params.channel }}")(context_of_a_failure())

        assert channel.requests == [f"/services/{TOKEN}"]
        assert channel.messages == [failure_message(context_of_a_failure())]

    @pytest.mark.parametrize("native", [False, True])
    def test_renders_what_the_author_wrote_for_each_alert_and_nothing_of_what_that_brings(
        self, sandbox: Sandbox, logged: Callable[[], str], native: bool
    ) -> None:
        notifier = WorkflowsNotifier("{{ params.channel }}")
        names = ["{{ conn.workflows_default.password }}", "00123"]

        for name in [*names, *names]:
            context: Any = context_of_a_failure()
            context["dag"] = DAG("checks", render_template_as_native_obj=native)
            notifier(context | {"params": {"channel": name}})

        said = [line for line in logged().splitlines() if "was not sent through connection" in line]
        assert [name in line for name, line in zip([*names, *names], said, strict=True)] == [True] * 4
        assert not [line for line in said if sandbox.secret in line]

    async def test_can_be_called_in_a_thread_that_has_an_event_loop(
        self, channel: ChatChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, password=channel.url)

        WorkflowsNotifier()(context_of_a_failure())

        assert len(channel.messages) == 1

    def test_repeats_what_was_refused_for_now_until_it_is_accepted(
        self, channel: ChatChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(monkeypatch, password=channel.url)
        channel.statuses = [503, 429]

        WorkflowsNotifier()(context_of_a_failure())

        assert len(channel.requests) == 3
        assert len(channel.messages) == 1

    @pytest.mark.thorough
    @pytest.mark.parametrize("slow", ["channel", "airflow"])
    def test_leaves_the_event_loop_free_while_it_waits(
        self, channel: ChatChannel, monkeypatch: pytest.MonkeyPatch, slow: str
    ) -> None:
        connect(monkeypatch, password=channel.deaf_url if slow == "channel" else channel.url)
        monkeypatch.setattr(delivery, "ATTEMPT_SECONDS", 0.6)
        response(monkeypatch, {}, {}, seconds=0.6 if slow == "airflow" else 0.0)

        async def longest_pause() -> tuple[float, float]:
            waiting = asyncio.ensure_future(_awaited(WorkflowsNotifier(context=dict(DEADLINE))))  # type: ignore[arg-type]
            begun = last = time.monotonic()
            longest = 0.0
            while not waiting.done():
                await asyncio.sleep(0.01)
                now = time.monotonic()
                longest, last = max(longest, now - last), now
            assert (waiting.exception() is None) == (slow == "airflow")
            return longest, last - begun

        longest, waited = asyncio.run(longest_pause())
        assert waited >= 0.6
        assert longest < 0.5


async def _awaited(notifier: BaseNotifier) -> None:
    await notifier


def dead_end(kind: str, channel: ChatChannel) -> str:
    if kind == "nobody listens":
        return f"http://127.0.0.1:9/services/{TOKEN}"
    if kind == "never responds":
        return channel.deaf_url
    if kind == "no URL":
        return TOKEN
    channel.statuses = {"refuses": [404], "redirects": [302], "fails": [500] * 9}[kind]
    return channel.url


#: Why a message cannot be sent, what is said of it, and how many requests there are.
DEAD_ENDS = [
    ("nobody listens", "Connection refused", 0),
    ("never responds", "timed out", 1),
    ("refuses", "HTTP status 404", 1),
    ("redirects", "HTTP status 302", 1),
    ("fails", "HTTP status 500", 3),
    ("no URL", "names no URL", 0),
]


@pytest.mark.parametrize(("kind", "reason", "requests"), DEAD_ENDS)
class TestAMessageThatCannotBeSent:
    @pytest.fixture(autouse=True)
    def connection(self, channel: ChatChannel, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        monkeypatch.setattr(delivery, "ATTEMPT_SECONDS", 0.3)
        connect(monkeypatch, password=dead_end(kind, channel))

    def test_is_an_error_in_the_log_and_raises_nothing(
        self, channel: ChatChannel, logged: Callable[[], str], reason: str, requests: int
    ) -> None:
        WorkflowsNotifier()(context_of_a_failure())

        text = logged()
        assert text.count("The alert was not sent through connection workflows_alerts: ") == 1
        assert reason in text
        assert len(channel.requests) == requests
        assert TOKEN not in text

    def test_fails_the_callback_in_the_triggerer_in_words_without_the_secret(
        self, logged: Callable[[], str], reason: str, requests: int
    ) -> None:
        states, body = triggered(AsyncCallback(WorkflowsNotifier))

        assert states == ["running", "failed"]
        assert reason in str(body)
        assert TOKEN not in str(body) + logged()

    def test_does_not_have_a_worker_log_the_run_s_conf(
        self, logged: Callable[[], str], reason: str, requests: int
    ) -> None:
        assert on_worker(SyncCallback(WorkflowsNotifier))

        text = logged()
        assert reason in text
        assert TOKEN not in text
        assert PERSON not in text


def triggered(callback: AsyncCallback) -> tuple[list[str], Any]:
    """Run a deadline's callback as the triggerer does; return its states and what is stored of it."""

    async def payloads() -> list[Any]:
        kwargs = {**json.loads(json.dumps(callback.kwargs)), "context": dict(DEADLINE)}
        return [event.payload async for event in CallbackTrigger(callback.path, kwargs).run()]

    events = asyncio.run(payloads())
    return [str(getattr(event["state"], "value", event["state"])) for event in events], events[-1].get("body")


def on_worker(callback: SyncCallback) -> bool:
    """Run a deadline's callback as an executor does."""
    kwargs = {**callback.kwargs, "context": dict(DEADLINE)}
    return execute_callback(callback.path, kwargs, "dag.py", None, structlog.get_logger())[0]


@pytest.mark.parametrize(
    "run",
    [
        lambda: triggered(AsyncCallback(WorkflowsNotifier, {"alert_conn_id": "workflows_alerts"}))[0][-1],
        lambda: on_worker(SyncCallback(WorkflowsNotifier, {"alert_conn_id": "workflows_alerts"})),
    ],
    ids=["triggerer", "worker"],
)
def test_a_deadline_s_callback_posts_one_message(
    channel: ChatChannel, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    connect(monkeypatch, password=channel.url)

    assert run() in ("success", True)

    assert channel.messages == [failure_message(DEADLINE)]


class Broken:
    @property
    def task(self) -> Any:
        raise ValueError(PERSON)


def test_what_else_goes_wrong_is_told_by_the_kind_of_error_alone(
    channel: ChatChannel, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    connect(monkeypatch, password=channel.url)

    WorkflowsNotifier()({"ti": Broken()})

    text = logged()
    assert "through connection workflows_alerts: ValueError" in text
    assert PERSON not in text


def test_a_connection_that_is_missing_is_named(logged: Callable[[], str]) -> None:
    WorkflowsNotifier("nowhere")(context_of_a_failure())

    assert (
        "The alert was not sent through connection nowhere: there is no connection 'nowhere': add one whose "
        "password is the URL of the incoming webhook"
    ) in logged()


def test_a_task_whose_connection_is_missing_is_told_of_in_the_words_of_its_error(
    channel: ChatChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, password=channel.url)
    task = CreateCaseOperator(task_id="case", workflows_conn_id="nowhere", first_name="Ada")
    with pytest.raises(errors.ConnectionNotFound) as raised:
        task.execute({})

    WorkflowsNotifier()(context_of_a_failure() | {"exception": raised.value})

    assert "Error: ConnectionNotFound: There is no connection 'nowhere': add one" in channel.messages[0]
