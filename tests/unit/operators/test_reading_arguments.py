"""Each argument that says how items are read comes to the reading: of the operator, its decorator and ``shard``."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.operators.shards import shard
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.sandbox.tables import TYPED_TABLE
from tests.unit.batch_task import BatchTask
from tests.unit.decorators.test_workflows_batch import FunctionBatch

pytestmark = pytest.mark.thorough


def workbook() -> bytes:
    """Return a workbook with two sheets, of which neither is the only one with rows."""
    book = openpyxl.Workbook()
    for name, first_name in (("old", "Eve"), ("new", "Ada")):
        sheet = book.create_sheet(name)
        sheet.append(["first_name"])
        sheet.append([first_name])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def is_ada(row: dict[str, Any]) -> bool:
    return bool(row["first_name"] == "Ada")


def with_capitals(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "first_name": row["first_name"].upper()}


#: By argument: a file that is read otherwise without it, the argument's value, and who is sent.
SENT: dict[str, tuple[str, bytes, Any, dict[str, Any]]] = {
    "columns": ("people.csv", b"Imie\nAda\n", {"Imie": "first_name"}, {"firstName": "Ada"}),
    "zero_pad": (
        "people.jsonl",
        b'{"personal_number": 2070803628}',
        {"personal_number": 11},
        {"personalNumber": "02070803628"},
    ),
    "encoding": ("people.csv", "first_name\nŁucja\n".encode("cp1250"), "cp1250", {"firstName": "Łucja"}),
    "delimiter": ("people.csv", b"first_name\nAda;Bea\n", ",", {"firstName": "Ada;Bea"}),
    "sheet": ("people.xlsx", workbook(), "new", {"firstName": "Ada"}),
    "default_country_code": (
        "people.csv",
        b"first_name,phone\nAda,600700800\n",
        "48",
        {"firstName": "Ada", "phone": {"countryCode": "48", "number": "600700800"}},
    ),
    "where": ("people.csv", b"first_name\nEve\nAda\n", is_ada, {"firstName": "Ada"}),
    "transform": ("people.csv", b"first_name\nAda\n", with_capitals, {"firstName": "ADA"}),
    "defaults": (
        "people.csv",
        b"first_name\nAda\n",
        {"last_name": "Nowak"},
        {"firstName": "Ada", "lastName": "Nowak"},
    ),
}
#: By argument: a file that is refused with it alone, the argument's value, and why.
REFUSED: dict[str, tuple[str, bytes, Any, str]] = {
    "checks": (
        "people.csv",
        b"personal_number\n44051401350\n",
        {"personal_number": "PL-PESEL"},
        "personal_number: has a wrong check digit",
    ),
    "field_types": (
        "people.jsonl",
        b'{"record.count": "three"}',
        {"count": "integer"},
        "record.count: must be a whole number",
    ),
}
#: What is written of bad rows is the batch's own.
OF_BATCH_ALONE = {"bad_row_values"}


@pytest.fixture(params=["operator", "decorator"])
def task(request: pytest.FixtureRequest, batch: BatchTask) -> BatchTask:
    return batch if request.param == "operator" else FunctionBatch(batch.folder, batch.definition_id)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, bytes], str]:
    def write(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


def sent(task: BatchTask, service: Sandbox) -> list[Any]:
    """Return what the service has of each person of the output."""
    with service.client() as client:
        cases = [client.read_case(row["case_id"]).party_details for row in task.output]
    return [case and case.personal for case in cases]


def test_each_argument_is_in_one_of_the_tables() -> None:
    options = {each.name for each in dataclasses.fields(InputOptions)}

    assert options == SENT.keys() | REFUSED.keys() | OF_BATCH_ALONE


@pytest.mark.parametrize("name", SENT)
def test_a_batch_sends_what_its_argument_makes_of_a_file(
    task: BatchTask, connected: Sandbox, written: Callable[[str, bytes], str], name: str
) -> None:
    file, content, value, person = SENT[name]

    task.run(written(file, content), **{name: value}, deferrable=False)

    assert sent(task, connected) == [person]


@pytest.mark.parametrize("name", REFUSED)
def test_a_batch_refuses_what_its_argument_forbids(
    task: BatchTask, connected: Sandbox, written: Callable[[str, bytes], str], name: str
) -> None:
    file, content, value, reason = REFUSED[name]
    of_records = {"table_id": TYPED_TABLE, "workflows_conn_id": CONNECTION_IDS[3]}

    with pytest.raises(InvalidInput, match=reason):
        task.run(
            written(file, content),
            **{name: value},
            **(of_records if name == "field_types" else {}),
            deferrable=False,
        )

    assert not connected.counts.requests


def test_a_batch_writes_the_values_of_bad_rows_where_its_argument_says_so(
    task: BatchTask, written: Callable[[str, bytes], str]
) -> None:
    file = written("people.csv", b"first_name,personal_number\nAda,\nBea,not-a-number\x07\n")

    task.run(file, bad_row_values=True, on_bad_row="skip", deferrable=False)

    assert "not-a-number" in (task.folder / "bad_rows.csv").read_text()


@pytest.mark.parametrize("name", SENT)
def test_a_shard_is_read_as_its_argument_says(
    batch: BatchTask, connected: Sandbox, written: Callable[[str, bytes], str], name: str
) -> None:
    file, content, value, person = SENT[name]

    (reference,) = shard.function(written(file, content), **{name: value})

    # The batch refuses a shard whose rows are others than `shard` has read.
    batch.run(json.loads(json.dumps(reference)), **{name: value}, deferrable=False)
    assert sent(batch, connected) == [person]


@pytest.mark.parametrize("name", REFUSED)
def test_shard_refuses_what_its_argument_forbids(written: Callable[[str, bytes], str], name: str) -> None:
    file, content, value, reason = REFUSED[name]

    with pytest.raises(InvalidInput, match=reason):
        shard.function(written(file, content), **{name: value})
