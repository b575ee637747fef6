"""A line that there is often a reason for is logged now and then, with how often there was."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_workflows.log_throttle import ThrottledWarning


def test_the_first_is_logged_and_the_others_are_counted_until_a_line_is_due(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    warn = ThrottledWarning(
        logging.getLogger(__name__), "%d failed, the latest: %s", interval=10.0, clock=lambda: now
    )

    for moment in (0.0, 1.0, 9.9, 10.0):
        now = moment
        warn(f"at {moment}")

    assert [record.getMessage() for record in caplog.records] == [
        "1 failed, the latest: at 0.0",
        "3 failed, the latest: at 10.0",
    ]
