"""How a batch's task ends: the results are fetched, the output written, and the whole judged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowTaskTimeout
from airflow_provider_workflows.lineage.events import emit
from airflow_provider_workflows.lineage.task import TaskLineage
from airflow_provider_workflows.operators.batch_record import BatchPhase, BatchRecord
from airflow_provider_workflows.operators.batch_reporting import publisher
from airflow_provider_workflows.operators.batch_try import BatchTry
from airflow_provider_workflows.storage import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_provider_workflows.batch.batch import Batch


class BatchEnding(BatchTry):
    """What ``RunWorkflowBatchOperator`` does once no run is waited for any more."""

    def _collect_and_judge(
        self, context: Context, batch: Batch, record: BatchRecord, *, timed_out: bool
    ) -> dict[str, Any]:
        with self._output_at_failure(context, batch, record):
            # Again: the DAG may be another one than when the task was deferred.
            batch.require_hashes(lambda: self._read_items(context))
            asyncio.run(batch.collect(publisher(context), self.log))
        failure = self._failure_policy.evaluate(batch.report, batch.withheld)
        summary = self._end_try(context, batch, record, failure)
        tries = self._tries(context)
        if failure is None:
            tries.store(record.done(summary))
            tries.remove_earlier(record)
            return self._succeed(context, summary)
        self.lineage = self._lineage(summary)
        tries.store(record.at(BatchPhase.FAILED, cases=batch.cases))
        if timed_out:
            raise AirflowTaskTimeout(str(failure)) from failure
        raise failure

    def _succeed(self, context: Context, summary: Mapping[str, Any]) -> dict[str, Any]:
        self.lineage = self._lineage(summary)
        emit(self, context, self.lineage, self._rendered_partition_key())
        return dict(summary)

    def _lineage(self, summary: Mapping[str, Any] | None = None) -> TaskLineage:
        source = self._source
        return TaskLineage(
            self.hook.settings.host,
            workflow_definition_id=self.workflow_definition_id,
            counts=None if summary is None else summary["outcomes"],
            inputs=() if source is None else (shown(source),),
            output=None if summary is None else shown(summary["output"]),
        )
