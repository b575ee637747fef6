"""What ``hash_personal_numbers`` puts into the table of a batch, row by row, in either format."""

from __future__ import annotations

import json

import pytest

from airflow_provider_workflows.api.pseudonyms import personal_number_hash
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask

SECRET = "a secret of more than thirty-two characters"
NUMBER = "02211012345"


@pytest.fixture(autouse=True)
def connection(batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {**sandbox.connection["extra"], "hash_secret": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(sandbox.connection | {"extra": extra}))


@pytest.mark.thorough
@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_each_row_has_the_hash_of_its_number_or_of_its_result(
    batch: BatchTask, sandbox: Sandbox, output_format: str
) -> None:
    with sandbox.client() as client:
        with_number, nameless = (
            client.create_case(personal_number=number).case_id for number in (NUMBER, None)
        )
    rows = [
        {"personal_number": f" {NUMBER} "},
        {"personal_number": "2211012345"},
        {"case_id": with_number},
        {"case_id": nameless},
        {"first_name": "Ada"},
        {"personal_number": NUMBER, "phone": "no phone"},
    ]

    summary = batch.run(rows, hash_personal_numbers=True, on_bad_row="skip", output_format=output_format)

    hashed = personal_number_hash(NUMBER, SECRET)
    without_zero = personal_number_hash("2211012345", SECRET)
    found = [row["personal_number_hash"] for row in read_output(summary["output"])]
    assert found == [hashed, without_zero, hashed, None, None, None]


@pytest.mark.thorough
def test_a_row_whose_run_fails_has_its_hash(batch: BatchTask, sandbox: Sandbox) -> None:
    sandbox.define(batch.definition_id, seconds=0.0, status="FAILED")

    batch.run([{"personal_number": NUMBER}], hash_personal_numbers=True, max_failed_share=1.0)

    assert batch.outcomes == ["failed"]
    assert batch.output[0]["personal_number_hash"] == personal_number_hash(NUMBER, SECRET)


@pytest.mark.thorough
def test_without_hash_keys_no_row_has_a_hash(batch: BatchTask) -> None:
    batch.run([{"personal_number": NUMBER}])

    assert batch.output[0]["personal_number_hash"] is None
