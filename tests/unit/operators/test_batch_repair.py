"""A batch that was cleared: what it keeps, waits for and submits, also where its input has changed since."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.batch.ownership import LEASE_SECONDS, Ownership
from airflow_provider_workflows.batch.place import BatchPlace
from airflow_provider_workflows.operators.batch_record import BATCH_KEY, CLAIM_KEY, claim_records
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import CASE_CALL, RESULT_CALL, RUN_CALL, STATUS_CALL, BatchTask, Service, cases
from tests.unit.tasks import TaskStateStore

pytestmark = pytest.mark.sampled(2)

START_OVER = {"on_clear": "start_over"}


def keyed(*names: str) -> list[dict[str, Any]]:
    """Return rows whose key and first name are ``K1=Ada``."""
    return [{"key": name.partition("=")[0], "first_name": name.partition("=")[2]} for name in names]


def lines(capsys: pytest.CaptureFixture[str], text: str) -> list[str]:
    """Return the lines of the task's log that have a text."""
    return [line for line in capsys.readouterr().out.splitlines() if text in line]


class TestRepair:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("outcome", "requests", "ends"),
        [
            ("succeeded", {RESULT_CALL: 3}, "succeeded"),
            ("failed", {RUN_CALL: 3, STATUS_CALL: 3, RESULT_CALL: 3}, "succeeded"),
            ("running", {STATUS_CALL: 3, RESULT_CALL: 3}, "succeeded"),
            ("not_submitted", {RUN_CALL: 3, STATUS_CALL: 3, RESULT_CALL: 3}, "succeeded"),
            ("result_missing", {RESULT_CALL: 3}, "succeeded"),
            ("unknown", {}, "unknown"),
        ],
    )
    def test_keeps_what_has_succeeded_waits_for_what_runs_and_submits_the_rest(
        self,
        batch: BatchTask,
        sandbox: Sandbox,
        tried: Callable[..., BatchFailed],
        outcome: str,
        requests: dict[str, int],
        ends: str,
    ) -> None:
        if outcome == "succeeded":
            batch.run(cases(3))
            sandbox.counts.reset()
        else:
            tried(outcome)
        batch.clear()

        if ends == "unknown":
            with pytest.raises(BatchFailed):
                batch.run(cases(3))
        else:
            batch.run(cases(3))

        assert sandbox.counts.requests == requests
        assert batch.outcomes == [ends] * 3

    @pytest.mark.thorough
    def test_submits_rows_that_may_have_a_run_where_asked(
        self, batch: BatchTask, sandbox: Sandbox, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("unknown")
        batch.clear()

        batch.run(cases(3), on_unknown_outcome="resubmit")

        assert sandbox.counts.requests[RUN_CALL] == 3
        assert batch.outcomes == ["succeeded"] * 3

    @pytest.mark.thorough
    def test_says_first_at_warning_what_becomes_of_the_rows(
        self, batch: BatchTask, tried: Callable[..., BatchFailed], capsys: pytest.CaptureFixture[str]
    ) -> None:
        tried("failed")
        batch.clear()
        capsys.readouterr()

        batch.run(cases(3))

        (line,) = lines(capsys, "Cleared")
        assert "Cleared: 3 runs billed: keeps 0, waits for 0, submits 3 anew." in line
        assert "warning" in line

    @pytest.mark.thorough
    def test_of_a_batch_that_has_succeeded_writes_the_same_output_and_starts_no_run(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        batch.run(cases(3))
        first = batch.output
        batch.clear()
        (batch.folder / "results.jsonl").unlink()

        batch.run(cases(3))

        assert batch.output == first
        assert sandbox.counts.requests[RUN_CALL] == 3

    @pytest.mark.thorough
    def test_of_a_batch_whose_input_is_gone_writes_the_output_if_no_row_is_due(
        self, batch: BatchTask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "people.jsonl"
        file.write_text(json.dumps({"first_name": "Ada"}) + "\n")
        batch.run(str(file))
        file.unlink()
        batch.clear()

        batch.run(str(file))

        assert batch.outcomes == ["succeeded"]
        assert len(lines(capsys, "The input cannot be checked any more")) == 1


class TestStartOver:
    @pytest.mark.thorough
    @pytest.mark.parametrize("outcome", ["succeeded", "failed", "unknown"])
    def test_submits_everything_anew(
        self, batch: BatchTask, sandbox: Sandbox, service: Service, outcome: str
    ) -> None:
        if outcome == "succeeded":
            batch.run(cases(3), **START_OVER)
        else:
            getattr(service, outcome)()
            with pytest.raises(BatchFailed):
                batch.run(cases(3), **START_OVER)
        service.well()
        batch.clear()

        batch.run(cases(4), **START_OVER)

        assert sandbox.counts.requests[CASE_CALL] == sandbox.counts.requests[RUN_CALL] == 4
        assert batch.outcomes == ["succeeded"] * 4

    @pytest.mark.thorough
    def test_is_not_for_a_retry(self, batch: BatchTask, tried: Callable[..., BatchFailed]) -> None:
        tried("failed", **START_OVER)

        with pytest.raises(BatchFailed):
            batch.run(cases(3), **START_OVER)

        assert batch.outcomes == ["failed"] * 3

    @pytest.mark.thorough
    def test_keeps_the_earlier_state_until_the_new_start_has_ended_well(
        self, batch: BatchTask, service: Service
    ) -> None:
        batch.run(cases(3), **START_OVER)
        (earlier,) = batch.state_folders
        batch.clear()
        service.failed()
        with pytest.raises(BatchFailed):
            batch.run(cases(3), **START_OVER)
        assert earlier in batch.state_folders

        service.well()
        batch.run(cases(3), resubmit_failed=True, **START_OVER)

        assert len(batch.state_folders) == 1
        assert earlier not in batch.state_folders

    @pytest.mark.thorough
    def test_keeps_the_earlier_state_also_then_while_a_run_of_it_has_not_ended(
        self, batch: BatchTask, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("running", **START_OVER)
        (earlier,) = batch.state_folders
        batch.clear()

        batch.run(cases(3), **START_OVER)

        assert batch.outcomes == ["succeeded"] * 3
        assert earlier in batch.state_folders

    @pytest.mark.thorough
    def test_says_first_at_warning_how_many_rows_are_billed_again(
        self, batch: BatchTask, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(cases(3), **START_OVER)
        batch.clear()
        capsys.readouterr()

        batch.run(cases(3), **START_OVER)

        (line,) = lines(capsys, "Cleared")
        assert "keeps 0, waits for 0, submits 3 anew. 3 rows had a run before" in line


class TestChangedInput:
    @pytest.mark.thorough
    @pytest.mark.parametrize("cleared", [True, False], ids=["clear", "retry"])
    def test_costs_only_the_rows_that_have_changed_or_are_new(
        self, batch: BatchTask, sandbox: Sandbox, service: Service, cleared: bool
    ) -> None:
        service.failed()
        first = keyed("K1=Ada", "K2=Bob", "K3=Eve", "K4=Zoe")
        batch.run(first, max_failed_share=1.0)
        service.well()
        if cleared:
            batch.clear()
        corrected = keyed("K4=Zoe", "K2=Rob", "K1=Ada", "K5=New")
        if not cleared:
            # A retry has rows that are due only where the batch has failed.
            record = batch.store.get(BATCH_KEY)
            batch.store.set(BATCH_KEY, {**record, "phase": "failed", "summary": None})

        batch.run(corrected, resubmit_failed=True)

        assert sandbox.counts.requests[RUN_CALL] == 4
        assert [(row["key"], row["outcome"]) for row in batch.output] == [
            (key, "succeeded") for key in ("K4", "K2", "K1", "K5")
        ]

    @pytest.mark.thorough
    def test_keeps_the_runs_of_rows_that_are_as_before_in_another_order(
        self, batch: BatchTask, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(keyed("K1=Ada", "K2=Bob", "K3=Eve"))
        runs = {row["key"]: row["workflow_id"] for row in batch.output}
        sandbox.counts.reset()
        batch.clear()

        batch.run(keyed("K3=Eve", "K2=Rob", "K1=Ada", "K4=Zoe"))

        assert sandbox.counts.requests[RUN_CALL] == 2
        again = {row["key"]: row["workflow_id"] for row in batch.output}
        assert [key for key in runs if runs[key] == again[key]] == ["K1", "K3"]
        (line,) = lines(capsys, "items has changed")
        assert "2 rows are as before, 1 has changed, 1 is new, and 0 have vanished" in line

    @pytest.mark.thorough
    def test_leaves_vanished_rows_out_and_counts_them_in_the_log(
        self, batch: BatchTask, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(keyed("K1=Ada", "K2=Bob"))
        sandbox.counts.reset()
        batch.clear()

        batch.run(keyed("K2=Bob"))

        assert sandbox.counts.requests[RUN_CALL] == 0
        assert [row["key"] for row in batch.output] == ["K2"]
        assert "1 has vanished" in lines(capsys, "items has changed")[0]

    @pytest.mark.thorough
    def test_keys_may_be_numbers_from_one(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.run(keyed("1=Ada", "2=Bob"))
        sandbox.counts.reset()
        batch.clear()

        batch.run(keyed("2=Bob", "1=Ada"))

        assert sandbox.counts.requests[RUN_CALL] == 0
        assert [row["key"] for row in batch.output] == ["2", "1"]

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "between",
        [
            keyed("K1=", "K2=Bob"),
            keyed("K2=Bob"),
            keyed("K1=Eva", "K2=Bob"),
        ],
        ids=["bad", "vanished", "changed"],
    )
    def test_a_row_that_comes_back_as_it_was_is_not_paid_for_again(
        self, batch: BatchTask, sandbox: Sandbox, between: list[dict[str, Any]]
    ) -> None:
        first = keyed("K1=Ada", "K2=Bob")
        batch.run(first, on_bad_row="skip")
        run = batch.output[0]["workflow_id"]
        batch.clear()
        batch.run(between, on_bad_row="skip")
        batch.clear()
        batch.run(keyed("K2=Bob"), on_bad_row="skip")
        batch.clear()
        sandbox.counts.reset()

        batch.run(first, on_bad_row="skip")

        assert sandbox.counts.requests[RUN_CALL] == 0
        assert (batch.output[0]["workflow_id"], batch.outcomes) == (run, ["succeeded"] * 2)

    @pytest.mark.thorough
    def test_a_bad_row_without_a_key_keeps_no_other_from_being_found(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        bad: list[dict[str, Any]] = [{"first_name": 7}]
        batch.run([*keyed("K1=Ada"), *bad], on_bad_row="skip")
        sandbox.counts.reset()
        batch.clear()

        batch.run([*keyed("K2=Bob"), *bad, *keyed("K1=Ada")], on_bad_row="skip")

        assert sandbox.counts.requests[RUN_CALL] == 1

    @pytest.mark.thorough
    def test_waits_for_the_runs_that_go_on(
        self, batch: BatchTask, sandbox: Sandbox, service: Service
    ) -> None:
        service.running()
        with pytest.raises(BatchFailed):
            batch.run(keyed("K1=Ada", "K2=Bob"), max_outage=0.1)
        service.well()
        batch.clear()

        batch.run(keyed("K2=Bob", "K1=Ada"))

        assert sandbox.counts.requests[RUN_CALL] == 0
        assert batch.outcomes == ["succeeded"] * 2

    @pytest.mark.parametrize(
        ("items", "difference"),
        [
            (cases(4), "3 rows then, 4 now"),
            (cases(2), "3 rows then, 2 now"),
            ([*cases(2), {"first_name": "Marker"}], "and row 3 is the first that differs"),
        ],
        ids=["more", "fewer", "another"],
    )
    def test_without_keys_is_refused_and_says_what_differs(
        self, batch: BatchTask, sandbox: Sandbox, items: Any, difference: str
    ) -> None:
        batch.run(cases(3))
        sandbox.counts.reset()
        batch.clear()

        with pytest.raises(InvalidInput, match=difference) as raised:
            batch.run(items)

        assert "Marker" not in str(raised.value)
        assert sandbox.counts.total_requests == 0
        assert len(batch.state_folders) == 1

    @pytest.mark.thorough
    def test_a_bad_row_with_the_key_of_a_good_one_does_not_have_that_paid_for_again(
        self, batch: BatchTask, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = keyed("K1=Ada", "K2=Bob", "K1=Eve")
        batch.run(rows, on_bad_row="skip")
        run = batch.output[0]["workflow_id"]
        sandbox.counts.reset()
        batch.clear()

        batch.run([*rows, *keyed("K3=New")], on_bad_row="skip")

        assert sandbox.counts.requests[RUN_CALL] == 1
        assert batch.output[0]["workflow_id"] == run
        assert "3 rows are as before, 0 have changed, 1 is new" in lines(capsys, "items has changed")[0]

    def test_without_keys_of_parameters_is_refused_and_does_not_say_it_of_the_items(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        batch.run(cases(2))
        sandbox.counts.reset()
        batch.clear()

        with pytest.raises(
            InvalidInput, match=r"^workflow_definition_id, parameters or table_id has changed"
        ):
            batch.run(cases(2), parameters={"depth": 1})

        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    def test_removes_what_a_start_has_left_that_was_killed_before_it_was_recorded(
        self, batch: BatchTask
    ) -> None:
        batch.run(keyed("K1=Ada"))
        (state,) = batch.state_folders
        left = state.with_name(f"{state.name}-2")
        shutil.copytree(state, left)
        (left / "batch.json").unlink()
        batch.clear()

        batch.run(keyed("K1=Ada", "K2=Bob"))

        assert len(batch.state_folders) == 1
        assert not left.exists()

    def test_of_the_workflow_submits_all_rows(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.run(keyed("K1=Ada", "K2=Bob"))
        sandbox.counts.reset()
        batch.clear()

        batch.run(keyed("K1=Ada", "K2=Bob"), workflow_definition_id=sandbox.define(seconds=0.0))

        assert sandbox.counts.requests[RUN_CALL] == 2

    def test_removes_the_state_of_before_once_it_has_ended_well(self, batch: BatchTask) -> None:
        batch.run(keyed("K1=Ada"))
        before = batch.state_folders
        batch.clear()

        batch.run(keyed("K1=Ada", "K2=Bob"))

        assert len(batch.state_folders) == 1
        assert batch.state_folders != before


class TestMovedOutput:
    @pytest.mark.parametrize("rows", [keyed("K1=Ada", "K2=Bob"), cases(2)], ids=["keys", "no keys"])
    def test_has_the_output_in_the_new_folder_and_starts_no_run(
        self, batch: BatchTask, sandbox: Sandbox, tmp_path: Path, rows: list[Any]
    ) -> None:
        batch.run(rows)
        runs = [row["workflow_id"] for row in batch.output]
        before = batch.folder
        sandbox.counts.reset()
        batch.clear()
        batch.folder = tmp_path / "moved"

        summary = batch.run(rows, output_path=str(batch.folder))

        assert summary["output"].startswith(str(batch.folder))
        assert [row["workflow_id"] for row in batch.output] == runs
        assert sandbox.counts.requests[RUN_CALL] == 0
        assert len(batch.state_folders) == 1
        assert not (before / "_state").exists()


class TestForgottenRecord:
    """A later Airflow discards task state on clear: what the files say holds."""

    def test_the_files_beside_the_output_say_what_was_submitted(
        self, batch: BatchTask, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(cases(3))
        sandbox.counts.reset()
        batch.clear()
        batch.store = TaskStateStore()

        batch.run(cases(3))

        assert sandbox.counts.requests[RUN_CALL] == 0
        assert batch.outcomes == ["succeeded"] * 3
        assert len(lines(capsys, "Airflow has no record of the earlier tries")) == 1

    @pytest.mark.thorough
    def test_start_over_holds_as_well(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.run(cases(3), **START_OVER)
        sandbox.counts.reset()
        batch.clear()
        batch.store = TaskStateStore()

        batch.run(cases(3), **START_OVER)

        assert sandbox.counts.requests[RUN_CALL] == 3
        assert len(batch.state_folders) == 1

    def test_a_batch_file_that_cannot_be_read_is_refused_where_there_may_be_runs(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        batch.run(cases(3))
        sandbox.counts.reset()
        (state,) = batch.state_folders
        (state / "batch.json").write_text("{gar")
        batch.clear()
        batch.store = TaskStateStore()

        with pytest.raises(AirflowFailException, match=r"batch\.json in .* cannot be read"):
            batch.run(cases(3))

        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    def test_a_dag_run_of_the_same_name_says_first_at_warning_that_rows_are_billed_again(
        self, batch: BatchTask, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(cases(3))
        batch.store = TaskStateStore()
        capsys.readouterr()

        batch.run(cases(3))

        (line,) = lines(capsys, "all rows are submitted anew, and billed again")
        assert "warning" in line


class TestUnreadableRecord:
    @pytest.mark.thorough
    def test_is_started_over_where_asked_as_its_message_says(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        batch.run(cases(3), **START_OVER)
        batch.store.set(BATCH_KEY, {**batch.store.get(BATCH_KEY), "format": 9})
        sandbox.counts.reset()
        batch.clear()

        batch.run(cases(3), **START_OVER)

        assert sandbox.counts.requests[RUN_CALL] == 3
        assert len(batch.state_folders) == 1

    @pytest.mark.thorough
    def test_is_refused_at_a_repair(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.run(cases(3))
        batch.store.set(BATCH_KEY, {**batch.store.get(BATCH_KEY), "format": 9})
        sandbox.counts.reset()
        batch.clear()

        with pytest.raises(AirflowFailException, match="has format 9"):
            batch.run(cases(3))

        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    def test_of_a_claim_is_waited_out_as_any_other_try(self, batch: BatchTask) -> None:
        batch.run(cases(3))
        batch.store.set(CLAIM_KEY, {**batch.store.get(CLAIM_KEY), "format": 9})
        slept: list[float] = []
        ownership = Ownership(claim_records(batch.context), clock=lambda: sum(slept), sleep=slept.append)

        ownership.claim()

        assert sum(slept) >= LEASE_SECONDS
        assert batch.store.get(CLAIM_KEY)["format"] == 1


class TestLostState:
    @pytest.mark.thorough
    @pytest.mark.parametrize("on_clear", ["repair", "start_over"])
    def test_a_journal_with_a_garbled_line_is_refused_or_started_over(
        self, batch: BatchTask, sandbox: Sandbox, on_clear: str
    ) -> None:
        batch.run(cases(3))
        sandbox.counts.reset()
        (state,) = batch.state_folders
        journal = min(state.glob("journal-*"))
        journal.write_text('{"row\n' + journal.read_text())
        batch.clear()

        if on_clear == "repair":
            with pytest.raises(AirflowFailException, match="a line of the journal cannot be read"):
                batch.run(cases(3), on_clear=on_clear)
            assert sandbox.counts.total_requests == 0
        else:
            batch.run(cases(3), on_clear=on_clear)
            assert batch.outcomes == ["succeeded"] * 3

    @pytest.mark.thorough
    def test_a_journal_with_fewer_rows_than_the_record_says_is_refused(
        self, batch: BatchTask, sandbox: Sandbox, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("running")
        (state,) = batch.state_folders
        for journal in state.glob("journal-*"):
            journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:1]))

        with pytest.raises(
            AirflowFailException, match="the journal has cases of 0 rows, and there were 3 or more"
        ):
            batch.run(cases(3))

        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    @pytest.mark.parametrize("what", ["journal-*", "manifest.jsonl", "*"])
    def test_a_part_of_the_state_that_is_gone_is_refused(
        self, batch: BatchTask, sandbox: Sandbox, tried: Callable[..., BatchFailed], what: str
    ) -> None:
        tried("not_submitted")
        (state,) = batch.state_folders
        for path in state.glob(what):
            path.unlink()

        with pytest.raises(AirflowFailException, match="state is gone"):
            batch.run(cases(3))

        assert sandbox.counts.total_requests == 0


class TestOneOutput:
    """Two tasks, or two runs, with one output folder."""

    def other(self, batch: BatchTask, **identity: Any) -> BatchTask:
        other = BatchTask(batch.folder, batch.definition_id)
        for name, value in identity.items():
            setattr(other.ti, name, value)
        return other

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "identity", [{"task_id": "second"}, {"run_id": "manual__2"}, {"dag_id": "other"}]
    )
    def test_the_second_is_refused_by_name_of_the_first_until_that_has_ended(
        self, batch: BatchTask, sandbox: Sandbox, service: Service, identity: dict[str, str]
    ) -> None:
        service.running()
        with pytest.raises(BatchFailed):
            batch.run(cases(3), max_outage=0.1)
        # The first goes on with a retry, and is at work.
        (state,) = batch.state_folders
        file = json.loads((state / "batch.json").read_text())
        (state / "batch.json").write_text(
            json.dumps(file | {"record": file["record"] | {"phase": "waiting"}})
        )
        service.well()
        other = self.other(batch, **identity)

        with pytest.raises(InvalidInput, match="task 'batch' of DAG 'nightly', run 'scheduled__2026-01-31'"):
            other.run(cases(2))
        assert sandbox.counts.total_requests == 0

        batch.run(cases(3))
        other.run(cases(2))
        assert [row["outcome"] for row in other.output] == ["succeeded"] * 2

    @pytest.mark.thorough
    def test_the_second_is_refused_also_where_the_first_begins_while_the_input_is_checked(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        first = self.other(batch, task_id="first")

        second = batch.operator(cases(2))._tries(batch.context)
        check = second._check

        def check_while_the_first_begins(place: BatchPlace, salt: str | None) -> Any:
            manifest = check(place, salt)
            with pytest.raises(TaskDeferred):
                first.operator(cases(2)).execute(first.context)
            return manifest

        second._check = check_while_the_first_begins

        with pytest.raises(InvalidInput, match="task 'first'"):
            second.open(cases(2), 0.0)

        assert sandbox.counts.requests[RUN_CALL] == 2
        assert len(batch.state_folders) == 1
        assert batch.store.get(BATCH_KEY) is None

    @pytest.mark.thorough
    def test_the_state_of_one_that_has_ended_goes_when_its_output_is_replaced(self, batch: BatchTask) -> None:
        batch.run(cases(3))
        other = self.other(batch, run_id="manual__2")

        other.run(cases(2))

        assert len(batch.state_folders) == 1
        assert Counter(path.name for path in batch.folder.iterdir()) == {
            "_state": 1,
            "results.jsonl": 1,
            "run_index.bin": 1,
        }


@pytest.mark.thorough
def test_a_deleted_state_folder_is_not_made_up(batch: BatchTask, tried: Callable[..., BatchFailed]) -> None:
    tried("not_submitted")
    shutil.rmtree(batch.folder / "_state")
    batch.clear()

    with pytest.raises(AirflowFailException, match="state is gone"):
        batch.run(cases(3))
