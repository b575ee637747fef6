"""Create and read records of the service's tables, which a run may be about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.field_types import (
    loggable_fields,
    require_field_types,
    require_record_fields,
    require_typed_fields,
)
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.redaction import all_values
from airflow_provider_workflows.arguments import (
    file_mode,
    is_resolved_later,
    templated_dict,
    templated_text,
    whole_number,
)
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.creation import RECORD_KEY, create_once
from airflow_provider_workflows.operators.redaction import mask_in_logs, redact, unwrap
from airflow_provider_workflows.operators.result import RESULT_MAX_XCOM_BYTES, holds_template, require_small
from airflow_provider_workflows.results import require_selection, result_path, select_fields, write_record
from airflow_provider_workflows.storage import shown, templated_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, ObjectStoragePath, XComArg
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.field_types import FieldType
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments
    from airflow_provider_workflows.results import RecordHandle

#: What the service itself puts into a record, and is not personal.
_OWN_FIELDS = frozenset({"id", "version", "createdAt", "updatedAt"})


class CreateRecordOperator(WorkflowsOperator):
    """Create a record of a table (``POST /tables/{tableId}/records``) and return its id.

    The connection's ``api_generation`` must be 2 or 3. A request whose response was lost is sent again: a record
    too many costs nothing. A retry or a clear of the task returns the id that it has returned before, as long as
    table and fields are the same.

    :param table_id: id of the table (templated)
    :param fields: values by the names of the table's fields (templated): JSON, and a ``date``, a ``datetime`` with
        a time zone and a ``Decimal``, which are written as the API takes them. All are redacted in the log and in
        the view of rendered templates
    :param field_types: types by the names of fields, such as ``{"born": "date", "risk": "singleSelect"}``: a value
        of another type is refused by the field's name. Of a field that is not in here, the service checks the type.
        A name that is not among the fields is refused
    :param workflows_conn_id: id of the connection (templated)
    :return: the record's id
    :raises InvalidInput: naming the fields whose values cannot be right, never a value, before anything is sent;
        when the DAG is parsed, where the value is known then
    :raises RequestRejected: naming the fields that the table does not have or whose type is another
    :raises NotFound: if no table has that id
    """

    template_fields: Sequence[str] = ("table_id", "fields", "workflows_conn_id")
    template_fields_renderers = {"fields": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        table_id: Text,
        fields: Mapping[str, Any] | Text,
        field_types: Mapping[str, FieldType] | None = None,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.table_id = templated_text("table_id", table_id)
        self.fields: Any = templated_dict("fields", fields, "JSON values")
        self.field_types = require_field_types(field_types)
        if isinstance(fields, Mapping):
            require_record_fields(fields, self.field_types, is_left=is_resolved_later)
            require_typed_fields(fields, self.field_types)

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its table."""
        return self.table_id

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Return the id of the record."""
        from airflow_provider_workflows.api import endpoints  # noqa: PLC0415  (not while parsing)

        fields = unwrap(self.fields)
        endpoint = endpoints.create_record(self.table_id, fields, self.field_types)
        require_typed_fields(fields, self.field_types)
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
        values = unwrap(self.fields)
        if isinstance(values, Mapping):
            values = loggable_fields(values)
        mask_in_logs(all_values(values), rendered=rendered)
        self.fields = redact(self.fields, rendered=rendered)


class GetRecordOperator(WorkflowsOperator):
    """Read a record of a table (``GET /tables/{tableId}/records/{recordId}``) and return it.

    The connection's ``api_generation`` must be 2 or 3. A record may hold personal data. Without ``output_path`` all
    of it travels as an XCom, for everyone to read who may read XComs. With ``output_path`` it is written there, and
    the XCom is a handle without any of it, which ``read_result`` takes. Its fields are redacted in the log.

    :param table_id: id of the table (templated)
    :param record_id: id of the record (templated)
    :param output_path: where to write the record as JSON (templated): the URI of a file that ends in ``.json``, or
        of a folder for a file named by the record's id. The tasks that read it must reach it
    :param output_mode: mode of that file and, with the right to enter, of folders that are made for it, where
        storage is local: ``0o640`` lets the group read it. By default only the user that Airflow runs as may
    :param select: JMESPath expressions, such as ``["risk", "tags[0]"]`` (templated): only what they find is
        returned or written, by expression, None where one finds nothing
    :param result_max_xcom_bytes: the largest record, in bytes of JSON, that is returned without an ``output_path``
    :param workflows_conn_id: id of the connection (templated)
    :return: the record under the table's names, with ``id``, ``version``, ``createdAt`` and ``updatedAt``; with
        ``output_path`` a ``RecordHandle``
    :raises InvalidInput: if an argument cannot be right, or the record is too large without an ``output_path``
    :raises PermissionDenied: naming the scope ``can_read_data``, if the token lacks it
    :raises NotFound: if there is no such table or record
    """

    template_fields: Sequence[str] = ("table_id", "record_id", "output_path", "select", "workflows_conn_id")

    def __init__(
        self,
        *,
        table_id: Text,
        record_id: Text,
        output_path: Text | ObjectStoragePath | None = None,
        output_mode: int = OWNER_ONLY,
        select: Sequence[str] | XComArg | None = None,
        result_max_xcom_bytes: int = RESULT_MAX_XCOM_BYTES,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.table_id = templated_text("table_id", table_id)
        self.record_id = templated_text("record_id", record_id)
        self.output_path = None if output_path is None else templated_path("output_path", output_path)
        self.output_mode = file_mode("output_mode", output_mode)
        if select is not None and not holds_template(select):
            require_selection(select)
        self.select: Any = select
        self.result_max_xcom_bytes = whole_number("result_max_xcom_bytes", result_max_xcom_bytes, at_least=1)
        # An output_path that was given and turned out to be None must not put the record into an XCom.
        self._with_output = output_path is not None

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its record."""
        return f"record {self.record_id}"

    def call(self, client: WorkflowsClient, context: Context) -> dict[str, Any] | RecordHandle:  # noqa: ARG002
        """Return the record, or its handle once it is written."""
        record_id = require_id("record_id", self.record_id)
        path = result_path(self.output_path, record_id) if self._with_output else None
        select = None if self.select is None else require_selection(self.select)
        record = client.read_record(self.table_id, record_id).json_object()
        fields = {name: value for name, value in record.items() if name not in _OWN_FIELDS}
        mask_in_logs(all_values(fields))
        if select is not None:
            record = select_fields(record, select)
        if path is None:
            require_small(f"Record {record_id}", record, self.result_max_xcom_bytes)
            self.log.info("Read record %s.", record_id)
            return record
        handle = write_record(path, record, record_id=record_id, mode=self.output_mode)
        self.log.info("Record %s is in %s, %s.", record_id, shown(path), counted(handle["size"], "byte"))
        return handle
