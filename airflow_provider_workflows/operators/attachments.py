"""Attach files to records, and download what is attached to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.file_limits import MAX_DOWNLOAD_BYTES, MAX_UPLOAD_BYTES
from airflow_provider_workflows.arguments import file_mode, templated_text, whole_number
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.creation import ATTACHMENT_KEY, create_once
from airflow_provider_workflows.operators.file_upload import UploadsFile
from airflow_provider_workflows.operators.redaction import mask_in_logs, redact, unwrap
from airflow_provider_workflows.storage import templated_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, ObjectStoragePath
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.attachment_files import AttachmentHandle
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments


class UploadAttachmentOperator(UploadsFile):
    """Attach a file to a record (``POST .../records/{recordId}/attachments``) and return the attachment's id.

    The connection's ``api_generation`` must be 2 or 3. The file is checked before anything is sent, and is read in
    pieces: once to check it, and once for each request. A request whose response was lost is sent again, and may
    attach the file twice, which costs nothing. A retry or a clear of the task attaches nothing, and returns the id
    that it has returned before, as long as the record, the file's content, its name and its content type are the
    same. Path and name are redacted in the log and in the view of rendered templates.

    :param table_id: id of the record's table (templated)
    :param record_id: id of the record (templated)
    :param path: the file (templated): the URI of a file in storage, an absolute path on the worker, or an
        ``ObjectStoragePath``
    :param file_name: its name for the service (templated), without folders; by default its name in storage
    :param content_type: what it is, such as ``"application/pdf"`` (templated); by default told from the ending of
        its name
    :param max_bytes: the largest file that is uploaded, in bytes; the service's own limit is unknown
    :param workflows_conn_id: id of the connection (templated)
    :return: the attachment's id
    :raises InvalidInput: before anything is sent, if there is no such file, it is empty or too large, or its name
        does not tell the content type
    :raises FileFailed: if the file cannot be read, or is changed while it is uploaded
    :raises PermissionDenied: naming the scope ``can_edit_attachments``, if the token lacks it
    :raises NotFound: if there is no such table or record
    """

    template_fields: Sequence[str] = ("table_id", "record_id", *UploadsFile.template_fields)

    def __init__(
        self,
        *,
        table_id: Text,
        record_id: Text,
        path: Text | ObjectStoragePath,
        file_name: Text | None = None,
        content_type: Text | None = None,
        max_bytes: int = MAX_UPLOAD_BYTES,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(
            path=path, file_name=file_name, content_type=content_type, max_bytes=max_bytes, **kwargs
        )
        self.table_id = templated_text("table_id", table_id)
        self.record_id = templated_text("record_id", record_id)

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its record."""
        return f"record {self.record_id}"

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Return the id of the attachment."""
        from airflow_provider_workflows.api.file_endpoints import upload_attachment  # noqa: PLC0415

        upload = self.checked_file()
        endpoint = upload_attachment(self.table_id, self.record_id, upload)
        return create_once(
            context,
            ATTACHMENT_KEY,
            [client.settings.host, endpoint.path, upload.name, upload.content_type, upload.sha256],
            lambda: client.perform(endpoint).id,
            noun="attachment",
            log=self.log,
        )


class DownloadAttachmentOperator(WorkflowsOperator):
    """Download an attachment of a record (``GET .../attachments/{attachmentId}``) into a file.

    The connection's ``api_generation`` must be 2 or 3. The service gives a signed link, which is used without the
    token and is never logged. Each attempt has a new one, for a link expires soon. The file is there as a whole, or
    as it was before. A retry or a clear of the task downloads it again.

    :param table_id: id of the record's table (templated)
    :param record_id: id of the record (templated)
    :param attachment_id: id of the attachment (templated)
    :param output_path: the URI of the file to write, an absolute path, or an ``ObjectStoragePath`` (templated); a
        file that is there is replaced. The tasks that read it must reach it
    :param output_mode: mode of that file and, with the right to enter, of folders that are made for it, where
        storage is local: ``0o640`` lets the group read it. By default only the user that Airflow runs as may
    :param max_bytes: the largest file that is downloaded, in bytes
    :param workflows_conn_id: id of the connection (templated)
    :return: ``{"uri": ..., "attachment_id": ..., "size": ..., "sha256": ...}``, with the size in bytes
    :raises InvalidInput: if an argument cannot be right, or the file is larger than ``max_bytes``
    :raises FileFailed: if the file cannot be written
    :raises PermissionDenied: naming the scope ``can_read_attachments``, if the token lacks it
    :raises NotFound: if there is no such table, record or attachment
    """

    template_fields: Sequence[str] = (
        "table_id",
        "record_id",
        "attachment_id",
        "output_path",
        "workflows_conn_id",
    )

    def __init__(
        self,
        *,
        table_id: Text,
        record_id: Text,
        attachment_id: Text,
        output_path: Text | ObjectStoragePath,
        output_mode: int = OWNER_ONLY,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.table_id = templated_text("table_id", table_id)
        self.record_id = templated_text("record_id", record_id)
        self.attachment_id = templated_text("attachment_id", attachment_id)
        self.output_path: Any = templated_path("output_path", output_path)
        self.output_mode = file_mode("output_mode", output_mode)
        self.max_bytes = whole_number("max_bytes", max_bytes, at_least=1)

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its attachment."""
        return f"attachment {self.attachment_id}"

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact the path of the file, whose name may be that of a person."""
        mask_in_logs([str(unwrap(self.output_path))], rendered=rendered)
        self.output_path = redact(self.output_path, rendered=rendered)

    def call(self, client: WorkflowsClient, context: Context) -> AttachmentHandle:  # noqa: ARG002
        """Return where the attachment is."""
        from airflow_provider_workflows.attachment_files import download_to_file  # noqa: PLC0415

        handle = download_to_file(
            client,
            self.table_id,
            self.record_id,
            self.attachment_id,
            unwrap(self.output_path),
            mode=self.output_mode,
            max_bytes=self.max_bytes,
        )
        self.log.info("Downloaded attachment %s, %s.", self.attachment_id, counted(handle["size"], "byte"))
        return handle
