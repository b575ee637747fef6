"""Read the items of a batch as a stream, and check each row, before the first call."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn, TypeAlias

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import is_resolved_later, refuse
from airflow_provider_workflows.batch.input.columns import Fields, check_header, fields_of
from airflow_provider_workflows.batch.input.files import file_path, file_version, read_file, suffix
from airflow_provider_workflows.batch.input.rows import BadRow, Row, checked
from airflow_provider_workflows.batch.input.zero_pad import require_zero_pad
from airflow_provider_workflows.storage import ObjectStoragePath

Items: TypeAlias = "Sequence[Mapping[str, Any]] | str | ObjectStoragePath | Mapping[str, Any]"
"""A list of rows, a file of them, or a shard's reference.

A reference is ``{"items": file, "first_row": 5001, "rows": 5000, "digest": ...}``. Without a
digest nothing is compared.
"""

SHOWN_BAD_ROWS = 20
_SHARD_DIGEST_BYTES = 16
_SHARD_NAMES = {"items", "first_row", "rows"}
#: The reasons why a row whose key an earlier one has is a bad row.
DUPLICATE_KEY = "is used by an earlier row"
DUPLICATE_NUMBER = "its number is the key of an earlier row"


def read_items(
    items: Items,
    columns: Mapping[str, str | None] | None = None,
    *,
    zero_pad: Mapping[str, int] | None = None,
) -> Iterator[Row | BadRow]:
    """Return an iterator over all rows in order, each checked, that reads the input as a stream.

    The keys of rows that can be run are unique.

    :param items: list of rows; URI or path of a .jsonl, .ndjson, .csv or .parquet file; or a shard's reference
    :param columns: the field of each column that is named otherwise, None to leave a column out
    :param zero_pad: number of digits to which numbers in ``personal_number`` and ``company_number`` are padded
    :raises InvalidInput: if the arguments cannot be right, and while reading, if the input as a whole cannot be
        read or has no rows
    """
    fields = fields_of(columns)
    zero_pad = require_zero_pad(zero_pad)
    first_row, rows, shard = 1, None, None
    if isinstance(items, Mapping):
        items, first_row, rows, shard = _shard(items)
    elif isinstance(items, Sequence) and not isinstance(items, str | bytes):
        return _read(iter(items), fields, flat=False, zero_pad=zero_pad)
    path = file_path(items)
    cells = read_file(path, first_row - 1, lambda header: check_header(header, fields, columns))
    flat = suffix(path) in (".csv", ".parquet")
    checked_rows = _read(cells, fields, flat=flat, first_row=first_row, rows=rows, zero_pad=zero_pad)
    return checked_rows if shard is None else shard.compared(checked_rows)


def version_of(items: Items) -> str | None:
    """Return what tells one version of the items' file from another; None if they are a list.

    :param items: as ``read_items`` takes them
    :raises InvalidInput: if there is no such file
    """
    if isinstance(items, Mapping):
        items = _shard(items)[0]
    if isinstance(items, Sequence) and not isinstance(items, str | bytes):
        return None
    return file_version(file_path(items))


def shard_digest(items: object) -> str | None:
    """Return the digest in a shard's reference; None if items are not one."""
    return items.get("digest") if isinstance(items, Mapping) else None


class ShardDigest:
    """The digest of a shard's rows, by which its batch task sees whether they are still those that were sharded.

    :param salt: random text, which the digest begins with
    """

    def __init__(self, salt: str | None = None) -> None:
        self._salt = salt or secrets.token_hex(8)
        self._digest = hashlib.blake2b(digest_size=_SHARD_DIGEST_BYTES, key=self._salt.encode())

    def take(self, row: Row | BadRow) -> None:
        """Take note of the next row."""
        content: list[object] = [row.number, row.key]
        if isinstance(row, Row):
            content += [row.case_id, row.case, row.parameters]
        self._digest.update(json.dumps(content, sort_keys=True).encode())

    def __str__(self) -> str:
        """Return the salt and the digest, as text."""
        return f"{self._salt}:{self._digest.hexdigest()}"


@dataclass(frozen=True)
class _ExpectedShard:
    digest: str

    def compared(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        """Yield the rows; raise at their end if they are not those that were sharded."""
        found = ShardDigest(self.digest.partition(":")[0])
        for row in rows:
            found.take(row)
            yield row
        if str(found) != self.digest:
            raise InvalidInput(
                "items: the rows of this shard are not those that `shard` has read. The file has changed since, or "
                "columns and zero_pad differ between the two. Clear `shard` together with the batch tasks"
            )


def require_items_or_template(items: object) -> None:
    """Check the type of a batch's items when the DAG is parsed; the items are read when the task runs.

    :param items: as ``read_items`` takes them, or what is resolved later
    :raises InvalidInput: if it is neither
    """
    is_items = isinstance(items, (str, ObjectStoragePath, Sequence, Mapping)) and not isinstance(items, bytes)
    if not is_items and not is_resolved_later(items):
        refuse("items", "a list of rows, the URI of a file, or a shard's reference", items)


def source_of(items: object) -> str | None:
    """Return the URI or path that items are read from; None if they are the rows themselves, or not items."""
    if isinstance(items, Mapping):
        items = items["items"] if items.keys() - {"digest"} == _SHARD_NAMES else None
    text = str(items).strip() if isinstance(items, (str, ObjectStoragePath)) else ""
    # Rows that a template has made text of are not a path, and must not show either.
    return None if not text or text[0] in "[{(" or not text.isprintable() else text


def raise_for(bad: Sequence[BadRow], bad_count: int, rows: int) -> NoReturn:
    """Raise for rows that cannot be run.

    :param bad: the bad rows, of which the first ``SHOWN_BAD_ROWS`` are shown
    :param bad_count: number of all bad rows
    :param rows: number of all rows
    :raises InvalidInput: with row number, column and reason of each, never a value
    """
    lines = [_line(row) for row in bad[:SHOWN_BAD_ROWS]]
    if bad_count > len(lines):
        lines.append(f"and {bad_count - len(lines)} more")
    summary = (
        f"{bad_count} of {rows} rows of items cannot be run, so nothing was sent. "
        'Mend them, or leave them out with on_bad_row="skip":'
    )
    raise InvalidInput("\n".join([summary, *lines]))


def _line(row: BadRow) -> str:
    joint = ", " if row.problems and row.problems[0][0] else ": "
    return f"row {row.number}{joint}{'; '.join(map(_problem, row.problems))}"


def _problem(problem: tuple[str, str]) -> str:
    column, reason = problem
    return f"{column}: {reason}" if column else reason


def _shard(reference: Mapping[str, Any]) -> tuple[Any, int, int, _ExpectedShard | None]:
    numbers = [
        number for number in map(reference.get, ("first_row", "rows")) if type(number) is int and number >= 1
    ]
    digest = reference.get("digest")
    if reference.keys() - {"digest"} != _SHARD_NAMES or len(numbers) != 2:
        raise InvalidInput(
            'items is a dict but not a shard\'s reference ({"items": file, "first_row": 1, "rows": 5000}); '
            "a single row is given as a list of one dict"
        )
    expected = _ExpectedShard(digest) if isinstance(digest, str) else None
    return reference["items"], numbers[0], numbers[1], expected


def _read(
    source: Iterator[object],
    fields: Fields,
    *,
    flat: bool,
    zero_pad: Mapping[str, int] | None,
    first_row: int = 1,
    rows: int | None = None,
) -> Iterator[Row | BadRow]:
    keys = _Keys(first_row)
    count = 0
    for count, cells in enumerate(islice(source, rows), 1):
        row = checked(first_row + count - 1, cells, fields, flat=flat, zero_pad=zero_pad)
        if reason := keys.clash(row):
            columns = cells if isinstance(cells, Mapping) else ()
            column = next((str(name) for name in columns if fields.get(name) == "key"), "")
            problems = row.problems if isinstance(row, BadRow) else ()
            row = BadRow(row.number, row.key, (*problems, (column, reason)), row.has_key)
        yield row
    if count < (rows or 1):
        raise InvalidInput(
            "items has fewer rows than when it was sharded"
            if rows
            else "items has no rows: there is nothing to run"
        )


class _Keys:
    """The keys so far; nothing is kept as long as each is its row's number."""

    def __init__(self, first_row: int) -> None:
        self._numbers = range(first_row, first_row)
        self._digests: set[bytes] | None = None

    def clash(self, row: Row | BadRow) -> str:
        """Return why the row cannot have its key; empty if it can."""
        is_number = row.key == str(row.number)
        if self._digests is None:
            if is_number:
                return ""
            # All rows before have their number as a key.
            self._numbers, self._digests = range(self._numbers.start, row.number), set()
        # Python takes 48 bytes for a digest of 15: a hundred thousand keys cost 15 MB with the set.
        digest = hashlib.blake2b(row.key.encode(), digest_size=15).digest()
        if digest in self._digests or self._is_earlier_number(row.key):
            return DUPLICATE_NUMBER if is_number else DUPLICATE_KEY
        self._digests.add(digest)
        return ""

    def _is_earlier_number(self, key: str) -> bool:
        return key.isascii() and key.isdigit() and str(int(key)) == key and int(key) in self._numbers
