"""The arguments of the batch operator: checked when the DAG is parsed, and redacted once they are rendered."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_provider_workflows import configuration
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.polling import PollSchedule
from airflow_provider_workflows.api.run_details import require_life, require_locale
from airflow_provider_workflows.api.strict_json import require_json_object
from airflow_provider_workflows.arguments import (
    choice,
    number_above_zero,
    seconds,
    templated_expiry,
    templated_json,
    templated_text,
    true_or_false,
    whole_number,
)
from airflow_provider_workflows.batch.failure_policy import FailurePolicy
from airflow_provider_workflows.batch.input.item_sources import (
    require_items_or_template,
    short_name_of,
    source_of,
    tables_of,
)
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.input.table_items import refuse_table
from airflow_provider_workflows.batch.row_generations import further_columns, require_possible_fields
from airflow_provider_workflows.lineage.events import partition_key_of
from airflow_provider_workflows.operators.base import Text
from airflow_provider_workflows.operators.output_arguments import OutputArguments
from airflow_provider_workflows.operators.redaction import Redacted, redact_parameters, unwrap
from airflow_provider_workflows.storage import ObjectStoragePath, storage_path, templated_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from airflow.sdk import Context, XComArg
    from typing_extensions import Unpack

    from airflow_provider_workflows.batch.input.items import Items
    from airflow_provider_workflows.batch.options import BatchOptions
    from airflow_provider_workflows.operators.task_arguments import BatchOperatorArguments


class BatchArguments(OutputArguments):
    """The arguments of ``RunWorkflowBatchOperator``, which documents them, and what becomes of them."""

    template_fields: Sequence[str] = (
        "workflow_definition_id",
        "items",
        "output_path",
        "parameters",
        "table_id",
        "locale",
        "expires_at",
        "partition_key",
        "result_table",
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
        table_id: Text | None = None,
        locale: Text | None = None,
        expires_at: datetime | timedelta | Text | None = None,
        max_failed_share: float = 0.0,
        resubmit_failed: bool = False,
        on_clear: Literal["repair", "start_over"] = "repair",
        on_unknown_outcome: Literal["fail", "resubmit"] = "fail",
        max_concurrency: int | None = None,
        requests_per_second: float | None = None,
        deferrable: bool = True,
        poll_interval: float | timedelta | None = None,
        max_poll_interval: float | timedelta | None = None,
        max_outage: float | timedelta | None = None,
        hash_personal_numbers: bool = False,
        partition_key: Text | None = None,
        **kwargs: Unpack[BatchOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_definition_id = templated_text("workflow_definition_id", workflow_definition_id)
        require_items_or_template(items)
        # Rows are not templates, and they are personal: nothing of a list is shown or stored with the DAG.
        self.items: Any = Redacted(items) if isinstance(items, (list, tuple)) else items
        self.output_path = templated_path("output_path", output_path)
        self.parameters: Any = None if parameters is None else templated_json("parameters", parameters)
        self.table_id = None if table_id is None else templated_text("table_id", table_id)
        self.locale = None if locale is None else templated_text("locale", locale, require=require_locale)
        self.expires_at = templated_expiry(expires_at)
        self._with_expiry = expires_at is not None
        require_possible_fields(
            self.columns,
            self.defaults,
            table_id=table_id,
            field_types=self.field_types,
            locale=locale,
            expires_at=expires_at,
        )
        self.max_failed_share = max_failed_share
        self.resubmit_failed = true_or_false("resubmit_failed", resubmit_failed)
        self.on_clear = choice("on_clear", on_clear, ("repair", "start_over"))
        self.on_unknown_outcome = choice("on_unknown_outcome", on_unknown_outcome, ("fail", "resubmit"))
        self.max_concurrency = (
            configuration.max_concurrency()
            if max_concurrency is None
            else whole_number(
                "max_concurrency",
                max_concurrency,
                at_least=1,
                at_most=configuration.LARGEST_MAX_CONCURRENCY,
            )
        )
        self.requests_per_second = (
            None
            if requests_per_second is None
            else number_above_zero("requests_per_second", requests_per_second)
        )
        self.deferrable = true_or_false("deferrable", deferrable)
        self.poll_interval = seconds("poll_interval", poll_interval, configuration.poll_interval)
        self.max_poll_interval = seconds(
            "max_poll_interval", max_poll_interval, configuration.max_poll_interval
        )
        self.max_outage = seconds("max_outage", max_outage, configuration.max_outage)
        self.hash_personal_numbers = true_or_false("hash_personal_numbers", hash_personal_numbers)
        self.partition_key = None if partition_key is None else templated_text("partition_key", partition_key)
        self._failure_policy = FailurePolicy(
            max_failed_share,
            resubmit_failed=resubmit_failed,
            resubmit_unknown=on_unknown_outcome == "resubmit",
        )
        self._schedule = PollSchedule(
            self.poll_interval, self.max_poll_interval, slows_down=max_poll_interval is None
        )
        # A partition_key that was given and turned out to be None must not make events without a partition.
        self._with_partition_key = partition_key is not None

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its definition, and the file or the shard of its rows."""
        return ": ".join(filter(None, (self.workflow_definition_id, short_name_of(self.items))))

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact rows, which are personal, and the personal fields of the parameters."""
        if not rendered and isinstance(self.items, SqlQuery):
            # Airflow renders it in its place, where another run of the DAG in this process would find the text.
            self.items = self.items.copy()
        if not rendered and self.result_table is not None:
            self.result_table = self.result_table.copy()
        is_shown = self.items is not None and not isinstance(self.items, Redacted)
        if rendered and is_shown and source_of(self.items) is None:
            self.items = Redacted(self.items)
        if self.parameters is not None:
            self.parameters = redact_parameters(self.parameters, self.personal_fields, rendered=rendered)

    def _options(self) -> BatchOptions:
        from airflow_provider_workflows.batch.options import BatchOptions  # noqa: PLC0415  (not while parsing)

        parameters, generation = unwrap(self.parameters), self.hook.settings.api_generation
        return BatchOptions(
            workflow_definition_id=require_id("workflow_definition_id", self.workflow_definition_id),
            parameters=None if parameters is None else require_json_object("parameters", parameters),
            skip_bad_rows=self.on_bad_row == "skip",
            max_concurrency=self.max_concurrency,
            requests_per_second=self.requests_per_second,
            max_outage=self.max_outage,
            hash_personal_numbers=self.hash_personal_numbers,
            input=self._input_options,
            output=dataclasses.replace(self._output_options, further_columns=further_columns(generation)),
            generation=generation,
            table_id=None if self.table_id is None else require_id("table_id", self.table_id),
            locale=None if self.locale is None else require_locale(self.locale),
            expires_at=self._expiry(),
        )

    def _expiry(self) -> datetime | timedelta | None:
        if not self._with_expiry:
            return None
        if self.expires_at is None:
            raise InvalidInput(
                "expires_at was given but turned out to be None: the task or template that it comes from brought "
                "nothing. Leave it away to run without expires_at"
            )
        return require_life(self.expires_at)

    @property
    def _items(self) -> Items:
        items = self.items.value if isinstance(self.items, Redacted) else self.items
        if callable(items):
            raise InvalidInput(
                "items is a method: in a template, params.items is the dict's own; write params['items']"
            )
        refuse_table(items)
        return cast("Items", items)

    def _read_items(self, context: Context) -> Items:  # noqa: ARG002  (what items depend on in other tasks)
        """Return the items in a task that was resumed."""
        return self._items

    @property
    def _source(self) -> str | None:
        """The URI or path that the items are read from; None if they are the rows themselves."""
        return source_of(self._items)

    @property
    def _query(self) -> tuple[str, str] | None:
        """Id of the connection, and the query, that the items are read by; None if they are from no database."""
        return (self.items.conn_id, self.items.sql) if isinstance(self.items, SqlQuery) else None

    @property
    def _tables_of_shards(self) -> tuple[tuple[str, str], ...]:
        """Namespace and name of each table that ``shard`` has read the items from."""
        return tables_of(self._items)

    def _output_folder(self, context: Context) -> ObjectStoragePath:
        """Return the folder of the output: a mapped task has one of its own in ``output_path``."""
        folder = storage_path("output_path", self.output_path)
        map_index = context["ti"].map_index
        return folder if map_index is None or map_index < 0 else folder / f"{map_index:05}"

    def _rendered_partition_key(self) -> str | None:
        return partition_key_of(self.partition_key) if self._with_partition_key else None
