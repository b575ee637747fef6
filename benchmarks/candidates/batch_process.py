"""One phase of a batch: ``python -m benchmarks.candidates.batch_process ARGUMENTS``.

As with Airflow, one process of the worker submits, the triggerer waits, and another process of the worker fetches
the results. What the process found is its last line: seconds, CPU, and the most memory that it ever had.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import time
from typing import Any

from airflow.sdk import ObjectStoragePath

# A process imports aiohttp once, whatever the number of its rows: before the clock runs.
from airflow_provider_workflows.api import AsyncWorkflowsClient  # noqa: F401
from airflow_provider_workflows.batch.batch import Batch
from airflow_provider_workflows.batch.checked_input import check_input
from airflow_provider_workflows.batch.options import BatchOptions
from airflow_provider_workflows.batch.place import BatchPlace
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.hooks.workflows import WorkflowsHook, shared_tokens
from airflow_provider_workflows.operators.batch_record import BatchPhase, BatchRecord
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from benchmarks.harness.processes import MEASURED_PLACE, peak_bytes, pin

_CONCURRENCY = 32
_log = logging.getLogger(__name__)


async def _publish(_: BatchReport) -> None:
    """Take a report, which would go to Airflow's API server."""


def _options(arguments: dict[str, Any]) -> BatchOptions:
    return BatchOptions(arguments["definition"], None, False, _CONCURRENCY, None, 600.0)


def _submit(arguments: dict[str, Any]) -> dict[str, Any]:
    settings = WorkflowsHook().settings
    folder = ObjectStoragePath(arguments["output"])
    place = BatchPlace.named(folder, "state")
    begin = time.monotonic()
    manifest = check_input(settings, _options(arguments), place, arguments["items"])
    batch = Batch(settings, _options(arguments), place, manifest, tokens=shared_tokens(settings))
    # A full collection visits all of Airflow, for 0.12 s, and whether one falls among 2,000 rows is chance: as
    # much as a tenth of what they take.
    gc.collect()
    checked, cpu = time.monotonic(), time.process_time()
    asyncio.run(batch.submit(arguments["items"], _publish, _log))
    return {
        "check_seconds": checked - begin,
        "seconds": time.monotonic() - checked,
        "cpu": time.process_time() - cpu,
        "record": BatchRecord(BatchPhase.WAITING, time.time(), place, manifest).to_json(),
        "others": batch.others,
    }


def _wait(arguments: dict[str, Any]) -> dict[str, Any]:
    folder = arguments["record"]["place"]["state_folder"]
    trigger = BatchStatusTrigger(folder=folder, counts=arguments["others"])

    async def event() -> Any:
        return (await anext(trigger.run())).payload

    begin, cpu = time.monotonic(), time.process_time()
    payload = asyncio.run(event())
    if "error" in payload:
        raise RuntimeError(payload["error"])
    return {"seconds": time.monotonic() - begin, "cpu": time.process_time() - cpu}


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


_PHASES = {"submit": _submit, "wait": _wait, "collect": _collect}

if __name__ == "__main__":
    pin(MEASURED_PLACE)
    _arguments = json.loads(sys.argv[1])
    _found = _PHASES[_arguments["phase"]](_arguments)
    sys.stdout.write(json.dumps({**_found, "peak": peak_bytes()}) + "\n")
