"""The same runs as one batch task and as mapped tasks, on the same Airflow, one after the other."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow

from benchmarks.harness.components import component_processes
from benchmarks.harness.items import write_items
from benchmarks.harness.processes import Checkout, run, working_folder
from benchmarks.harness.report import AtLeast, heading, progress, row
from benchmarks.harness.sandbox import SandboxProcess, sandbox_process
from tests.harness.stack import Stack

BATCH, MAPPED = "one batch task", "mapped tasks"
#: How long each run takes at the service.
RUN_SECONDS = 5.0
_DAGS = {BATCH: "benchmark_batch", MAPPED: "benchmark_mapped"}
_DAGS_FOLDER = Path(__file__).parents[1] / "dags" / "batch"
_SCHEDULER, _WORKERS = "scheduler", "workers"
_COMPONENTS = {"triggerer": "triggerer-1", "API server": "api-server"}
_WARM_UP_RUNS = 3
_TIMEOUT_SECONDS = 3600.0
#: PostgreSQL's processes report what they have written when they have been idle for ten seconds.
_STATISTICS_SECONDS = 11.0


@dataclass(frozen=True)
class Side:
    """What one way of running the same runs took.

    :param seconds: from the trigger of the DAG run to its end
    :param cpu: seconds of CPU by component
    :param rows_written: rows inserted, updated and deleted in the metadata database, heartbeats included
    :param requests: that the service counted, by route
    :param connections: that the service counted
    :param instances: task instances by state
    :param tries: task instances that took more than one
    """

    seconds: float
    cpu: dict[str, float]
    rows_written: int
    requests: dict[str, int]
    connections: int
    instances: dict[str, int]
    tries: int

    @property
    def own_seconds(self) -> float:
        """Airflow's own: what is left after the runs' own length."""
        return self.seconds - RUN_SECONDS


def measure(runs: int) -> dict[str, Side]:
    """Execute ``runs`` runs both ways.

    :raises StackUnavailable: when this machine has no PostgreSQL
    :raises AirflowFailed: when Airflow does not do what it was started for
    """
    settings = {"AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(1024, runs))}
    sides: dict[str, Side] = {}
    with working_folder() as folder, sandbox_process() as service:
        environment = service.environment | settings
        with Stack(_DAGS_FOLDER, environment, executor="LocalExecutor", triggerers=1) as stack:
            for way in (BATCH, MAPPED):
                progress(f"{way}: {_WARM_UP_RUNS} runs, to warm up")
                _side(stack, service, folder / f"warm-up-{way}", _DAGS[way], _WARM_UP_RUNS)
            for way in (BATCH, MAPPED):
                progress(f"{way}: {runs:,} runs")
                sides[way] = _side(stack, service, folder / way, _DAGS[way], runs)
                progress(f"    {sides[way].seconds:.1f} s")
    return sides


def measure_earlier(runs: int, checkout: Checkout) -> dict[str, Side]:
    """Have another checkout's own benchmark execute the runs both ways."""
    progress(f"before: {runs:,} runs both ways")
    with working_folder() as folder:
        file = folder / "results.json"
        arguments = ["-m", "benchmarks.batch", "--only", "mapped", "--runs", str(runs), "--json", str(file)]
        run(arguments, os.environ, checkout=checkout, seconds=2 * _TIMEOUT_SECONDS)
        sides = json.loads(file.read_text())["results"]["mapped"]
    return {way: Side(**fields) for way, fields in sides.items()}


def lines(title: str, sides: Mapping[str, Side]) -> list[str]:
    """Return the table."""
    batch, mapped = sides[BATCH], sides[MAPPED]
    printed = [
        f"{title}, of {RUN_SECONDS:.0f} s each, on the same Airflow, one way after the other: PostgreSQL,",
        "LocalExecutor, one triggerer. Batch: one RunWorkflowBatchOperator. Mapped: a task that reads the rows,",
        "then CreateCaseOperator, RunWorkflowOperator (deferrable, waits for the end) and",
        "GetWorkflowResultOperator, each with .expand().",
        "",
        *heading("", (BATCH, MAPPED, "mapped / batch")),
    ]

    def add(name: str, one: float, other: float, form: str = ",.1f") -> None:
        ratio = f"{other / one:,.1f}" if one else ""
        printed.append(row(name, (format(one, form), format(other, form), ratio)))

    add("wall time, s", batch.seconds, mapped.seconds)
    add("  without the runs' own length", batch.own_seconds, mapped.own_seconds)
    add("CPU, s", sum(batch.cpu.values()), sum(mapped.cpu.values()))
    for component in (_SCHEDULER, _WORKERS, *_COMPONENTS):
        add(f"  {component}", batch.cpu[component], mapped.cpu[component])
    add("rows written to the metadata database", batch.rows_written, mapped.rows_written, ",")
    add("requests at the service", sum(batch.requests.values()), sum(mapped.requests.values()), ",")
    for route in sorted(batch.requests.keys() | mapped.requests.keys()):
        add(f"  {route}", batch.requests.get(route, 0), mapped.requests.get(route, 0), ",")
    add("connections at the service", batch.connections, mapped.connections, ",")
    add("task instances", sum(batch.instances.values()), sum(mapped.instances.values()), ",")
    add("  that succeeded", batch.instances.get("success", 0), mapped.instances.get("success", 0), ",")
    add("  that took more than one try", batch.tries, mapped.tries, ",")
    return printed


def figures(runs: int, sides: Mapping[str, Side]) -> list[AtLeast]:
    """Return the figures to reach."""
    ratio = sides[MAPPED].own_seconds / sides[BATCH].own_seconds
    return [AtLeast(f"{runs:,} runs: Airflow's own time, mapped / batch", ratio, 20.0, " x")]


def _side(stack: Stack, service: SandboxProcess, folder: Path, dag_id: str, runs: int) -> Side:
    folder.mkdir()
    conf = {
        "items": write_items(folder / "items.jsonl", runs),
        "output": str(folder / "output"),
        "definition": service.define(RUN_SECONDS),
    }
    time.sleep(_STATISTICS_SECONDS)
    service.counts()
    rows_before, cpu_before = _rows_written(stack), _cpu(stack)
    run_id = stack.running.trigger(dag_id, conf)
    # The database is asked and not the API server, whose CPU is measured.
    stack.running.until(lambda: _has_ended(stack, dag_id, run_id), _TIMEOUT_SECONDS, f"the end of {dag_id}")
    cpu = {name: seconds - cpu_before[name] for name, seconds in _cpu(stack).items()}
    time.sleep(_STATISTICS_SECONDS)
    counts = service.counts()
    return Side(
        seconds=_seconds(stack, dag_id, run_id),
        cpu=cpu,
        rows_written=_rows_written(stack) - rows_before,
        requests=counts["requests"],
        connections=counts["total_connections"],
        **_instances(stack, dag_id, run_id),
    )


def _has_ended(stack: Stack, dag_id: str, run_id: str) -> bool:
    return bool(
        stack.sql(
            "SELECT 1 FROM dag_run WHERE dag_id = :dag_id AND run_id = :run_id AND end_date IS NOT NULL",
            dag_id=dag_id,
            run_id=run_id,
        )
    )


def _seconds(stack: Stack, dag_id: str, run_id: str) -> float:
    ((seconds,),) = stack.sql(
        "SELECT extract(epoch FROM end_date - queued_at) FROM dag_run WHERE dag_id = :dag_id AND run_id = :run_id",
        dag_id=dag_id,
        run_id=run_id,
    )
    return float(str(seconds))


def _instances(stack: Stack, dag_id: str, run_id: str) -> dict[str, Any]:
    rows = stack.sql(
        "SELECT state, count(*), count(*) FILTER (WHERE try_number > 1) FROM task_instance"
        " WHERE dag_id = :dag_id AND run_id = :run_id GROUP BY state",
        dag_id=dag_id,
        run_id=run_id,
    )
    states = {str(state): int(str(number)) for state, number, _ in rows}
    return {"instances": states, "tries": sum(int(str(again)) for _, _, again in rows)}


def _rows_written(stack: Stack) -> int:
    ((rows,),) = stack.sql("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables")
    return int(str(rows))


def _cpu(stack: Stack) -> dict[str, float]:
    """Return the seconds of CPU that each component has taken so far, with all that it started."""
    own, with_children = _cpu_of(stack, _SCHEDULER)
    # Tasks are what LocalExecutor's processes do and start, which are the scheduler's.
    found = {_SCHEDULER: own, _WORKERS: with_children - own}
    return found | {role: _cpu_of(stack, name)[1] for role, name in _COMPONENTS.items()}


def _cpu_of(stack: Stack, component: str) -> tuple[float, float]:
    own = together = 0.0
    for first, process in enumerate(component_processes(stack, component)):
        with contextlib.suppress(OSError, psutil.Error):
            times = process.cpu_times()
            # Those of children that have ended are their parent's from then on.
            together += times.user + times.system + times.children_user + times.children_system
            own = times.user + times.system if first == 0 else own
    return own, together
