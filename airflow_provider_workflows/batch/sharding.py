"""A table in parts: references to the rows of each shard, and one index of what all shards wrote."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import require_json_object
from airflow_provider_workflows.arguments import choice, refuse, whole_number
from airflow_provider_workflows.batch.input.items import (
    DUPLICATE_KEY,
    DUPLICATE_NUMBER,
    SHOWN_BAD_ROWS,
    Items,
    ShardDigest,
    raise_for,
    read_items,
)
from airflow_provider_workflows.batch.input.rows import BadRow
from airflow_provider_workflows.batch.output import read_keys, read_output
from airflow_provider_workflows.storage import ObjectStoragePath, forget_listing, shown, storage_path
from airflow_provider_workflows.whole_files import replacing, require_writable, write_whole

Columns: TypeAlias = "Mapping[str, str | None]"

_ITEMS_NAME, _INDEX_NAME, _INDEX_VERSION = "items.jsonl", "index.json", 1
#: Of a key: of a hundred thousand keys no two have the same.
_KEY_DIGEST_BYTES = 15
_SUMMARY_TYPES = {"output": str, "first_row": int, "rows": int, "outcomes": Mapping, "statuses": Mapping}


def references(
    items: Items,
    size: int,
    *,
    columns: Columns | None = None,
    on_bad_row: str = "fail",
    zero_pad: Mapping[str, int] | None = None,
    folder: str | None = None,
    max_shards: int = 1024,
) -> list[dict[str, Any]]:
    """Check all items, and return references to ``size`` rows of them each.

    :param items: the rows, as ``read_items`` takes them, but not a shard's reference
    :param size: rows in a shard
    :param columns: the field of each column that is named otherwise; None leaves a column out
    :param on_bad_row: ``"fail"``, or ``"skip"`` to leave bad rows to the batch tasks; a key that two rows have is
        refused in any case
    :param zero_pad: number of digits to which numbers in ``personal_number`` and ``company_number`` are padded
    :param folder: where to write items that come as a list, for the shards to read
    :param max_shards: the largest number of mapped tasks that Airflow takes
    :raises InvalidInput: if an argument or the items cannot be right, or there are too many shards
    """
    whole_number("size", size, at_least=1)
    choice("on_bad_row", on_bad_row, ("fail", "skip"))
    uri = str(_place(items, folder))
    rows, digests = _check(items, size, columns, zero_pad, fail=on_bad_row == "fail")
    shards = len(digests)
    if shards > max_shards:
        raise InvalidInput(
            f"{rows} rows in shards of {size} make {shards} shards, and Airflow maps over {max_shards} at most "
            f"([core] max_map_length): a size of {math.ceil(rows / max_shards)} fits"
        )
    if not isinstance(items, (str, ObjectStoragePath)):
        with replacing(ObjectStoragePath(uri)) as file:
            file.writelines(_line(row, columns or {}) for row in items)
    return [
        {"items": uri, "first_row": first, "rows": min(size, rows - first + 1), "digest": digest}
        for first, digest in zip(range(1, rows + 1, size), digests, strict=True)
    ]


def _place(items: Items, folder: str | None) -> ObjectStoragePath:
    """Return where the shards read: the items' own file, or one in ``folder``."""
    if isinstance(items, (str, ObjectStoragePath)):
        return storage_path("items", items)
    if isinstance(items, Mapping) or not isinstance(items, Sequence):
        refuse("items", "a URI or a list", items)
    if folder is None:
        raise InvalidInput(
            "items is a list: give a folder to write it to, where the shards can read it, "
            "such as folder='s3://bucket/run'"
        )
    path = storage_path("folder", folder)
    require_writable("folder", path)
    return path / _ITEMS_NAME


def _check(
    items: Items, size: int, columns: Columns | None, zero_pad: Mapping[str, int] | None, *, fail: bool
) -> tuple[int, list[str]]:
    """Return the number of rows, and the digest of each shard."""
    rows = bad_count = 0
    bad: list[BadRow] = []
    digests: list[ShardDigest] = []
    for rows, row in enumerate(read_items(items, columns, zero_pad=zero_pad), 1):
        if len(digests) * size < rows:
            digests.append(ShardDigest())
        digests[-1].take(row)
        # A batch task knows the keys of its own shard only: it cannot skip a row whose key another shard has.
        if isinstance(row, BadRow) and (fail or _has_duplicate_key(row)):
            bad_count += 1
            if len(bad) < SHOWN_BAD_ROWS:
                bad.append(row)
    if bad:
        raise_for(bad, bad_count, rows)
    return rows, [str(digest) for digest in digests]


def _has_duplicate_key(row: BadRow) -> bool:
    return any(reason in (DUPLICATE_KEY, DUPLICATE_NUMBER) for _, reason in row.problems)


def _line(row: object, columns: Columns) -> bytes:
    """Return a row of a list as a line, without the columns that are left out, which need not be JSON."""
    kept = row
    if isinstance(row, Mapping):
        kept = {name: value for name, value in row.items() if columns.get(name, "") is not None}
    try:
        plain: object = require_json_object("row", kept)
    except InvalidInput:
        # A bad row, which must stay bad: null is not a row.
        plain = None
    return f"{json.dumps(plain, ensure_ascii=False)}\n".encode()


def write_index(
    summaries: Iterable[Mapping[str, Any]], output: str, references: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Write one index of what all shards wrote, ``index.json``, and return its URI and the sums.

    :param summaries: what the batch tasks returned, in the order of the shards
    :param output: URI of the folder to write the index to
    :param references: what ``references`` returned, to see whether the last shards are there
    :raises InvalidInput: if rows are in no summary, or the index cannot be written
    """
    folder = storage_path("output", output)
    require_writable("output", folder)
    if isinstance(summaries, (str, Mapping)) or not isinstance(summaries, Iterable):
        refuse("summaries", "a list of summaries", summaries)
    # Airflow gives what mapped tasks returned as a sequence that sends one request for each item, or for a slice.
    all_summaries = summaries[:] if isinstance(summaries, Sequence) else summaries
    shards = [_require_summary(index, summary) for index, summary in enumerate(all_summaries)]
    if not shards:
        raise InvalidInput("summaries is empty: no shard has a summary, so there is nothing to merge")
    if twice := [uri for uri, times in Counter(shard["output"] for shard in shards).items() if times > 1]:
        raise InvalidInput(
            f"more than one shard wrote {shown(twice[0])}, so only the last one's rows are there: "
            "give each an output of its own"
        )
    _require_all_rows(shards, None if references is None else sum(each["rows"] for each in references))
    if references is not None:
        _require_digests(shards, references)
    _require_keys_once(shards)
    sums = {
        "rows": sum(shard["rows"] for shard in shards),
        "outcomes": _sum(shard["outcomes"] for shard in shards),
        "statuses": _sum(shard["statuses"] for shard in shards),
    }
    listed = [{name: shard[name] for name in ("output", "rows", "outcomes")} for shard in shards]
    index = {"version": _INDEX_VERSION, **sums, "shards": listed}
    path = folder / _INDEX_NAME
    write_whole(path, f"{json.dumps(index, ensure_ascii=False, indent=2)}\n".encode())
    return {"index": str(path), **sums, "shards": len(shards)}


def _require_all_rows(shards: Iterable[Mapping[str, Any]], rows: int | None) -> None:
    """Raise if rows are in no summary: Airflow leaves out a mapped task that has returned nothing."""
    next_row = 1
    for shard in shards:
        if shard["first_row"] != next_row:
            _raise_missing(next_row, shard["first_row"] - 1)
        next_row += shard["rows"]
    if rows is not None and next_row <= rows:
        _raise_missing(next_row, rows)


def _require_digests(shards: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]) -> None:
    """Raise if a summary is of other rows than those that `shard` has read last."""
    for index, (shard, reference) in enumerate(zip(shards, references, strict=False)):
        if shard.get("shard_digest") != reference.get("digest"):
            raise InvalidInput(
                f"shard {index} (its map index) has run other rows than those that `shard` has read last: the file "
                "has changed in between. Clear `shard` together with all batch tasks, then merge again: rows that "
                "are as before keep what they have"
            )


def _require_keys_once(shards: Iterable[Mapping[str, Any]]) -> None:
    """Raise if a key is in no output or in two: then the file has changed between the shards."""
    digests: set[bytes] = set()
    rows = 0
    for index, shard in enumerate(shards):
        before = rows
        for key in read_keys(shard["output"]):
            rows += 1
            digests.add(hashlib.blake2b(key.encode(), digest_size=_KEY_DIGEST_BYTES).digest())
        if rows - before != shard["rows"]:
            raise InvalidInput(
                f"the output of shard {index} (its map index) has {rows - before:,} rows, and its summary says "
                f"{shard['rows']:,}: something else has written there. Clear that batch task, then merge again"
            )
        if len(digests) < rows:
            raise InvalidInput(
                f"{rows - len(digests):,} rows of shard {index} (its map index) have a key that an earlier row "
                "has, so as many are missing: the file has changed between the shards. Clear `shard` together "
                "with all batch tasks, then merge again: rows that are as before keep what they have"
            )


def _raise_missing(first: int, last: int) -> NoReturn:
    raise InvalidInput(
        f"rows {first:,} to {last:,} are in no summary: their batch task failed, was skipped or has not run. "
        "Clear it, then merge again"
    )


def _require_summary(index: int, summary: object) -> Mapping[str, Any]:
    if summary is None:
        raise InvalidInput(
            f"shard {index} (its map index) has no summary: its batch task failed, was skipped or has not run. "
            "Clear it, then merge again"
        )
    if not isinstance(summary, Mapping) or not all(
        isinstance(summary.get(name), kind) for name, kind in _SUMMARY_TYPES.items()
    ):
        raise InvalidInput(f"shard {index} (its map index) returned what is not a summary of a batch task")
    return summary


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def read_index(uri: ObjectStoragePath | str) -> Iterator[dict[str, Any]]:
    """Yield the rows of all shards' outputs, in order.

    :param uri: the index that ``merge`` wrote
    :raises InvalidInput: if it is not an index
    :raises FileNotFoundError: if it, or an output that it lists, is not there
    """
    path = storage_path("uri", uri)
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
    for output in outputs:
        yield from read_output(output)
