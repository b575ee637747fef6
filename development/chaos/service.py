"""The service under chaos: a sandbox with faults, which can go down, and the runs that it saw."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_workflows.api.generations import GENERATIONS
from airflow_provider_workflows.sandbox import TABLE, Sandbox
from development.chaos.table import Person

#: The share of calls that meet a fault.
SHARE_OF_FAULTS = 0.03
#: A refusal makes all calls wait: so these are fewer.
SHARE_OF_REFUSALS = 0.0005

#: What a service and a network do that loses no response to the call that starts a run: such a loss leaves the
#: outcome unknown, and only kills are to do that here.
_FAULTS_OF_ALL: tuple[dict[str, Any], ...] = (
    {"name": "latency", "seconds": 0.3},
    {"name": "server_error", "status": 503},
)
_FAULTS_OF_REPEATABLE_CALLS: tuple[dict[str, Any], ...] = (
    {"name": "server_error", "status": 500},
    {"name": "server_error", "status": 502, "form": "html"},
    {"name": "cut_before"},
    {"name": "cut_during"},
    {"name": "cut_after"},
    {"name": "truncated_json"},
    {"name": "html_ok"},
)
#: A run takes the service a while to start: so that at a kill there are calls under way.
_RUN_LATENCY: dict[str, Any] = {"name": "latency", "seconds": 0.25}
_RUN_PATHS = sorted({generation.run_path for generation in GENERATIONS.values()})
_REPEATABLE = ("/cases", "/workflows/{workflowId}", "/workflows/{workflowId}/result")


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the service has seen it.

    :param workflow_id: its id
    :param subject_id: its case, or its record
    :param person: whose it is
    :param definition_id: its workflow definition
    :param started: when, in seconds since the epoch
    :param fails: whether it ends in a failure status
    """

    workflow_id: str
    subject_id: str
    person: Person
    definition_id: str
    started: float
    fails: bool


class Service:
    """A sandbox on a socket of this machine.

    :param seed: of what the sandbox draws: which call meets a fault, and how long a run takes
    :param run_seconds: bounds of how long a run takes
    """

    def __init__(self, seed: int, run_seconds: tuple[float, float]) -> None:
        self.sandbox = Sandbox(seed=seed)
        self._run_seconds = run_seconds
        self._runs: list[Run] = []
        self._persons_of_records: dict[str, Person] = {}
        self.is_up = False

    def start(self) -> None:
        """Serve requests."""
        self.sandbox.start()
        self.is_up = True

    def add_faults(self) -> None:
        """Let calls meet faults, and no others than these."""
        self.sandbox.clear_faults()
        for path in _RUN_PATHS:
            self.sandbox.fault(**_RUN_LATENCY, path=path)
        share = SHARE_OF_FAULTS / (len(_FAULTS_OF_ALL) + len(_FAULTS_OF_REPEATABLE_CALLS))
        for fault in _FAULTS_OF_ALL:
            self.sandbox.fault(**fault, share=share)
        self.sandbox.fault("rate_limited", share=SHARE_OF_REFUSALS)
        for fault in _FAULTS_OF_REPEATABLE_CALLS:
            for path in _REPEATABLE:
                self.sandbox.fault(**fault, path=path, share=share)

    def refuse(self) -> None:
        """Refuse all requests from now on, as a service does that is about to go down.

        Calls that are under way end: a response that is lost would leave its outcome unknown, which only kills are
        to do here.
        """
        self.sandbox.clear_faults()
        self.sandbox.fault("server_error", status=503)
        self.is_up = False

    def stop(self) -> None:
        """Close all connections, and accept no new one."""
        self.is_up = False
        self.sandbox.stop()

    def define(self, definition_id: str | None = None, *, fails: bool = False) -> str:
        """Define a workflow, or how the further runs of one end, and return its id.

        :param definition_id: its id; None for a new one
        :param fails: whether its runs end in a failure status
        """
        status = "FAILED" if fails else "COMPLETED"
        return self.sandbox.define(definition_id, seconds=self._run_seconds, status=status)

    def create_subjects(self, persons: list[Person], generation: int) -> list[str]:
        """Create what runs are about, as a user of the service did long ago, and return the ids.

        :param persons: whose runs they will be
        :param generation: of the API: a case for each in generation 1, a record in the later ones
        """
        with self.sandbox.client(api_generation=generation) as client:
            if generation == 1:
                return [
                    client.create_case(
                        first_name=person.first_name,
                        last_name=person.last_name,
                        personal_number=person.personal_number,
                    ).case_id
                    for person in persons
                ]
            return [client.create_record(TABLE, person.record).id for person in persons]

    def runs(self) -> list[Run]:
        """Return all runs, oldest first."""
        for workflow in self.sandbox.workflows[len(self._runs) :]:
            self._runs.append(
                Run(
                    workflow.id,
                    workflow.record_id or workflow.case["caseId"],
                    self._person_of_record(workflow.record_id)
                    if workflow.record_id
                    else Person.of_case(workflow.case),
                    workflow.definition.id,
                    datetime.fromisoformat(workflow.created_date.replace("Z", "+00:00")).timestamp(),
                    workflow.definition.status != "COMPLETED",
                )
            )
        return self._runs

    def _person_of_record(self, record_id: str) -> Person:
        if record_id not in self._persons_of_records:
            self._persons_of_records = {
                record["id"]: Person.of_record(record) for record in self.sandbox.records
            }
        return self._persons_of_records[record_id]


def by_person(runs: list[Run]) -> dict[Person, list[Run]]:
    """Return the runs of each person, oldest first."""
    grouped: dict[Person, list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.person].append(run)
    return grouped
