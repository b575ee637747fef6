"""A batch whose process is killed again and again: three times while it submits, once while it writes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Context

from airflow_provider_workflows.api import WorkflowsClient
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

#: The process is killed once its journals have this many bytes for each row of the batch, one kill for each try.
KILLED_AT = (80, 160, 240)
#: And once more when the output has this many bytes for each row.
WRITTEN_BYTES = 50


class KilledBatchOperator(RunWorkflowBatchOperator):
    """Ends its own process as a lost machine does, each time at another point."""

    def call(self, client: WorkflowsClient, context: Context) -> dict[str, Any]:
        if context["ti"].try_number <= len(KILLED_AT):
            length = KILLED_AT[context["ti"].try_number - 1] * context["params"]["rows"]
            self._kill_when(lambda: self._bytes("_state/*/journal-*.jsonl") > length)
        return super().call(client, context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        marker = Path(str(self.output_path), "killed-while-writing")
        if not marker.exists():
            length = WRITTEN_BYTES * context["params"]["rows"]
            self._kill_when(lambda: self._bytes("*.part") > length, marker)
        return super().execute_complete(context, event)

    def _bytes(self, pattern: str) -> int:
        return sum(path.stat().st_size for path in Path(str(self.output_path)).glob(pattern))

    def _kill_when(self, condition: Callable[[], bool], marker: Path | None = None) -> None:
        def kill() -> None:
            while not condition():
                time.sleep(0.005)
            if marker is not None:
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()


with DAG(
    "killed_batch",
    schedule=None,
    catchup=False,
    params={"cases": "", "output": "", "definition": "", "rows": 0},
):
    KilledBatchOperator(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        items="{{ params.cases }}",
        output_path="{{ params.output }}",
        max_failed_share=1.0,
        max_poll_interval=20,
        retries=8,
        retry_delay=timedelta(seconds=1),
    )
