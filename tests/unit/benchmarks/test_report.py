"""What the benchmarks print and decide, without measuring anything."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.candidates.pollers import DBT, FLOOR, IDLE, SATURATED, PollCost
from benchmarks.harness.processes import BEFORE, OURS, earlier_checkout
from benchmarks.harness.report import AtLeast, AtMost, median_of, ratios
from benchmarks.parts import poll_schedules
from benchmarks.polling import figures, lines


@pytest.mark.parametrize(
    ("figure", "reached"),
    [
        (AtMost("", 0.9, 1.0), True),
        (AtMost("", 1.0, 1.0), True),
        (AtMost("", 1.1, 1.0), False),
        (AtLeast("", 1.1, 1.0), True),
        (AtLeast("", 1.0, 1.0), True),
        (AtLeast("", 0.9, 1.0), False),
    ],
)
def test_a_figure_is_reached_within_its_bound(figure: AtMost, reached: bool) -> None:
    assert figure.reached is reached
    assert ("MISSED" in str(figure)) is not reached


def test_the_median_of_repetitions_ignores_one_that_was_disturbed() -> None:
    assert median_of([PollCost(0.1), PollCost(0.2), PollCost(9.0)], "cpu_ms_per_poll") == 0.2


def test_ratios_are_in_times_of_the_unit() -> None:
    assert ratios([1.0, 3.0], 2.0) == ["0.50", "1.50"]


def test_without_a_unit_there_are_no_ratios() -> None:
    assert ratios([1.0, 3.0], 0.0) == ["", ""]


def test_polls_are_compared_by_the_medians_of_their_cpu_time() -> None:
    costs = {FLOOR: 1.0, OURS: 1.2, BEFORE: 1.0, DBT: 24.0}
    results = {
        (SATURATED, 1000, name): [PollCost(cpu), PollCost(cpu / 2), PollCost(cpu * 9)]
        for name, cpu in costs.items()
    }

    values = {figure.name.rpartition(", of ")[2]: figure.value for figure in figures(results)[:3]}

    assert values == {FLOOR: pytest.approx(1.2), DBT: pytest.approx(0.05), BEFORE: pytest.approx(1.2)}


@pytest.mark.thorough
def test_memory_is_what_a_task_takes_beyond_an_idle_one() -> None:
    results = {
        (SATURATED, 1000, IDLE): [PollCost(kilobytes=1.5)],
        (SATURATED, 1000, OURS): [PollCost(1.0, kilobytes=13.0)],
    }

    printed = next(line for line in lines(results) if line.startswith("memory per task"))

    assert "Airflow's 1.5, KB" in printed
    assert printed.split()[-1] == "11.5"


def test_runs_at_a_fixed_interval_are_noticed_within_it() -> None:
    noticed = poll_schedules.noticed(poll_schedules.DATABRICKS, 590.0, 610.0)

    assert 0 <= noticed.late <= noticed.latest <= poll_schedules.DATABRICKS_SECONDS
    assert noticed.polls == pytest.approx(21, abs=1)


def test_a_checkout_without_an_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="make environment"):
        earlier_checkout(str(tmp_path))
