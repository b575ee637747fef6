"""A table in parts: references to the rows of each shard, and one index of what all shards wrote."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import require_json_object
from airflow_provider_workflows.arguments import choice, refuse, whole_number
from airflow_provider_workflows.batch.input.bad_rows import BadRows
from airflow_provider_workflows.batch.input.columns import RECORD_PREFIX, Fields, fields_of
from airflow_provider_workflows.batch.input.items import Items, read_items
from airflow_provider_workflows.batch.input.keys import DUPLICATE_KEY, DUPLICATE_NUMBER
from airflow_provider_workflows.batch.input.options import AS_IT_IS, InputOptions
from airflow_provider_workflows.batch.input.query_file import NOT_JSON_IN_RECORD, json_of_decimal, lines_of
from airflow_provider_workflows.batch.input.reading import Note, no_note
from airflow_provider_workflows.batch.input.rows import BadRow
from airflow_provider_workflows.batch.input.shard_digest import ShardDigest, new_salt
from airflow_provider_workflows.batch.input.shard_reference import ShardReference
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.input.subjects import json_fields
from airflow_provider_workflows.batch.input.table_items import refuse_table
from airflow_provider_workflows.batch.input.zero_pad import zero_padded
from airflow_provider_workflows.batch.merge_check import no_summary, require_whole_table
from airflow_provider_workflows.batch.output import OutputRows
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.storage import (
    ObjectStoragePath,
    forget_listing,
    from_working_directory,
    shown,
    storage_path,
)
from airflow_provider_workflows.whole_files import replacing, require_writable, write_whole

if TYPE_CHECKING:
    from pathlib import Path

_ITEMS_NAME, _INDEX_NAME, _INDEX_VERSION = "items.jsonl", "index.json", 1
log = logging.getLogger(__name__)

_SUMMARY_TYPES = {"output": str, "first_row": int, "rows": int, "outcomes": Mapping, "statuses": Mapping}


def references(
    items: Items,
    size: int,
    *,
    options: InputOptions = AS_IT_IS,
    on_bad_row: str = "fail",
    folder: str | None = None,
    max_shards: int = 1024,
    again: bool = False,
) -> list[dict[str, Any]]:
    """Check all items, and return references to ``size`` rows of them each.

    :param items: the rows, as ``read_items`` takes them, but not a shard's reference
    :param size: rows in a shard
    :param options: how the items are read
    :param on_bad_row: ``"fail"``, or ``"skip"`` to leave bad rows to the batch tasks; a key that two rows have is
        refused in any case
    :param folder: where to write items that come as a list or from a query, for the shards to read
    :param max_shards: the largest number of mapped tasks that Airflow takes
    :param again: whether this may have been done before for the same batch tasks
    :raises InvalidInput: if an argument or the items cannot be right, or there are too many shards
    :raises DatabaseFailed: if the database of a query cannot be used
    """
    whole_number("size", size, at_least=1)
    choice("on_bad_row", on_bad_row, ("fail", "skip"))
    uri = str(_place(items, folder))
    if isinstance(items, SqlQuery):
        # With the rows that an earlier call has read.
        items = items.copy()
    rows, checked = _check(items, size, options, fail=on_bad_row == "fail", warn=log.warning)
    shards = len(checked)
    if shards > max_shards:
        raise InvalidInput(
            f"{rows} rows in shards of {size} make {shards} shards, and Airflow maps over {max_shards} at most "
            f"([core] max_map_length): a size of {math.ceil(rows / max_shards)} fits"
        )
    key = None
    if isinstance(items, SqlQuery):
        key = items.key_column
        with replacing(ObjectStoragePath(uri)) as file:
            file.writelines(lines_of(items, options))
        written = ShardReference(uri, 1, rows, key=key).to_json()
        rows, checked = _check(written, size, options, fail=on_bad_row == "fail")
    elif not isinstance(items, (str, ObjectStoragePath)):
        fields = fields_of(options.columns)
        with replacing(ObjectStoragePath(uri)) as file:
            # The user's functions may need a column that is left out.
            dropped = not options.functions.names
            file.writelines(_line(row, fields, options.zero_pad or {}, drops=dropped) for row in items)
        # What is not JSON in a bad row is written otherwise, and the batch tasks see what is written.
        rows, checked = _check(uri, size, options, fail=on_bad_row == "fail")
    befores = range(0, rows, size)
    return [
        ShardReference(
            uri,
            shard.first_row,
            min(size, rows - before),
            rows,
            str(shard.digest),
            again,
            None if options.where is None else before,
            key,
        ).to_json()
        for shard, before in zip(checked, befores, strict=True)
    ]


class _CheckedShard(NamedTuple):
    """The number of a shard's first row, and the digest of its rows."""

    first_row: int
    digest: ShardDigest


def _place(items: Items, folder: str | None) -> ObjectStoragePath:
    """Return where the shards read: the items' own file, or one in ``folder``."""
    if isinstance(items, (str, ObjectStoragePath)):
        return storage_path("items", items)
    is_query = isinstance(items, SqlQuery)
    refuse_table(items)
    if not is_query and (isinstance(items, Mapping) or not isinstance(items, Sequence)):
        refuse("items", "a URI, a list or a SqlQuery", items)
    if folder is None:
        raise InvalidInput(
            f"items is a {'query' if is_query else 'list'}: give a folder to write its rows to, where the shards "
            "can read them, such as folder='s3://bucket/run'"
        )
    path = storage_path("folder", folder)
    require_writable("folder", path)
    return path / _ITEMS_NAME


def _check(
    items: Items, size: int, options: InputOptions, *, fail: bool, warn: Note = no_note
) -> tuple[int, list[_CheckedShard]]:
    """Return the number of rows that are not passed over, and the first row and the digest of each shard."""
    rows = 0
    bad = BadRows()
    shards: list[_CheckedShard] = []
    salt = new_salt()
    for rows, row in enumerate(read_items(items, options, note=log.info, warn=warn), 1):
        if len(shards) * size < rows:
            shards.append(_CheckedShard(row.number, ShardDigest(salt)))
        shards[-1].digest.take(row)
        # A batch task knows the keys of its own shard only: it cannot skip a row whose key another shard has.
        if isinstance(row, BadRow) and (fail or _has_duplicate_key(row)):
            bad.add(row)
    bad.require_none(rows)
    return rows, shards


def _has_duplicate_key(row: BadRow) -> bool:
    return any(reason in (DUPLICATE_KEY, DUPLICATE_NUMBER) for _, reason in row.problems)


def _line(row: object, fields: Fields, zero_pad: Mapping[str, int], *, drops: bool) -> bytes:
    """Return a row of a list as a line of JSON, where it ``drops`` without the columns that are left out."""
    plain: object = None
    if isinstance(row, Mapping) and all(isinstance(name, str) for name in row):
        plain = {
            name: _json_value(value, zero_pad.get(fields.of(name) or ""), fields.of(name) or "")
            for name, value in row.items()
            if not drops or fields.of(name) is not None
        }
    # Another row than a dict is a bad row, which must stay bad: null is not a row.
    return f"{json.dumps(plain, ensure_ascii=False)}\n".encode()


def _json_value(value: Any, digits: int | None, field: str) -> Any:
    """Return a value of a row as JSON; one that JSON cannot express makes a bad row, which must stay bad."""
    try:
        if field == "record":
            return json_fields(value) if isinstance(value, Mapping) else value
        if field.startswith(RECORD_PREFIX):
            return json_fields({"": value})[""]
        if digits is not None:
            value = zero_padded(field, value, digits)
        elif isinstance(value, Decimal):
            return json_of_decimal(field, value)
        return require_json_object("row", {"": value})[""]
    except InvalidInput:
        # Of the type of no field.
        return NOT_JSON_IN_RECORD if field.startswith(RECORD_PREFIX) else [[]]


def write_index(
    summaries: Iterable[Mapping[str, Any]],
    output: str,
    references: Sequence[Mapping[str, Any]] | None = None,
    *,
    mode: int = OWNER_ONLY,
) -> dict[str, Any]:
    """Write one index of what all shards wrote, ``index.json``, and return its URI and the sums.

    :param summaries: what the batch tasks returned, in the order of the shards
    :param output: URI of the folder to write the index to
    :param references: what ``references`` returned last, to see whether the shards have run these rows
    :param mode: of the index and of folders that are missing, where they are local
    :raises InvalidInput: if a row is missing, a key is in two outputs, or the index cannot be written
    """
    folder = storage_path("output", output)
    require_writable("output", folder, mode)
    if isinstance(summaries, (str, Mapping)) or not isinstance(summaries, Iterable):
        refuse("summaries", "a list of summaries", summaries)
    # Airflow gives what mapped tasks returned as a sequence that sends one request for each item, or for a slice.
    all_summaries = summaries[:] if isinstance(summaries, Sequence) else [*summaries]
    if missing := [(index, index) for index, summary in enumerate(all_summaries) if summary is None]:
        raise no_summary(missing, len(all_summaries))
    shards = [_require_summary(index, summary) for index, summary in enumerate(all_summaries)]
    if not shards:
        raise InvalidInput(
            "summaries is empty: no shard has a summary, so there is nothing to merge. All of the batch tasks "
            "failed, were skipped or have not run: clear them, then merge again"
        )
    require_whole_table(shards, references)
    sums = {
        "rows": sum(shard["rows"] for shard in shards),
        "outcomes": _sum(shard["outcomes"] for shard in shards),
        "statuses": _sum(shard["statuses"] for shard in shards),
    }
    listed = [{name: shard[name] for name in ("output", "rows", "outcomes")} for shard in shards]
    index = {"version": _INDEX_VERSION, **sums, "shards": listed}
    path = folder / _INDEX_NAME
    write_whole(path, f"{json.dumps(index, ensure_ascii=False, indent=2)}\n".encode(), mode)
    return {"index": str(path), **sums, "shards": len(shards)}


def _require_summary(index: int, summary: object) -> Mapping[str, Any]:
    if not isinstance(summary, Mapping) or not (
        all(isinstance(summary.get(name), kind) for name, kind in _SUMMARY_TYPES.items())
        and isinstance(summary.get("sharding", {}), Mapping)
    ):
        raise InvalidInput(f"shard {index} (its map index) returned what is not a summary of a batch task")
    return summary


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def read_index(uri: ObjectStoragePath | Path | str) -> OutputRows:
    """Return the rows of all shards' outputs, in order, as ``read_output`` returns those of one.

    :param uri: the index that ``merge`` wrote. A relative path is one of the working directory
    :raises InvalidInput: if it is not an index
    :raises FileNotFoundError: if it, or an output that it lists, is not there
    """
    path = storage_path("uri", from_working_directory(uri))
    forget_listing(path)
    try:
        with path.open("rb") as file:  # type: ignore[no-untyped-call]
            index = json.load(file)
        outputs = [shard["output"] for shard in index["shards"]]
        is_index = index["version"] == _INDEX_VERSION
    except (ValueError, LookupError, TypeError):
        is_index = False
    if not is_index:
        raise InvalidInput(f"{shown(path)} is not the index of a batch")
    return OutputRows([storage_path("uri", output) for output in outputs])
