"""Tables, their records, and the attachments of records, in memory for the life of the sandbox."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from pydantic import Field, model_validator

from airflow_provider_workflows.api.field_types import FieldType
from airflow_provider_workflows.sandbox.counts import Counts
from airflow_provider_workflows.sandbox.field_types import has_type
from airflow_provider_workflows.sandbox.received_files import ReceivedFile
from airflow_provider_workflows.sandbox.request_parsing import ControlBody
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal, now_text

TABLE = "4a7c93e1-60d2-4f8b-9e15-b3d70c6a28f4"
TYPED_TABLE = "d05b18f7-93c4-4e6a-8b21-7f6e4d9a0c35"
READY_RECORD = "1e9f4b62-c7a8-4d03-a5f6-80b2d3e7916c"
#: What the service itself puts into a record.
OWN_FIELDS = ("id", "version", "createdAt", "updatedAt")


class Table(ControlBody):
    """A table.

    :param id: its id; by default a new one
    :param fields: the types of its fields by name; None if a record may have any fields
    :param options: what a ``singleSelect`` or ``multiselect`` may have, by the field's name; any text if it is not
        in here
    :param summary: what it is for, in a few words
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()), min_length=1)
    fields: dict[str, FieldType] | None = None
    options: dict[str, list[str]] = Field(default_factory=dict)
    summary: str = ""

    @model_validator(mode="after")
    def _check_names(self) -> Table:
        names = self.fields or {}
        own = [name for name in OWN_FIELDS if name in names]
        if own:
            raise ValueError(f"each record has the fields {', '.join(own)} already")
        for name in self.options:
            if names.get(name) not in {"singleSelect", "multiselect"}:
                raise ValueError("options are for fields of the types singleSelect and multiselect")
        return self

    def check(self, values: JsonObject) -> None:
        """Check the fields of a new record.

        :raises Refusal: 400, naming the fields that are wrong, never their values
        """
        own = [name for name in OWN_FIELDS if name in values]
        if own:
            raise _invalid(f"{', '.join(own)}: is given by the service")
        if self.fields is None:
            return
        wrong = [
            f"{name}: is not of the type {kind}"
            for name, kind in self.fields.items()
            if name in values and not has_type(values[name], kind, self.options.get(name))
        ]
        if not values.keys() <= self.fields.keys():
            # The name of an unknown field comes from the client: it may itself be a personal value.
            wrong.append(f"there is an unknown field; known fields: {', '.join(self.fields)}")
        if wrong:
            raise _invalid("; ".join(wrong))


@dataclass
class _Record:
    fields: JsonObject
    attachments: dict[str, JsonObject] = field(default_factory=dict)


READY_TABLES = (
    Table(id=TABLE, summary="takes records with any fields"),
    Table(
        id=TYPED_TABLE,
        fields={
            "born": "date",
            "seen": "datetime",
            "amount": "number",
            "count": "integer",
            "name": "text",
            "active": "checkbox",
            "document": "json",
            "tags": "array",
            "risk": "singleSelect",
            "lists": "multiselect",
            "owner": "assignee",
            "reference": "idField",
        },
        options={"risk": ["LOW", "MEDIUM", "HIGH"], "lists": ["PEP", "SANCTIONS", "MEDIA"]},
        summary="checks its fields, of which it has one of each type",
    ),
)


class Tables:
    """Keep tables, records and attachments. Requests come from the server's thread alone.

    :param counts: where created records and attachments are counted
    """

    def __init__(self, counts: Counts) -> None:
        self.tables = {table.id: table for table in READY_TABLES}
        self._counts = counts
        self._records: dict[tuple[str, str], _Record] = {}
        self._record_ids: set[str] = set()
        self._files: dict[str, ReceivedFile] = {}
        self._keep(TABLE, READY_RECORD, {"firstName": "Jana", "lastName": "Returning"})

    def create_record(self, table_id: str, values: JsonObject) -> JsonObject:
        """Create a record and return it.

        :raises Refusal: 404 if there is no such table, 400 if the table has not such fields
        """
        self._table(table_id).check(values)
        record = self._keep(table_id, str(uuid.uuid4()), values)
        self._counts.record_created()
        return record

    def read_record(self, table_id: str, record_id: str) -> JsonObject:
        """Return the record.

        :raises Refusal: 404 if there is no such table or record
        """
        return self._record(table_id, record_id).fields

    @property
    def records(self) -> list[JsonObject]:
        """All records, oldest first; may be read from any thread."""
        return [record.fields for record in self._records.copy().values()]

    def require_record(self, record_id: str | None) -> None:
        """Check that a record exists, in any table.

        :raises Refusal: 404 if it does not
        """
        if record_id is not None and record_id not in self._record_ids:
            raise _no_record()

    def attach(self, table_id: str, record_id: str, file: ReceivedFile) -> JsonObject:
        """Attach a file to a record and return the attachment.

        :raises Refusal: 404 if there is no such table or record
        """
        record = self._record(table_id, record_id)
        attachment = {
            "id": file.id,
            "name": file.name,
            "contentType": file.content_type,
            "size": file.size,
            "createdAt": now_text(),
        }
        record.attachments[file.id] = attachment
        self._files[file.id] = file
        self._counts.attachment_created()
        return attachment

    def list_attachments(self, table_id: str, record_id: str) -> JsonObject:
        """Return the attachments of a record, oldest first.

        :raises Refusal: 404 if there is no such table or record
        """
        return {"attachments": list(self._record(table_id, record_id).attachments.values())}

    def require_attachment(self, table_id: str, record_id: str, attachment_id: str) -> None:
        """Check that a record has an attachment.

        :raises Refusal: 404 if there is no such table, record or attachment
        """
        if attachment_id not in self._record(table_id, record_id).attachments:
            raise Refusal(404, "ATTACHMENT_NOT_FOUND", "There is no such attachment.")

    def file(self, attachment_id: str) -> ReceivedFile:
        """Return the file of an attachment.

        :raises Refusal: 404 if there is no such attachment
        """
        try:
            return self._files[attachment_id]
        except KeyError:
            raise Refusal(404, "FILE_NOT_FOUND", "There is no such file.") from None

    def _keep(self, table_id: str, record_id: str, values: JsonObject) -> JsonObject:
        now = now_text()
        record = {"id": record_id, "version": 1, "createdAt": now, "updatedAt": now, **values}
        self._records[table_id, record_id] = _Record(record)
        self._record_ids.add(record_id)
        return record

    def _table(self, table_id: str) -> Table:
        try:
            return self.tables[table_id]
        except KeyError:
            raise Refusal(404, "TABLE_NOT_FOUND", "There is no such table.") from None

    def _record(self, table_id: str, record_id: str) -> _Record:
        self._table(table_id)
        try:
            return self._records[table_id, record_id]
        except KeyError:
            raise _no_record() from None


def _no_record() -> Refusal:
    return Refusal(404, "RECORD_NOT_FOUND", "There is no such record.")


def _invalid(message: str) -> Refusal:
    return Refusal(400, "VALIDATION_FAILED", message)
