"""What a hook does with files: it uploads them, and downloads attachments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_workflows.api.file_limits import MAX_DOWNLOAD_BYTES, MAX_UPLOAD_BYTES
from airflow_provider_workflows.local_files import OWNER_ONLY

if TYPE_CHECKING:
    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.record_models import ResourceFields
    from airflow_provider_workflows.attachment_files import AttachmentHandle


class FileMethods:
    """The methods of a hook that take files in storage: URIs, absolute paths or ``ObjectStoragePath``."""

    def get_conn(self) -> WorkflowsClient:
        """Return the client for the connection."""
        raise NotImplementedError

    def upload_resource(
        self,
        path: object,
        *,
        file_name: str | None = None,
        content_type: str | None = None,
        max_bytes: int = MAX_UPLOAD_BYTES,
    ) -> ResourceFields:
        """Upload a file, and return what the ``documents`` of a case name it by; each call makes another resource.

        :param path: the file
        :param file_name: its name for the service, without folders; None for its name in storage
        :param content_type: what it is; None to tell it from the ending of its name
        :param max_bytes: the largest file that is uploaded, in bytes
        :raises InvalidInput: before anything is sent, saying what is wrong with the file
        :raises FileFailed: if it cannot be read, or is changed while it is uploaded
        """
        from airflow_provider_workflows.files_to_upload import file_to_upload  # noqa: PLC0415  (not while parsing)

        upload = file_to_upload(
            "path", path, file_name=file_name, content_type=content_type, max_bytes=max_bytes
        )
        return self.get_conn().upload_resource(upload).document()

    def upload_attachment(
        self,
        table_id: str,
        record_id: str,
        path: object,
        *,
        file_name: str | None = None,
        content_type: str | None = None,
        max_bytes: int = MAX_UPLOAD_BYTES,
    ) -> str:
        """Attach a file to a record, and return the attachment's id; each call attaches it once more.

        :param table_id: id of the record's table
        :param record_id: id of the record
        :param path: the file; what else there is as in ``upload_resource``
        """
        from airflow_provider_workflows.files_to_upload import file_to_upload  # noqa: PLC0415  (not while parsing)

        upload = file_to_upload(
            "path", path, file_name=file_name, content_type=content_type, max_bytes=max_bytes
        )
        return self.get_conn().upload_attachment(table_id, record_id, upload).id

    def download_attachment(
        self,
        table_id: str,
        record_id: str,
        attachment_id: str,
        output_path: object,
        *,
        output_mode: int = OWNER_ONLY,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
    ) -> AttachmentHandle:
        """Download an attachment of a record into a file, as a whole or not at all, and return where it is.

        :param table_id: id of the record's table
        :param record_id: id of the record
        :param attachment_id: id of the attachment
        :param output_path: the file to write; one that is there is replaced
        :param output_mode: mode of that file, where storage is local
        :param max_bytes: the largest file that is downloaded, in bytes
        :raises InvalidInput: if an argument cannot be right, or the file is larger
        :raises FileFailed: if the file cannot be written
        """
        from airflow_provider_workflows.attachment_files import download_to_file  # noqa: PLC0415

        return download_to_file(
            self.get_conn(),
            table_id,
            record_id,
            attachment_id,
            output_path,
            mode=output_mode,
            max_bytes=max_bytes,
        )
