"""What webhooks do: how soon a task is resumed, how many deliveries are taken, and what each costs.

Run by ``make bench-webhooks`` or ``python -m benchmarks.webhooks``: a whole Airflow with PostgreSQL and one process
of the API server. The deliveries come from a process of their own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_workflows.api import webhook_signature
from benchmarks.harness import report
from benchmarks.harness.processes import MeasurementFailed
from benchmarks.harness.report import AtLeast, AtMost, progress
from benchmarks.harness.sandbox import STATUS_CALL
from benchmarks.harness.webhook_airflow import AirflowWithWebhooks, Delivery, airflow_with_webhooks
from benchmarks.parts import delivery_costs
from development.terminal import clean_up_when_terminated

_PARTS = ("costing", "refusing", "taking", "resuming")
_KEY_CALL = "GET /auth/webhooks/key/{kid}"
_DEFERRED_SECONDS = 1800.0
#: Deliveries per second while tasks wait: about what the runs of a busy hour make.
_RESUMING_RATE = 20.0
_TAKING_RATE = 200.0
_TAKEN, _REFUSED = 204, 401
_FORGERIES = ("unsigned", "wrong_key", "alg_none", "hs256")


def main() -> int:
    """Measure, print the figures, and return 0."""
    parser = report.argument_parser("benchmarks.webhooks", __doc__ or "")
    parser.add_argument("--only", choices=_PARTS, help="measure one part only")
    parser.add_argument("--tasks", type=int, default=500, help='that wait in "resuming" (%(default)s)')
    parser.add_argument("--deliveries", type=int, default=4000, help='of each "taking" (%(default)s)')
    parser.add_argument("--forged", type=int, default=10_000, help='of "refusing" (%(default)s)')
    parser.add_argument(
        "--costed", type=int, default=200, help='of each kind and round of "costing" (%(default)s)'
    )
    parser.add_argument("--rounds", type=int, default=30, help='of "costing" (%(default)s)')
    arguments = parser.parse_args()
    clean_up_when_terminated()
    begin = time.monotonic()
    parts = [arguments.only] if arguments.only else _PARTS
    figures: list[AtMost] = []
    table: list[str] = []
    if "costing" in parts:
        figures, table = delivery_costs.measure(arguments.costed, arguments.rounds)
    if parts != ["costing"]:
        figures += _whole_airflow(parts, arguments)
    packages = ("apache-airflow", "aiohttp", "fastapi")
    report.conclude(table, figures, {}, begin=begin, packages=packages, file=arguments.json)
    return 0


def _whole_airflow(parts: Sequence[str], arguments: argparse.Namespace) -> list[AtMost]:
    figures: list[AtMost] = []
    with airflow_with_webhooks() as airflow:
        if "refusing" in parts:
            figures += _refusing(airflow, arguments.forged)
        if "taking" in parts:
            figures += _taking(airflow, arguments.deliveries, "no asset")
            airflow.schedule_on_completions()
            figures += _taking(airflow, arguments.deliveries, "an asset")
        if "resuming" in parts:
            figures += _resuming(airflow, arguments.tasks)
    return figures


def _resuming(airflow: AirflowWithWebhooks, tasks: int) -> list[AtMost]:
    progress(f"resuming: {tasks} tasks begin to wait")
    workflow_ids = airflow.ended_workflows(tasks)
    before = airflow.requests(STATUS_CALL)
    # Polls do not see their ends until all tasks wait.
    airflow.sandbox.fault("unknown_status")
    run_id = airflow.stack.running.trigger("benchmark_webhooks", {"workflow_ids": workflow_ids})
    airflow.stack.running.until(
        lambda: _deferred(airflow, run_id) == tasks, _DEFERRED_SECONDS, "all tasks to be deferred"
    )
    # A task that has only just been deferred may not be resumed yet, and its trigger has still to poll.
    airflow.stack.running.until(
        lambda: airflow.requests(STATUS_CALL) - before >= tasks, 120, "all triggers to have polled"
    )
    airflow.sandbox.clear_faults()
    progress(f"resuming: {_RESUMING_RATE:g} deliveries a second")
    sent = airflow.send([airflow.signed(workflow_id) for workflow_id in workflow_ids], rate=_RESUMING_RATE)
    _check(sent, _TAKEN)
    scheduled = _scheduled(airflow, run_id)
    late = [scheduled[name] - began for name, (began, _, _) in zip(workflow_ids, sent, strict=True)]
    polls = (airflow.requests(STATUS_CALL) - before) / tasks
    where = f"{tasks} tasks wait: from the delivery until the task is scheduled again"
    return [
        AtMost(f"{where}, median", statistics.median(late), 1.0, " s"),
        AtMost(f"{where}, 99 %", _percentile(late, 99), 2.0, " s"),
        AtMost(f"{tasks} tasks wait: status requests per run", polls, 2.0),
    ]


def _deferred(airflow: AirflowWithWebhooks, run_id: str) -> int:
    ((number,),) = airflow.stack.sql(
        "SELECT count(*) FROM task_instance WHERE run_id = :run AND task_id = 'wait' AND state = 'deferred'",
        run=run_id,
    )
    return int(str(number))


def _scheduled(airflow: AirflowWithWebhooks, run_id: str) -> dict[str, float]:
    rows = airflow.stack.sql(
        "SELECT value #>> '{}', extract(epoch FROM scheduled_dttm) FROM task_instance AS ti JOIN xcom"
        " ON (xcom.run_id, xcom.task_id, xcom.map_index) = (ti.run_id, ti.task_id, ti.map_index)"
        " WHERE ti.run_id = :run AND ti.task_id = 'wait' AND xcom.key = 'workflow_id' AND ti.state <> 'deferred'",
        run=run_id,
    )
    return {str(name): float(str(seconds)) for name, seconds in rows}


def _taking(airflow: AirflowWithWebhooks, number: int, where: str) -> list[AtMost]:
    progress(f"taking, {where}: {number:,} deliveries, as fast as they are taken")
    sent = airflow.send(_of_ended(airflow, number))
    _check(sent, _TAKEN)
    seconds = max(began + took for began, took, _ in sent) - min(began for began, _, _ in sent)
    progress(f"taking, {where}: {number:,} deliveries, {_TAKING_RATE:g} a second")
    at_a_rate = airflow.send(_of_ended(airflow, number), rate=_TAKING_RATE)
    _check(at_a_rate, _TAKEN)
    took = [seconds for _, seconds, _ in at_a_rate]
    at = f"webhook app, {where}, {_TAKING_RATE:g}/s"
    return [
        AtLeast(f"webhook app, {where}: deliveries per second", number / seconds, _TAKING_RATE),
        AtMost(f"{at}: median response", statistics.median(took), 2.0, " s"),
        AtMost(f"{at}: slowest response", max(took), 2.0, " s"),
    ]


def _of_ended(airflow: AirflowWithWebhooks, number: int) -> list[Delivery]:
    return [airflow.signed(workflow_id) for workflow_id in airflow.ended_workflows(number)]


def _refusing(airflow: AirflowWithWebhooks, number: int) -> list[AtMost]:
    # One that is taken, so that what is loaded once is loaded.
    _check(airflow.send(_of_ended(airflow, 1)), _TAKEN)
    body = airflow.signed(airflow.ended_workflows(1)[0])[0].encode()
    memory, rows = [airflow.api_server_bytes()], airflow.database_rows()
    keys, polls = airflow.requests(_KEY_CALL), airflow.requests(STATUS_CALL)
    for turn in ("first", "second"):
        progress(f"refusing: {number:,} forged deliveries, {turn} time")
        _check(airflow.send(list(_forged(airflow, body, number))), _REFUSED)
        memory.append(airflow.api_server_bytes())
    first, second = ((after - before) / 2**20 for before, after in pairwise(memory))
    of = f"{number:,} forged deliveries, twice"
    return [
        AtMost(f"{of}: key requests", airflow.requests(_KEY_CALL) - keys, 5.0),
        AtMost(f"{of}: status requests", airflow.requests(STATUS_CALL) - polls, 0.0),
        AtMost(f"{of}: rows in the database", airflow.database_rows() - rows, 0.0),
        # What a server that has just begun to work takes for itself is in the first.
        AtMost(f"{of}: the API server grows, first time", first, 20.0, " MB"),
        AtMost(f"{of}: the API server grows, second time", second, 5.0, " MB"),
    ]


def _forged(airflow: AirflowWithWebhooks, body: bytes, number: int) -> Iterator[Delivery]:
    """Yield deliveries of every kind that is to be refused, one in five with a key that does not exist."""
    key = rsa.generate_private_key(65537, 2048)
    of_name = [airflow.sandbox.webhooks.keys.forge(name, body) for name in _FORGERIES]
    for index in range(number):
        kind = index % (len(of_name) + 1)
        invented = kind == len(of_name)
        yield (
            body.decode(),
            webhook_signature.sign(body, key, str(uuid.uuid4())) if invented else of_name[kind],
        )


def _check(sent: list[tuple[float, float, int]], status: int) -> None:
    others = [other for _, _, other in sent if other != status]
    if others:
        raise MeasurementFailed(f"{len(others)} of {len(sent)} got other responses: {set(others)}")


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    sys.exit(main())
