"""Results by reference: a result as a file, and a small handle that travels in its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import NotRequired, TypedDict

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.selection import require_selection, selected
from airflow_provider_workflows.storage import shown, storage_path, write_whole

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


class ResultHandle(TypedDict):
    """Where a workflow's result is, and what tells that it is that one, but nothing out of it. Fit for an XCom.

    ``uri`` of the file as ``output_path`` spells it, ``workflow_id``, ``case_id`` where the result names it, the
    workflow's ``status``, the file's ``size`` in bytes, and its ``sha256`` in hexadecimal. With
    ``hash_personal_numbers`` also ``personal_number_hash``, None where the result has no personal number.
    """

    uri: str
    workflow_id: str
    case_id: str | None
    status: str
    size: int
    sha256: str
    personal_number_hash: NotRequired[str | None]


_TYPES: Mapping[str, type] = {"uri": str, "size": int, "sha256": str}


def as_json(result: Mapping[str, Any]) -> bytes:
    """Return a result as JSON in UTF-8; the same result gives the same bytes."""
    return json.dumps(result, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def result_path(output_path: object, workflow_id: str) -> ObjectStoragePath:
    """Return the file for a result: ``output_path`` itself when it ends in ``.json``, else a file in that folder.

    :param output_path: URI, absolute path or ``ObjectStoragePath``
    :param workflow_id: which names the file in a folder
    :raises InvalidInput: when it is no such place
    """
    path = storage_path("output_path", output_path)
    return path if path.suffix == ".json" else path / f"{workflow_id}.json"


def write_result(
    path: ObjectStoragePath,
    result: Mapping[str, Any],
    *,
    workflow_id: str,
    case_id: str | None,
    status: str,
) -> ResultHandle:
    """Write a result as JSON, whole or not at all, and return its handle. What was there is replaced.

    :raises OSError: when it could not be written
    """
    content = as_json(result)
    write_whole(path, content)
    return ResultHandle(
        uri=str(path),
        workflow_id=workflow_id,
        case_id=case_id,
        status=status,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def read_result(handle: Mapping[str, Any], *, select: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the result that a handle stands for, when the file is still the one that was written.

    :param handle: what ``GetWorkflowResultOperator`` returned with ``output_path``
    :param select: JMESPath expressions: only what they find, by expression
    :raises InvalidInput: when it is no handle, or the file has another size or digest
    :raises FileNotFoundError: when the file is gone
    """
    if not isinstance(handle, Mapping) or not all(
        isinstance(handle.get(name), kind) for name, kind in _TYPES.items()
    ):
        raise InvalidInput(
            "read_result takes the handle that GetWorkflowResultOperator returns when it is given an output_path"
        )
    path = storage_path("uri", handle["uri"])
    size: int = handle["size"]
    with path.open("rb") as file:  # type: ignore[no-untyped-call]
        # One byte more shows that there is more, and a file of any length is no burden.
        content: bytes = file.read(size + 1)
    if len(content) != size:
        found = f"more than {size:,}" if len(content) > size else f"{len(content):,}"
        raise InvalidInput(f"{shown(path)} has {found} bytes where the handle says {size:,}: it was changed")
    if hashlib.sha256(content).hexdigest() != handle["sha256"]:
        raise InvalidInput(f"{shown(path)} does not have the digest that the handle says: it was changed")
    result: dict[str, Any] = json.loads(content)
    return result if select is None else selected(result, require_selection(select))
