"""The same runs as one batch task and as mapped tasks, on the same Airflow, one after the other."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow

from benchmarks.batch_running import working_folder, write_items
from benchmarks.batch_service import Service
from tests.harness.stack import Stack

BATCH, MAPPED = "one batch task", "mapped tasks"
#: How long each run takes at the service.
RUN_SECONDS = 5.0
SCHEDULER, WORKERS, TRIGGERER, API_SERVER = "scheduler", "workers", "triggerer", "API server"
_DAGS = {BATCH: "benchmark_batch", MAPPED: "benchmark_mapped"}
_DAGS_FOLDER = Path(__file__).parent / "batch_dags"
_WARM_UP_RUNS = 3
_TIMEOUT_SECONDS = 3600.0
#: PostgreSQL's processes report what they have written when they have been idle for ten seconds.
_STATISTICS_SECONDS = 11.0
_COMPONENTS = {TRIGGERER: "triggerer-1", API_SERVER: "api-server"}


@dataclass(frozen=True)
class Side:
    """What one way of running the same runs took.

    :param seconds: from the trigger of the DAG run to its end
    :param cpu: seconds of CPU by component
    :param rows_written: rows inserted, updated and deleted in the metadata database, heartbeats included
    :param requests: that the service counted, by route
    :param connections: that the service counted
    :param instances: task instances by state
    :param max_attempts: more than one for as many task instances
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


def measure(runs: int, say: Callable[[str], None]) -> dict[str, Side]:
    """Run so many both ways.

    :raises StackUnavailable: when this machine has no PostgreSQL and cannot install it
    :raises AirflowFailed: when Airflow does not do what it was started for
    """
    settings = {"AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(1024, runs))}
    with contextlib.ExitStack() as cleanup:
        folder = cleanup.enter_context(working_folder())
        service = cleanup.enter_context(Service())
        environment = service.environment | settings
        stack = cleanup.enter_context(
            Stack(_DAGS_FOLDER, environment, executor="LocalExecutor", triggerers=1)
        )
        sides: dict[str, Side] = {}
        for way in (BATCH, MAPPED):
            say(f"{way}: {_WARM_UP_RUNS} runs, to warm up")
            _side(stack, service, folder / f"warm-up-{way}", _DAGS[way], _WARM_UP_RUNS)
        for way in (BATCH, MAPPED):
            say(f"{way}: {runs:,} runs")
            sides[way] = _side(stack, service, folder / way, _DAGS[way], runs)
            say(f"    {sides[way].seconds:.1f} s")
    return sides


def _side(stack: Stack, service: Service, folder: Path, dag_id: str, runs: int) -> Side:
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
    stack.running.until(lambda: _ended(stack, dag_id, run_id), _TIMEOUT_SECONDS, f"the end of {dag_id}")
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


def _ended(stack: Stack, dag_id: str, run_id: str) -> bool:
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
    return {"instances": states, "max_attempts": sum(int(str(again)) for _, _, again in rows)}


def _rows_written(stack: Stack) -> int:
    ((rows,),) = stack.sql("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables")
    return int(str(rows))


def _cpu(stack: Stack) -> dict[str, float]:
    """Return the seconds of CPU that each component has taken so far, with all that it started."""
    own, with_children = _cpu_of(stack, "scheduler")
    # Tasks are what LocalExecutor's processes do and start, which are the scheduler's.
    found = {SCHEDULER: own, WORKERS: with_children - own}
    return found | {role: _cpu_of(stack, name)[1] for role, name in _COMPONENTS.items()}


def _cpu_of(stack: Stack, component: str) -> tuple[float, float]:
    root = stack._processes[component]._process.pid  # noqa: SLF001
    own = together = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            # Each component has a session of its own, which whatever it starts is in.
            if os.getsid(process.pid) != root:
                continue
            times = process.cpu_times()
            # Those of children that have ended are their parent's from then on.
            together += times.user + times.system + times.children_user + times.children_system
            if process.pid == root:
                own = times.user + times.system
    return own, together
