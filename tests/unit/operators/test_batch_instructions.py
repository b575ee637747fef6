"""A batch whose page has buttons: what a try does by the instruction of a person, counted at the service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.batch.batch import Batch
from airflow_provider_workflows.operators.batch_record import BATCH_KEY
from airflow_provider_workflows.operators.batch_submission import BatchSubmission
from airflow_provider_workflows.operators.instruction import INSTRUCTION_KEY, Instructions
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask, cases
from tests.unit.half_failed import ONE_BY_ONE, OUTCOMES, HalfFailed, people, table
from tests.unit.operators.test_batch_kills import killed, run_try
from tests.unit.operators.test_batch_repair import lines
from tests.unit.operators.test_batch_stop import FileStore

pytestmark = pytest.mark.sampled(2)

START_OVER = {"on_clear": "start_over"}
RESUBMIT_UNKNOWN = {"on_unknown_outcome": "resubmit"}


@pytest.fixture
def half(batch: BatchTask, connected: Sandbox) -> HalfFailed:
    return HalfFailed(batch, connected)


class TestRepair:
    @pytest.mark.thorough
    @pytest.mark.parametrize("on_clear", ["repair", "start_over"])
    def test_submits_what_has_failed_or_was_not_submitted_whatever_the_dag_says(
        self, half: HalfFailed, on_clear: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        half.press("repair")

        half.retry(on_clear=on_clear)

        assert half.new_runs == people(2, 3, 4, 5, 6)
        assert half.batch.outcomes == ["unknown", *["succeeded"] * 9]
        assert half.instruction is None
        (line,) = lines(capsys, "Cleared (")
        assert "warning" in line
        assert "repair, for which ada has asked at" in line
        assert "keeps 4, waits for 0, submits 5 anew, leaves 1 of which it is not known" in line

    @pytest.mark.thorough
    def test_is_followed_once_so_that_a_later_clear_does_what_the_dag_says(self, half: HalfFailed) -> None:
        half.press("repair")
        half.retry(**START_OVER)
        before = half.new_runs
        half.batch.clear()

        half.batch.run(table(), **START_OVER)

        assert sum(half.new_runs.values()) == sum(before.values()) + len(OUTCOMES)

    @pytest.mark.thorough
    def test_of_a_task_that_has_come_to_submit_nothing_begins(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        with pytest.raises(InvalidInput):
            batch.run([{"first_name": 7}])
        batch.store.set(INSTRUCTION_KEY, instruction("repair"))
        batch.clear()

        batch.run(cases(3))

        assert len(connected.workflows) == 3
        assert batch.store.get(INSTRUCTION_KEY) is None


class TestStartOver:
    @pytest.mark.thorough
    def test_submits_all_rows_anew_whatever_the_dag_says(
        self, half: HalfFailed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        half.press("start_over")

        half.batch.run(table())

        assert half.new_runs == people(*range(1, 11))
        assert half.batch.outcomes == ["succeeded"] * 10
        assert half.instruction is None
        (line,) = lines(capsys, "Cleared (start_over, for which ada has asked at")
        assert "submits 10 anew. 8 rows had a run before" in line or "submits 10 anew. 7 rows" in line

    @pytest.mark.thorough
    def test_that_is_refused_for_its_input_is_not_followed_by_a_later_clear(self, half: HalfFailed) -> None:
        half.press("start_over")
        with pytest.raises(InvalidInput):
            half.batch.run([{"first_name": 7}])
        half.batch.clear()

        half.retry()

        assert half.new_runs == people(2, 3, 4, 5, 6)

    @pytest.mark.thorough
    def test_is_not_followed_by_a_retry(self, half: HalfFailed) -> None:
        half.press("start_over")
        half.batch.ti.max_tries -= 1

        half.retry()

        # Those that were not submitted, as in each retry.
        assert half.new_runs == people(5, 6)
        assert half.instruction is not None


class TestResubmit:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("chosen", "runs", "left"),
        [
            ({"rows": "2-3,5"}, (2, 3, 5), ""),
            ({"rows": "7"}, (7,), "1 of them had succeeded, and is billed again"),
            ({"outcome": "failed"}, (2, 3, 4), ""),
            ({"outcome": "not_submitted"}, (5, 6), ""),
            ({"outcome": "succeeded"}, (7, 8, 9, 10), "4 of them had succeeded"),
            ({"rows": "1-2"}, (2,), "1 may have a run, and is left alone unless on_unknown_outcome"),
            ({"outcome": "unknown"}, (), "1 may have a run, and is left alone"),
        ],
        ids=str,
    )
    def test_submits_these_rows_and_no_others(
        self,
        half: HalfFailed,
        chosen: dict[str, str],
        runs: tuple[int, ...],
        left: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        half.press("resubmit", **chosen)

        error = half.retry(resubmit_failed=True)

        assert half.new_runs == people(*runs)
        expected = ["succeeded" if number in runs else outcome for number, outcome in enumerate(OUTCOMES, 1)]
        assert half.batch.outcomes == expected
        assert half.instruction is None
        (line,) = lines(capsys, "Cleared (resubmit of ")
        assert f"submits {len(runs)} anew" in line
        verb = "is" if len(runs) == 1 else "are"
        assert f"{len(runs)} of the chosen rows {verb} submitted" in line
        assert left in line
        # What was not chosen is submitted by no retry, also where these resubmit what has failed.
        assert error.retry is Retry.NEVER
        half.retry(resubmit_failed=True)
        assert half.new_runs == people(*runs)

    @pytest.mark.thorough
    @pytest.mark.parametrize("chosen", [{"rows": "1-2"}, {"outcome": "unknown"}], ids=str)
    def test_submits_a_row_that_may_have_a_run_only_where_the_dag_agrees(
        self, half: HalfFailed, chosen: dict[str, str]
    ) -> None:
        half.press("resubmit", **chosen)

        half.retry(**RESUBMIT_UNKNOWN)

        assert half.new_runs == people(*((1, 2) if "rows" in chosen else (1,)))

    @pytest.mark.thorough
    def test_leaves_a_row_that_may_have_a_run_where_others_were_chosen(self, half: HalfFailed) -> None:
        half.press("resubmit", rows="2")

        half.retry(**RESUBMIT_UNKNOWN)
        half.retry(**RESUBMIT_UNKNOWN)

        assert half.new_runs == people(2)

    @pytest.mark.thorough
    def test_says_of_rows_that_were_not_chosen_that_the_next_clear_submits_them(
        self, half: HalfFailed
    ) -> None:
        half.press("resubmit", rows="5")

        half.retry()

        row = half.batch.output[5]
        assert row["outcome"] == "not_submitted"
        half.batch.clear()
        half.retry()
        assert half.new_runs == people(2, 3, 4, 5, 6)

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("chosen", "words"),
        [
            ({"rows": "9-11"}, "rows: 9-11 is not within the rows of this batch, which are 1 to 10"),
            ({"rows": "two"}, "rows: 'two' is no row number"),
            ({"outcome": "running"}, "rows that are running are not submitted"),
            ({"outcome": "result_missing"}, "a repair fetches the result"),
            ({"outcome": "skipped"}, "they are bad"),
        ],
        ids=str,
    )
    def test_that_cannot_be_followed_says_why_sends_nothing_and_is_over(
        self, half: HalfFailed, chosen: dict[str, str], words: str
    ) -> None:
        half.press("resubmit", **chosen)

        with pytest.raises(InvalidInput, match=words):
            half.batch.run(table(), **ONE_BY_ONE)

        assert (half.new_runs, half.instruction) == ({}, None)

    @pytest.mark.thorough
    def test_leaves_a_bad_row_alone(self, batch: BatchTask, connected: Sandbox) -> None:
        rows = [{"first_name": "Ada1"}, {"first_name": 7}, {"first_name": "Ada3"}]
        batch.run(rows, on_bad_row="skip")
        batch.store.set(INSTRUCTION_KEY, instruction("resubmit", rows="2-3"))
        batch.clear()

        batch.run(rows, on_bad_row="skip")

        assert batch.outcomes == ["succeeded", "skipped", "succeeded"]
        assert len(connected.workflows) == 3

    @pytest.mark.thorough
    def test_refuses_rows_that_run_and_waits_for_them(self, batch: BatchTask, connected: Sandbox) -> None:
        connected.fault("server_error", status=503, path="/workflows/{workflowId}")
        with pytest.raises(BatchFailed):
            batch.run(cases(3), max_outage=0.1)
        connected.clear_faults()
        batch.store.set(INSTRUCTION_KEY, instruction("resubmit", rows="1-2"))
        batch.clear()

        batch.run(cases(3))

        assert len(connected.workflows) == 3
        assert batch.outcomes == ["succeeded"] * 3

    def test_of_a_task_that_has_submitted_nothing_is_refused(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        with pytest.raises(InvalidInput):
            batch.run([{"first_name": 7}])
        batch.store.set(INSTRUCTION_KEY, instruction("resubmit", rows="1"))
        batch.clear()

        with pytest.raises(InvalidInput, match="no row was submitted before"):
            batch.run(cases(3))

        assert connected.workflows == []


class TestChangedInput:
    def changed(self) -> list[dict[str, Any]]:
        """Return the table with rows 2 and 5 corrected, in another order, and a new row."""
        rows = table()
        rows[1]["first_name"], rows[4]["first_name"] = "Eve2", "Eve5"
        return [{"key": "K11", "first_name": "Ada11"}, *reversed(rows)]

    @pytest.mark.thorough
    def test_repair_submits_what_has_changed_is_new_or_has_failed(self, half: HalfFailed) -> None:
        half.press("repair")

        half.retry(self.changed())

        assert half.new_runs == {**people(3, 4, 6, 11), "Eve2": 1, "Eve5": 1}

    @pytest.mark.thorough
    def test_resubmit_finds_the_chosen_rows_by_their_keys(self, half: HalfFailed) -> None:
        half.press("resubmit", rows="2-3,5")

        half.retry(self.changed(), resubmit_failed=True)
        half.retry(self.changed(), resubmit_failed=True)

        assert half.new_runs == {**people(3), "Eve2": 1, "Eve5": 1}
        half.batch.clear()
        half.retry(self.changed())
        assert half.new_runs == {**people(3, 4, 6, 11), "Eve2": 1, "Eve5": 1}

    @pytest.mark.thorough
    def test_no_retry_submits_what_is_new_in_an_input_of_which_rows_were_chosen(
        self, half: HalfFailed, connected: Sandbox
    ) -> None:
        half.press("resubmit", rows="2-3")
        connected.define(half.batch.definition_id, may_run=False)
        half.retry()
        connected.define(half.batch.definition_id, seconds=0.0)

        half.retry(self.changed())

        assert half.new_runs == people(3)

    @pytest.mark.thorough
    def test_start_over_submits_what_there_is_now(self, half: HalfFailed) -> None:
        half.press("start_over")

        half.batch.run(self.changed())

        assert sum(half.new_runs.values()) == 11


class KilledError(BaseException):
    """The process is killed."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, is_over: bool) -> None:
    """Have the next call of a method end the try, before or after it, as a kill would."""
    method = getattr(owner, name)

    def killing(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(owner, name, method)
        if is_over:
            method(*arguments, **named)
        raise KilledError

    monkeypatch.setattr(owner, name, killing)


class TestKill:
    @pytest.mark.costly(8)
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("action", "runs"),
        [
            ({"action": "repair"}, people(2, 3, 4, 5, 6)),
            ({"action": "start_over"}, people(*range(1, 11))),
            ({"action": "resubmit", "outcome": "failed"}, people(2, 3, 4)),
            ({"action": "resubmit", "rows": "2,7"}, people(2, 7)),
        ],
        ids=["repair", "start over", "resubmit what has failed", "resubmit rows"],
    )
    @pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        ("owner", "name"),
        [
            (Instructions, "take"),
            (BatchSubmission, "_store_first"),
            (Instructions, "delete"),
            (Batch, "withhold"),
            (Batch, "submit_again"),
        ],
        ids=lambda value: getattr(value, "__name__", value),
    )
    def test_between_the_clear_and_the_first_row_has_the_next_try_follow_it_once(
        self,
        half: HalfFailed,
        monkeypatch: pytest.MonkeyPatch,
        action: dict[str, str],
        runs: dict[str, int],
        owner: type,
        name: str,
        is_over: bool,
    ) -> None:
        half.press(**action)
        kill_at(monkeypatch, owner, name, is_over=is_over)
        try:
            half.batch.run(table(), **ONE_BY_ONE)
        except KilledError:
            assert half.new_runs == {}
        except BatchFailed:
            assert name in ("withhold", "submit_again"), "it has not come to that point"
        half.batch.ti.try_number += 1

        try:
            half.batch.run(table(), **ONE_BY_ONE)
        except BatchFailed:
            assert action["action"] != "start_over"

        assert half.new_runs == runs
        assert half.instruction is None

    @pytest.mark.thorough
    @pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        "name",
        [
            "batch.chosen_rows:ChosenRows.write",
            "batch.repair:submit_again",
            "operators.instruction:Instructions.delete",
        ],
        ids=lambda name: name.partition(":")[2],
    )
    def test_of_the_process_has_the_next_try_submit_the_chosen_rows_once(
        self, batch: BatchTask, connected: Sandbox, tmp_path: Path, name: str, is_over: bool
    ) -> None:
        batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
        half = HalfFailed(batch, connected)
        half.press("resubmit", outcome="failed")
        killed(run_try, batch, table(), (name, 1), is_over=is_over)
        assert half.new_runs == {}
        batch.ti.try_number += 1

        half.retry()

        assert half.new_runs == people(2, 3, 4)
        assert half.instruction is None

    @pytest.mark.thorough
    def test_after_the_record_was_stored_has_no_later_clear_follow_it_again(
        self, half: HalfFailed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        half.press("start_over")
        kill_at(monkeypatch, Instructions, "delete", is_over=False)
        with pytest.raises(KilledError):
            half.batch.run(table())
        assert half.instruction is not None
        half.batch.clear()

        half.batch.run(table())

        # The rows of the new start, once: it was not begun yet another time.
        assert half.new_runs == people(*range(1, 11))
        assert half.instruction is None


class TestMapped:
    @pytest.mark.thorough
    def test_a_map_index_has_an_instruction_of_its_own(self, batch: BatchTask, connected: Sandbox) -> None:
        shards = [shard(batch, index) for index in (0, 1)]
        for task in shards:
            task.run(cases(2), deferrable=False)
            task.clear()
        shards[1].store.set(INSTRUCTION_KEY, instruction("start_over"))

        for task in shards:
            task.run(cases(2), deferrable=False)

        assert len(connected.workflows) == 2 + 2 + 0 + 2


def shard(batch: BatchTask, index: int) -> BatchTask:
    task = BatchTask(batch.folder / str(index), batch.definition_id)
    task.ti.map_index = index
    return task


def instruction(action: str, **chosen: Any) -> dict[str, Any]:
    """Return what a page stores."""
    return {"format": 1, "id": "one", "action": action, "asked_at": 9e9, "asked_by": "ada", **chosen}


@pytest.mark.thorough
def test_one_of_yesterday_is_not_followed(half: HalfFailed, capsys: pytest.CaptureFixture[str]) -> None:
    half.press("start_over", age=25 * 3600.0)

    half.retry(deferrable=False)

    assert half.new_runs == people(2, 3, 4, 5, 6)
    assert len(lines(capsys, "which is not followed: it is older than a day")) == 1


@pytest.mark.thorough
def test_one_of_another_format_is_not_followed(half: HalfFailed, capsys: pytest.CaptureFixture[str]) -> None:
    half.press("start_over", format=2)

    half.retry(deferrable=False)

    assert half.new_runs == people(2, 3, 4, 5, 6)
    assert len(lines(capsys, "which is not followed: it cannot be read")) == 1


@pytest.mark.thorough
def test_an_unreadable_record_is_started_over_where_a_person_asks_for_it(
    half: HalfFailed, tried: Callable[..., BatchFailed]
) -> None:
    half.batch.store.set(BATCH_KEY, {**half.batch.store.get(BATCH_KEY), "format": 9})
    half.press("start_over")

    half.batch.run(table())

    assert half.new_runs == people(*range(1, 11))
