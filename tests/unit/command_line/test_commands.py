"""What each command prints of batches and connections, and its exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.sdk.exceptions import TaskDeferred
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api.errors import BatchFailed, WorkflowsError
from airflow_provider_workflows.command_line.__main__ import main
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import STATUS_PATH, BatchTask, cases
from tests.unit.half_failed import HalfFailed


class Said(NamedTuple):
    """What a command has said.

    :param code: its exit code
    :param text: what it has printed
    :param errors: what it has printed on standard error
    """

    code: object
    text: str
    errors: str

    @property
    def content(self) -> Any:
        return json.loads(self.text)


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, which must find no connections in a database from then on."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        return Said(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def half(batch: BatchTask, connected: Sandbox) -> HalfFailed:
    return HalfFailed(batch, connected)


class TestStatus:
    def test_of_a_batch_whose_rows_are_all_done_is_zero(self, batch: BatchTask, run: Run) -> None:
        batch.run(cases(3))

        said = run("status", batch.folder)

        assert said.code == 0
        assert "Task 'batch' of DAG 'nightly', run 'scheduled__2026-01-31', begun " in said.text
        assert "  Phase: done\n" in said.text
        assert "  Rows: 3 succeeded; 3 rows in all\n" in said.text
        assert f"  Output: {batch.folder}/results.jsonl\n" in said.text

    def test_of_a_batch_that_is_done_says_when_and_how_many_rows_are_written(
        self, batch: BatchTask, run: Run
    ) -> None:
        batch.run(cases(3))

        (found,) = run("status", batch.folder, "--output", "json").content

        assert found["written"] == 3
        assert found["begun_at"] < found["ended_at"] <= time.time()

    def test_of_a_try_that_has_ended_early_says_that_it_was_stopped(
        self, batch: BatchTask, connected: Sandbox, run: Run
    ) -> None:
        connected.fault("forbidden", path="/cases")
        operator = batch.operator(cases(3))

        with pytest.raises(WorkflowsError):
            operator.execute(batch.context)
        said = run("status", batch.folder)

        assert ", ended 2" in said.text
        assert "  Phase: stopped while submitting: the latest try has ended" in said.text
        assert run("status", batch.folder, "-o", "json").content[0]["ended_at"] is not None

    def test_of_a_batch_that_was_gone_on_with_no_longer_says_that_it_was_stopped(
        self, batch: BatchTask, connected: Sandbox, run: Run
    ) -> None:
        connected.fault("forbidden", path="/cases", times=1)
        with pytest.raises(WorkflowsError):
            batch.run(cases(1))
        connected.define(batch.definition_id, seconds=60.0)
        batch.ti.try_number += 1

        with pytest.raises(TaskDeferred):
            batch.operator(cases(1)).execute(batch.context)
        said = run("status", batch.folder)

        assert ", ended" not in said.text
        assert "  Phase: waiting, unless" in said.text

    def test_names_no_output_before_it_is_there(self, batch: BatchTask, connected: Sandbox, run: Run) -> None:
        connected.define(batch.definition_id, seconds=60.0)
        with pytest.raises(TaskDeferred):
            batch.operator(cases(1)).execute(batch.context)

        said, found = (run("status", batch.folder, "-o", form) for form in ("text", "json"))

        assert "Output:" not in said.text
        assert found.content[0]["output"] is None
        assert found.content[0]["written"] == 0

    def test_names_counts_reasons_files_and_what_a_repair_costs(self, half: HalfFailed, run: Run) -> None:
        said = run("status", half.batch.folder)

        assert said.code == 4
        assert "4 succeeded, 3 failed, 2 not_submitted, 1 unknown; 10 rows in all" in said.text
        assert "3 failed: 3 \N{MULTIPLICATION SIGN} " in said.text
        assert f"Unknown rows: {half.batch.folder}/unknown.csv" in said.text.replace("file://", "")
        assert "5 runs billed; keeps 4, waits for 0, submits 5 anew, leaves 1 of which" in said.text

    @pytest.mark.thorough
    def test_as_json_has_what_the_text_says(self, half: HalfFailed, run: Run) -> None:
        said = run("status", half.batch.folder, "--output", "json")

        (found,) = said.content
        assert said.code == 4
        assert found["outcomes"] == {"succeeded": 4, "failed": 3, "not_submitted": 2, "unknown": 1}
        assert found["repair"]["runs_billed"] == found["repair"]["submits"] == 5
        assert found["task"] == {
            "dag_id": "nightly",
            "run_id": "scheduled__2026-01-31",
            "task_id": "batch",
            "map_index": -1,
        }
        assert found["phase"] == "failed"

    def test_of_a_batch_that_waits_says_that_it_goes_on(
        self, batch: BatchTask, connected: Sandbox, run: Run
    ) -> None:
        connected.define(batch.definition_id, seconds=60.0)
        with pytest.raises(TaskDeferred):
            batch.operator(cases(3)).execute(batch.context)

        said = run("status", batch.folder)

        assert said.code == 3
        assert "  Phase: waiting, unless its process was killed: Airflow has the task's state\n" in said.text
        assert "  Rows: 3 running; 3 rows in all\n" in said.text

    def test_counts_results_that_could_not_be_fetched(
        self, batch: BatchTask, tried: Callable[..., object], run: Run
    ) -> None:
        tried("result_missing")

        said = run("status", batch.folder, "-o", "json")

        assert said.code == 4
        assert said.content[0]["outcomes"] == {"result_missing": 3}

    @pytest.mark.thorough
    def test_counts_them_in_a_list_that_an_earlier_version_has_written(
        self, batch: BatchTask, tried: Callable[..., object], run: Run
    ) -> None:
        tried("result_missing")
        listed = batch.folder / "problem_rows.csv"
        listed.write_text(listed.read_text("utf-8-sig").replace(";", ","))

        said = run("status", batch.folder, "-o", "json")

        assert said.content[0]["outcomes"] == {"result_missing": 3}

    @pytest.mark.thorough
    def test_refuses_a_list_of_problem_rows_with_other_columns(
        self, batch: BatchTask, tried: Callable[..., object], run: Run
    ) -> None:
        tried("result_missing")
        (batch.folder / "problem_rows.csv").write_text("name;phone\n")

        said = run("status", batch.folder)

        assert said.code == 1
        assert "problem_rows.csv has other columns than this version reads" in said.errors

    @pytest.mark.thorough
    @pytest.mark.parametrize("place", ["results.jsonl", "_state", "problem_rows.csv"])
    def test_takes_any_place_of_the_batch(self, half: HalfFailed, run: Run, place: str) -> None:
        assert run("status", half.batch.folder / place) == run("status", half.batch.folder)

    @pytest.mark.thorough
    def test_takes_a_state_folder(self, half: HalfFailed, run: Run) -> None:
        (state_folder,) = (half.batch.folder / "_state").iterdir()

        assert run("status", state_folder) == run("status", half.batch.folder)

    @pytest.mark.thorough
    def test_takes_the_folder_above_the_outputs_of_mapped_tasks(
        self, batch: BatchTask, tmp_path: Path, run: Run
    ) -> None:
        output = batch.folder
        for index in range(2):
            batch.ti.map_index = index
            batch.store = type(batch.store)()
            batch.run(cases(2))

        said = run("status", output)

        assert said.text.count("Rows: 2 succeeded") == 2
        assert said.text.index("map index 0") < said.text.index("map index 1")

    @pytest.mark.thorough
    def test_of_a_copied_folder_names_the_copy(self, half: HalfFailed, tmp_path: Path, run: Run) -> None:
        shutil.copytree(half.batch.folder, tmp_path / "copy")
        shutil.rmtree(half.batch.folder)

        said = run("status", tmp_path / "copy")

        assert said.code == 4
        assert str(tmp_path / "copy" / "_state") in said.text
        assert str(half.batch.folder) not in said.text.replace(str(tmp_path / "copy"), "")

    @pytest.mark.parametrize("place", ["", "/", "/results.jsonl", "/_state"])
    def test_takes_a_place_in_an_object_store(
        self, batch: BatchTask, remote: MemoryFileSystem, run: Run, place: str
    ) -> None:
        batch.run(cases(2), output_path="memory://bucket/nightly")

        said = run("status", f"memory://bucket/nightly{place}")

        assert said.code == 0, said.errors
        assert "Rows: 2 succeeded" in said.text
        assert run("status", "memory://bucket/weekly").code == 1

    def test_takes_a_relative_path(self, batch: BatchTask, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        batch.run(cases(1))
        monkeypatch.chdir(batch.folder.parent)

        assert run("status", batch.folder.name).code == 0

    @pytest.mark.thorough
    def test_reads_statuses_as_the_connection_says(
        self, half: HalfFailed, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = {
            "conn_type": "workflows",
            "password": "tot_x",
            "extra": {"success_statuses": "FAILED, COMPLETED"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_OF_OTHER_STATUSES", json.dumps(said))

        found = run("status", half.batch.folder, "--conn-id", "of_other_statuses", "-o", "json").content

        assert found[0]["outcomes"]["succeeded"] == 7

    @pytest.mark.thorough
    def test_without_the_connection_takes_statuses_as_they_are_by_default(
        self, half: HalfFailed, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT")

        said = run("status", half.batch.folder)

        assert said.code == 4
        assert "could not be read here" in said.errors
        assert "--conn-id" in said.errors


class TestUnknownRows:
    def test_are_listed_by_number_case_and_time_without_their_keys(self, half: HalfFailed, run: Run) -> None:
        said = run("unknown", half.batch.folder)

        assert said.code == 4
        header, row, *_ = said.text.splitlines()
        assert header.split() == ["row", "place", "time", "case_id", "record_id", "task"]
        assert row.startswith("1    row 1  ")
        assert "K1" not in said.text
        assert "on_unknown_outcome" in said.text

    @pytest.mark.thorough
    def test_are_listed_as_json(self, half: HalfFailed, run: Run) -> None:
        (row,) = run("unknown", half.batch.folder, "-o", "json").content

        assert (row["row"], row["place"], row["task"]["task_id"]) == (1, "row 1", "batch")
        assert row["case_id"]
        assert row["submitted_at"] > 0

    def test_that_are_not_there_are_zero(self, batch: BatchTask, run: Run) -> None:
        batch.run(cases(2))

        assert run("unknown", batch.folder).code == 0
        assert run("unknown", batch.folder, "-o", "json").content == []


class TestRepairPlan:
    def test_is_what_the_repair_then_does(self, half: HalfFailed, connected: Sandbox, run: Run) -> None:
        plan = run("repair-plan", half.batch.folder, "-o", "json").content
        before = len(connected.workflows)

        half.batch.clear()
        half.retry()

        assert (plan["keeps"], plan["submits"], plan["leaves_unknown"]) == (4, 5, 1)
        assert len(connected.workflows) - before == plan["runs_billed"]

    @pytest.mark.thorough
    def test_says_what_it_costs(self, half: HalfFailed, run: Run) -> None:
        said = run("repair-plan", half.batch.folder)

        assert said.code == 4
        assert "keeps 4, waits for 0, submits 5 anew, leaves 1 of which it is not known" in said.text
        assert "A repair (clear the task): 5 runs billed, as long as the input is the same." in said.text

    @pytest.mark.thorough
    def test_counts_unknown_rows_if_asked_to(self, half: HalfFailed, run: Run) -> None:
        plan = run("repair-plan", half.batch.folder, "--resubmit-unknown", "-o", "json").content

        assert (plan["runs_billed"], plan["leaves_unknown"]) == (6, 0)

    def test_of_a_batch_that_is_done_is_zero(self, batch: BatchTask, run: Run) -> None:
        batch.run(cases(2))

        said = run("repair-plan", batch.folder)

        assert said.code == 0
        assert "no run billed" in said.text

    def test_says_that_skipped_rows_are_submitted_once_they_are_corrected(
        self, batch: BatchTask, run: Run
    ) -> None:
        row = {**cases(1)[0], "key": "K1"}
        batch.run([row, {**row, "key": "K2", "nosuch": 1}], on_bad_row="skip")

        said = run("repair-plan", batch.folder)

        assert said.code == 0
        assert (
            "1 row skipped: a repair submits, and bills, those that are corrected in the input." in said.text
        )

    @pytest.mark.thorough
    def test_sends_nothing(self, half: HalfFailed, connected: Sandbox, run: Run) -> None:
        before = connected.counts

        run("repair-plan", half.batch.folder)

        assert connected.counts == before


class TestErrors:
    @pytest.mark.parametrize(
        ("place", "words"),
        [
            ("", "URI is empty"),
            ("/nowhere", "there is no folder /nowhere"),
            ("/nowhere/at/results.jsonl", "there is no folder /nowhere/at"),
            ("nosuch://bucket/folder", "nothing here can reach nosuch://"),
            ("s3://user:swordfish@bucket/x", "holds a password"),
        ],
    )
    def test_of_a_wrong_uri_are_a_line(self, run: Run, place: str, words: str) -> None:
        said = run("status", place)

        assert said.code == 1
        assert words in said.errors
        assert said.errors.count("\n") == 1
        assert "swordfish" not in said.errors

    def test_of_a_folder_without_a_batch_say_what_to_give(self, run: Run, tmp_path: Path) -> None:
        said = run("repair-plan", tmp_path)

        assert said.code == 1
        assert f"there is no batch in {tmp_path}" in said.errors.replace("file://", "")
        assert "output_path" in said.errors

    @pytest.mark.thorough
    def test_of_a_damaged_state_name_the_file(self, half: HalfFailed, run: Run) -> None:
        (state_folder,) = (half.batch.folder / "_state").iterdir()
        (state_folder / "manifest.jsonl").unlink()

        said = run("unknown", half.batch.folder)

        assert said.code == 1
        assert "manifest.jsonl" in said.errors

    @pytest.mark.thorough
    def test_of_a_state_of_another_version_say_so(self, half: HalfFailed, run: Run) -> None:
        (state_folder,) = (half.batch.folder / "_state").iterdir()
        file = state_folder / "batch.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "record": {**content["record"], "phase": "resting"}}))

        said = run("status", half.batch.folder)

        assert said.code == 1
        assert "another version of airflow-provider-workflows" in said.errors

    @pytest.mark.thorough
    def test_of_a_connection_that_is_not_there(self, half: HalfFailed, run: Run) -> None:
        said = run("status", half.batch.folder, "--conn-id", "nosuch")

        assert said.code == 1
        assert "There is no connection 'nosuch'" in said.errors


def test_nothing_personal_is_printed(batch: BatchTask, connected: Sandbox, run: Run) -> None:
    row = {"key": "K-4711", "first_name": "Brunhilde", "personal_number": "85010112345"}
    connected.fault("cut_after", path="/workflows/run", times=1)
    with pytest.raises(BatchFailed):
        batch.run([row, {**row, "key": "K-4711-bad", "nosuch": 1}], on_bad_row="skip")

    texts = [
        run(command, batch.folder, "-o", form).text
        for command in ("status", "unknown", "repair-plan")
        for form in ("text", "json")
    ]

    assert not [text for text in texts for word in ("K-4711", "Brunhilde", "85010112345") if word in text]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_connection_is_checked(connected: Sandbox, run: Run, form: str) -> None:
    said = run("check", "workflows_default", "-o", form)

    assert said.code == 0
    message = said.content["message"] if form == "json" else said.text
    assert message.startswith("Connection 'workflows_default' is accepted at ")


def test_a_connection_that_is_refused_is_an_exit_code(connected: Sandbox, run: Run) -> None:
    connected.fault("server_error", status=503)

    assert run("check", "nosuch").code == 1
    assert run("check", "workflows_default").code == 1


@pytest.mark.parametrize("arguments", [[], ["status"], ["mend", "x"], ["status", "x", "--output", "yaml"]])
def test_wrong_arguments_are_exit_code_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == 2


@pytest.mark.thorough
def test_the_sandbox_serves_until_it_is_ended() -> None:
    program = [sys.executable, "-m", "airflow_provider_workflows.command_line", "sandbox", "--port", "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert greeting.startswith("The sandbox of the Workflows API listens on http://127.0.0.1:")
    assert process.returncode == 0


@pytest.mark.thorough
def test_airflow_has_the_commands_as_a_group(half: HalfFailed, tmp_path: Path) -> None:
    def airflow(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "airflow", "workflows", *arguments],
            env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )

    group, found = airflow("--help"), airflow("status", str(half.batch.folder), "-o", "json")

    assert all(name in group.stdout for name in ("status", "unknown", "repair-plan", "sandbox", "check"))
    assert found.returncode == 4
    assert json.loads(found.stdout)[0]["rows"] == 10


@pytest.mark.thorough
@pytest.mark.slow
def test_a_connection_in_airflow_s_database_is_found(connected: Sandbox, tmp_path: Path) -> None:
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    connection = environment.pop("AIRFLOW_CONN_WORKFLOWS_DEFAULT")

    def airflow(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert airflow("db", "migrate").returncode == 0
    assert airflow("connections", "add", "of_database", "--conn-json", connection).returncode == 0
    found, not_found = (
        airflow("workflows", "check", name, "-o", "json") for name in ("of_database", "nosuch")
    )

    assert (found.returncode, not_found.returncode) == (0, 1)
    assert json.loads(found.stdout)["message"].startswith("Connection 'of_database' is accepted at ")


@pytest.mark.thorough
def test_statuses_are_asked_of_no_service(half: HalfFailed, connected: Sandbox, run: Run) -> None:
    connected.fault("server_error", status=503, path=STATUS_PATH)

    assert run("status", half.batch.folder).code == 4
