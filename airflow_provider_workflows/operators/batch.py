"""Run a workflow for a table of cases, as one task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout

from airflow_provider_workflows.airflow_internals.deferral import can_resume, earliest_event
from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.errors import InvalidInput, OutcomeUnknown
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.polling import (
    MAX_OUTAGE_SECONDS,
    MAX_POLL_INTERVAL_SECONDS,
    POLL_INTERVAL_SECONDS,
    PollSchedule,
)
from airflow_provider_workflows.api.strict_json import require_json_object
from airflow_provider_workflows.arguments import (
    choice,
    number_above_zero,
    seconds,
    templated_dict,
    templated_text,
    true_or_false,
    whole_number,
)
from airflow_provider_workflows.batch.batch import Batch, BatchOptions
from airflow_provider_workflows.batch.failure_policy import FailurePolicy, summarize
from airflow_provider_workflows.batch.inbox import add_completions
from airflow_provider_workflows.batch.input.columns import fields_of
from airflow_provider_workflows.batch.input.items import require_items_or_template, source_of
from airflow_provider_workflows.batch.output import OUTPUT_FORMATS
from airflow_provider_workflows.batch.watch import BatchWatch, unreadable_state
from airflow_provider_workflows.hooks.workflows import shared_tokens
from airflow_provider_workflows.lineage.events import emit, partition_key_of
from airflow_provider_workflows.lineage.task import TaskLineage
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.batch_record import DONE, FAILED, SUBMITTING, WAITING, BatchRecord
from airflow_provider_workflows.operators.redaction import Redacted, redact_parameters, unwrap
from airflow_provider_workflows.storage import shown, storage_path, templated_path
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.triggers.poller import Poller
from airflow_provider_workflows.xcom_keys import INBOX_KEY, PROGRESS_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.batch.input.items import Items


class RunWorkflowBatchOperator(WorkflowsOperator):
    """Run a workflow for each row of a table of cases, wait for all, and write a table of results.

    Each row becomes a case (``POST /cases``; none for a returning user) and a run (``POST /workflows/run``), whose
    result is fetched when it has succeeded. The whole input is checked before the first call. What is done is
    written down beside the output, before and after each call: a retry goes on where a killed try stopped, and
    submits nothing twice. A task that is cleared starts over.

    :param workflow_definition_id: id of the workflow definition (templated)
    :param items: the rows: a list of dicts, or the URI of a ``.jsonl``, ``.csv`` or ``.parquet`` file, or what
        ``shard`` gives (templated, but not what is in a list). A row has fields of a case or a ``case_id``, and may
        have ``parameters`` and a ``key``, the row's own identifier (by default its number)
    :param output_path: URI of the folder for ``results.jsonl`` or ``results.parquet`` (templated), in storage that
        workers and triggerers share. A mapped task writes into a folder of its own in it, named by its map index
    :param parameters: JSON values by name for all rows that have none of their own (templated)
    :param columns: what columns of other names mean: ``{"PESEL": "personal_number", "note": None}``; None leaves
        a column out
    :param on_bad_row: ``"fail"`` before anything is sent, or ``"skip"``: bad rows are left out, and listed in the
        output
    :param max_failed_share: the share of rows that may fail before the task fails, from 0.0 (any row that does not
        succeed fails the task) to 1.0 (the task never fails for its rows); skipped rows do not count. The output is
        written in each case
    :param resubmit_failed: have a retry submit those rows again whose run has failed, which is billed again.
        A retry in any case goes on with rows that have no run, no end or no result yet
    :param on_unknown_outcome: what a retry does about rows of which nobody knows whether they were submitted:
        ``"fail"`` leaves them alone, ``"resubmit"`` submits them at the risk of a second run
    :param output_format: ``"jsonl"`` or ``"parquet"`` (which needs the extra ``[parquet]``)
    :param max_concurrency: calls under way at once, and connections open, at most
    :param requests_per_second: calls sent in a second at most; by default what the connection says
    :param deferrable: wait in the triggerer, which takes no worker slot
    :param poll_interval: seconds between two polls a run at least; in between, a poll is due after a fifth of
        the run's age
    :param max_poll_interval: seconds between two polls a run at most
    :param max_outage: seconds for which the service may be out of reach, while submitting, waiting, or fetching
    :param hash_personal_numbers: give each row of the output ``personal_number_hash``, the keyed hash of its
        personal number or of the one in its result, for joins without the number; the key is the
        connection's ``hash_secret``
    :param partition_key: the partition that the asset events are of, such as ``"{{ ds }}"`` (templated); without it
        they are of none. Airflow starts DAGs on either the one kind or the other
    :param workflows_conn_id: id of the connection
    :return: ``{"output": uri, "first_row": 1, "rows": ..., "outcomes": {...}, "statuses": {...}, "seconds": ...}``
    :raises InvalidInput: naming what is wrong with which rows, or with the output, before anything is sent
    :raises BatchFailed: with the counts and where to look, when too many rows did not succeed
    :raises AirflowTaskTimeout: when ``execution_timeout`` has passed, the time in the triggerer included
    """

    template_fields: Sequence[str] = (
        "workflow_definition_id",
        "items",
        "output_path",
        "parameters",
        "partition_key",
        "workflows_conn_id",
    )
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        workflow_definition_id: Text,
        items: Items | XComArg,
        output_path: Text | ObjectStoragePath,
        parameters: Mapping[str, Any] | XComArg | None = None,
        columns: Mapping[str, str | None] | None = None,
        on_bad_row: Literal["fail", "skip"] = "fail",
        max_failed_share: float = 0.0,
        resubmit_failed: bool = False,
        on_unknown_outcome: Literal["fail", "resubmit"] = "fail",
        output_format: Literal["jsonl", "parquet"] = "jsonl",
        max_concurrency: int = 32,
        requests_per_second: float | None = None,
        deferrable: bool = True,
        poll_interval: float | timedelta = POLL_INTERVAL_SECONDS,
        max_poll_interval: float | timedelta = MAX_POLL_INTERVAL_SECONDS,
        max_outage: float | timedelta = MAX_OUTAGE_SECONDS,
        hash_personal_numbers: bool = False,
        partition_key: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_definition_id = templated_text("workflow_definition_id", workflow_definition_id)
        require_items_or_template(items)
        # Rows are not templates, and they are personal: nothing of a list is shown or stored with the DAG.
        self.items: Any = Redacted(items) if isinstance(items, (list, tuple)) else items
        self.output_path = templated_path("output_path", output_path)
        self.parameters: Any = (
            None if parameters is None else templated_dict("parameters", parameters, "JSON values")
        )
        fields_of(columns)
        self.columns = columns
        self.on_bad_row = choice("on_bad_row", on_bad_row, ("fail", "skip"))
        self.max_failed_share = max_failed_share
        self.resubmit_failed = true_or_false("resubmit_failed", resubmit_failed)
        self.on_unknown_outcome = choice("on_unknown_outcome", on_unknown_outcome, ("fail", "resubmit"))
        self.output_format = choice("output_format", output_format, OUTPUT_FORMATS)
        self.max_concurrency = whole_number("max_concurrency", max_concurrency, at_least=1, at_most=1000)
        self.requests_per_second = (
            None
            if requests_per_second is None
            else number_above_zero("requests_per_second", requests_per_second)
        )
        self.deferrable = true_or_false("deferrable", deferrable)
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.max_poll_interval = seconds("max_poll_interval", max_poll_interval)
        self.max_outage = seconds("max_outage", max_outage)
        self.hash_personal_numbers = true_or_false("hash_personal_numbers", hash_personal_numbers)
        self.partition_key = None if partition_key is None else templated_text("partition_key", partition_key)
        self._failure_policy = FailurePolicy(
            max_failed_share,
            resubmit_failed=resubmit_failed,
            resubmit_unknown=on_unknown_outcome == "resubmit",
        )
        self._schedule = PollSchedule(self.poll_interval, self.max_poll_interval)
        self._with_partition_key = partition_key is not None
        self._state_folder = ""

    def call(self, client: WorkflowsClient, context: Context) -> dict[str, Any]:  # noqa: RET503  (it defers)
        """Submit what is to be submitted, and wait, or go on where an earlier try has stopped."""
        begun = time.time()
        self.lineage = self._lineage()
        record = BatchRecord(context)
        known = record.read()
        if known is not None and known["phase"] == DONE:
            self.log.info(
                "An earlier try has finished the batch; its output is %s.", known["summary"]["output"]
            )
            return self._done(context, known["summary"])
        if known is None:
            self._require_partition_key()
            if self.hash_personal_numbers:
                client.settings.require_hash_secret()
            options = self._options()
            batch = Batch(
                client.settings,
                options,
                self._folder(context),
                record.name,
                tokens=shared_tokens(client.settings),
            )
            batch.check_output()
            # A DAG run of the same name that was deleted since may have left its own, which is of other rows.
            batch.remove_state()
            manifest = batch.check_input(self._items)
            known = record.write({}, phase=SUBMITTING, begun=begun, **batch.location, manifest=manifest)
        else:
            self.log.info("Going on with the batch of an earlier try, whose state is in %s.", known["state"])
            batch = self._taken_up(known)
            batch.take_up(
                failed_too=known["phase"] == FAILED and self._failure_policy.resubmit_failed,
                resubmit=self._failure_policy.resubmit_unknown,
            )
            known = record.write(known, phase=SUBMITTING)
        self._state_folder = known["state"]
        asyncio.run(batch.submit(self._items, self._publisher(context), self.log))
        known = record.write(known, phase=WAITING)
        if not batch.running:
            return self._finish(context, batch, record, known, timed_out=False)
        timeout = self.execution_timeout
        deadline = None if timeout is None else begun + timeout.total_seconds()
        if not self.deferrable:
            event = self._wait(context, batch, known, deadline)
            # Read anew: what has ended was written to the batch's state.
            batch = self._taken_up(known)
            return self._finish(context, batch, record, known, timed_out=bool(event["timed_out"]))
        webhooks = client.settings.webhooks and can_resume()
        if webhooks:
            # Airflow logs an error whenever an XCom is read that is not there.
            context["ti"].xcom_push(key=INBOX_KEY, value=add_completions(None, {}))
        self.log.info("Waiting for %s runs in the triggerer.", f"{batch.running:,}")
        self.defer(
            trigger=BatchStatusTrigger(
                folder=known["state"],
                workflows_conn_id=self.workflows_conn_id,
                counts=batch.others,
                deadline=deadline,
                not_before=earliest_event(time.time()),
                poll_interval=self.poll_interval,
                max_poll_interval=self.max_poll_interval,
                max_outage=self.max_outage,
                webhooks=webhooks,
            ),
            method_name=self.execute_complete.__name__,
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Fetch the results, write the output, and return the summary or raise what the batch came to."""
        self.lineage = self._lineage()
        if "error" in event:
            raise errors.error_from_json(event["error"])
        record = BatchRecord(context)
        known = record.read()
        if known is None:
            raise OutcomeUnknown(
                "The batch's record is gone from Airflow's task state store; clear the task."
            )
        self._state_folder = known["state"]
        batch = self._taken_up(known)
        return self._finish(context, batch, record, known, timed_out=bool(event.get("timed_out")))

    def unknown_outcome(self, error: OutcomeUnknown) -> Exception:
        """Return what to fail with: an error that is retried where a retry is to submit again."""
        return (
            AirflowException(str(error))
            if self._failure_policy.resubmit_unknown
            else super().unknown_outcome(error)
        )

    def on_kill(self) -> None:
        """Say in the task's log that the runs go on."""
        if self._state_folder:
            self.log.warning(
                "What was submitted goes on: the API has no call that cancels it. A retry of this task takes it "
                "up again; what is known of it is in %s.",
                self._state_folder,
            )

    def _wait(self, context: Context, batch: Batch, known: Mapping[str, Any], deadline: float | None) -> Any:
        async def wait() -> dict[str, object]:
            return await BatchWatch(
                batch.state_folder,
                Poller.of(self.workflows_conn_id),
                counts=batch.others,
                deadline=deadline,
                schedule=self._schedule,
                max_outage=self.max_outage,
                publish=self._publisher(context),
                log=self.log,
            ).run()

        try:
            return asyncio.run(wait())
        except OSError as error:
            raise unreadable_state(known["state"], error) from error

    def _finish(
        self, context: Context, batch: Batch, record: BatchRecord, known: dict[str, Any], *, timed_out: bool
    ) -> dict[str, Any]:
        collection = asyncio.run(batch.collect(self._publisher(context), self.log))
        summary = summarize(
            batch.output,
            collection,
            first_row=known["manifest"]["first_row"],
            seconds=time.time() - known["begun"],
        )
        self.log.info("The output is written: %s, %s.", summary["output"], summary["outcomes"])
        failure = self._failure_policy.evaluate(summary)
        if failure is None:
            record.write(known, phase=DONE, summary=summary)
            batch.remove_state()
            return self._done(context, summary)
        self.lineage = self._lineage(summary)
        record.write(known, phase=FAILED)
        if timed_out:
            raise AirflowTaskTimeout(str(failure)) from failure
        raise failure

    def _done(self, context: Context, summary: dict[str, Any]) -> dict[str, Any]:
        self.lineage = self._lineage(summary)
        emit(self, context, self.lineage, self._require_partition_key())
        return summary

    def _require_partition_key(self) -> str | None:
        return partition_key_of(self.partition_key) if self._with_partition_key else None

    def _lineage(self, summary: Mapping[str, Any] | None = None) -> TaskLineage:
        source = source_of(self._items)
        return TaskLineage(
            self.hook.settings.host,
            workflow_definition_id=self.workflow_definition_id,
            counts=None if summary is None else summary["outcomes"],
            inputs=() if source is None else (shown(source),),
            output=None if summary is None else shown(summary["output"]),
        )

    def _taken_up(self, known: Mapping[str, Any]) -> Batch:
        settings = self.hook.settings
        return Batch.of(settings, self._options(), known, tokens=shared_tokens(settings))

    def _options(self) -> BatchOptions:
        parameters = unwrap(self.parameters)
        return BatchOptions(
            workflow_definition_id=require_id("workflow_definition_id", self.workflow_definition_id),
            parameters=None if parameters is None else require_json_object("parameters", parameters),
            columns=self.columns,
            skip_bad_rows=self.on_bad_row == "skip",
            output_format=self.output_format,
            max_concurrency=self.max_concurrency,
            requests_per_second=self.requests_per_second,
            max_outage=self.max_outage,
            hash_personal_numbers=self.hash_personal_numbers,
        )

    @property
    def _items(self) -> Items:
        items = self.items.value if isinstance(self.items, Redacted) else self.items
        if callable(items):
            raise InvalidInput(
                "items is a method: in a template, params.items is the dict's own; write params['items']"
            )
        return cast("Items", items)

    def _folder(self, context: Context) -> ObjectStoragePath:
        folder = storage_path("output_path", self.output_path)
        map_index = context["ti"].map_index
        return folder if map_index is None or map_index < 0 else folder / f"{map_index:05}"

    def _publisher(self, context: Context) -> Any:
        async def publish(fields: dict[str, Any]) -> None:
            await asyncio.to_thread(context["ti"].xcom_push, key=PROGRESS_KEY, value=fields)

        return publish

    def redact_arguments(self, *, rendered: bool) -> None:
        """Cover rows, which are personal, and the personal ones of the parameters."""
        is_open = self.items is not None and not isinstance(self.items, Redacted)
        if rendered and is_open and source_of(self.items) is None:
            self.items = Redacted(self.items)
        if self.parameters is not None:
            self.parameters = redact_parameters(self.parameters, self.personal_fields, rendered=rendered)
