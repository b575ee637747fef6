"""The manifest of a batch: what is kept of its input, all of which is checked before the first call."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.pseudonyms import find_personal_number, personal_number_hash
from airflow_provider_workflows.batch.input.items import SHOWN_BAD_ROWS, raise_for
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.storage import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

_NAME = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The result of the check.

    :param rows: number of rows
    :param first_row: number of the first of them, which is not 1 in a shard
    :param skipped: number of bad rows that are left out
    :param digest: keyed hash of the input, by which a retry sees whether it is given the same
    """

    rows: int
    first_row: int
    skipped: int
    digest: str


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What the output repeats of one row of the input.

    :param number: its number in the whole input
    :param key: the row's own identifier
    :param skipped: why it is left out; None if it is not
    :param personal_number_hash: the hash of its personal number, where hashes are asked for and it has one
    """

    number: int
    key: str
    skipped: str | None = None
    personal_number_hash: str | None = None


def write_manifest(
    folder: ObjectStoragePath,
    items: Iterable[Row | BadRow],
    *,
    skip_bad_rows: bool,
    hash_secret: str | None = None,
) -> Manifest:
    """Read and check the whole input, and write each row's key and what is wrong with it, but no other value.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_items`` yields them
    :param skip_bad_rows: leave bad rows out
    :param hash_secret: write the hashes of personal numbers as well, keyed with this
    :raises InvalidInput: listing the bad rows, unless they are left out
    """
    salt = secrets.token_hex(16)
    with replacing(folder / _NAME) as file:
        file.write(_line({"salt": salt}))
        check = _Check(salt)
        for row in items:
            check.take(row)
            fields: dict[str, object] = {"row": row.number}
            if row.key != str(row.number):
                fields["key"] = row.key
            if isinstance(row, BadRow):
                fields["skipped"] = "; ".join(": ".join(filter(None, problem)) for problem in row.problems)
            elif hash_secret is not None and (hashed := _hash(row, hash_secret)):
                fields["hash"] = hashed
            if len(fields) > 1:
                file.write(_line(fields))
        return check.manifest(skip_bad_rows=skip_bad_rows)


def recheck(folder: ObjectStoragePath, items: Iterable[Row | BadRow], *, skip_bad_rows: bool) -> Manifest:
    """Check the whole input anew, for a retry; the digest is equal if the first try was given the same.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_items`` yields them
    :param skip_bad_rows: leave bad rows out
    :raises InvalidInput: as ``write_manifest``
    :raises FileNotFoundError: if the manifest is gone
    """
    with (folder / _NAME).open("rb") as file:  # type: ignore[no-untyped-call]
        check = _Check(json.loads(file.readline())["salt"])
    for row in items:
        check.take(row)
    return check.manifest(skip_bad_rows=skip_bad_rows)


def read_manifest(folder: ObjectStoragePath, manifest: Manifest) -> Iterator[ManifestRow]:
    """Yield each row of the manifest, in order.

    :param folder: where the batch keeps its state
    :param manifest: what ``write_manifest`` returned
    :raises FileNotFoundError: if the manifest is gone
    """
    with (folder / _NAME).open("rb") as file:  # type: ignore[no-untyped-call]
        file.readline()
        number = manifest.first_row
        for line in file:
            fields = json.loads(line)
            while number < fields["row"]:
                yield ManifestRow(number, str(number))
                number += 1
            yield ManifestRow(
                number, fields.get("key", str(number)), fields.get("skipped"), fields.get("hash")
            )
            number += 1
    for rest in range(number, manifest.first_row + manifest.rows):
        yield ManifestRow(rest, str(rest))


def _hash(row: Row, secret: str) -> str | None:
    return personal_number_hash(find_personal_number(row.case), secret)


class _Check:
    def __init__(self, salt: str) -> None:
        # A plain digest of a few personal numbers could be found by trying all that there are.
        self._digest = hmac.new(salt.encode(), digestmod=hashlib.sha256)
        self._bad: list[BadRow] = []
        self._skipped = self._rows = self._first_row = 0

    def take(self, row: Row | BadRow) -> None:
        self._first_row = self._first_row or row.number
        self._rows += 1
        if isinstance(row, BadRow):
            self._skipped += 1
            if len(self._bad) < SHOWN_BAD_ROWS:
                self._bad.append(row)
            content: list[object] = [row.number, row.key]
        else:
            content = [row.number, row.key, row.case_id, row.case, row.parameters]
        self._digest.update(json.dumps(content).encode())

    def manifest(self, *, skip_bad_rows: bool) -> Manifest:
        if self._bad and not skip_bad_rows:
            raise_for(self._bad, self._skipped, self._rows)
        return Manifest(self._rows, self._first_row or 1, self._skipped, self._digest.hexdigest())


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"
