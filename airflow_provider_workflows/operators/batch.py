"""Run a workflow for a table of cases or records, as one task."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.deferral import can_resume
from airflow_provider_workflows.airflow_internals.execution_timeout import held_back
from airflow_provider_workflows.airflow_internals.xcom import is_live
from airflow_provider_workflows.links import set_link
from airflow_provider_workflows.operators.batch_reporting import publisher
from airflow_provider_workflows.operators.batch_waiting import BatchWaiting

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.batch.report import BatchReport


class RunWorkflowBatchOperator(BatchWaiting):
    """Run a workflow for each row of a table of cases or records, wait for all, and write a table of results.

    Each row becomes a case (``POST /cases``) or a record (``POST /tables/{tableId}/records``), unless it names one
    that there is, and a run (``POST /workflows/run``, or ``POST /workflows`` where the connection's
    ``api_generation`` is 3), whose result is fetched once it has succeeded. The whole input is checked before the
    first call. What is done is written beside the output, before and after each call: a retry goes on where a
    killed try stopped, and submits nothing twice. A task that is cleared is repaired, as ``on_clear`` says.

    :param workflow_definition_id: id of the workflow definition (templated)
    :param items: the rows: a list of dicts, the URI of a file, of a folder of files or a pattern such as
        ``s3://bucket/part-*.csv`` (CSV, Excel, JSON, Parquet, Arrow; compressed or not), a ``SqlQuery``, or what
        ``shard`` returns (templated, but not what is in a list). A row has fields of a case or a ``case_id``
        (``api_generation`` 1 and 2), or fields of a record such as ``record.name``, or a ``record_id`` (2 and 3).
        It may have ``parameters`` and a ``key``, its own identifier (by default its number), and
        ``document_files`` that are uploaded for its case, if ``columns`` names these
    :param output_path: URI of the folder for ``results.jsonl``, ``results.parquet`` or ``results.csv`` (templated),
        in storage that workers and triggerers share; a folder for each day is ``.../date={{ ds }}``. A mapped task
        writes into a folder of its own in it, named by its map index
    :param parameters: JSON values by name for all rows that have none of their own (templated)
    :param table_id: id of the table in which a record is created for each row that has fields of one (templated);
        generation 2 and 3
    :param locale: language of what an end user is shown, such as ``"en"`` (templated); generation 3
    :param expires_at: when runs expire: a datetime or text in ISO 8601, with a time zone, or the time from the
        start of each as a timedelta, from 30 minutes to 30 days ahead (templated); generation 3. A row that has a
        run keeps it, whatever locale and expiry are now
    :param columns: the field of each column that is named otherwise: ``{"PESEL": "personal_number", "note":
        None}``; None leaves a column out
    :param zero_pad: number of digits to which numbers are padded with zeros that a spreadsheet or a data frame has
        taken from ``personal_number``, ``company_number`` or a field of a record: ``{"personal_number": 11,
        "record.PESEL": 11}``. Without it, a number in one of the first two, or in a field of a record that is
        called so, makes a bad row
    :param encoding: the encoding of a CSV or JSON file, such as ``"cp1250"``, where its first bytes do not say it
        and it is not UTF-8
    :param delimiter: the character between the cells of a CSV; by default what makes the names of known columns of
        its first line
    :param sheet: the name of the sheet of an Excel file; by default the only one that has rows
    :param default_country_code: the calling code of phones that have none, such as ``"48"``. A ``phone`` may be
        text as people write it, such as ``+48 600 700 800``
    :param checks: by ``personal_number``, ``company_number``, ``email`` and ``record.NAME``, the format that a
        value must have, or a list of formats: ``{"personal_number": "PL-PESEL", "company_number": ["PL-NIP",
        "PL-REGON"], "email": "EMAIL"}``. Numbers are checked by python-stdnum, which needs the extra ``[checks]``
    :param where: a function that takes a row as a dict by the names of its columns, and returns whether it is of
        the batch: others are passed over, as if they were not there
    :param transform: a function that takes the same, and returns the row to check and to send
    :param defaults: values by field for rows that lack them, such as ``{"company_name": "Acme"}``
    :param field_types: types by the names of the fields of records, such as ``{"born": "date"}``: a value of
        another type makes a bad row. Of a field that is not in here, the service checks the type
    :param bad_row_values: have ``bad_rows.csv`` beside the output, which lists the bad rows, repeat their values,
        which are personal
    :param on_bad_row: ``"fail"`` before anything is sent, or ``"skip"``: bad rows are left out, and listed in the
        output
    :param max_failed_share: the share of rows that may fail before the task fails, from 0.0 (any row that does not
        succeed fails the task) to 1.0 (the task never fails for its rows); skipped rows do not count. The output is
        written in each case
    :param resubmit_failed: have a retry submit those rows again whose run has failed, which is billed again. A
        retry in any case goes on with rows that have no run, no end or no result yet
    :param on_clear: what a task does that was cleared, whatever its state was: ``"repair"`` keeps the rows that
        have succeeded, waits for those that run, and submits those that have failed or were not submitted;
        ``"start_over"`` submits all rows anew, which is billed again. With a key in each row the input may have
        changed since: rows with the same key and content keep what they have, and only the others are submitted
    :param on_unknown_outcome: what a retry does about rows that may have been submitted: ``"fail"`` leaves them
        alone, ``"resubmit"`` submits them at the risk of a second run
    :param output_format: ``"jsonl"``, ``"parquet"`` (which needs the extra ``[parquet]``) or ``"csv"``, which Excel
        opens: in UTF-8 with its mark, and with no cell that it would run as a formula
    :param output_delimiter: what stands between two cells of CSV, also of the lists beside the output, whatever its
        format: ``";"`` by default, as Excel has it in most of Europe, ``","``, a tab or ``"|"``
    :param output_rows_per_file: write parts of this many rows into the folder ``results``, the last with fewer, in
        place of one file
    :param output_mode: mode of the output's files and, with the right to enter, of folders that are made for it,
        where storage is local: ``0o640`` lets the group read them. By default they are for the user alone that
        Airflow runs as, and the batch's state always is
    :param max_concurrency: the largest number of calls under way at once, and of open connections; the default is
        ``[workflows] max_concurrency``, or 32
    :param requests_per_second: the largest number of calls in a second; by default what the connection says, or
        else ``[workflows] requests_per_second``
    :param deferrable: wait in the triggerer, which takes no worker slot. A batch waits for hours, so that this is
        True by default, whatever Airflow's setting ``[operators] default_deferrable``
    :param poll_interval: the shortest time between two polls of a run, in seconds or as a timedelta; in between, a
        poll is due after a fifth of the run's age. The default is ``[workflows] poll_interval``, or 5 seconds
    :param max_poll_interval: the longest time between two polls of a run, in seconds or as a timedelta; the default
        is ``[workflows] max_poll_interval``, or 300 seconds, and grows with a run that has an expiry from its
        second day on
    :param max_outage: how long the service may be out of reach while the batch submits, waits or fetches, in
        seconds or as a timedelta; the default is ``[workflows] max_outage``, or 1800 seconds
    :param hash_personal_numbers: give each row of the output ``personal_number_hash``, the keyed hash of its
        personal number or of the one in its result, for joins without the number; the key is the connection's
        ``hash_secret``
    :param partition_key: the partition that the asset events belong to, such as ``"{{ ds }}"`` (templated);
        without it they have no partition. Airflow starts a DAG by events of either kind, never by both
    :param result_table: a ``SqlTable`` that the results go into as well, once the output is written (templated)
    :param workflows_conn_id: id of the connection (templated)
    :return: ``{"output": uri, "first_row": 1, "rows": ..., "outcomes": {...}, "statuses": {...}, "seconds": ...}``,
        and for a shard what ``merge`` compares
    :raises InvalidInput: naming what is wrong with which rows, or with the output, before anything is sent
    :raises BatchFailed: with the counts and the output's URI, if too many rows did not succeed
    :raises AirflowTaskTimeout: once ``execution_timeout`` has passed, the time in the triggerer included
    """

    def call(self, client: WorkflowsClient, context: Context) -> dict[str, Any]:
        """Check, submit, wait, collect and judge, or go on where an earlier try has stopped."""
        from airflow_provider_workflows.operators.batch_record import BatchPhase  # noqa: PLC0415  (not while parsing)

        begun_at = time.time()
        self.lineage = self._lineage()
        set_link(context)
        with self._owned(context):
            tries = self._tries(context)
            batch, record = tries.open(self._items, begun_at)
            self._state_folder = str(batch.state_folder)
            self._note_stop(record)
            if record.summary is not None:
                self.log.info("An earlier try has finished the batch: %s.", record.summary["output"])
                return self._succeed(context, record.summary)
            with self._output_at_failure(context, batch, record):
                batch.require_hashes(lambda: self._items)
                self._prepare_table(batch, tries.batch_id)
                publish = publisher(context)

                async def publish_and_note(report: BatchReport) -> None:
                    await asyncio.to_thread(tries.note_cases, record, batch.cases)
                    await publish(report)

                with held_back(self._stop_at_timeout):
                    asyncio.run(batch.submit(self._items, publish_and_note, self.log))
                record = tries.store(
                    record.at(BatchPhase.WAITING, cases=batch.cases, stopped_by=batch.stopped_by)
                )
                self._write_run_index(batch)
                timed_out = False
                if batch.running:
                    timeout = self.execution_timeout
                    deadline = None if timeout is None else begun_at + timeout.total_seconds()
                    if self.deferrable:
                        webhooks = client.settings.webhooks and can_resume() and is_live()
                        self._defer(context, batch, deadline, webhooks=webhooks)
                    # The wait ends at that time by itself, and writes down what has ended. Airflow's interruption
                    # would keep it from that, or be lost in one of the wait's asyncio tasks.
                    with held_back(lambda: None):
                        timed_out = asyncio.run(self._wait(context, batch, deadline))
                    # Made anew, because what has ended was written to the batch's journal.
                    batch = self._batch(record)
            return self._collect_and_judge(context, batch, record, timed_out=timed_out)
