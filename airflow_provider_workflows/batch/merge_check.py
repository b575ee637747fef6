"""Whether the outputs of all shards together are the table that was sharded: each of its rows once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.shard_reference import salt_of
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.storage import shown

#: Python takes 48 bytes for a digest of 15; of a billion keys no two have the same.
_KEY_DIGEST_BYTES = 15
_SHOWN_ROWS = 5
_CLEAR_ALL = (
    "Clear `shard` with all batch tasks, then merge again: rows that are as before keep what they have"
)


def require_whole_table(
    shards: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]] | None
) -> None:
    """Return if the outputs of all shards together have each row of the table, and each key once.

    The keys are read from the outputs. Messages name rows and shards, never a key.

    :param shards: the summaries of all batch tasks, in the order of the shards
    :param references: what ``shard`` returned last; None if only the batch tasks' own references are compared
    :raises InvalidInput: naming what is missing, doubled or of another table
    """
    if twice := [uri for uri, times in Counter(shard["output"] for shard in shards).items() if times > 1]:
        raise InvalidInput(
            f"more than one shard wrote {shown(twice[0])}, so only the last one's rows are there: "
            "give each an output of its own"
        )
    _require_one_table(shards)
    _require_all_rows(shards, references)
    if references is not None:
        _require_latest(shards, references)
    _require_keys_once(shards)


def _require_one_table(shards: Sequence[Mapping[str, Any]]) -> None:
    salts = [salt_of(shard["sharding"]["digest"]) if "sharding" in shard else "" for shard in shards]
    for index, salt in enumerate(salts):
        if salt != salts[0]:
            raise InvalidInput(
                f"shards 0 and {index} (their map indexes) are of different runs of `shard`, between which the "
                f"file may have changed. {_CLEAR_ALL}"
            )


def _require_all_rows(
    shards: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]] | None
) -> None:
    """Raise if rows are in no summary: Airflow leaves out a mapped task that has returned nothing."""
    passed_over = any("rows_before" in shard.get("sharding", {}) for shard in shards)
    next_row = 1
    for shard in shards:
        # Where rows were passed over, the numbers of rows have gaps, and the shard says how many were before it.
        before = shard.get("sharding", {}).get("rows_before", shard["first_row"] - 1)
        if before + 1 != next_row:
            _raise_missing(next_row, before, passed_over=passed_over)
        next_row += shard["rows"]
    if references is None:
        all_rows = shards[0].get("sharding", {}).get("all_rows", 0)
    else:
        all_rows = sum(each["rows"] for each in references)
    if next_row <= all_rows:
        _raise_missing(next_row, all_rows, passed_over=passed_over)


def _raise_missing(first: int, last: int, *, passed_over: bool) -> NoReturn:
    # Which numbers they have in the file is not known here.
    counted_how = ", counted without those that where passes over," if passed_over else ""
    raise InvalidInput(
        f"rows {first:,} to {last:,}{counted_how} are in no summary: their batch task failed, was skipped or has "
        "not run. Clear it, then merge again"
    )


def _require_latest(shards: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]) -> None:
    for index, (shard, reference) in enumerate(zip(shards, references, strict=False)):
        if shard.get("sharding", {}).get("digest") != reference.get("digest"):
            raise InvalidInput(
                f"shard {index} (its map index) has run the rows of an earlier run of `shard`, and the file may "
                f"have changed since. {_CLEAR_ALL}"
            )


def _require_keys_once(shards: Sequence[Mapping[str, Any]]) -> None:
    """Raise if an output has other rows than its summary says, or a key that another row has."""
    digests: set[bytes] = set()
    doubled: dict[bytes, str] = {}
    rows = repeated = 0
    for index, shard in enumerate(shards):
        rows_before = rows
        for number, digest in _key_digests(index, shard):
            rows += 1
            if digest is None:
                continue
            if digest in digests:
                repeated += 1
                if len(doubled) < _SHOWN_ROWS:
                    doubled.setdefault(digest, _row(index, number))
            digests.add(digest)
        if rows - rows_before != shard["rows"]:
            raise InvalidInput(
                f"the output of shard {index} (its map index) has {counted(rows - rows_before, 'row')}, and its "
                f"summary says {shard['rows']:,}: something else has written there. Clear that batch task, then "
                "merge again"
            )
    if doubled:
        pairs = [f"{_first_row_with(digest, shards)} and {row}" for digest, row in doubled.items()]
        raise InvalidInput(
            f"{repeated:,} of {counted(rows, 'row')} repeat the key of an earlier row, so as many are "
            f"missing: {'; '.join(pairs)}. The file has changed between the shards. {_CLEAR_ALL}"
        )


def _first_row_with(key_digest: bytes, shards: Sequence[Mapping[str, Any]]) -> str:
    for index, shard in enumerate(shards):
        for number, digest in _key_digests(index, shard):
            if digest == key_digest:
                return _row(index, number)
    raise LookupError


def _row(index: int, number: int) -> str:
    return f"row {number:,} of shard {index}"


def _key_digests(index: int, shard: Mapping[str, Any]) -> Iterator[tuple[int, bytes | None]]:
    """Yield for each row its number, which is that of the input, and the digest of its key; None without a key."""
    try:
        for number, key in read_output(shard["output"]).row_keys():
            # A row that was skipped may have no key.
            digest = hashlib.blake2b(key.encode(), digest_size=_KEY_DIGEST_BYTES).digest()
            yield number, digest if key else None
    except FileNotFoundError:
        raise InvalidInput(
            f"the output of shard {index} (its map index) is not there any more: {shown(shard['output'])}. Clear "
            "that batch task, then merge again: rows that have succeeded are not submitted again"
        ) from None
