"""What the run of a row is about, created before it: a case with its documents, or a record."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_workflows.api import endpoints

if TYPE_CHECKING:
    from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
    from airflow_provider_workflows.api.uploads import Upload
    from airflow_provider_workflows.batch.input.rows import Row
    from airflow_provider_workflows.batch.row_state import RowState


class Call(Protocol):
    """Makes a call of a row, with the journal written before it, until it succeeds or is given up."""

    async def __call__(
        self, number: int, begun: str, endpoint: Callable[[], Endpoint[ResponseModel]], /
    ) -> ResponseModel:
        """Return the response.

        :param number: the row's number
        :param begun: the call's name in the journal
        :param endpoint: returns the endpoint, with all ids and its body
        """


class RowSubjects:
    """Creates what runs are about. A file is uploaded once in all tries of a batch, whatever rows name it.

    One that has another content than before is another file: the digests of those that were uploaded are compared.

    :param states: the state of each row that has one, by row number; documents in there are not uploaded again
    :param call: makes a call
    :param note: writes a change of a row's state into the journal
    :param table_id: id of the table in which records are created
    """

    def __init__(
        self,
        states: Mapping[int, RowState],
        *,
        call: Call,
        note: Callable[..., None],
        table_id: str | None,
    ) -> None:
        self._call = call
        self._note = note
        self._table_id = table_id or ""
        self._documents: dict[str, Mapping[str, str]] = {
            document["digest"]: document for state in states.values() for document in state.documents or ()
        }
        self._uploading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(
        self, row: Row, state: RowState, checked_file: Callable[[int, str], Awaitable[Upload]]
    ) -> tuple[str | None, str | None]:
        """Return the ids of a row's case and record, of which it has one at most, created if they are missing.

        :param row: the row
        :param state: what the journal says of it
        :param checked_file: checks a file of the row, by the row's number and the file's path
        :raises WorkflowsError: if a call is given up, or a file cannot be uploaded
        """
        number = row.number
        case_id, record_id = row.case_id or state.case_id, row.record_id or state.record_id
        if case_id is None and row.case:
            case = await self._with_documents(row, state, checked_file)
            case_id = (await self._call(number, "case", lambda: endpoints.create_case(case))).case_id
            self._note(number, begun=None, case_id=case_id)
        elif case_id is not None and state.case_id is None:
            self._note(number, case_id=case_id)
        if record_id is None and (fields := row.record) is not None:
            record = await self._call(
                number, "record", lambda: endpoints.create_record(self._table_id, fields)
            )
            record_id = record.id
            self._note(number, begun=None, record_id=record_id)
        elif record_id is not None and state.record_id is None:
            self._note(number, record_id=record_id)
        return case_id, record_id

    async def _with_documents(
        self, row: Row, state: RowState, checked_file: Callable[[int, str], Awaitable[Upload]]
    ) -> Mapping[str, Any]:
        """Return the body of a row's case, with its files among the documents."""
        if not row.files:
            return row.case
        # Each file is read also if an earlier try has uploaded it: it may have been exported anew since.
        documents = [
            await self._uploaded(row.number, await checked_file(row.number, path)) for path in row.files
        ]
        if documents != state.documents:
            self._note(row.number, begun=None, documents=documents)
        uploaded = [
            {name: value for name, value in document.items() if name != "digest"} for document in documents
        ]
        return {**row.case, "documents": [*row.case.get("documents", ()), *uploaded]}

    async def _uploaded(self, number: int, upload: Upload) -> Mapping[str, str]:
        from airflow_provider_workflows.api.file_endpoints import upload_resource  # noqa: PLC0415  (seldom)

        digest = _digest_of(upload)
        # Another row may be uploading the same file.
        async with self._uploading[digest]:
            if digest not in self._documents:
                resource = await self._call(number, "resource", lambda: upload_resource(upload))
                self._documents[digest] = {
                    "digest": digest,
                    "resourceId": resource.resource_id,
                    "resourceName": resource.resource_name,
                    "resourcePath": resource.resource_path,
                }
        return self._documents[digest]


def _digest_of(upload: Upload) -> str:
    """Return the digest of a file's content, its name and what it is: a document of a case says all three."""
    content = [upload.sha256, upload.name, upload.content_type]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
