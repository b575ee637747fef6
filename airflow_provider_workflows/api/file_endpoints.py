"""The endpoints for files: resources, and the attachments of records."""

from __future__ import annotations

from airflow_provider_workflows.api.endpoints import WITH_RECORDS, Endpoint
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.record_models import Attachment, AttachmentLink, Resource
from airflow_provider_workflows.api.uploads import Upload


def upload_resource(upload: Upload) -> Endpoint[Resource]:
    """``POST /resources``: a new resource; repeating it makes another, which costs nothing.

    :param upload: the file
    """
    return Endpoint("POST", "/resources", Resource, repeatable=True, upload=upload, versioned=False)


def upload_attachment(table_id: str, record_id: str, upload: Upload) -> Endpoint[Attachment]:
    """``POST /tables/{tableId}/records/{recordId}/attachments``: a new attachment of a record.

    Repeating it attaches the file once more, which costs nothing.

    :param upload: the file
    :raises InvalidInput: if one of the ids is not a UUID
    """
    return Endpoint(
        "POST",
        _attachments(table_id, record_id),
        Attachment,
        repeatable=True,
        upload=upload,
        scope="can_edit_attachments on the table",
        versioned=False,
        generations=WITH_RECORDS,
    )


def read_attachment_link(table_id: str, record_id: str, attachment_id: str) -> Endpoint[AttachmentLink]:
    """``GET /tables/{tableId}/records/{recordId}/attachments/{attachmentId}``: a link to an attachment.

    :raises InvalidInput: if one of the ids is not a UUID
    """
    return Endpoint(
        "GET",
        f"{_attachments(table_id, record_id)}/{require_id('attachment_id', attachment_id)}",
        AttachmentLink,
        repeatable=True,
        secret_response=True,
        scope="can_read_attachments on the table",
        versioned=False,
        generations=WITH_RECORDS,
    )


def _attachments(table_id: str, record_id: str) -> str:
    return (
        f"/tables/{require_id('table_id', table_id)}/records/{require_id('record_id', record_id)}/attachments"
    )
