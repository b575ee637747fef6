"""Fetch the result of a workflow."""

from __future__ import annotations

import dataclasses
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.pseudonyms import find_personal_number, personal_number_hash
from airflow_provider_workflows.api.redaction import values_of_personal_fields
from airflow_provider_workflows.api.versions import versions_of
from airflow_provider_workflows.arguments import (
    file_mode,
    is_resolved_later,
    templated_text,
    true_or_false,
    whole_number,
)
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.lineage.events import emit
from airflow_provider_workflows.lineage.task import TaskLineage
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.redaction import mask_in_logs
from airflow_provider_workflows.operators.run_input import RunInput
from airflow_provider_workflows.results import (
    as_json,
    require_selection,
    result_path,
    select_fields,
    write_result,
)
from airflow_provider_workflows.storage import shown, templated_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, ObjectStoragePath, XComArg
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.models import Workflow
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments
    from airflow_provider_workflows.results import ResultHandle

#: What an XCom may hold of a result, in bytes, so that it stays below what databases and APIs take in one value.
RESULT_MAX_XCOM_BYTES = 48 * 1024


class GetWorkflowResultOperator(WorkflowsOperator):
    """Fetch the result of a completed workflow (``GET /workflows/{workflowId}/result``).

    The result holds the case's personal data. Without ``output_path`` all of it travels as an XCom, for everyone to
    read who may read XComs. With ``output_path`` it is written there, and the XCom is a handle without any of it,
    which ``read_result`` takes.

    :param workflow_id: id of the workflow (templated)
    :param output_path: where to write the result as JSON (templated): the URI of a file that ends in ``.json``, or
        of a folder for a file named by the workflow's id. The tasks that read it must reach it
    :param output_mode: mode of that file and, with the right to enter, of folders that are made for it, where
        storage is local: ``0o640`` lets the group read it. By default only the user that Airflow runs as may
    :param workflow_definition_id: id of the workflow's definition, for the asset event and the lineage
        (templated), since the API does not tell it; by default that of the ``RunWorkflowOperator`` whose ``output``
        is the ``workflow_id``
    :param select: JMESPath expressions, such as ``["decision", "checks[0].status"]`` (templated): only what they
        find is returned or written, by expression, None where one finds nothing
    :param hash_personal_numbers: add ``personal_number_hash``, the keyed hash of the personal number in the result,
        to what is returned, for joins without the number; the key is the connection's ``hash_secret``. Where the
        result has no ``partyDetails``, the number in what the run was started with comes first: in its case, else
        in its record, else in its parameters. None without a number
    :param record_id: id of the record that the run is about (templated): a result of another one is refused. With
        ``hash_personal_numbers`` it is by default that of the ``RunWorkflowOperator`` whose ``output`` is the
        ``workflow_id``
    :param table_id: id of that record's table (templated), so that the personal number can be read from the record;
        by default that of the ``CreateRecordOperator`` whose ``output`` is the ``record_id``
    :param result_max_xcom_bytes: the largest result, in bytes of JSON, that is returned without an ``output_path``
    :param workflows_conn_id: id of the connection (templated)
    :return: the result under the API's names, unknown fields included; with ``output_path`` a ``ResultHandle``
    :raises InvalidInput: if an argument cannot be right, or the result is too large without an ``output_path``
    :raises WorkflowNotCompleted: naming the status; ``WorkflowFailed`` where it is a failure status
    :raises NotFound: if no workflow has that id
    """

    template_fields: Sequence[str] = (
        "workflow_id",
        "output_path",
        "workflow_definition_id",
        "select",
        "record_id",
        "table_id",
        "workflows_conn_id",
    )

    def __init__(
        self,
        *,
        workflow_id: Text,
        output_path: Text | ObjectStoragePath | None = None,
        workflow_definition_id: Text | None = None,
        select: Sequence[str] | XComArg | None = None,
        hash_personal_numbers: bool = False,
        result_max_xcom_bytes: int = RESULT_MAX_XCOM_BYTES,
        output_mode: int = OWNER_ONLY,
        record_id: Text | None = None,
        table_id: Text | None = None,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = templated_text("workflow_id", workflow_id)
        self.output_path = None if output_path is None else templated_path("output_path", output_path)
        upstream = getattr(workflow_id, "operator", None)
        definition_id = workflow_definition_id
        if definition_id is None:
            definition_id = getattr(upstream, "workflow_definition_id", None)
        self.workflow_definition_id = (
            None if definition_id is None else templated_text("workflow_definition_id", definition_id)
        )
        if select is not None and not holds_template(select):
            require_selection(select)
        self.select: Any = select
        self.hash_personal_numbers = true_or_false("hash_personal_numbers", hash_personal_numbers)
        if self.hash_personal_numbers and record_id is None:
            record_id = getattr(upstream, "record_id", None)
        if self.hash_personal_numbers and table_id is None:
            table_id = getattr(getattr(record_id, "operator", None), "table_id", None)
        self.record_id = None if record_id is None else templated_text("record_id", record_id)
        self.table_id = None if table_id is None else templated_text("table_id", table_id)
        self.result_max_xcom_bytes = whole_number("result_max_xcom_bytes", result_max_xcom_bytes, at_least=1)
        self.output_mode = file_mode("output_mode", output_mode)
        # An output_path that was given and turned out to be None must not put the result into an XCom.
        self._with_output = output_path is not None

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its workflow."""
        return f"workflow {self.workflow_id}"

    def call(self, client: WorkflowsClient, context: Context) -> dict[str, Any] | ResultHandle:
        """Return the result, or its handle once it is written."""
        workflow_id = require_id("workflow_id", self.workflow_id)
        if self.workflow_definition_id is not None:
            require_id("workflow_definition_id", self.workflow_definition_id)
        path = result_path(self.output_path, workflow_id) if self._with_output else None
        select = None if self.select is None else require_selection(self.select)
        secret = client.settings.require_hash_secret() if self.hash_personal_numbers else None
        record_id = None if self.record_id is None else require_id("record_id", self.record_id)
        table_id = None if self.table_id is None else require_id("table_id", self.table_id)
        result = client.read_result(workflow_id, record_id=record_id).json_object()
        read_workflow = cache(partial(client.read_workflow, workflow_id, record_id=record_id))
        mask_in_logs(values_of_personal_fields(result, client.settings.all_personal_fields))
        case_id = result.get("caseId")
        hashes: dict[str, Any] = {}
        if secret is not None:
            number = None
            if result.get("partyDetails") is None:
                # Elsewhere in a result there may be the numbers of other people.
                given = RunInput(
                    client, read_workflow(), result, record_id=record_id, table_id=table_id, log=self.log
                )
                number = given.personal_number()
            number = find_personal_number(result) if number is None else number
            hashes["personal_number_hash"] = personal_number_hash(number, secret)
        if select is not None:
            result = select_fields(result, select)
        self.lineage = TaskLineage(
            client.settings.host,
            workflow_definition_id=self.workflow_definition_id,
            workflow_id=workflow_id,
            case_id=case_id,
            record_id=record_id,
        )
        if path is None:
            require_small(f"The result of workflow {workflow_id}", result, self.result_max_xcom_bytes)
            if self.outlets or self.workflow_definition_id is not None:
                self._emit(context, self.lineage, read_workflow())
            self.log.info("Fetched the result of workflow %s.", workflow_id)
            return {**result, **hashes}
        workflow = read_workflow()
        handle = write_result(
            path,
            result,
            workflow_id=workflow_id,
            case_id=case_id,
            status=workflow.status,
            mode=self.output_mode,
        )
        self._emit(context, self.lineage, workflow, shown(path))
        self.log.info(
            "The result of workflow %s is in %s, %s.",
            workflow_id,
            shown(path),
            counted(handle["size"], "byte"),
        )
        return cast("ResultHandle", {**handle, **(versions_of(workflow) or {}), **hashes})

    def _emit(
        self, context: Context, lineage: TaskLineage, workflow: Workflow, output: str | None = None
    ) -> None:
        versions: dict[str, Any] = {**(versions_of(workflow) or {})}
        self.lineage = dataclasses.replace(
            lineage,
            status=workflow.status,
            record_id=workflow.record_id or lineage.record_id,
            output=output,
            **versions,
        )
        emit(self, context, self.lineage)


def require_small(what: str, content: dict[str, Any], max_bytes: int) -> None:
    """Return if an XCom takes what a task is to return.

    :param what: that, as the subject of a sentence
    :param content: the JSON object
    :param max_bytes: what an XCom takes, in bytes of JSON
    :raises InvalidInput: saying how to return it by reference
    """
    size = len(as_json(content))
    if size > max_bytes:
        raise InvalidInput(
            f"{what} has {counted(size, 'byte')}, and an XCom takes {max_bytes:,} (result_max_xcom_bytes). Give "
            "the task an output_path, such as output_path='s3://bucket/results', and read it with read_result"
        )


def holds_template(select: object) -> bool:
    """Return whether some of the expressions of ``select`` are known only when the task runs."""
    if isinstance(select, (list, tuple)):
        return any(map(is_resolved_later, select))
    return is_resolved_later(select)
