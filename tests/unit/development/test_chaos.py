"""What a chaos run is made of, without a stack."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.run_details import RunDetails
from development.chaos.logs import TaskLogs
from development.chaos.service import Service, by_person
from development.chaos.storage import FLAG_VARIABLE, FailingFileSystem, StorageFault
from development.chaos.table import Person, Table


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class TestTable:
    def test_another_order_has_the_same_rows(self, tmp_path: Path) -> None:
        table = Table(tmp_path / "rows.csv", "Row", 20)
        table.export()
        before = _rows(table.path)

        table.export_in_another_order(random.Random(1))

        assert _rows(table.path) != before
        assert sorted(_rows(table.path), key=str) == sorted(before, key=str)

    def test_a_correction_makes_another_person_of_a_share_of_the_rows(self, tmp_path: Path) -> None:
        table = Table(tmp_path / "rows.csv", "Row", 20)
        before = dict(table.persons)

        corrected = table.correct(random.Random(1), 0.25)

        changed = [key for key, person in table.persons.items() if person != before[key]]
        assert corrected == len(changed) == 5
        assert {row["key"] for row in _rows(table.path) if row["last_name"] == "Export2"} == set(changed)

    def test_a_seed_draws_the_same_order_again(self, tmp_path: Path) -> None:
        tables = [Table(tmp_path / f"{number}.csv", "Row", 20) for number in range(2)]

        for table in tables:
            table.export_in_another_order(random.Random(7))

        assert _rows(tables[0].path) == _rows(tables[1].path)


def test_a_table_of_records_has_their_fields_as_columns(tmp_path: Path) -> None:
    table = Table(tmp_path / "rows.csv", "Row", 2, of_records=True)

    table.export()

    rows = [{name.removeprefix("record."): value for name, value in row.items()} for row in _rows(table.path)]
    assert [Person.of_record(row) for row in rows] == list(table.persons.values())
    assert rows[0] == {"key": "Row-1", **table.persons["Row-1"].record}


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_the_service_says_whose_runs_there_were(generation: int) -> None:
    service = Service(seed=1, run_seconds=(0.0, 0.0))
    service.start()
    try:
        jana, jan = Person("Jana", "Export1", "80000000001"), Person("Jan", "Export1", "80000000002")
        definition_id = service.define()
        first, second = service.create_subjects([jana, jan], generation)
        name = "case_id" if generation == 1 else "record_id"
        subjects: list[dict[str, Any]] = [{name: first}, {name: second}, {name: first}]
        with service.sandbox.client(api_generation=generation) as client:
            started = [client.start_run(RunDetails(definition_id, **subject)).id for subject in subjects]
    finally:
        service.stop()

    runs = by_person(service.runs())

    assert [run.workflow_id for run in runs[jana]] == [started[0], started[2]]
    assert [run.workflow_id for run in runs[jan]] == [started[1]]


def test_storage_fails_while_the_flag_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = tmp_path / "flag"
    monkeypatch.setenv(FLAG_VARIABLE, str(flag))
    storage = FailingFileSystem()
    storage.pipe_file(f"chaos://{tmp_path}/file", b"content")

    flag.touch()
    with pytest.raises(StorageFault):
        storage.cat_file(f"chaos://{tmp_path}/file")
    flag.unlink()

    assert storage.cat_file(f"chaos://{tmp_path}/file") == b"content"


def test_the_logs_of_a_batch_say_when_its_tries_were_told_to_stop(tmp_path: Path) -> None:
    stop = {
        "event": "The task was told to stop; nothing more is started.",
        "timestamp": "1970-01-01T00:01:00Z",
    }
    other = {"event": "Started workflow.", "timestamp": "1970-01-01T00:00:30Z"}
    for dag_id, events in {"chaos_batch": [other, stop], "chaos_start_over": [stop]}.items():
        log = tmp_path / f"dag_id={dag_id}" / "attempt=1.log"
        log.parent.mkdir()
        log.write_text("\n".join([*map(json.dumps, events), "no JSON"]))

    assert TaskLogs(tmp_path).times_of_stops("chaos_batch") == [60.0]
