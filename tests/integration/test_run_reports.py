"""What a single run reports while its task waits in a real triggerer."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.run_report import RunOutcome, RunReport
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.harness.local_airflow import RunningAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

#: A deferrable operator that polls twice in a second.
DAG_ID = "durable_cleared_while_deferred"


def test_the_report_follows_the_polls_of_the_triggerer_and_ends_with_all_of_them(
    running_airflow: RunningAirflow, airflow_sandbox: Sandbox
) -> None:
    run_id = running_airflow.trigger(DAG_ID, {"slow": airflow_sandbox.define(seconds=30.0)})

    def report() -> RunReport | None:
        written: Any = running_airflow.xcom(DAG_ID, run_id, "run", REPORT_KEY)
        return None if written is None else RunReport.from_json(written)

    def waiting() -> RunReport | None:
        written = report()
        return written if written is not None and written.polls > 1 else None

    seen = running_airflow.until(waiting, 120, "a report from the triggerer")
    state = running_airflow.wait(DAG_ID, run_id, 300)
    last = report()

    assert (seen.outcome, seen.status) == (RunOutcome.RUNNING, "RUNNING")
    assert seen.next_poll_at is not None
    assert seen.next_poll_at > seen.last_poll_at
    assert state == "success"
    assert last is not None
    assert (last.outcome, last.next_poll_at) == (RunOutcome.SUCCEEDED, None)
    assert last.polls > seen.polls
