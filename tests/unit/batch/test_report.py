"""The report of a batch: what it says, how large it is, and that another process reads what one has written."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import tracemalloc
from array import array
from typing import Any

import pytest

from airflow_provider_workflows.api import Statuses
from airflow_provider_workflows.batch.completions import MAX_BUCKETS, Completions, Durations
from airflow_provider_workflows.batch.progress import Measured
from airflow_provider_workflows.batch.reasons import Reasons, reason_of, row_ranges
from airflow_provider_workflows.batch.repair import Repair
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase, repair_after_clear
from airflow_provider_workflows.batch.reported_rows import ReportedRows
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.tally import Tally
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.unit.batch_task import BatchTask, cases

FAILED, NOT_SUBMITTED, UNKNOWN = RowOutcome.FAILED, RowOutcome.NOT_SUBMITTED, RowOutcome.UNKNOWN
WORKFLOW_ID = "63133a8e-6e4f-4a0f-9d3e-0c0a3c5a6f10"


class TestRowRanges:
    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([], ""),
            ([7], "7"),
            (range(1, 51), "1\N{EN DASH}50"),
            ([61, 70, *range(1, 51)], "1\N{EN DASH}50, 61, 70"),
            ([3, 3, 2], "2\N{EN DASH}3"),
            (range(1, 99, 2), "1, 3, 5, 7, 9, 11, \N{HORIZONTAL ELLIPSIS}"),
        ],
    )
    def test_fold_numbers_that_follow_each_other(self, rows: Any, words: str) -> None:
        assert row_ranges(rows) == words


class TestReason:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (
                {
                    "status": 422,
                    "code": "DOCUMENT_EXPIRED",
                    "message": "POST /cases: the service responded with 422 (DOCUMENT_EXPIRED: The document has "
                    "expired; fingerprint 30d4). Correct what it names.",
                },
                "422 DOCUMENT_EXPIRED: The document has expired",
            ),
            ({"status": 422, "code": "X", "message": "(X; fingerprint 3)"}, "422 X"),
            ({"kind": "Stopped", "message": "The task was told to stop."}, "The task was told to stop."),
            ({"status": 404, "message": f"No {WORKFLOW_ID}."}, "404 No \N{HORIZONTAL ELLIPSIS}."),
        ],
    )
    def test_is_the_same_for_rows_that_met_the_same(self, error: dict[str, Any], reason: str) -> None:
        assert reason_of(error) == reason

    def test_are_counted_the_commonest_first(self) -> None:
        reasons = Reasons()
        for row in range(1, 51):
            reasons.add(FAILED, "422 DOCUMENT_EXPIRED", row)
        for row in (61, 70):
            reasons.add(FAILED, "REJECTED", row)

        (first, second) = reasons.folded()[FAILED]

        assert (first.reason, first.rows, first.examples) == (
            "422 DOCUMENT_EXPIRED",
            50,
            "1\N{EN DASH}50",
        )
        assert (second.rows, second.examples) == (2, "61, 70")


class TestCompletions:
    def test_are_120_points_at_most_and_lose_no_end(self) -> None:
        completions = Completions(1000.0)
        for second in range(100_000):
            completions.add("COMPLETED" if second % 10 else "FAILED", 1000.0 + second)

        plot = completions.to_json({"COMPLETED": "succeeded", "FAILED": "failed"})

        assert len(plot["succeeded"]) == len(plot["failed"]) <= MAX_BUCKETS
        assert (sum(plot["succeeded"]), sum(plot["failed"])) == (90_000, 10_000)
        assert plot["start"] == 1000.0
        assert plot["step"] * MAX_BUCKETS >= 100_000

    def test_of_a_run_that_ended_before_the_batch_began_count_at_its_beginning(self) -> None:
        completions = Completions(1000.0)
        completions.add("COMPLETED", 10.0)

        assert completions.to_json({"COMPLETED": "succeeded"})["succeeded"] == [1]


class TestDurations:
    def test_tell_the_median_and_what_19_of_20_need(self) -> None:
        durations = Durations()
        for seconds in range(1, 1001):
            durations.add(seconds)

        shown = durations.to_json()

        assert shown["median"] == pytest.approx(500, rel=0.05)
        assert shown["p95"] == pytest.approx(950, rel=0.05)
        assert len(shown["counts"]) == len(shown["bounds"]) + 1
        assert sum(shown["counts"]) == 1000

    def test_are_not_told_before_a_run_has_ended(self) -> None:
        assert Durations().to_json()["median"] is None


def _large_report() -> BatchReport:
    tally = Tally(0.0)
    for row in range(6_000):
        if row % 2:
            tally.add_ended(row, f"STATUS_{row % 500}", None, 0.0, row)
        else:
            message = f"reason {row % 300} {'long ' * 100}"
            tally.add_other(row, [FAILED, NOT_SUBMITTED, UNKNOWN][row % 3], {"message": message})
    report = dataclasses.replace(BatchReport.begun("definition", 0.0), rows=6_000)
    return report.counted(tally, tally.outcomes(Statuses()), Statuses()).at_phase(ReportPhase.ENDED, 9.0)


class TestReport:
    @pytest.mark.thorough
    def test_is_read_as_it_was_written(self) -> None:
        report = _large_report()
        again = BatchReport.from_json(json.loads(json.dumps(report.to_json())))

        assert again.to_json() == report.to_json()
        assert again.phase is ReportPhase.ENDED

    @pytest.mark.thorough
    def test_takes_about_20_kb_in_whatever_ways_rows_fail(self) -> None:
        assert len(json.dumps(_large_report().to_json())) <= 20_000

    @pytest.mark.thorough
    @pytest.mark.parametrize("change", [{"format": 2}, {"kind": "run"}, {"phase": "dreaming"}])
    def test_of_another_format_is_not_read(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"report|Phase"):
            BatchReport.from_json(_large_report().to_json() | change)

    def test_counts_each_row_once(self) -> None:
        tally = Tally(0.0)
        tally.add_ended(1, "COMPLETED", None, 0.0, 1.0)
        tally.add_other(2, UNKNOWN)
        report = dataclasses.replace(BatchReport.begun("definition", 0.0), rows=10)

        counted = report.counted(tally, tally.outcomes(Statuses()), Statuses())

        assert counted.outcomes == {"succeeded": 1, "unknown": 1, "due": 8}
        assert counted.repair == Repair(keeps=1, waits_for=0, submits=8, leaves_unknown=1)

    def test_says_that_a_repair_submits_unknown_rows_where_the_task_does(self) -> None:
        repair = repair_after_clear({UNKNOWN: 3, FAILED: 2}, 0, resubmits_unknown=True)

        assert (repair.submits, repair.leaves_unknown) == (5, 0)


@pytest.mark.thorough
def test_a_row_that_has_ended_takes_a_few_bytes() -> None:
    tally = Tally(0.0)
    tally.add_ended(0, "COMPLETED", None, 0.0, 100_000.0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for row in range(100_000):
        tally.add_ended(row, "COMPLETED", None, 0.0, float(row))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert grown / 100_000 <= array("I").itemsize + 2


@pytest.mark.thorough
def test_the_task_reports_at_each_phase_and_at_the_end(batch: BatchTask, sandbox: Sandbox) -> None:
    reports: list[dict[str, Any]] = []
    push = batch.ti.xcom_push

    def xcom_push(key: str, value: Any) -> None:
        push(key, json.loads(json.dumps(value)))
        if key == REPORT_KEY:
            reports.append(batch.ti.xcoms[key])

    batch.ti.xcom_push = xcom_push  # type: ignore[method-assign]
    sandbox.fault("cut_after", path="/workflows/run", times=1)

    batch.run([*cases(5), {"email": 3}], on_bad_row="skip", max_failed_share=1.0)

    assert [report["phase"] for report in reports] == ["submitting", "waiting", "fetching", "ended"]
    assert all(sum(report["outcomes"].values()) == report["rows"] == 6 for report in reports)
    last = BatchReport.from_json(reports[-1])
    assert last.outcomes == {"succeeded": 4, "unknown": 1, "skipped": 1}
    assert sum(last.completions["succeeded"]) == 4
    assert last.repair == Repair(keeps=4, waits_for=0, submits=0, leaves_unknown=1)
    assert last.reasons.keys() == {RowOutcome.UNKNOWN, RowOutcome.SKIPPED}
    assert last.output == str(batch.folder / "results.jsonl")
    assert "Ada" not in json.dumps(reports)


def test_a_report_counts_the_rows_that_are_written_while_results_are_fetched(
    batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[BatchReport] = []
    measure = ReportedRows.measure_collection

    async def noting(self: ReportedRows, collection: Any, reported: BatchReport) -> Measured:
        found = await measure(self, collection, reported)
        measured.append(found.report)
        return found

    monkeypatch.setattr(ReportedRows, "measure_collection", noting)
    sandbox.fault("cut_after", path="/workflows/run", times=1)

    batch.run([*cases(5), {"email": 3}], on_bad_row="skip", max_failed_share=1.0)

    assert [(report.done, report.rows) for report in measured] == [(0, 6), (6, 6)]
    assert json.loads(json.dumps(measured[-1].to_json()))["written"] == 6


@pytest.mark.thorough
async def test_reasons_are_folded_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(0.0)
    for row in range(200_000):
        tally.add_other(row, FAILED, {"message": str(row % 3)})
    folding = asyncio.create_task(asyncio.to_thread(tally.reasons, Statuses()))
    for row in range(1000):
        tally.add_other(row, FAILED, {"message": f"new {row}"})
        await asyncio.sleep(0)

    assert sum(reason.rows for reason in (await folding)[FAILED]) >= 200_000
