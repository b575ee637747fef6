"""The block at the end of a try: what failed and why, where to find more, and what to do at what cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import BatchFailed, Stopped, WorkflowsError
from airflow_provider_workflows.batch.batch import Batch
from airflow_provider_workflows.batch.failure_policy import FailurePolicy
from airflow_provider_workflows.batch.reasons import Reason, cut_reason
from airflow_provider_workflows.batch.report import BatchReport, repair_after_clear
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.try_end import TryEnd
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import REPORT_KEY, SUMMARY_KEY
from tests.unit.batch_task import BatchTask, cases

TO, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"


def ended(**outcomes: int) -> BatchReport:
    counts = {RowOutcome(name): number for name, number in outcomes.items()}
    return dataclasses.replace(
        BatchReport.begun("definition", 0.0, try_number=2),
        rows=sum(outcomes.values()),
        outcomes=outcomes,
        output="s3://bucket/results.jsonl",
        problem_rows="s3://bucket/problem_rows.csv",
        reasons={
            RowOutcome.FAILED: (
                Reason("REJECTED", 4, "61, 70, 71, 72"),
                Reason("EXPIRED", 2, "80, 81"),
                Reason("LOST", 1, "90"),
                Reason("STRAYED", 1, "91"),
                Reason("STOLEN", 1, "92"),
            ),
            RowOutcome.NOT_SUBMITTED: (Reason("422 DOCUMENT_EXPIRED: It has expired", 50, f"1{TO}50"),),
        },
        repair=repair_after_clear(counts, 0, resubmits_unknown=False),
    )


def policy(**arguments: Any) -> FailurePolicy:
    return FailurePolicy(0.0, **{"resubmit_failed": False, "resubmit_unknown": False, **arguments})


def test_says_what_failed_and_why_where_to_find_more_and_what_to_do_at_what_cost() -> None:
    report = ended(succeeded=441, failed=9, not_submitted=50, unknown=3, skipped=7)

    end = TryEnd(report, policy(), page="https://airflow.example.org/page", retries_left=1, is_retryable=True)

    counts, failed, not_submitted, *others = end.lines
    assert counts == (
        "Try 2 of the batch has ended: 441 succeeded, 9 failed, 50 not_submitted, 3 unknown, 7 skipped; 510 rows "
        "in all."
    )
    assert failed == (
        f"9 failed: 4 {TIMES} REJECTED, rows 61, 70, 71, 72; 2 {TIMES} EXPIRED, rows 80, 81; 1 {TIMES} LOST, "
        "row 90; 2 more reasons."
    )
    assert not_submitted == (
        f"50 not_submitted: 50 {TIMES} 422 DOCUMENT_EXPIRED: It has expired, rows 1{TO}50."
    )
    *others, repair, over = others
    assert others == [
        "Output: s3://bucket/results.jsonl",
        "Rows with something wrong: s3://bucket/problem_rows.csv",
        "Page: https://airflow.example.org/page",
        "A retry submits 50 (50 runs billed). 1 retry is left.",
    ]
    assert repair == (
        "A repair (press Repair, or clear the task): 59 runs billed; keeps 441, waits for 0, submits 59 anew, "
        "leaves 3 of which it is not known whether there is a run."
    )
    assert over == (
        'Starting over (press Start over, or set on_clear="start_over" and clear the task) submits all 503 rows: '
        "503 runs billed."
    )


@pytest.mark.parametrize(
    ("outcomes", "choices", "words"),
    [
        ({"failed": 3}, {}, "A retry would change nothing."),
        ({"failed": 3}, {"resubmit_failed": True}, "A retry submits 3 (3 runs billed)."),
        ({"unknown": 1}, {"resubmit_unknown": True}, "A retry submits 1 (1 run billed)."),
        (
            {"running": 2, "result_missing": 1, "not_submitted": 1},
            {},
            "A retry submits 1 (1 run billed), waits for 2, fetches the results of 1.",
        ),
    ],
)
def test_says_what_a_retry_would_do(outcomes: dict[str, int], choices: dict[str, bool], words: str) -> None:
    report = ended(**outcomes)

    assert [line for line in TryEnd(report, policy(**choices)).lines if "retry" in line] == [words]
    assert words in TryEnd(report, policy(**choices)).sentence


@pytest.mark.parametrize(
    ("retries_left", "is_retryable", "words"),
    [
        (0, True, "No retry is left."),
        (1, True, "1 retry is left."),
        (2, True, "2 retries are left."),
        (2, False, "Airflow does not retry the task."),
    ],
)
def test_says_whether_a_retry_is_left(retries_left: int, is_retryable: bool, words: str) -> None:
    end = TryEnd(ended(not_submitted=1), policy(), retries_left=retries_left, is_retryable=is_retryable)

    assert any(line.endswith(words) for line in end.lines)


def test_leaves_out_rows_that_a_person_has_withheld_from_what_a_retry_does() -> None:
    withheld = {RowOutcome.NOT_SUBMITTED: 40}

    text = str(TryEnd(ended(not_submitted=50), policy(), withheld))

    assert "A retry submits 10 (10 runs billed)." in text
    assert "40 were not sent because a person said so: the next clear submits the rest." in text


def test_goes_on_after_a_reason_that_is_a_sentence() -> None:
    report = ended(not_submitted=40)
    reason = Reason("A person stopped the submission. The next clear submits it.", 40, f"1{TO}40")

    text = str(TryEnd(dataclasses.replace(report, reasons={RowOutcome.NOT_SUBMITTED: (reason,)}), policy()))

    assert f"The next clear submits it, rows 1{TO}40." in text


def test_of_a_batch_that_went_well_says_what_a_clear_would_cost() -> None:
    end = TryEnd(dataclasses.replace(ended(succeeded=5), reasons={}, problem_rows=None), policy())

    assert end.failed == 0
    assert not [line for line in end.lines if "retry" in line]
    assert any("no run billed; keeps 5, waits for 0, submits 0 anew." in line for line in end.lines)


def test_says_that_a_repair_fetches_results_that_are_missing() -> None:
    (line,) = [line for line in TryEnd(ended(result_missing=60), policy()).lines if "A repair" in line]

    assert line.endswith("no run billed; keeps 60, waits for 0, submits 0 anew, fetches 60 missing results.")


def test_leaves_out_the_last_sentences_of_a_reason_that_is_too_long() -> None:
    first = "The response was lost, so nobody knows whether there is a run"

    assert cut_reason(f"{first}. {'Find out in the dashboard. ' * 9}").startswith(first)
    assert cut_reason(f"{first}. {'Find out ' * 30}.") == first
    assert cut_reason(first) == first


class TestTask:
    def test_warns_also_where_its_failure_policy_is_lenient(
        self, batch: BatchTask, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.definition_id = sandbox.define(seconds=0.0, status="EXPIRED")

        batch.run(cases(3), max_failed_share=1.0)

        (line,) = [line for line in capsys.readouterr().out.splitlines() if "of the batch has ended" in line]
        assert "warning" in line
        assert SUMMARY_KEY not in batch.ti.xcoms

    def test_is_no_warning_where_all_went_well(
        self, batch: BatchTask, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(cases(3))

        (line,) = [line for line in capsys.readouterr().out.splitlines() if "of the batch has ended" in line]
        assert "info" in line

    def test_that_fails_pushes_its_summary(self, batch: BatchTask, tried: Callable[..., BatchFailed]) -> None:
        raised = tried("failed")

        summary = batch.ti.xcoms[SUMMARY_KEY]
        assert summary["output"] == str(batch.folder / "results.jsonl")
        assert summary["outcomes"] == {"failed": 3}
        assert f"3 {TIMES} FAILED, rows 1{TO}3" in str(raised)

    def test_that_is_stopped_while_it_submits_pushes_its_summary(
        self, batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator = batch.operator(cases(3))
        monkeypatch.setattr(Batch, "require_hashes", lambda *_: operator.on_kill())

        with pytest.raises(Stopped):
            operator.execute(batch.context)

        assert batch.ti.xcoms[SUMMARY_KEY]["outcomes"] == {"not_submitted": 3}

    def test_whose_first_row_is_refused_pushes_its_summary(self, batch: BatchTask, sandbox: Sandbox) -> None:
        sandbox.fault("forbidden", path="/workflows/run")

        with pytest.raises(WorkflowsError):
            batch.run(cases(3))

        assert batch.ti.xcoms[SUMMARY_KEY]["outcomes"] == {"not_submitted": 3}
        assert batch.ti.xcoms[REPORT_KEY]["phase"] == "ended"
