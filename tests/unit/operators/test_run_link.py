"""The link of a run's end user: sent and passed on if that is asked for, and shown nowhere."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from airflow.sdk import DAG, BaseNotifier
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.exceptions import TaskDeferred
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.decorators.run_workflow import run_workflow
from airflow_provider_workflows.end_user_links import read_link
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.notifications.message import failure_message
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.run_record import RUN_KEY
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.unit.operators.test_run_generations import Connect, connect
from tests.unit.operators.test_run_modes import OFTEN, drive
from tests.unit.tasks import stored_trigger

__all__ = ["connect"]

ID = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"


class Notifier(BaseNotifier):
    """Keeps the messages that it was to send."""

    template_fields = ("message",)

    def __init__(self) -> None:
        super().__init__()
        self.template = self.message = "Please continue at {{ end_user_link }}"
        self.sent: list[str] = []

    def __call__(self, *arguments: Any) -> None:
        self.message = self.template
        super().__call__(*arguments)

    def notify(self, context: Any) -> None:
        self.sent.append(self.message)


class Task:
    """A task whose run has an end user; each of its tries is a new operator."""

    def __init__(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        self.sandbox = sandbox
        self.context = context
        self.definition_id = sandbox.define(seconds=0.0, involves_end_user=True)
        self.sent: list[str] = []

    def send(self, context: Any) -> None:
        self.sent.append(context["end_user_link"])

    def operator(self, **arguments: Any) -> RunWorkflowOperator:
        given = {"workflow_definition_id": self.definition_id, "expires_at": timedelta(days=2), **OFTEN}
        return RunWorkflowOperator(task_id="run", **{**given, **arguments})

    def run(self, **arguments: Any) -> Any:
        return drive(lambda: self.operator(**arguments), self.context)

    @property
    def links(self) -> list[str]:
        """The links of the runs that there are."""
        return [one.details.link for one in self.sandbox.workflows if one.details and one.details.link]

    @property
    def tokens(self) -> list[str]:
        return [link.rpartition("=")[2] for link in self.links]


@pytest.fixture
def task(connect: Connect, context: dict[str, Any]) -> Task:
    return Task(connect(3), context)


def test_a_function_is_called_with_the_link_in_the_context(task: Task) -> None:
    task.run(on_link_callback=task.send)

    assert task.sent == task.links
    assert len(task.sent) == 1


def test_a_notifier_renders_the_link(task: Task) -> None:
    notifier = Notifier()

    task.run(on_link_callback=[notifier, task.send])

    assert notifier.sent == [f"Please continue at {task.links[0]}"]
    assert task.sent == task.links


def test_the_xcom_names_the_run_and_read_link_gives_the_link(task: Task) -> None:
    workflow_id = task.run(push_link=True)

    pushed = task.context["ti"].xcoms["end_user_link"]
    assert pushed == {"workflows_conn_id": "workflows_default", "workflow_id": workflow_id}
    assert read_link(pushed) == task.links[0]
    assert WorkflowsHook().read_link(workflow_id) == task.links[0]


@pytest.mark.parametrize("reference", [None, {}, {"workflow_id": ID}, "a link"])
def test_read_link_refuses_what_is_no_reference(reference: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="push_link=True"):
        read_link(reference)


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_link_is_in_no_log_xcom_trigger_record_or_report(
    task: Task, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], deferrable: bool
) -> None:
    caplog.set_level(logging.DEBUG)

    def opens_link(context: Any) -> None:
        task.sandbox._service.open_link(context["end_user_link"].rpartition("=")[2])

    arguments = {"push_link": True, "wait_for_completion": True, "deferrable": deferrable}
    task.run(on_link_callback=opens_link, **arguments)

    printed = capsys.readouterr()
    assert "was handed to 1 callback" in printed.out
    places = [
        caplog.text,
        printed.out,
        printed.err,
        str(task.context["ti"].xcoms),
        str(task.context["task_state_store"].stored),
    ]
    assert len(task.tokens) == 1
    assert [place for place in places for token in task.tokens if token in place] == []


def test_the_trigger_and_what_a_resumed_task_is_told_have_no_link(task: Task) -> None:
    operator = task.operator(on_link_callback=task.send, wait_for_completion=True, deferrable=True)

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(task.context)  # type: ignore[arg-type]

    stored = [stored_trigger(deferred.value).serialize(), deferred.value.kwargs, vars(operator)]
    assert task.tokens[0] not in str(stored)


@pytest.mark.parametrize("durable", [True, False])
def test_a_retry_sends_the_link_of_the_same_run_once_and_that_of_another_run_too(
    task: Task, durable: bool
) -> None:
    task.run(on_link_callback=task.send, durable=durable)
    task.run(on_link_callback=task.send, durable=durable)

    assert len(task.sent) == len(task.links) == (1 if durable else 2)
    assert task.sent == task.links


def test_a_clear_does_not_send_the_link_of_the_run_that_it_keeps(task: Task) -> None:
    task.run(on_link_callback=task.send)
    task.context["ti"].clear()
    task.run(on_link_callback=task.send, push_link=True)

    assert task.sent == task.links
    assert "end_user_link" in task.context["ti"].xcoms


def test_a_clear_that_starts_over_sends_the_link_of_the_new_run(task: Task) -> None:
    task.run(on_link_callback=task.send)
    task.context["ti"].clear()
    task.run(on_link_callback=task.send, on_clear="start_over")

    assert task.sent == task.links
    assert len(task.sent) == 2


def test_a_callback_that_fails_fails_the_task_and_a_retry_sends_the_link_of_the_same_run(
    task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(context: Any) -> None:
        raise ConnectionError(context["end_user_link"])

    operator = task.operator(on_link_callback=fail)
    with pytest.raises(errors.LinkNotSent, match="ConnectionError") as raised:
        operator.execute(task.context)  # type: ignore[arg-type]
    report = task.context["ti"].xcoms["workflow_report"]

    assert raised.value.is_retryable()
    assert task.tokens[0] not in f"{raised.value} {json.dumps(report)} {capsys.readouterr().out}"
    assert not (task.context["task_state_store"].get(RUN_KEY)).get("link_sent")

    task.run(on_link_callback=task.send)
    assert task.sent == task.links
    assert len(task.links) == 1


@pytest.mark.parametrize("kind", [ConnectionError, SystemExit])
def test_nothing_that_airflow_logs_of_a_callback_that_fails_has_the_link_and_it_says_where_it_failed(
    task: Task, kind: type[BaseException]
) -> None:
    def post(url: str) -> None:
        raise kind(f"400 Client Error for url: {url}")

    def fail(context: Any) -> None:
        try:
            {}[context["end_user_link"]]
        except KeyError:
            post(context["end_user_link"])

    with pytest.raises(errors.LinkNotSent) as raised:
        task.operator(on_link_callback=fail).execute(task.context)  # type: ignore[arg-type]

    logged = "".join(traceback.format_exception(raised.value))
    assert task.tokens[0] not in logged
    assert "Client Error" not in logged
    first, last = (fail.__code__.co_firstlineno + 4, post.__code__.co_firstlineno + 1)
    file = "test_run_link.py"
    assert f"{kind.__name__} at line {first} of {file} (raised at line {last} of" in str(raised.value)


def test_a_timeout_of_the_task_within_a_callback_ends_the_task_as_itself_without_the_link(
    task: Task,
) -> None:
    def time_out(context: Any) -> None:
        try:
            {}[context["end_user_link"]]
        except KeyError as error:
            raise KeyboardInterrupt from error

    with pytest.raises(KeyboardInterrupt) as raised:
        task.operator(on_link_callback=time_out).execute(task.context)  # type: ignore[arg-type]

    assert task.tokens[0] not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "spell",
    [
        str,
        partial(quote, safe=""),
        quote_plus,
        lambda link: urlsplit(link)._replace(scheme="", netloc="").geturl(),
    ],
    ids=["link", "value of a URL", "value of a form", "path and query"],
)
def test_airflow_masks_the_link_in_each_spelling_that_an_error_of_a_callback_may_have(
    task: Task, spell: Callable[[str], str]
) -> None:
    task.run(on_link_callback=task.send)

    assert redact(f"Max retries exceeded with url: {spell(task.links[0])}") == (
        "Max retries exceeded with url: ***"
    )


def test_an_alert_of_a_link_that_was_not_sent_has_the_words_and_not_the_link(task: Task) -> None:
    def fail(context: Any) -> None:
        raise ConnectionError(context["end_user_link"])

    operator = task.operator(on_link_callback=fail)
    with pytest.raises(errors.LinkNotSent) as raised:
        operator.execute(task.context)  # type: ignore[arg-type]

    instance = task.context["ti"]
    instance.task, instance.state, instance.log_url = operator, "failed", "http://airflow"
    message = failure_message({**task.context, "exception": raised.value})
    assert "LinkNotSent" in message
    assert task.tokens[0] not in message


def test_a_run_without_an_end_user_sends_and_pushes_nothing_and_says_so(
    task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    task.definition_id = task.sandbox.define(seconds=0.0)

    task.run(on_link_callback=task.send, push_link=True)

    assert task.sent == []
    assert "end_user_link" not in task.context["ti"].xcoms
    assert "has no link" in capsys.readouterr().out


def test_nothing_is_asked_of_the_service_where_nobody_asks_for_the_link(task: Task) -> None:
    task.run()

    assert task.sandbox.counts.requests == {"POST /workflows": 1}
    assert task.context["ti"].xcoms.keys() == {"workflow_id", "workflow_link", "workflow_report"}


@pytest.mark.parametrize("given", [{"push_link": True}, {"on_link_callback": print}])
@pytest.mark.parametrize("generation", [1, 2])
def test_a_link_is_refused_by_a_generation_without_links_before_anything_is_sent(
    connect: Connect, context: dict[str, Any], generation: int, given: dict[str, Any]
) -> None:
    sandbox = connect(generation)
    operator = RunWorkflowOperator(task_id="run", workflow_definition_id=DEFINITION, **given)

    with pytest.raises(errors.InvalidInput, match=f"{next(iter(given))} needs api_generation 3"):
        operator.execute(context)  # type: ignore[arg-type]

    assert not sandbox.counts.requests


@pytest.mark.parametrize(
    "given",
    [
        {"push_link": True, "case_id": ID},
        {"on_link_callback": print, "parameters_id": ID},
        {"push_link": "yes"},
        {"on_link_callback": "print"},
        {"on_link_callback": []},
    ],
)
def test_what_cannot_be_right_is_refused_as_the_dag_is_parsed(given: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput, match=r"push_link|on_link_callback"):
        RunWorkflowOperator(task_id="run", workflow_definition_id=ID, **given)


async def send_later(context: Any) -> None:
    """Send nothing, as nobody awaits it."""


class SendsLater:
    async def __call__(self, context: Any) -> None:
        """Send nothing, as nobody awaits it."""


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (Notifier, r"class Notifier: give an instance of it, as Notifier\(\.\.\.\)"),
        ([print, Notifier], "class Notifier"),
        (send_later, "send_later is an async function"),
        (partial(send_later), "is an async function"),
        (SendsLater(), "SendsLater is an async function"),
    ],
)
def test_a_callback_that_would_send_nothing_is_refused_as_the_dag_is_parsed(
    callback: Any, words: str
) -> None:
    with pytest.raises(errors.InvalidInput, match=f"on_link_callback .*{words}"):
        RunWorkflowOperator(task_id="run", workflow_definition_id=ID, on_link_callback=callback)


@pytest.mark.parametrize("name", ["push_link", "on_link_callback"])
def test_the_decorator_which_runs_workflows_with_cases_refuses_it_by_name(name: str) -> None:
    given: Any = {"workflow_definition_id": ID, name: True}
    decorate: Callable[..., Any] = run_workflow(**given)
    task = decorate(lambda: ID)
    with DAG("checks"), pytest.raises(errors.InvalidInput, match=f"{name} is not an argument"):
        task()


@pytest.mark.thorough
def test_a_dag_with_a_callback_is_stored_as_any_other() -> None:
    with DAG("checks") as dag:
        RunWorkflowOperator(task_id="one", workflow_definition_id=ID, on_link_callback=Notifier())
        RunWorkflowOperator.partial(task_id="many", on_link_callback=print).expand(
            workflow_definition_id=[ID, ID]
        )

    stored = json.dumps(DagSerialization.to_dict(dag))

    assert "many" in stored
