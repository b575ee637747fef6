"""Alerts from real Airflow: of a task, of a DAG, and of a deadline in the triggerer and on a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION, SLOW_DEFINITION, Sandbox
from tests.harness.local_airflow import EXAMPLE_DAGS, LocalAirflow, RunningAirflow
from tests.unit.notifications.test_workflows import TOKEN, ChatChannel

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

EXAMPLE = "workflows_alerts"
PERSON = ("Johanna", "Nowakowska")
HOUR, CONNECTION = "timedelta(hours=1)", '"workflows_alerts")}'
#: Variants of the example: what takes the place of what in it.
VARIANTS = {
    f"{EXAMPLE}_late": {HOUR: "timedelta(seconds=20)"},
    # Airflow 3.3 gives a callback on a worker no connection of its database.
    f"{EXAMPLE}_late_on_worker": {
        HOUR: "timedelta(seconds=1)",
        "AsyncCallback": "SyncCallback",
        '{"alert_conn_id": "workflows_alerts"}': '{"alert_conn_id": "on_worker"}',
    },
    f"{EXAMPLE}_deaf": {CONNECTION: '"deaf")}'},
    f"{EXAMPLE}_without": {CONNECTION: '"no_such_connection")}'},
}
SAID_BY_AN_EXCEPTION = "Brunhilde"
OF_A_DAG = f'''
from airflow.sdk import DAG, task
from airflow_provider_workflows.notifications.workflows import WorkflowsNotifier
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator

with DAG("of_a_dag", schedule=None, on_failure_callback=WorkflowsNotifier()):
    case = CreateCaseOperator(task_id="create_case")
    RunWorkflowOperator.partial(
        task_id="run", case_id=case.output, wait_for_completion=True, max_active_tis_per_dag=2
    ).expand(workflow_definition_id=["{DEFINITION}", "{FAILING_DEFINITION}"])

    @task
    def other():
        raise RuntimeError("{SAID_BY_AN_EXCEPTION} is not known")

    other()
'''


@dataclass
class Alerting:
    """A running Airflow, where its alerts go, and the runs of its DAGs."""

    airflow: RunningAirflow
    home: Path
    channel: ChatChannel
    sandbox: Sandbox
    runs: dict[str, str] = field(default_factory=dict)

    def ended(self, dag_id: str) -> str:
        return self.airflow.wait(dag_id, self.runs[dag_id])

    def messages(self, dag_id: str) -> list[str]:
        return [text for text in self.channel.messages if f"DAG {dag_id} " in text]

    def message(self, dag_id: str) -> str:
        self.airflow.until(lambda: self.messages(dag_id), 90, f"an alert of {dag_id}")
        (text,) = self.messages(dag_id)
        return text

    def run_url(self, dag_id: str) -> str:
        return f"{self.airflow.url}/dags/{dag_id}/runs/{self.runs[dag_id].replace(':', '%3A').replace('+', '%2B')}"

    @property
    def logs(self) -> dict[Path, str]:
        """What all of Airflow's parts have logged."""
        paths = [self.home / "standalone.log", *(self.home / "logs").rglob("*.log")]
        return {path: path.read_text(errors="replace") for path in paths}


def connection(url: str) -> str:
    return json.dumps({"conn_type": "generic", "password": url})


@pytest.fixture(scope="module")
def alerting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alerting]:
    """An Airflow of its own, since its logs are read, with a run of each DAG under way."""
    folder = tmp_path_factory.mktemp("dags")
    source = (EXAMPLE_DAGS / f"{EXAMPLE}.py").read_text()
    (folder / f"{EXAMPLE}.py").write_text(source)
    for dag_id, replacements in VARIANTS.items():
        variant = source.replace(f'DAG(\n    "{EXAMPLE}"', f'DAG(\n    "{dag_id}"')
        for old, new in replacements.items():
            assert old in variant
            variant = variant.replace(old, new)
        (folder / f"{dag_id}.py").write_text(variant)
    (folder / "of_a_dag.py").write_text(OF_A_DAG)
    with (
        ChatChannel() as channel,
        Sandbox() as sandbox,
        LocalAirflow(
            folder, sandbox.environment | {"AIRFLOW_CONN_ON_WORKER": connection(channel.url)}
        ) as local,
        local.standalone() as airflow,
    ):
        running = Alerting(airflow, local.home, channel, sandbox)
        for conn_id, url in (("workflows_alerts", channel.url), ("deaf", channel.deaf_url)):
            airflow.call("POST", "/connections", {"connection_id": conn_id, **json.loads(connection(url))})
        for dag_id in (*VARIANTS, EXAMPLE, "of_a_dag"):
            definition = SLOW_DEFINITION if "late" in dag_id else FAILING_DEFINITION
            conf = {} if dag_id == "of_a_dag" else {"definition": definition}
            running.runs[dag_id] = airflow.trigger(dag_id, conf)
        yield running


def test_a_task_that_fails_sends_one_message_with_its_workflow_and_where_to_find_more(
    alerting: Alerting,
) -> None:
    assert alerting.ended(EXAMPLE) == "failed"

    lines = alerting.message(EXAMPLE).splitlines()

    run_id = alerting.runs[EXAMPLE]
    workflow_id = alerting.airflow.xcom(EXAMPLE, run_id, "run_workflow", "workflow_id")
    case_id = alerting.airflow.xcom(EXAMPLE, run_id, "create_case")
    assert lines == [
        f"Task run_workflow of DAG {EXAMPLE} has failed, try 1 of 1 of run {run_id}.",
        f"Workflow {workflow_id}, status FAILED, case {case_id}, definition {FAILING_DEFINITION}",
        f"Page: {alerting.run_url(EXAMPLE)}/tasks/run_workflow/plugin/workflow",
        "Try 1 has failed: the run has failed, status FAILED.",
        "Airflow does not retry the task.",
        "A repair (press Repair, or clear the task): 1 run billed; submits a new run.",
        (
            'Starting over (press Start over, or set on_clear="start_over" and clear the task): 1 run billed; '
            "submits a new run, whatever there is."
        ),
        f"Error: WorkflowFailed: Workflow {workflow_id} ended in the failure status FAILED.",
        f"Log: {alerting.run_url(EXAMPLE)}/tasks/run_workflow?try_number=1",
    ]


def test_a_dag_that_fails_sends_one_message_with_each_failed_task(alerting: Alerting) -> None:
    dag_id = "of_a_dag"
    assert alerting.ended(dag_id) == "failed"

    lines = alerting.message(dag_id).splitlines()

    run_id, url = alerting.runs[dag_id], alerting.run_url(dag_id)
    workflow_id = alerting.airflow.xcom(dag_id, run_id, "run", "workflow_id", map_index=1)
    workflow_url = f"{url}/tasks/run/mapped/1/plugin/workflow"
    assert lines == [
        f"DAG {dag_id} has failed, run {run_id}: task failure.",
        f"Task other: {url}/tasks/other",
        f"Task run[1], workflow {workflow_id}, {workflow_url}: {url}/tasks/run/mapped/1",
        f"Run: {url}",
    ]


def test_a_deadline_that_passes_sends_one_message_from_the_triggerer_with_what_is_under_way(
    alerting: Alerting,
) -> None:
    dag_id = f"{EXAMPLE}_late"

    lines = alerting.message(dag_id).splitlines()

    run_id = alerting.runs[dag_id]
    assert lines[0].startswith(f"DAG {dag_id} is late, run {run_id}: it was due by 20")
    assert lines[-1] == f"Run: {alerting.run_url(dag_id)}"
    workflow_id = alerting.airflow.xcom(dag_id, run_id, "run_workflow", "workflow_id")
    workflow_url = f"{alerting.run_url(dag_id)}/tasks/run_workflow/plugin/workflow"
    assert lines[2:-1] == [f"Task run_workflow: deferred, workflow {workflow_id}, {workflow_url}"]


def test_a_deadline_that_passes_sends_one_message_from_a_worker(alerting: Alerting) -> None:
    dag_id = f"{EXAMPLE}_late_on_worker"

    lines = alerting.message(dag_id).splitlines()

    assert lines[0].startswith(f"DAG {dag_id} is late, run {alerting.runs[dag_id]}: it was due by 20")
    assert lines[-1] == f"Run: {alerting.run_url(dag_id)}"


@pytest.mark.parametrize(
    ("dag_id", "reason"),
    [
        (f"{EXAMPLE}_deaf", "through connection deaf: timed out"),
        (f"{EXAMPLE}_without", "through connection no_such_connection: "),
    ],
)
def test_a_message_that_cannot_be_sent_leaves_the_task_failed_for_its_own_reason(
    alerting: Alerting, dag_id: str, reason: str
) -> None:
    assert alerting.ended(dag_id) == "failed"

    def log() -> str:
        text = alerting.airflow.task_log(dag_id, alerting.runs[dag_id], "run_workflow")
        return text if "The alert was not sent" in text else ""

    text = alerting.airflow.until(log, 60, "the end of the callback")
    assert "ended in the failure status FAILED" in text
    assert f"The alert was not sent {reason}" in text
    assert "Failed to run task callback" not in text


def test_no_log_and_no_message_holds_the_secret_or_a_person(alerting: Alerting) -> None:
    for dag_id in alerting.runs:
        if not dag_id.endswith(("_deaf", "_without")):
            alerting.message(dag_id)

    logs = alerting.logs

    assert len(alerting.channel.messages) == 4
    assert any("The alert was sent through connection workflows_alerts" in text for text in logs.values())
    for secret in (TOKEN, *PERSON):
        assert not [path for path, text in logs.items() if secret in text], secret
    for secret in (TOKEN, *PERSON, SAID_BY_AN_EXCEPTION):
        assert not [text for text in alerting.channel.messages if secret in text]
