"""Webhooks on a whole Airflow with PostgreSQL: doubled, lost and early, and what they save."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.server import ENVIRONMENT_VARIABLE
from tests.harness.running_airflow import TaskInstance
from tests.harness.stack import Stack

from .conftest import StartStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

MAPPED, BATCH, ON_COMPLETION = "webhooks_mapped", "webhooks_batch", "workflows_on_completion"
NOTIFIED, POLLED = "workflows_default", "workflows_polled"
#: How many of each: fewer than in `make test-all`.
RUNS = int(os.environ.get("WEBHOOK_RUNS", "40"))
POLLED_RUNS = int(os.environ.get("WEBHOOK_POLLED_RUNS", "15"))
ROWS = int(os.environ.get("WEBHOOK_ROWS", "300"))
COMPLETIONS = int(os.environ.get("WEBHOOK_COMPLETIONS", "10"))
SECONDS = (15.0, 40.0)
DOUBLED, LOST, EARLY = 1 / 3, 0.1, 0.1
#: The trigger's, once it may fire, and the webhook app's.
POLLS_WITH_WEBHOOK = 2
WAIT_SECONDS = 900.0


@dataclass
class Waited:
    """What was waited for in one DAG run, or in one batch.

    :param polls: how often each workflow was polled, by id
    :param deliveries: how often each workflow's webhook was sent, by id
    :param failures: the logs of tasks that failed, and what Airflow has noted of them
    """

    tasks: list[TaskInstance]
    polls: Counter[str]
    deliveries: Counter[str]
    failures: str

    def __str__(self) -> str:
        number = len(self.polls)
        return f"{number} runs, {self.polls.total() / number:.2f} polls a run, {max(self.polls.values())} at most"


@dataclass
class Outcome:
    """What is left when all is over."""

    mapped: dict[str, Waited]
    batch: dict[str, Waited]
    rows: dict[str, list[str]]
    completed: list[str]
    triggered: list[tuple[object, ...]]
    events: int


class Driver:
    """Has things run on a stack, and reads what became of them."""

    def __init__(self, stack: Stack, sandbox: Sandbox, folder: Path) -> None:
        self._stack = stack
        self._sandbox = sandbox
        self._folder = folder

    def mapped(self, connection: str, number: int) -> tuple[str, list[str]]:
        """Start mapped runs, and return the DAG run and its cases once all are submitted."""
        with self._sandbox.client() as client:
            case_ids = [client.create_case().case_id for _ in range(number)]
        conf: dict[str, object] = {
            "case_ids": case_ids,
            "definition": self._definition(),
            "connection": connection,
        }
        return self._submitted(MAPPED, conf, number), case_ids

    def batch(self, connection: str) -> str:
        """Start a batch, and return the DAG run once all its rows are submitted."""
        cases = self._folder / f"{connection}.jsonl"
        rows = ({"key": f"key-{number}", "first_name": "Johanna"} for number in range(ROWS))
        cases.write_text("".join(json.dumps(row) + "\n" for row in rows))
        conf: dict[str, object] = {
            "cases": str(cases),
            "output": str(self._folder / connection),
            "definition": self._definition(),
            "connection": connection,
        }
        return self._submitted(BATCH, conf, ROWS)

    def rows(self, connection: str) -> list[dict[str, str]]:
        return list(read_output(str(self._folder / connection / "results.jsonl")))

    def waited(self, dag_id: str, run_id: str, workflow_ids: list[str]) -> Waited:
        counts = self._sandbox.counts
        of_path = Counter(seen.path for seen in counts.seen if seen.method == "GET")
        tasks = [one for one in self._stack.running.task_instances(dag_id, run_id) if one.task_id == "run"]
        failed = [one for one in tasks if (one.state, one.try_number) != ("success", 1)]
        return Waited(
            tasks,
            Counter({name: of_path[f"/workflows/{name}"] for name in workflow_ids}),
            Counter({name: counts.deliveries[name] for name in workflow_ids}),
            "\n".join(self._failure(dag_id, run_id, one) for one in failed),
        )

    def _failure(self, dag_id: str, run_id: str, task: TaskInstance) -> str:
        noted = self._stack.sql(
            "SELECT dttm, event, try_number, extra FROM log WHERE run_id = :run AND map_index = :index ORDER BY id",
            run=run_id,
            index=task.map_index,
        )
        said = self._stack.running.task_log(dag_id, run_id, task.task_id, map_index=task.map_index)
        return "\n".join([f"{task}", *map(str, noted), said])

    def workflow_ids(self, run_id: str) -> list[str]:
        rows = self._stack.sql(
            "SELECT value #>> '{}' FROM xcom WHERE run_id = :run AND task_id = 'run' AND key = 'workflow_id'",
            run=run_id,
        )
        return [str(workflow_id) for (workflow_id,) in rows]

    def completions(self) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run workflows that no DAG waits for; return their ids, and the DAG runs that come of them."""
        airflow = self._stack.running
        definition_id = self._sandbox.define(seconds=1.0)
        with self._sandbox.client() as client:
            started = [
                client.run_workflow(definition_id, client.create_case().case_id).id
                for _ in range(COMPLETIONS)
            ]
        airflow.until(
            lambda: len(self._triggered("success")) >= COMPLETIONS, 180, "a run for each completion"
        )
        # One too many would come of the second copy: each copy is dealt with, and nothing waits for a DAG run.
        airflow.until(
            lambda: self._delivered(started) and not self._pending(), 60, "all copies to be dealt with"
        )
        airflow.call("PATCH", f"/dags/{ON_COMPLETION}", {"is_paused": True})
        return started, self._triggered()

    def is_scheduled_on_completions(self) -> bool:
        return bool(
            self._stack.sql(
                "SELECT 1 FROM dag_schedule_asset_reference WHERE dag_id = :dag", dag=ON_COMPLETION
            )
            and self._stack.sql("SELECT 1 FROM asset_active")
        )

    def events(self, workflow_ids: list[str]) -> int:
        rows = self._stack.sql("SELECT partition_key FROM asset_event")
        return sum(key in workflow_ids for (key,) in rows)

    def _delivered(self, workflow_ids: list[str]) -> bool:
        responses = self._sandbox.counts.delivery_responses
        return all(responses.get(workflow_id, {}).get("204", 0) >= 2 for workflow_id in workflow_ids)

    def _pending(self) -> bool:
        rows = self._stack.sql(
            "SELECT 1 FROM asset_partition_dag_run WHERE target_dag_id = :dag AND created_dag_run_id IS NULL",
            dag=ON_COMPLETION,
        )
        return bool(rows)

    def _triggered(self, state: str | None = None) -> list[tuple[object, ...]]:
        rows = self._stack.sql(
            "SELECT partition_key, state FROM dag_run WHERE dag_id = :dag", dag=ON_COMPLETION
        )
        return [row for row in rows if state in (None, row[1])]

    def _definition(self) -> str:
        return self._sandbox.define(seconds=SECONDS)

    def _submitted(self, dag_id: str, conf: dict[str, object], number: int) -> str:
        before = self._sandbox.counts.runs_per_case.total()
        run_id = self._stack.running.trigger(dag_id, conf)

        def submitted() -> bool:
            if self._stack.running.run_state(dag_id, run_id) == "failed":
                pytest.fail(self._stack.running.task_log(dag_id, run_id, "run"))
            return self._sandbox.counts.runs_per_case.total() >= before + number

        self._stack.running.until(submitted, WAIT_SECONDS, f"{number} runs to be submitted")
        return run_id


def environment(sandbox: Sandbox) -> dict[str, str]:
    extra = {**sandbox.connection["extra"], "webhooks": True}
    return {
        ENVIRONMENT_VARIABLE: json.dumps(sandbox.connection | {"extra": extra}),
        "AIRFLOW_CONN_WORKFLOWS_POLLED": sandbox.connection_json,
        "WORKFLOWS_HOST": sandbox.url,
        "AIRFLOW__CORE__PARALLELISM": "8",
    }


@pytest.fixture(scope="module")
def outcome(start_stack: StartStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    with (
        Sandbox() as sandbox,
        start_stack(sandbox, environment(sandbox), executor="LocalExecutor") as stack,
    ):
        airflow = stack.running
        driver = Driver(stack, sandbox, tmp_path_factory.mktemp("webhooks"))
        # What is run from here on without webhooks goes on while the rest begins.
        batch, mapped = {POLLED: driver.batch(POLLED)}, {}
        mapped[POLLED], _ = driver.mapped(POLLED, POLLED_RUNS)
        address = f"{airflow.url}/workflows/webhooks/{NOTIFIED}"

        sandbox.webhooks.send_to(address)
        # The DAG is paused once it has run for these: each run of it is one more poll, and the completions of what
        # follows would have runs of it as well.
        airflow.until(driver.is_scheduled_on_completions, 60, "the example to be scheduled on completions")
        airflow.call("PATCH", f"/dags/{ON_COMPLETION}", {"is_paused": False})
        sandbox.webhooks.fault("doubled")
        completed, triggered = driver.completions()
        sandbox.clear_faults()

        batch[NOTIFIED] = driver.batch(NOTIFIED)
        airflow.wait(BATCH, batch[NOTIFIED], WAIT_SECONDS)
        for name, share in {"doubled": DOUBLED, "lost": LOST, "early": EARLY}.items():
            sandbox.webhooks.fault(name, share=share)
        mapped[NOTIFIED], _ = driver.mapped(NOTIFIED, RUNS)
        for dag_id, runs in ((MAPPED, mapped), (BATCH, batch)):
            for run_id in runs.values():
                airflow.wait(dag_id, run_id, WAIT_SECONDS)

        rows = {name: driver.rows(name) for name in batch}
        ids = {name: [row["workflow_id"] for row in rows[name]] for name in batch}
        yield Outcome(
            {name: driver.waited(MAPPED, run, driver.workflow_ids(run)) for name, run in mapped.items()},
            {name: driver.waited(BATCH, run, ids[name]) for name, run in batch.items()},
            {name: [row["outcome"] for row in rows[name]] for name in batch},
            completed,
            triggered,
            driver.events(completed),
        )


def test_every_task_ends_right_in_its_first_try(outcome: Outcome) -> None:
    for name, number in ((NOTIFIED, RUNS), (POLLED, POLLED_RUNS)):
        states = Counter((one.state, one.try_number) for one in outcome.mapped[name].tasks)

        assert states == {("success", 1): number}, outcome.mapped[name].failures


def test_what_a_webhook_ends_is_polled_twice_and_doubled_webhooks_change_nothing(outcome: Outcome) -> None:
    notified = outcome.mapped[NOTIFIED]
    print(f"\nmapped, notified: {notified}\nmapped, polled:   {outcome.mapped[POLLED]}")

    # An early webhook ends nothing and costs two polls, or three when it is doubled.
    early = {name for name, polls in notified.polls.items() if polls > POLLS_WITH_WEBHOOK}
    assert len(early) <= 2 * EARLY * RUNS
    assert all(notified.deliveries[name] for name in early)
    assert notified.polls.total() <= POLLS_WITH_WEBHOOK * RUNS + 3 * len(early)
    assert notified.polls.total() <= (POLLS_WITH_WEBHOOK + 4 * EARLY) * RUNS


def test_some_webhooks_were_doubled_and_some_lost(outcome: Outcome) -> None:
    times = Counter(outcome.mapped[NOTIFIED].deliveries.values())

    assert times.keys() == {0, 1, 2}


def test_webhooks_save_polls(outcome: Outcome) -> None:
    notified, polled = outcome.mapped[NOTIFIED], outcome.mapped[POLLED]

    assert notified.polls.total() / RUNS < 0.7 * polled.polls.total() / POLLED_RUNS


def test_a_batch_is_notified_as_well(outcome: Outcome) -> None:
    notified, polled = outcome.batch[NOTIFIED], outcome.batch[POLLED]
    print(f"\nbatch, notified: {notified}\nbatch, polled:   {polled}")

    assert outcome.rows == {NOTIFIED: ["succeeded"] * ROWS, POLLED: ["succeeded"] * ROWS}
    assert notified.polls.total() <= POLLS_WITH_WEBHOOK * ROWS
    assert notified.polls.total() < 0.7 * polled.polls.total()


def test_each_completion_is_one_dag_run_though_each_webhook_comes_twice(outcome: Outcome) -> None:
    assert sorted(outcome.triggered) == sorted((name, "success") for name in outcome.completed)
    assert outcome.events == COMPLETIONS
