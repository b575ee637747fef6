"""The example of a batch on real Airflow, as it stands, and the demo that runs it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.service import READY_CASES
from tests.harness.local_airflow import EXAMPLE_DAGS, DagTest, LocalAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG_ID = "workflows_nightly_batch"
PERSONAL = ("first_name", "last_name", "PESEL", "email", "phone_number", "note")
BAD_ROWS = {
    18: "phone_country_code: is missing",
    24: "case_id: has 11 characters and not the form of an id",
    31: "has neither a case field nor a case_id",
    37: "customer_no: is used by an earlier row",
    49: "case_id: case_id and case fields together",
    55: "has 10 cells where the header has 9",
}


@dataclass(frozen=True)
class Nightly:
    run: DagTest
    rows: list[dict[str, str]]
    results: list[list[dict[str, Any]]]
    runs_per_case: Counter[str]

    @property
    def personal_values(self) -> set[str]:
        values = {row[column] for row in self.rows for column in PERSONAL if row[column]}
        values |= {row["case_id"] for row in self.rows if row["case_id"].isdigit()}
        # As JSON and some logs write them, too.
        return values | {json.dumps(value)[1:-1] for value in values}


@pytest.fixture(scope="module")
def nightly(
    idle_airflow: LocalAirflow, sandbox_of_idle_airflow: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Nightly:
    """One run of the DAG without any configuration."""
    temporary = tmp_path_factory.mktemp("temporary")
    sandbox_of_idle_airflow.counts.reset()
    run = idle_airflow.run_dag(DAG_ID, environment={"TMPDIR": str(temporary)})
    files = sorted(temporary.rglob("results.jsonl"))
    with (EXAMPLE_DAGS / "data" / "nightly_cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    results = [[json.loads(line) for line in path.read_text("utf-8").splitlines()] for path in files]
    return Nightly(run, rows, results, sandbox_of_idle_airflow.counts.runs_per_case)


def test_it_succeeds_though_all_runs_of_a_definition_fail(nightly: Nightly) -> None:
    assert nightly.run.succeeded, nightly.run.output
    assert [Counter(row["outcome"] for row in rows) for rows in nightly.results] == [
        {"succeeded": 54, "skipped": 6},
        {"failed": 54, "skipped": 6},
    ]


def test_each_row_of_the_file_is_in_each_output_once_under_its_own_key(nightly: Nightly) -> None:
    keys = [row["customer_no"] for row in nightly.rows]
    # A row that cannot be taken apart has none.
    keys[54] = ""
    assert [[row["key"] for row in rows] for rows in nightly.results] == [keys, keys]


@pytest.mark.parametrize(("number", "reason"), BAD_ROWS.items())
def test_a_bad_row_is_skipped_and_the_output_says_why(nightly: Nightly, number: int, reason: str) -> None:
    for rows in nightly.results:
        row = rows[number - 1]
        assert (row["row"], row["outcome"], row["workflow_id"]) == (number, "skipped", None)
        assert row["error"].startswith(reason)


def test_no_case_is_run_twice_and_a_returning_user_s_case_once_for_each_definition(nightly: Nightly) -> None:
    returning = {case_id: nightly.runs_per_case[case_id] for case_id in READY_CASES}
    others = [number for case_id, number in nightly.runs_per_case.items() if case_id not in READY_CASES]
    assert returning == dict.fromkeys(READY_CASES, 2)
    assert others == [1] * (2 * 52)


def test_the_rate_of_passes_of_each_definition_is_printed(nightly: Nightly) -> None:
    lines = [line.split() for line in nightly.run.lines]
    assert ["definition", "rows", "skipped", "succeeded", "passes", "rate"] in lines
    assert [DEFINITION, "60", "6", "54", "54", "100.0%"] in lines
    assert [FAILING_DEFINITION, "60", "6", "0", "0", "0.0%"] in lines


def test_no_personal_value_is_in_the_log(nightly: Nightly) -> None:
    assert not [value for value in nightly.personal_values if value in nightly.run.output]


def test_no_personal_value_is_in_airflow_s_database(nightly: Nightly, idle_airflow: LocalAirflow) -> None:
    database = b"".join(path.read_bytes() for path in idle_airflow.home.glob("airflow.db*"))
    assert DAG_ID.encode() in database
    assert not [value for value in nightly.personal_values if value.encode() in database]


def test_a_column_that_is_left_out_is_nowhere_in_the_output(nightly: Nightly) -> None:
    notes = {row["note"] for row in nightly.rows} - {""}
    assert notes
    assert not [note for note in notes if note in json.dumps(nightly.results)]


@pytest.mark.slow
def test_the_demo_shows_the_table_and_what_came_of_the_rows() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    demo = subprocess.run(
        [sys.executable, "-m", "development.demo_batch", "--cases", "100"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert "100 invented cases, 2 of them of returning users, and 1 in bad rows." in demo.stdout
    assert f"  {DEFINITION}     100        1 " in demo.stdout
    assert (
        "Succeeded: each row is in the output once, and neither definition has run a case twice."
        in demo.stdout
    )
    assert "\x1b" not in demo.stdout
