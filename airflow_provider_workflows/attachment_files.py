"""Attachments of records as files in storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.file_limits import MAX_DOWNLOAD_BYTES
from airflow_provider_workflows.file_handle import FileHandle
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.storage import is_local, storage_path
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.api import WorkflowsClient


class AttachmentHandle(FileHandle):
    """Where an attachment is, and its id, but nothing out of it. Fit for an XCom."""

    attachment_id: str


def download_to_file(
    client: WorkflowsClient,
    table_id: str,
    record_id: str,
    attachment_id: str,
    output_path: object,
    *,
    mode: int = OWNER_ONLY,
    max_bytes: int = MAX_DOWNLOAD_BYTES,
) -> AttachmentHandle:
    """Download an attachment into a file, which is there as a whole or as it was before, and return its handle.

    :param client: makes the calls
    :param table_id: id of the record's table
    :param record_id: id of the record
    :param attachment_id: id of the attachment
    :param output_path: URI, absolute path or ``ObjectStoragePath`` of the file; one that is there is replaced
    :param mode: of the file and of folders that are missing, where they are local
    :param max_bytes: the largest file that is downloaded, in bytes
    :raises InvalidInput: if ``output_path`` is not such a place, or is a folder, or the file is larger
    :raises FileFailed: if the file cannot be written
    :raises WorkflowsError: what else went wrong
    """
    path = storage_path("output_path", output_path)
    if str(output_path).strip().endswith("/") or (is_local(path) and Path(path.path).is_dir()):
        raise InvalidInput("output_path is a folder: name the file in it that is to be written")
    downloaded = client.download_attachment(
        table_id, record_id, attachment_id, lambda: replacing(path, mode=mode), max_bytes=max_bytes
    )
    return AttachmentHandle(
        uri=str(path), attachment_id=attachment_id, size=downloaded.size, sha256=downloaded.sha256
    )
