"""The records of runs and batches come back as written, and what cannot be read is not guessed at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.batch.manifest import Manifest
from airflow_provider_workflows.batch.place import BatchPlace
from airflow_provider_workflows.operators.batch_record import (
    BATCH_KEY,
    BatchPhase,
    BatchRecord,
    batch_records,
)
from airflow_provider_workflows.operators.records import Records
from airflow_provider_workflows.operators.run_record import RUN_KEY, RunPhase, RunRecord, run_records
from airflow_provider_workflows.sensors.outage import OutageRecord

RUNS = [
    RunRecord(RunPhase.SUBMITTING, "definition", "case"),
    RunRecord(RunPhase.SUBMITTED, "definition", "case", workflow_id="w", started=1.5),
    RunRecord(RunPhase.FAILED, "definition", "case", workflow_id="w", status="EXPIRED"),
    RunRecord(RunPhase.NOT_SUBMITTED, "definition", "case", "parameters"),
    RunRecord(
        RunPhase.SUCCEEDED,
        "definition",
        "case",
        workflow_id="w",
        earlier=(RunRecord(RunPhase.SUBMITTING, "definition", "another case"),),
    ),
]
PLACE = BatchPlace.named(ObjectStoragePath("file:///out"), "name")
BEGUN = BatchRecord(BatchPhase.SUBMITTING, 1.5, PLACE, Manifest(5, 1, 2, "digest"))
SUMMARY = {"output": "file:///out/results.jsonl", "rows": 5, "outcomes": {"succeeded": 5}}
BATCHES = [BEGUN, BEGUN.at(BatchPhase.WAITING), BEGUN.at(BatchPhase.FAILED), BEGUN.done(SUMMARY)]


class Stored:
    """A store that is neither Airflow's nor a file."""

    was_cleared = False

    def __init__(self) -> None:
        self.text: str | None = None

    def read(self) -> Any:
        return None if self.text is None else json.loads(self.text)

    def write(self, fields: Any) -> None:
        self.text = json.dumps(fields, allow_nan=False)

    def delete(self) -> None:
        self.text = None


@pytest.mark.parametrize(
    "record", [*RUNS, *BATCHES, OutageRecord(1.5, 2.5, 1)], ids=lambda record: type(record).__name__
)
def test_a_record_comes_back_as_it_was_written(record: Any) -> None:
    records = Records(Stored(), type(record))

    records.write(record)

    assert records.read() == record


def test_nothing_is_read_where_nothing_is_stored_and_after_it_was_deleted() -> None:
    records = Records(Stored(), RunRecord)
    assert records.read() is None
    records.write(RUNS[0])

    records.delete()

    assert records.read() is None


def test_phase_and_format_are_plain_in_what_is_stored() -> None:
    stored = Stored()

    Records(stored, RunRecord).write(RUNS[0])

    assert stored.read() == {
        "format": 1,
        "phase": "submitting",
        "workflow_definition_id": "definition",
        "case_id": "case",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": None},
        {"phase": "pondering"},
        {"phase": None},
        {"shoe_size": 46},
        {"phase": "submitted"},
        {"phase": "succeeded"},
        {"earlier": [{"phase": "submitted"}]},
    ],
    ids=["newer", "no format", "phase", "no phase", "field", "no id", "no id of a success", "earlier"],
)
def test_a_record_that_cannot_be_read_is_not_guessed_at(changes: dict[str, Any]) -> None:
    stored = Stored()
    records = Records(stored, RunRecord)
    records.write(RUNS[0])
    stored.write({name: value for name, value in (stored.read() | changes).items() if value is not None})

    with pytest.raises(OutcomeUnknown, match="what was submitted is not known"):
        records.read()


class TestTaskStateStore:
    @pytest.mark.parametrize(
        ("open_records", "key", "record"),
        [(run_records, RUN_KEY, RUNS[0]), (batch_records, BATCH_KEY, BEGUN)],
        ids=["run", "batch"],
    )
    def test_a_cleared_task_reads_its_record_and_that_it_was_cleared(
        self, context: Any, open_records: Any, key: str, record: Any
    ) -> None:
        open_records(context).write(record)
        assert context["task_state_store"].get(key)["phase"] == "submitting"
        retry = open_records(context)
        assert (retry.read(), retry.was_cleared) == (record, False)

        context["ti"].max_tries += 1

        cleared = open_records(context)
        assert (cleared.read(), cleared.was_cleared) == (record, True)

    def test_a_run_and_a_batch_have_records_of_their_own(self, context: Any) -> None:
        run_records(context).write(RUNS[0])

        assert batch_records(context).read() is None
