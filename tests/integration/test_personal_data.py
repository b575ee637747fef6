"""The example DAGs with values that are found wherever they are: no log, table or lineage event has them."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import LocalAirflow, RunningAirflow

from .conftest import EXAMPLE

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

PERSON = {
    "first_name": "Qzxłucja",
    "last_name": "Qzxkowalska-Nowak",
    "personal_number": "00271812345",
    "email": "qzx.person@example.org",
    "phone": {"country_code": "48", "number": "601928374"},
}
VALUES = ["Qzxłucja", "Qzxkowalska", "00271812345", "271812345", "qzx.person@", "601928374"]
MASKED = {"first_name": "Qzwewelina", "personal_number": "00271854321"}
MASKED_VALUES = ["Qzwewelina", "00271854321"]
UNMASKED = {"first_name": "Qzyanna", "personal_number": "00271898765"}
UNMASKED_VALUES = ["Qzyanna", "00271898765"]
#: Lineage events are written by processes of their own, after the end of a task.
LATE_SECONDS = 60.0


def spellings(value: str) -> set[str]:
    """A value as it is, and as JSON and Python write it."""
    return {value, json.dumps(value)[1:-1], ascii(value)[1:-1], value.lower()}


class Everything:
    """All that an Airflow has written.

    :param home: its folder, with its database and its logs
    :param lineage_file: of its OpenLineage events
    """

    def __init__(self, home: Path, lineage_file: Path) -> None:
        self._home = home
        self._lineage_file = lineage_file

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield each place and what stands there."""
        for file in [*self._home.rglob("*.log"), self._lineage_file]:
            kind = "lineage" if file == self._lineage_file else "log"
            yield f"{kind}: {file.name}", file.read_text("utf-8", errors="replace")
        with sqlite3.connect(f"file:{self._home}/airflow.db?mode=ro", uri=True) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                rows = database.execute(f'SELECT * FROM "{table}"').fetchall()
                yield f"table: {table}", "\n".join(" ".join(map(_text, row)) for row in rows)

    def places(self, values: list[str]) -> dict[str, str]:
        """Return where any of the values is found, and what stands around it."""
        wanted = {spelled for value in values for spelled in spellings(value)}
        return {
            place: text[max(text.find(each) - 300, 0) : text.find(each) + 100]
            for place, text in self
            for each in wanted
            if each in text
        }


def _text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


@pytest.fixture(scope="module")
def everything(
    running_airflow: RunningAirflow,
    airflow_sandbox: Sandbox,
    local_airflow: LocalAirflow,
    lineage_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Everything:
    """All that is left once the examples have run with the values."""
    folder = tmp_path_factory.mktemp("personal")
    (folder / "person.json").write_text(json.dumps(PERSON))
    (folder / "masked.json").write_text(json.dumps(MASKED))
    (folder / "unmasked.json").write_text(json.dumps(UNMASKED))
    _write_cases(folder / "cases.csv")
    with airflow_sandbox.client() as client:
        case_id = client.create_case(**PERSON).case_id  # type: ignore[arg-type]
        workflow_id = client.run_workflow(airflow_sandbox.define(seconds=0.0), case_id).id
    single = {"person": str(folder / "person.json"), "output": str(folder / "single")}
    batch = {"cases": str(folder / "cases.csv"), "output": str(folder / "batch")}
    runs = {
        EXAMPLE: single,
        "telling_masked": {"person": str(folder / "masked.json")},
        "telling_unmasked": {"person": str(folder / "unmasked.json")},
        "workflows_nightly_batch": batch,
        "workflows_daily_batch": batch,
    }
    begun = [(dag_id, running_airflow.trigger(dag_id, conf)) for dag_id, conf in runs.items()]
    begun.append(
        ("workflows_on_completion", _complete(running_airflow, workflow_id, str(folder / "completed")))
    )
    for dag_id, run_id in begun:
        assert running_airflow.wait(dag_id, run_id, 300) == "success", dag_id
    _wait_for_lineage(running_airflow, lineage_file, begun)
    written = "".join(file.read_text("utf-8") for file in folder.rglob("*.json*") if file.parent != folder)
    # The runs did have the values.
    assert [value for value in VALUES if value not in written] == []
    return Everything(local_airflow.home, lineage_file)


def _wait_for_lineage(airflow: RunningAirflow, file: Path, runs: list[tuple[str, str]]) -> None:
    """Wait until the last event of each task is written: so is all that its process has logged before."""
    jobs = Counter(
        f"{dag_id}.{task.task_id}"
        for dag_id, run_id in runs
        for task in airflow.task_instances(dag_id, run_id)
    )

    def all_written() -> bool:
        events = map(json.loads, file.read_text("utf-8").splitlines())
        ended = Counter(event["job"]["name"] for event in events if event["eventType"] == "COMPLETE")
        return all(ended[job] >= number for job, number in jobs.items())

    airflow.until(all_written, LATE_SECONDS, "the lineage of each task")


def _write_cases(path: Path) -> None:
    columns = (
        "customer_no",
        "first_name",
        "last_name",
        "PESEL",
        "email",
        "phone_country_code",
        "phone_number",
    )
    person = PERSON | {"phone_country_code": "48", "phone_number": "601928374"}
    person["PESEL"] = person["personal_number"]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, (*columns, "case_id", "note"), extrasaction="ignore")
        rows.writeheader()
        for number in range(5):
            rows.writerow(person | {"customer_no": f"C{number}", "note": "Qzxkowalska"})
        # Bad ones, of which errors speak.
        rows.writerow(person | {"customer_no": "C0"})
        rows.writerow(person | {"customer_no": "C7", "case_id": "601928374"})
        rows.writerow(person | {"customer_no": "C8", "phone_country_code": "Qzxkowalska"})


def _complete(airflow: RunningAirflow, workflow_id: str, output: str) -> str:
    """Start the example that runs per completion, as the webhook of a completion would."""
    body = {"logical_date": None, "partition_key": workflow_id, "conf": {"output": output}}
    airflow.call("PATCH", "/dags/workflows_on_completion", {"is_paused": False})
    return str(airflow.call("POST", "/dags/workflows_on_completion/dagRuns", body)["dag_run_id"])


def test_nothing_that_airflow_has_written_has_a_personal_value(everything: Everything) -> None:
    assert everything.places(VALUES) == {}


def test_logs_tables_and_lineage_are_among_what_is_searched(everything: Everything) -> None:
    kinds = {place.partition(":")[0] for place, text in everything if text}

    assert kinds == {"log", "table", "lineage"}


def test_what_a_task_logs_of_a_person_is_masked_in_its_log(everything: Everything) -> None:
    # Airflow's LocalExecutor copies what tasks log to the scheduler's own output, and masks nothing there.
    assert everything.places(MASKED_VALUES).keys() <= {"log: standalone.log"}
    assert any(
        "Creating case: {'first_name': '***'" in text for place, text in everything if "attempt=" in place
    )


@pytest.mark.parametrize(
    "place", ["log: attempt=1.log", "table: rendered_task_instance_fields", "lineage: events.jsonl"]
)
def test_without_what_masks_the_values_are_found(everything: Everything, place: str) -> None:
    assert place in everything.places(UNMASKED_VALUES)
