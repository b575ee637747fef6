"""Upload a file, which the documents of a case may name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from airflow_provider_workflows.operators.creation import RESOURCE_KEY, Created, create_with_details_once
from airflow_provider_workflows.operators.file_upload import UploadsFile

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.record_models import ResourceFields


class UploadResourceOperator(UploadsFile):
    """Upload a file (``POST /resources``), and return what the ``documents`` of a case name it by.

    The file is checked before anything is sent, and is read in pieces: once to check it, and once for each request.
    A request whose response was lost is sent again: a resource too many costs nothing, and no case names it. A
    retry or a clear of the task uploads nothing, and returns what it has returned before, as long as the file's
    content, its name and its content type are the same.

    What is returned holds the file's name, and is an XCom: give a ``file_name`` where the file's own is that of a
    person. Path and name are redacted in the log and in the view of rendered templates.

    :param path: the file (templated): the URI of a file in storage, an absolute path on the worker, or an
        ``ObjectStoragePath``
    :param file_name: its name for the service (templated), without folders; by default its name in storage
    :param content_type: what it is, such as ``"application/pdf"`` (templated); by default told from the ending of
        its name
    :param max_bytes: the largest file that is uploaded, in bytes; the service's own limit is unknown
    :param workflows_conn_id: id of the connection (templated)
    :return: ``{"resource_id": ..., "resource_name": ..., "resource_path": ...}``
    :raises InvalidInput: before anything is sent, if there is no such file, it is empty or too large, or its name
        does not tell the content type
    :raises FileFailed: if the file cannot be read, or is changed while it is uploaded
    """

    def call(self, client: WorkflowsClient, context: Context) -> ResourceFields:
        """Return the resource."""
        upload = self.checked_file()

        def create() -> Created:
            resource = client.upload_resource(upload)
            return Created(resource.resource_id, {**cast("dict[str, str]", resource.document())})

        created = create_with_details_once(
            context,
            RESOURCE_KEY,
            [client.settings.host, "/resources", upload.name, upload.content_type, upload.sha256],
            create,
            noun="resource",
            log=self.log,
        )
        return cast("ResourceFields", created.details)
