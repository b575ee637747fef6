"""A batch of which a part has failed, and a person who presses a button of its page."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections import Counter
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.operators.instruction import INSTRUCTION_KEY
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.definitions import Definition
from tests.unit.batch_task import STATUS_PATH, BatchTask

#: What becomes of the rows in the first tries.
OUTCOMES = ["unknown", *["failed"] * 3, *["not_submitted"] * 2, *["succeeded"] * 4]
FAILED = Definition(seconds=0.0, status="FAILED")
#: The rows go out one by one, so that a fault meets a certain one.
ONE_BY_ONE = {"max_concurrency": 1}


def table() -> list[dict[str, Any]]:
    """Return the rows, each with a key; those that are not submitted lack their parameters."""
    return [
        {"key": f"K{number}", "first_name": f"Ada{number}"}
        | ({} if outcome == "not_submitted" else {"parameters": {"depth": 1}})
        for number, outcome in enumerate(OUTCOMES, 1)
    ]


class HalfFailed:
    """A batch task whose tries have ended as ``OUTCOMES`` says, and whose service is well again.

    :param batch: the task
    :param sandbox: the service
    """

    def __init__(self, batch: BatchTask, sandbox: Sandbox) -> None:
        self.batch = batch
        self.sandbox = sandbox
        sandbox.define(batch.definition_id, seconds=0.0, needs_parameters=True)
        sandbox.fault("cut_after", path="/workflows/run", times=1)
        sandbox.fault("server_error", status=503, path=STATUS_PATH)
        with pytest.raises(BatchFailed):
            batch.run(table(), max_outage=0.1, **ONE_BY_ONE)
        failed = [f"Ada{number}" for number, outcome in enumerate(OUTCOMES, 1) if outcome == "failed"]
        for workflow in sandbox.workflows:
            if workflow.case["partyDetails"]["personal"]["firstName"] in failed:
                sandbox._service.workflows[workflow.id] = dataclasses.replace(workflow, definition=FAILED)
        sandbox.clear_faults()
        self.retry()
        assert batch.outcomes == OUTCOMES
        sandbox.define(batch.definition_id, seconds=0.0)
        self._before = self._runs

    def retry(self, items: Any = None, **arguments: Any) -> BatchFailed:
        """Run a try that fails, and return its error."""
        with pytest.raises(BatchFailed) as raised:
            self.batch.run(table() if items is None else items, **ONE_BY_ONE, **arguments)
        return raised.value

    def press(self, action: str, *, age: float = 1.0, **chosen: Any) -> str:
        """Do what a button does: leave an instruction, and clear the task unless it is to stop; return its id."""
        instruction_id = str(uuid.uuid4())
        instruction = {
            "id": instruction_id,
            "action": action,
            "asked_at": time.time() - age,
            "asked_by": "ada",
        }
        self.batch.store.set(
            INSTRUCTION_KEY, {"format": 1, "rows": None, "outcome": None, **instruction, **chosen}
        )
        if action != "stop":
            self.batch.clear()
        return instruction_id

    @property
    def instruction(self) -> Any:
        """What is left of an instruction."""
        return self.batch.store.get(INSTRUCTION_KEY)

    @property
    def new_runs(self) -> dict[str, int]:
        """Runs at the service since the first tries, by the person's first name."""
        return dict(self._runs - self._before)

    @property
    def _runs(self) -> Counter[str]:
        return Counter(
            workflow.case["partyDetails"]["personal"]["firstName"] for workflow in self.sandbox.workflows
        )


def people(*numbers: int) -> dict[str, int]:
    """Return one run for each of these rows."""
    return {f"Ada{number}": 1 for number in numbers}
