"""The short form of the chaos run: each kind of clear, kills of a supervisor and a worker, a mark, new exports."""

from __future__ import annotations

import os

import pytest

from development.chaos.report import lines
from development.chaos.run import SHORT, Report, run
from tests.harness.stack import StackUnavailable

from .conftest import REQUIRED_VARIABLE

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

#: Any seed will do; always the same one, so that what fails fails again.
SEED = 1


@pytest.fixture(
    scope="module",
    params=[1, *(pytest.param(generation, marks=pytest.mark.slow) for generation in (2, 3))],
    ids="generation {}".format,
)
def report(request: pytest.FixtureRequest) -> Report:
    try:
        return run(SHORT, SEED, request.param)
    except StackUnavailable as unavailable:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        pytest.skip(str(unavailable))


def test_nothing_is_paid_twice_and_each_row_is_accounted_for(report: Report) -> None:
    problems = {check.name: check.problems for check in report.checks if not check.holds}

    assert problems == {}, "\n".join(lines(report))


def test_each_action_of_the_short_form_was_done(report: Report) -> None:
    assert report.left == [], "\n".join(lines(report))
