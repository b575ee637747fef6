"""How a batch's task ends: the results are fetched, the output written, and the whole judged."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowTaskTimeout
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.lineage.events import emit
from airflow_provider_workflows.lineage.task import TaskLineage
from airflow_provider_workflows.operators.batch_reporting import publisher
from airflow_provider_workflows.operators.batch_try import BatchTry
from airflow_provider_workflows.storage import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_provider_workflows.batch.batch import Batch
    from airflow_provider_workflows.batch.sql_table import SqlTable
    from airflow_provider_workflows.operators.batch_record import BatchRecord


class BatchEnding(BatchTry):
    """What ``RunWorkflowBatchOperator`` does once no run is waited for any more."""

    def _collect_and_judge(
        self, context: Context, batch: Batch, record: BatchRecord, *, timed_out: bool
    ) -> dict[str, Any]:
        from airflow_provider_workflows.operators.batch_record import BatchPhase  # noqa: PLC0415  (not while parsing)

        with self._output_at_failure(context, batch, record):
            # Again: the DAG may be another one than when the task was deferred.
            batch.require_hashes(lambda: self._read_items(context))
            if self._has_whole_output(batch, record):
                self.log.info(
                    "The output of an earlier try has all results, so no result is fetched again: %s.",
                    shown(batch.output),
                )
                asyncio.run(batch.count_written_output())
            else:
                asyncio.run(batch.collect(publisher(context), self.log))
        if self.result_table is not None:
            # The output has its results: a failure of the table must not write one without them over it.
            record = self._tries(context).store(
                dataclasses.replace(record, has_results=True, whole_output=batch.whole_output_digest())
            )
            with self._output_at_failure(context, batch, record):
                self._write_table(self.result_table, batch, self._tries(context).batch_id)
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

    @staticmethod
    def _has_whole_output(batch: Batch, record: BatchRecord) -> bool:
        """Return whether an earlier try has written the output as this one would, with all results."""
        return record.whole_output is not None and record.whole_output == batch.written_output_digest()

    def _prepare_table(self, batch: Batch, batch_id: str) -> None:
        """Return once the table of results, if there is to be one, can take those of the batch.

        :raises InvalidInput: if it cannot, saying what to do; nothing was sent in this try
        """
        if self.result_table is None:
            return
        if self.result_table.mode == "merge" and not batch.manifest.has_keys:
            raise InvalidInput(
                "result_table merges by key, and items has rows without one: give each row a key, or use "
                'mode="append"'
            )
        if self.result_table.mode == "replace" and batch.manifest.sharding is not None:
            raise InvalidInput(
                'result_table: mode="replace" would leave the rows of one shard only; use mode="merge"'
            )
        writer = self.result_table.writer(
            batch_id=batch_id,
            with_hashes=self.hash_personal_numbers,
            further_columns=self._options().output.further_columns,
        )
        writer.prepare(create=self.result_table.create_table)

    def _write_table(self, table: SqlTable, batch: Batch, batch_id: str) -> None:
        from airflow_provider_workflows.batch.output import read_output  # noqa: PLC0415  (not while parsing)

        begun_at = time.monotonic()
        further_columns = self._options().output.further_columns
        writer = table.writer(
            batch_id=batch_id, with_hashes=self.hash_personal_numbers, further_columns=further_columns
        )
        rows = table.rows(
            read_output(batch.output),
            batch_id=batch_id,
            times=writer.dialect.times,
            with_hashes=self.hash_personal_numbers,
            further_columns=further_columns,
        )
        number = writer.write(rows, self._require_owner)
        self.log.info(
            "The results of %s are in the table %s of connection %s (%s), which took %.1f s.",
            counted(number, "row"),
            table.table,
            table.conn_id,
            table.mode,
            time.monotonic() - begun_at,
        )

    def _require_owner(self) -> None:
        if self._ownership is not None:
            self._ownership.require()

    def _succeed(self, context: Context, summary: Mapping[str, Any]) -> dict[str, Any]:
        self.lineage = self._lineage(summary)
        emit(self, context, self.lineage, self._rendered_partition_key())
        return dict(summary)

    def _lineage(self, summary: Mapping[str, Any] | None = None) -> TaskLineage:
        source, table = self._source, self.result_table
        return TaskLineage(
            self.hook.settings.host,
            workflow_definition_id=self.workflow_definition_id,
            counts=None if summary is None else summary["outcomes"],
            inputs=() if source is None else (shown(source),),
            output=None if summary is None else shown(summary["output"]),
            query=self._query,
            tables=self._tables_of_shards,
            table=None if summary is None or table is None else (table.conn_id, table.table),
        )
