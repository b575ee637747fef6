"""The batch without Airflow's scheduler: how fast it submits, and how its memory grows with its size."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.batch_running import run_measured, working_folder, write_items
from benchmarks.batch_service import CASE, RUN, Service
from benchmarks.running import MeasurementFailed

OURS, FLOOR = "ours", "bare aiohttp"
#: By the name of who submits: so many rows that it takes some seconds.
SUBMITTED_ROWS = {"requests.Session": 100, "32 threads": 500, FLOOR: 2000, OURS: 2000}
#: How long the service takes for each call, in seconds.
LATENCY_SECONDS = 0.05
#: By the time that all are submitted none has ended, so that the triggerer waits for all of them at once.
_RUNS_ENDED_IN_A_SECOND, _SHORTEST_SECONDS = 1000, 10.0


@dataclass(frozen=True)
class Submitted:
    """What one way of submitting took; medians.

    :param pairs_per_second: a case and a run each
    :param cpu_ms_per_pair: of the process that submits
    """

    pairs_per_second: float
    cpu_ms_per_pair: float


@dataclass(frozen=True)
class Size:
    """What a batch of one size took.

    :param rows: its size
    :param length: how long each run took at the service, in seconds
    :param seconds: by phase
    :param cpu: seconds of CPU by phase
    :param peak: the most memory of each phase's process, in bytes
    :param requests: that the service counted, by route
    :param connections: that the service counted, by route
    """

    rows: int
    length: float
    seconds: Mapping[str, float]
    cpu: Mapping[str, float]
    peak: Mapping[str, int]
    requests: Mapping[str, int]
    connections: Mapping[str, int]


def submitting(repeat: int, say: Callable[[str], None]) -> dict[str, Submitted]:
    """Submit at 50 ms a call, over TLS, each in new processes that take turns."""
    found: dict[str, list[Submitted]] = {}
    for turn in range(repeat):
        for name, rows in SUBMITTED_ROWS.items():
            say(f"[{turn + 1}/{repeat}] {name} submits {rows:,} rows")
            found.setdefault(name, []).append(_submitted(name, rows))
            say(f"    {found[name][-1].pairs_per_second:.1f} pairs a second")
    return {
        name: Submitted(
            statistics.median(one.pairs_per_second for one in ones),
            statistics.median(one.cpu_ms_per_pair for one in ones),
        )
        for name, ones in found.items()
    }


def _submitted(name: str, rows: int) -> Submitted:
    with working_folder() as folder, Service(tls=True, apart=True) as service:
        arguments = {
            "definition": service.define(3600.0),
            "items": write_items(folder / "items.jsonl", rows),
            "output": str(folder / "output"),
        }
        for path in (CASE, RUN):
            service.delay(path, LATENCY_SECONDS)
        if name == OURS:
            found = run_measured("batch_measured", service, folder, {**arguments, "phase": "submit"})
        else:
            found = run_measured("batch_submitters", service, folder, {**arguments, "submitter": name})
        runs = service.counts()["runs_per_case"]
    if list(runs.values()) != [1] * rows:
        raise MeasurementFailed(f"{name} has submitted {sum(runs.values())} runs for {rows} rows")
    return Submitted(rows / found["seconds"], 1000 * found["cpu"] / rows)


def sizes(all_rows: Sequence[int], say: Callable[[str], None]) -> list[Size]:
    """Run batches of several sizes, of which each phase is a new process."""
    return [_size(rows, say) for rows in all_rows]


def _size(rows: int, say: Callable[[str], None]) -> Size:
    length = max(_SHORTEST_SECONDS, rows / _RUNS_ENDED_IN_A_SECOND)
    with working_folder() as folder, Service(apart=True) as service:
        arguments: dict[str, Any] = {
            "definition": service.define(length),
            "items": write_items(folder / "items.jsonl", rows),
            "output": str(folder / "output"),
        }
        phases: dict[str, dict[str, Any]] = {}
        for phase in ("submit", "wait", "collect"):
            say(f"{rows:,} rows: {phase}")
            found = run_measured("batch_measured", service, folder, {**arguments, "phase": phase})
            say(f"    {found['seconds']:.1f} s")
            phases[phase] = found
            # What the task's record would tell the later processes.
            arguments |= {name: found[name] for name in ("record", "others") if name in found}
        counts = service.counts()
        with (folder / "output" / "results.jsonl").open("rb") as file:
            written = sum(1 for _ in file)
    if (phases["collect"]["outcomes"], written) != ({"succeeded": rows}, rows):
        raise MeasurementFailed(f"of {rows} rows: {phases['collect']['outcomes']}, {written} written")
    return Size(
        rows=rows,
        length=length,
        seconds={"check": phases["submit"]["check_seconds"], **_each(phases, "seconds")},
        cpu=_each(phases, "cpu"),
        peak=_each(phases, "peak"),
        requests=counts["requests"],
        connections=counts["connections"],
    )


def _each(phases: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    return {phase: found[name] for phase, found in phases.items()}
