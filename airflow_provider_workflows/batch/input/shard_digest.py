"""The digest of a shard's rows, by which its batch task sees whether they are the same still."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.checked_columns import Checked, OrdinaryRows
from airflow_provider_workflows.batch.input.rows import BadRow, Row

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.shard_reference import ShardReference

_DIGEST_BYTES = 16


def compared(shard: ShardReference, rows: Iterator[Checked]) -> Iterator[Checked]:
    """Yield the shard's rows, and raise at their end if they are not those that ``shard`` has read.

    :param shard: the shard, as ``shard`` has read it
    :param rows: the rows that are there now
    :raises InvalidInput: if they have changed
    """
    if shard.digest is None:
        yield from rows
        return
    found = ShardDigest(salt_of(shard.digest))
    for row in rows:
        for each in row if isinstance(row, OrdinaryRows) else (row,):
            found.take(each)
        yield row
    if str(found) != shard.digest:
        raise InvalidInput(
            "items: the rows of this shard are not those that `shard` has read. The file has changed since, or "
            "columns, zero_pad or another argument that says how items are read differs between the two, or "
            "where or transform give something else each time. Clear `shard` together with the batch tasks"
        )


class ShardDigest:
    """The digest of a shard's rows: of all that is sent for them, and of their numbers.

    :param salt: random text, the same for all shards of a table; by it ``merge`` sees that they belong together
    """

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=salt.encode())

    def take(self, row: Row | BadRow) -> None:
        """Take note of the next row."""
        content: list[object] = [row.number, row.key]
        if isinstance(row, Row):
            content += [row.case_id, row.case, row.parameters]
            if row.record_id is not None or row.record is not None:
                content += [row.record_id, row.record]
            if row.files:
                content.append(row.files)
        self._digest.update(_SORTED.encode(content).encode())

    def __str__(self) -> str:
        """Return the salt and the digest, as text."""
        return f"{self._salt}:{self._digest.hexdigest()}"


# Made once: ``json.dumps`` with an option makes an encoder for each call.
_SORTED = json.JSONEncoder(sort_keys=True)


def new_salt() -> str:
    """Return random text for the digests of a table's shards."""
    return secrets.token_hex(8)


def salt_of(digest: str) -> str:
    """Return the salt of a shard's digest, which the shards of a table have in common."""
    return digest.partition(":")[0]
