"""What ``make demo-batch`` says of a batch under way."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION, Sandbox
from development.batch_progress import Seen

ROWS = 1980


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen(), ("Submitting", 0, ROWS, "0 of 1,980 runs started")),
        (Seen(runs=500), ("Submitting", 500, ROWS, "500 of 1,980 runs started")),
        (
            Seen(runs=ROWS, ended=700, completed=700, polls=2600),
            ("Waiting", 700, ROWS, "700 of 1,980 runs have ended, polled 2,600 times"),
        ),
        (
            Seen(runs=ROWS, ended=ROWS, completed=ROWS, polls=4000, result_requests=30),
            ("Fetching results", 30, ROWS, "30 of 1,980"),
        ),
        # Some of the requests were refused, and made again.
        (
            Seen(runs=ROWS, ended=ROWS, completed=ROWS, polls=4000, result_requests=1994),
            ("Fetching results", ROWS, ROWS, "1,980 of 1,980"),
        ),
    ],
)
def test_it_says_how_much_of_how_much_is_done(seen: Seen, expected: tuple[str, int, int, str]) -> None:
    assert seen.phase(ROWS) == expected


def test_it_counts_what_the_sandbox_has_seen(sandbox: Sandbox) -> None:
    sandbox.define(DEFINITION, seconds=0.0)
    sandbox.define(FAILING_DEFINITION, seconds=0.0, status="FAILED")
    before = Seen.by(sandbox)
    with sandbox.client() as client:
        case_id = client.create_case().case_id
        completed = client.run_workflow(DEFINITION, case_id).id
        client.run_workflow(FAILING_DEFINITION, case_id)
        client.run_workflow(sandbox.define(seconds=3600.0), case_id)
        client.read_workflow(completed)
        client.read_result(completed)

    assert Seen.by(sandbox).since(before) == Seen(runs=3, ended=2, completed=1, polls=1, result_requests=1)
