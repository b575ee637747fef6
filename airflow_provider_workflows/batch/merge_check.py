"""Whether the outputs of all shards together are the table that was sharded: each of its rows once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.shard_digest import salt_of
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.storage import shown

#: Python takes 48 bytes for a digest of 15; of a billion keys no two have the same.
_KEY_DIGEST_BYTES = 15
_SHOWN_ROWS = 5
_SHOWN_RANGES = 20
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
    befores = [*map(_rows_before, shards)]
    missing: list[tuple[int, int]] = []
    next_row = 1
    for before, shard in zip(befores, shards, strict=True):
        if before + 1 < next_row:
            raise InvalidInput(
                f"row {before + 1:,} comes after row {next_row - 1:,} in the summaries: two of them are of the "
                "same rows, or they are not in the order of their shards. Give merge what the batch tasks "
                "returned, as it is: run.output"
            )
        if before + 1 > next_row:
            missing.append((next_row, before))
        next_row = before + shard["rows"] + 1
    if references is None:
        all_rows = shards[0].get("sharding", {}).get("all_rows", 0)
    else:
        all_rows = sum(each["rows"] for each in references)
    if next_row <= all_rows:
        missing.append((next_row, all_rows))
    if missing:
        size = _shard_size(shards, befores, all_rows) if references is None else references[0]["rows"]
        raise _missing_rows(missing, all_rows, size, passed_over=passed_over)


def _rows_before(shard: Mapping[str, Any]) -> int:
    # Where rows were passed over, the numbers of rows have gaps, and the shard says how many were before it.
    before: int = shard.get("sharding", {}).get("rows_before", shard["first_row"] - 1)
    return before


def _shard_size(shards: Sequence[Mapping[str, Any]], befores: Sequence[int], all_rows: int) -> int | None:
    """Return the rows of each shard but the last; None if they are not known."""
    sizes = {
        shard["rows"]
        for before, shard in zip(befores, shards, strict=True)
        if before + shard["rows"] < all_rows and before % shard["rows"] == 0
    }
    return sizes.pop() if len(sizes) == 1 else None


def _missing_rows(
    missing: Sequence[tuple[int, int]], all_rows: int, size: int | None, *, passed_over: bool
) -> InvalidInput:
    # Which numbers they have in the file is not known here.
    counted_how = ", counted without those that where passes over" if passed_over else ""
    one_row = len(missing) == 1 and missing[0][0] == missing[0][1]
    rows = f"{'row' if one_row else 'rows'} {_listed(missing)}{counted_how}"
    if size is None:
        return InvalidInput(
            f"{rows}: no summary has them, because the batch tasks of their shards failed, were skipped or have "
            "not run. Clear these tasks, then merge again. Which tasks they are, merge says where its shards= is "
            "what `shard` returned"
        )
    shards = [((first - 1) // size, (last - 1) // size) for first, last in missing]
    return no_summary(shards, -(-all_rows // size), f", {rows}")


def no_summary(missing: Sequence[tuple[int, int]], shards: int, rows: str = "") -> InvalidInput:
    """Return the error for shards that have no summary.

    :param missing: first and last map index of those that follow on each other
    :param shards: number of all shards
    :param rows: which rows they have, with a comma before it
    """
    number = sum(last - first + 1 for first, last in missing)
    has, those, tasks, these = (
        ("has", "the one", "Its batch task failed, was skipped or has not run", "this task")
        if number == 1
        else ("have", "those", "Their batch tasks failed, were skipped or have not run", "these tasks")
    )
    return InvalidInput(
        f"{number:,} of the {counted(shards, 'shard')} {has} no summary: {those} with map index {_listed(missing)}"
        f"{rows}. {tasks}. Clear {these}, then merge again: rows that have succeeded are not submitted again"
    )


def _listed(ranges: Sequence[tuple[int, int]]) -> str:
    texts = [f"{first:,}" if first == last else f"{first:,} to {last:,}" for first, last in ranges]
    if len(texts) > _SHOWN_RANGES:
        texts[_SHOWN_RANGES:] = [f"{len(texts) - _SHOWN_RANGES:,} more"]
    *others, final = texts
    return f"{', '.join(others)} and {final}" if others else final


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
