"""Create a record of one of the service's tables, which a run may be about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import endpoints
from airflow_provider_workflows.api.redaction import all_values
from airflow_provider_workflows.arguments import templated_dict, templated_text
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.creation import RECORD_KEY, create_once
from airflow_provider_workflows.operators.redaction import mask_in_logs, redact, unwrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments


class CreateRecordOperator(WorkflowsOperator):
    """Create a record of a table (``POST /tables/{tableId}/records``) and return its id.

    The connection's ``api_generation`` must be 2 or 3. A request whose response was lost is sent again: a record
    too many costs nothing. A retry or a clear of the task returns the id that it has returned before, as long as
    table and fields are the same.

    :param table_id: id of the table (templated)
    :param fields: JSON values by the names of the table's fields (templated); all are redacted in the log and in
        the view of rendered templates. The service checks their types
    :param workflows_conn_id: id of the connection (templated)
    :return: the record's id
    :raises InvalidInput: naming the path of a value that is not JSON, before anything is sent
    :raises RequestRejected: naming the fields that the table does not have or whose type is another
    :raises NotFound: if no table has that id
    """

    template_fields: Sequence[str] = ("table_id", "fields", "workflows_conn_id")
    template_fields_renderers = {"fields": "json"}  # noqa: RUF012

    def __init__(
        self, *, table_id: Text, fields: Mapping[str, Any] | Text, **kwargs: Unpack[OperatorArguments]
    ) -> None:
        super().__init__(**kwargs)
        self.table_id = templated_text("table_id", table_id)
        self.fields: Any = templated_dict("fields", fields, "JSON values")

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its table."""
        return self.table_id

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Return the id of the record."""
        endpoint = endpoints.create_record(self.table_id, unwrap(self.fields))
        return create_once(
            context,
            RECORD_KEY,
            [client.settings.host, endpoint.path, endpoint.body],
            lambda: client.perform(endpoint).id,
            noun="record",
            log=self.log,
        )

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact all fields of the record."""
        mask_in_logs(all_values(unwrap(self.fields)), rendered=rendered)
        self.fields = redact(self.fields, rendered=rendered)
