"""The endpoints for tables, records, attachments and resources, which know no versions."""

from __future__ import annotations

from airflow_provider_workflows.api.models import ResponseBody
from airflow_provider_workflows.sandbox.received_files import ReceivedFile
from airflow_provider_workflows.sandbox.responses import JsonObject, StoredFile
from airflow_provider_workflows.sandbox.route import Call, Route
from airflow_provider_workflows.sandbox.service import Service
from airflow_provider_workflows.sandbox.workflows import WORKSPACE

RECORDS = "/tables/{tableId}/records"
RECORD = f"{RECORDS}/{{recordId}}"
ATTACHMENTS = f"{RECORD}/attachments"
FILES = "/files"


class Record(ResponseBody):
    """A record: the fields that it was given, and those of the service."""

    id: str
    version: int
    created_at: str
    updated_at: str


class Attachment(ResponseBody):
    """An attachment of a record. Beyond its id, what the service says of it is unknown."""

    id: str
    name: str
    content_type: str
    size: int
    created_at: str


class Attachments(ResponseBody):
    """The attachments of a record. How the service lists them is unknown."""

    attachments: list[Attachment]


class AttachmentLink(ResponseBody):
    """A signed link to an attachment, which holds for a short time."""

    link: str


class Resource(ResponseBody):
    """An uploaded file, as a case's ``documents`` name it."""

    resource_id: str
    resource_name: str
    resource_path: str


def _resource(service: Service, call: Call) -> JsonObject:
    file: ReceivedFile = call.body
    service.counts.resource_created()
    return {
        "resourceId": file.id,
        "resourceName": file.name,
        "resourcePath": f"resources/{WORKSPACE}/{file.id}/{file.name}",
    }


def _attach(service: Service, call: Call) -> JsonObject:
    return service.tables.attach(call.ids["tableId"], call.ids["recordId"], call.body)


def _link(service: Service, call: Call) -> JsonObject:
    attachment_id = call.ids["attachmentId"]
    service.tables.require_attachment(call.ids["tableId"], call.ids["recordId"], attachment_id)
    return {"link": service.links.link(f"{call.base_url}{FILES}/{attachment_id}", attachment_id)}


def _file(service: Service, call: Call) -> StoredFile:
    file_id = call.ids["fileId"]
    service.links.check(file_id, call.query.get("expires"), call.query.get("signature"))
    return service.tables.file(file_id).stored


TABLE_ROUTES = (
    Route(
        "POST",
        RECORDS,
        "Create a record",
        operation=lambda service, call: service.tables.create_record(call.ids["tableId"], call.body),
        response=Record,
        refusals=(400, 401, 403, 404, 413, 415),
        receives="object",
        success=201,
        scopes=("can_edit_data",),
    ),
    Route(
        "GET",
        RECORD,
        "Read a record",
        operation=lambda service, call: service.tables.read_record(call.ids["tableId"], call.ids["recordId"]),
        response=Record,
        refusals=(401, 403, 404),
        scopes=("can_read_data",),
    ),
    Route(
        "POST",
        ATTACHMENTS,
        "Attach a file to a record",
        operation=_attach,
        response=Attachment,
        refusals=(400, 401, 403, 404, 413, 415),
        receives="kept file",
        success=201,
        scopes=("can_edit_attachments",),
    ),
    Route(
        "GET",
        ATTACHMENTS,
        "List the attachments of a record",
        operation=lambda service, call: service.tables.list_attachments(
            call.ids["tableId"], call.ids["recordId"]
        ),
        response=Attachments,
        refusals=(401, 403, 404),
        scopes=("can_read_attachments",),
    ),
    Route(
        "GET",
        f"{ATTACHMENTS}/{{attachmentId}}",
        "Obtain a link to an attachment",
        operation=_link,
        response=AttachmentLink,
        refusals=(401, 403, 404),
        scopes=("can_read_attachments",),
    ),
    Route(
        "GET",
        f"{FILES}/{{fileId}}",
        "Download the file that a signed link leads to (the sandbox's own)",
        operation=_file,
        response=None,
        refusals=(400, 403, 404),
        authenticated=False,
        query={"expires": "string", "signature": "string"},
    ),
    Route(
        "POST",
        "/resources",
        "Upload a file",
        operation=_resource,
        response=Resource,
        refusals=(400, 401, 413, 415),
        receives="file",
        success=201,
    ),
)
