"""One phase of a batch, in a process of its own: ``python -m benchmarks.batch_measured ARGUMENTS``.

As with Airflow, one process of the worker submits, the triggerer waits, and another process of the worker fetches
the results. What the process found is its last line: seconds, CPU, and the most memory that it ever had.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.batch.batch import Batch, BatchOptions, BatchPlace
from airflow_provider_workflows.hooks.workflows import WorkflowsHook, shared_tokens
from airflow_provider_workflows.operators.records import BatchPhase, BatchRecord
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from benchmarks.measured import MEASURED_PLACE
from benchmarks.plan import pin

SUBMIT, WAIT, COLLECT = "submit", "wait", "collect"
CONCURRENCY = 32
_log = logging.getLogger(__name__)


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts what the parent held at the start as well in ``getrusage``, and does not here.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def _publish(_: dict[str, Any]) -> None:
    """Take progress, which would go to Airflow's API server."""


def _options(arguments: dict[str, Any]) -> BatchOptions:
    return BatchOptions(arguments["definition"], None, None, False, "jsonl", CONCURRENCY, None, 600.0)


def _submit(arguments: dict[str, Any]) -> dict[str, Any]:
    settings = WorkflowsHook().settings
    folder = ObjectStoragePath(arguments["output"])
    place = BatchPlace.named(folder, "state")
    begin = time.monotonic()
    manifest = Batch.check(settings, _options(arguments), place, arguments["items"])
    batch = Batch(settings, _options(arguments), place, manifest, tokens=shared_tokens(settings))
    checked, cpu = time.monotonic(), time.process_time()
    asyncio.run(batch.submit(arguments["items"], _publish, _log))
    seconds, cpu = time.monotonic() - checked, time.process_time() - cpu
    record = BatchRecord(BatchPhase.WAITING, time.time(), place, manifest).to_json()
    running, others = batch.running, batch.others
    return {
        "check_seconds": checked - begin,
        "seconds": seconds,
        "cpu": cpu,
        "record": record,
        "running": running,
        "others": others,
    }


def _wait(arguments: dict[str, Any]) -> dict[str, Any]:
    trigger = BatchStatusTrigger(
        folder=arguments["record"]["place"]["state_folder"], counts=arguments["others"]
    )

    async def event() -> Any:
        return (await anext(trigger.run())).payload

    begin, cpu = time.monotonic(), time.process_time()
    payload = asyncio.run(event())
    if "error" in payload:
        raise RuntimeError(payload["error"])
    return {"seconds": time.monotonic() - begin, "cpu": time.process_time() - cpu, "ended": payload["ended"]}


def _collect(arguments: dict[str, Any]) -> dict[str, Any]:
    settings = WorkflowsHook().settings
    begin, cpu = time.monotonic(), time.process_time()
    record = BatchRecord.from_json(arguments["record"])
    tokens = shared_tokens(settings)
    batch = Batch(settings, _options(arguments), record.place, record.manifest, tokens=tokens)
    collection = asyncio.run(batch.collect(_publish, _log))
    return {
        "seconds": time.monotonic() - begin,
        "cpu": time.process_time() - cpu,
        "outcomes": {outcome.value: number for outcome, number in collection.outcomes.items()},
    }


_PHASES = {SUBMIT: _submit, WAIT: _wait, COLLECT: _collect}

if __name__ == "__main__":
    pin(MEASURED_PLACE)
    _arguments = json.loads(sys.argv[1])
    _found = _PHASES[_arguments["phase"]](_arguments)
    sys.stdout.write(json.dumps({**_found, "peak": peak_bytes()}) + "\n")
