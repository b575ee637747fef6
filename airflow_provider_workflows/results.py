"""Results by reference: a result as a file, a small handle in its place, and a selection of its fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import NotRequired

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.file_handle import FileHandle
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.storage import shown, storage_path
from airflow_provider_workflows.whole_files import write_whole

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


class ResultHandle(FileHandle):
    """Where a workflow's result is, and what identifies it, but nothing out of it. Fit for an XCom.

    Besides what each ``FileHandle`` has, the ``workflow_id``, ``case_id`` where the result names it, and the
    workflow's ``status``. With ``hash_personal_numbers`` also ``personal_number_hash``, None without a personal
    number. Of a run of generation 3 also ``revision`` and ``execution_version``, as the service names them.
    """

    workflow_id: str
    case_id: str | None
    status: str
    personal_number_hash: NotRequired[str | None]
    revision: NotRequired[int | str]
    execution_version: NotRequired[int | str]


_HANDLE_TYPES: Mapping[str, type] = {"uri": str, "size": int, "sha256": str}


def as_json(result: Mapping[str, Any]) -> bytes:
    """Return a result as JSON in UTF-8; the same result gives the same bytes."""
    return json.dumps(result, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def result_path(output_path: object, name: str) -> ObjectStoragePath:
    """Return the file for JSON: ``output_path`` itself if it ends in ``.json``, else a file in that folder.

    :param output_path: URI, absolute path or ``ObjectStoragePath``
    :param name: id of the workflow or of the record, which names the file in a folder
    :raises InvalidInput: if ``output_path`` is not such a place
    """
    path = storage_path("output_path", output_path)
    return path if path.suffix == ".json" else path / f"{name}.json"


class RecordHandle(FileHandle):
    """Where a record is, and its id, but nothing of its fields: for an XCom, and for ``read_result``."""

    record_id: str


def write_record(
    path: ObjectStoragePath, record: Mapping[str, Any], *, record_id: str, mode: int = OWNER_ONLY
) -> RecordHandle:
    """Write a record as JSON, whole or not at all, and return its handle; a file that is there is replaced.

    :param path: what ``result_path`` returned
    :param record: the record
    :param record_id: its id
    :param mode: of the file and of folders that are missing, where they are local
    :raises OSError: if the file cannot be written
    """
    return RecordHandle(**_written(path, record, mode), record_id=record_id)


def write_result(
    path: ObjectStoragePath,
    result: Mapping[str, Any],
    *,
    workflow_id: str,
    case_id: str | None,
    status: str,
    mode: int = OWNER_ONLY,
) -> ResultHandle:
    """Write a result as JSON, whole or not at all, and return its handle; a file that is there is replaced.

    :param path: what ``result_path`` returned
    :param result: the result
    :param workflow_id: id of its workflow
    :param case_id: id of the workflow's case, where the result names it
    :param status: the workflow's status
    :param mode: of the file and of folders that are missing, where they are local
    :raises OSError: if the file cannot be written
    """
    file = _written(path, result, mode)
    return ResultHandle(
        uri=file["uri"],
        size=file["size"],
        sha256=file["sha256"],
        workflow_id=workflow_id,
        case_id=case_id,
        status=status,
    )


def _written(path: ObjectStoragePath, content: Mapping[str, Any], mode: int) -> FileHandle:
    """Write JSON, and return what identifies the file."""
    encoded = as_json(content)
    write_whole(path, encoded, mode)
    return FileHandle(uri=str(path), size=len(encoded), sha256=hashlib.sha256(encoded).hexdigest())


def read_result(handle: Mapping[str, Any], *, select: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the result, or the record, that a handle stands for, if the file is still the one that was written.

    :param handle: what ``GetWorkflowResultOperator`` or ``GetRecordOperator`` returned with ``output_path``
    :param select: JMESPath expressions: only what they find is returned, by expression
    :raises InvalidInput: if it is not a handle, or the file has another size or digest
    :raises FileNotFoundError: if the file is gone
    """
    if not isinstance(handle, Mapping) or not all(
        isinstance(handle.get(name), kind) for name, kind in _HANDLE_TYPES.items()
    ):
        raise InvalidInput(
            "read_result takes the handle that GetWorkflowResultOperator returns when it is given an output_path"
        )
    path = storage_path("uri", handle["uri"])
    size: int = handle["size"]
    with path.open("rb") as file:  # type: ignore[no-untyped-call]
        # One byte more shows that the file is longer, and a file of any length costs no more memory.
        content: bytes = file.read(size + 1)
    if len(content) != size:
        found = f"more than {size:,}" if len(content) > size else f"{len(content):,}"
        raise InvalidInput(f"{shown(path)} has {found} bytes where the handle says {size:,}: it was changed")
    if hashlib.sha256(content).hexdigest() != handle["sha256"]:
        raise InvalidInput(f"{shown(path)} does not have the digest that the handle says: it was changed")
    result: dict[str, Any] = json.loads(content)
    return result if select is None else select_fields(result, require_selection(select))


def require_selection(select: object) -> Sequence[str]:
    """Check expressions that select fields of a result.

    :param select: a list of expressions in JMESPath, the query language for JSON
        (https://jmespath.org/specification.html), such as ``["decision", "checks[0].status"]``
    :raises InvalidInput: naming the expression that JMESPath does not know
    """
    import jmespath  # type: ignore[import-untyped]  # noqa: PLC0415  (few tasks select)
    from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]  # noqa: PLC0415

    if isinstance(select, str) or not isinstance(select, Sequence):
        refuse("select", "a list of expressions such as ['decision', 'checks[0].status']", select)
    if not select:
        raise InvalidInput("select must be a list of expressions such as ['decision'], and it is empty")
    for expression in select:
        if not isinstance(expression, str):
            raise InvalidInput(f"select has an expression that is not text but {type(expression).__name__}")
        try:
            jmespath.compile(expression)
        except JMESPathError as error:
            raise InvalidInput(
                f"select has {expression!r}, which is not a JMESPath expression: {str(error).splitlines()[0]}"
            ) from None
        except RecursionError:
            raise InvalidInput("select has an expression that is nested too deeply") from None
    return select


def select_fields(result: Mapping[str, Any], select: Sequence[str]) -> dict[str, Any]:
    """Return what each expression finds in a result, by the expression; None where it finds nothing.

    :param result: the result
    :param select: what ``require_selection`` returned
    :raises InvalidInput: naming an expression that does not fit what is there, such as a sum of texts
    """
    import jmespath  # noqa: PLC0415  (few tasks select)
    from jmespath.exceptions import JMESPathError  # noqa: PLC0415

    found = {}
    for expression in select:
        try:
            found[expression] = jmespath.search(expression, result)
        except (JMESPathError, TypeError, ValueError):  # noqa: PERF203  (a few)
            # The library's message repeats the value that it found there, which may be personal. Some of its
            # functions raise Python's own errors.
            raise InvalidInput(f"select has {expression!r}, which does not fit the result") from None
    return found
