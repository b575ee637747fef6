"""What the block at the end of a try names to press and to set: what there is on this Airflow, in this DAG."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.batch.try_end import TryEnd
from airflow_provider_workflows.clear_wording import ClearChoices
from airflow_provider_workflows.run_end import RunEnd
from airflow_provider_workflows.run_report import RunReport

CHOICES = [
    (
        ClearChoices(),
        "press Repair, or clear the task",
        'press Start over, or set on_clear="start_over" and clear the task',
    ),
    (ClearChoices(has_buttons=False), "clear the task", 'set on_clear="start_over" and clear the task'),
    (
        ClearChoices(starts_over=True),
        'press Repair, or set on_clear="repair" and clear the task',
        "press Start over, or clear the task",
    ),
    (
        ClearChoices(has_buttons=False, starts_over=True),
        'set on_clear="repair" and clear the task',
        "clear the task",
    ),
    (
        ClearChoices(needs_kept_state=True),
        "press Repair, or clear the task and keep its task state",
        'press Start over, or set on_clear="start_over" and clear the task',
    ),
]


@pytest.mark.parametrize(("choices", "repair", "start_over"), CHOICES)
def test_names_what_a_person_can_do_to_a_run_and_to_a_batch(
    choices: ClearChoices, repair: str, start_over: str
) -> None:
    run = RunEnd(RunReport("workflows_default", 0.0), "page", 0, is_retryable=True, choices=choices)
    batch = TryEnd(BatchReport.begun("definition", 0.0, try_number=1), choices=choices)

    for lines in (run.lines, batch.lines):
        assert any(line.startswith(f"A repair ({repair}): ") for line in lines)
        assert any(line.startswith(f"Starting over ({start_over})") for line in lines)
