"""The calls of both clients about tables, records and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import downloads, endpoints, file_endpoints
from airflow_provider_workflows.api.file_limits import MAX_DOWNLOAD_BYTES

if TYPE_CHECKING:
    from airflow_provider_workflows.api.downloads import Downloaded, OpenTarget
    from airflow_provider_workflows.api.effects import Flow, Result
    from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
    from airflow_provider_workflows.api.exchange import Exchange
    from airflow_provider_workflows.api.field_types import FieldType
    from airflow_provider_workflows.api.record_models import Attachment, Record, Resource
    from airflow_provider_workflows.api.settings import Settings
    from airflow_provider_workflows.api.uploads import Upload


class TableCalls:
    """The calls of the client for synchronous code."""

    settings: Settings
    _exchange: Exchange

    def _drive(self, flow: Flow[Result]) -> Result:
        raise NotImplementedError

    def perform(self, endpoint: Endpoint[ResponseModel]) -> ResponseModel:
        """Call an endpoint and return its response."""
        raise NotImplementedError

    def create_record(
        self, table_id: str, fields: Mapping[str, Any], field_types: Mapping[str, FieldType] | None = None
    ) -> Record:
        """Create a record of a table (``POST /tables/{tableId}/records``).

        :param fields: JSON values, dates, datetimes and decimals, by name
        :param field_types: types by the names of the fields, such as ``{"born": "date"}``: they are checked first
        """
        return self.perform(endpoints.create_record(table_id, fields, field_types))

    def read_record(self, table_id: str, record_id: str) -> Record:
        """Return a record (``GET /tables/{tableId}/records/{recordId}``)."""
        return self.perform(endpoints.read_record(table_id, record_id))

    def upload_resource(self, upload: Upload) -> Resource:
        """Upload a file (``POST /resources``), read and sent in pieces.

        A request whose response was lost is sent again: a resource too many costs nothing.

        :param upload: the file, as ``Upload.of`` or ``file_to_upload`` has checked it
        :return: what the ``documents`` of a case name; ``document()`` has it as they take it
        :raises FileFailed: if the file cannot be read, or was changed since it was checked
        """
        return self.perform(file_endpoints.upload_resource(upload))

    def upload_attachment(self, table_id: str, record_id: str, upload: Upload) -> Attachment:
        """Attach a file to a record (``POST .../attachments``), read and sent in pieces.

        A request whose response was lost is sent again: an attachment too many costs nothing.

        :param upload: the file, as ``Upload.of`` or ``file_to_upload`` has checked it
        :raises FileFailed: if the file cannot be read, or was changed since it was checked
        """
        return self.perform(file_endpoints.upload_attachment(table_id, record_id, upload))

    def download_attachment(
        self,
        table_id: str,
        record_id: str,
        attachment_id: str,
        open_target: OpenTarget,
        *,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
    ) -> Downloaded:
        """Download an attachment of a record, by the signed link that ``GET .../{attachmentId}`` gives.

        The link is used without the token, never logged, and not followed to another place.

        :param open_target: opens the file to write, once for each attempt; ``replacing`` does so for storage
        :param max_bytes: the largest file that is downloaded, in bytes
        :raises FileFailed: if the file cannot be written
        """
        endpoint = file_endpoints.read_attachment_link(table_id, record_id, attachment_id)
        return self._drive(
            downloads.download_attachment(self._exchange, endpoint, self.settings, open_target, max_bytes)
        )


class AsyncTableCalls:
    """The calls of the client for asynchronous code."""

    settings: Settings
    _exchange: Exchange

    async def _drive(self, flow: Flow[Result]) -> Result:
        raise NotImplementedError

    async def perform(self, endpoint: Endpoint[ResponseModel]) -> ResponseModel:
        """Call an endpoint and return its response."""
        raise NotImplementedError

    async def create_record(
        self, table_id: str, fields: Mapping[str, Any], field_types: Mapping[str, FieldType] | None = None
    ) -> Record:
        """Create a record of a table, as ``TableCalls.create_record`` does."""
        return await self.perform(endpoints.create_record(table_id, fields, field_types))

    async def read_record(self, table_id: str, record_id: str) -> Record:
        """Return a record (``GET /tables/{tableId}/records/{recordId}``)."""
        return await self.perform(endpoints.read_record(table_id, record_id))

    async def upload_resource(self, upload: Upload) -> Resource:
        """Upload a file, as ``TableCalls.upload_resource`` does; the file is read in a thread."""
        return await self.perform(file_endpoints.upload_resource(upload))

    async def upload_attachment(self, table_id: str, record_id: str, upload: Upload) -> Attachment:
        """Attach a file to a record, as ``TableCalls.upload_attachment`` does; it is read in a thread."""
        return await self.perform(file_endpoints.upload_attachment(table_id, record_id, upload))

    async def download_attachment(
        self,
        table_id: str,
        record_id: str,
        attachment_id: str,
        open_target: OpenTarget,
        *,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
    ) -> Downloaded:
        """Download an attachment of a record, by the signed link that ``GET .../{attachmentId}`` gives.

        As ``TableCalls.download_attachment`` does; the file is downloaded in a thread.
        """
        endpoint = file_endpoints.read_attachment_link(table_id, record_id, attachment_id)
        return await self._drive(
            downloads.download_attachment(self._exchange, endpoint, self.settings, open_target, max_bytes)
        )
