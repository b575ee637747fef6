"""The bodies of responses about the service's tables, and about files that were uploaded."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import TypedDict

from airflow_provider_workflows.api.models import KeptBody, ResponseBody, ResponseId


class ResourceFields(TypedDict):
    """A resource as the ``documents`` of a case name it."""

    resource_id: str
    resource_name: str
    resource_path: str


class Record(KeptBody):
    """A record: free fields, and those of the service."""

    id: ResponseId


class Resource(ResponseBody):
    """A file that was uploaded, as the ``documents`` of a case name it: by all three."""

    resource_id: ResponseId
    resource_name: str = Field(repr=False, min_length=1)
    resource_path: str = Field(repr=False, min_length=1)

    def document(self) -> ResourceFields:
        """Return what the ``documents`` of a case take; its name and its path may hold the name of a person."""
        return {
            "resource_id": self.resource_id,
            "resource_name": self.resource_name,
            "resource_path": self.resource_path,
        }


class Attachment(ResponseBody):
    """A file that was attached to a record. What else the service says of it is unknown, and is kept."""

    id: ResponseId


class AttachmentLink(ResponseBody):
    """The signed link to an attachment: for a short time, it gives the file to anyone."""

    link: str = Field(repr=False, exclude=True, min_length=1)
