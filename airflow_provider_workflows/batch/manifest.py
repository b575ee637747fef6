"""The manifest of a batch: what is kept of its input, all of which is checked before the first call.

It has a line for each row, with a digest of what is sent for it. By that digest a row is recognised when its first
call is due, and by a later try of the task, to which another file may be given. The digest is keyed with a salt in
the manifest's first line. The folder also holds the results themselves: the salt keeps a digest from being compared
with those of another batch.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_workflows.api.errors import InvalidInput, OutcomeUnknown
from airflow_provider_workflows.api.pseudonyms import (
    find_personal_number,
    personal_number_hash,
    secret_fingerprint,
)
from airflow_provider_workflows.batch.input.bad_rows import BadRows
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.row_digests import NO_DIGEST, AllRowsDigest, CheckedRows, RowDigests
from airflow_provider_workflows.batch.state_files import read_lines
from airflow_provider_workflows.storage import shown
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

_NAME = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The result of the check.

    :param rows: number of rows
    :param first_row: number of the first of them, which is not 1 in a shard
    :param skipped: number of bad rows that are left out
    :param digest: of all rows, by which a later try sees whether it is given the same
    :param has_keys: whether each row that is sent has a key of its own, by which it is found in another file
    :param version: tells one version of the file from another (``version_of``); None if the items are a list
    :param sharding: what ``merge`` compares over all shards (``sharding_of``); None if the items are not a shard
    """

    rows: int
    first_row: int
    skipped: int
    digest: str
    has_keys: bool = False
    version: str | None = None
    sharding: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What is kept of one row of the input.

    :param number: its number in the whole input
    :param key: the row's own identifier
    :param skipped: why it is left out; None if it is not
    :param personal_number_hash: the hash of its personal number, where hashes are asked for and it has one
    :param digest: of what is sent for it, as hexadecimal digits; empty for a row that is left out
    :param line: the line of the file at which it begins; None if it is from no file that has lines
    """

    number: int
    key: str
    skipped: str | None = None
    personal_number_hash: str | None = None
    digest: str = ""
    line: int | None = None


def write_manifest(
    folder: ObjectStoragePath,
    items: Iterable[Row | BadRow],
    *,
    common: tuple[str, Mapping[str, Any] | None],
    skip_bad_rows: bool,
    hash_secret: str | None = None,
    salt: str | None = None,
) -> Manifest:
    """Read and check the whole input, and write each row's key and what is wrong with it, but no other value.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_items`` yields them
    :param common: what is sent for all rows, as ``RowDigests`` takes it
    :param skip_bad_rows: leave bad rows out
    :param hash_secret: write the hashes of personal numbers as well, keyed with this
    :param salt: of the digests, to compare them with those of an earlier manifest; a new one if None
    :raises InvalidInput: listing the bad rows, unless they are left out
    """
    salt = salt or secrets.token_hex(16)
    check = _Check(RowDigests(salt, common))
    with replacing(folder / _NAME) as file:
        _write(file, items, check, salt, hash_secret)
        return check.manifest(skip_bad_rows=skip_bad_rows)


def rewrite_manifest(
    folder: ObjectStoragePath,
    items: Iterable[Row | BadRow],
    manifest: Manifest,
    *,
    common: tuple[str, Mapping[str, Any] | None],
    hash_secret: str,
) -> None:
    """Write a manifest again, with the hashes of personal numbers.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_items`` yields them
    :param manifest: what ``write_manifest`` returned
    :param common: what is sent for all rows, as ``RowDigests`` takes it
    :param hash_secret: keys the hashes
    :raises InvalidInput: if the rows are not those of the manifest, which then stays as it is
    :raises FileNotFoundError: if the manifest is gone
    """
    salt = read_salt(folder)
    check = _Check(RowDigests(salt, common))
    with replacing(folder / _NAME) as file:
        _write(file, items, check, salt, hash_secret)
        if check.manifest(skip_bad_rows=True).digest != manifest.digest:
            raise InvalidInput(
                "items has changed while it was read: let the export end before the task begins"
            )


def _write(
    file: BinaryIO, items: Iterable[Row | BadRow], check: _Check, salt: str, hash_secret: str | None
) -> None:
    first: dict[str, object] = {"salt": salt, "common": check.digests.of_common()}
    if hash_secret is not None:
        first["hashed_with"] = secret_fingerprint(hash_secret, salt)
    file.write(_line(first))
    expected: int | None = None
    for row in items:
        fields: dict[str, object] = {}
        if row.line is not None:
            # Most rows begin a line after the one before.
            if row.line != expected:
                fields["line"] = row.line
            expected = row.line + 1
        digest = check.take(row)
        if row.has_key:
            fields["key"] = row.key
        if isinstance(row, BadRow):
            fields["skipped"] = "; ".join(": ".join(filter(None, problem)) for problem in row.problems)
        else:
            fields["digest"] = digest.hex()
            if hash_secret is not None and (hashed := _hash(row, hash_secret)):
                fields["hash"] = hashed
        file.write(_line(fields))


def recheck(
    folder: ObjectStoragePath,
    items: Iterable[Row | BadRow],
    *,
    common: tuple[str, Mapping[str, Any] | None],
    skip_bad_rows: bool,
) -> Manifest:
    """Check the whole input anew, for a later try; the manifest is equal if the first try was given the same.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_items`` yields them
    :param common: what is sent for all rows, as ``RowDigests`` takes it
    :param skip_bad_rows: leave bad rows out
    :raises InvalidInput: as ``write_manifest``
    :raises FileNotFoundError: if the manifest is gone
    """
    check = _Check(RowDigests(read_salt(folder), common))
    for row in items:
        check.take(row)
    return check.manifest(skip_bad_rows=skip_bad_rows)


def read_salt(folder: ObjectStoragePath) -> str:
    """Return the salt of a manifest's digests.

    :param folder: where the batch keeps its state
    :raises FileNotFoundError: if the manifest is gone
    """
    return str(_first_line(folder)["salt"])


def read_common(folder: ObjectStoragePath) -> str:
    """Return the digest of what all rows of a manifest have in common, as hexadecimal digits.

    :param folder: where the batch keeps its state
    :raises FileNotFoundError: if the manifest is gone
    """
    return str(_first_line(folder)["common"])


def has_hashes_of(folder: ObjectStoragePath, hash_secret: str | None) -> bool:
    """Return whether the hashes of personal numbers in a manifest are keyed with a secret.

    :param folder: where the batch keeps its state
    :param hash_secret: the secret; None for a manifest without hashes
    :raises FileNotFoundError: if the manifest is gone
    """
    first = _first_line(folder)
    expected = None if hash_secret is None else secret_fingerprint(hash_secret, str(first["salt"]))
    return first.get("hashed_with") == expected


def read_manifest(
    folder: ObjectStoragePath, manifest: Manifest, *, is_stopped: Callable[[], bool] | None = None
) -> Iterator[ManifestRow]:
    """Yield each row of the manifest, in order.

    :param folder: where the batch keeps its state
    :param manifest: what ``write_manifest`` returned
    :param is_stopped: returns whether the task was told to stop
    :raises FileNotFoundError: if the manifest is gone
    :raises OutcomeUnknown: after the last row, or at one that cannot be read, if it is not the manifest that was
        written
    """
    lines = read_lines(folder / _NAME, is_stopped=is_stopped)
    next(lines, None)
    all_rows = AllRowsDigest()
    place: int | None = None
    for number, line in enumerate(lines, manifest.first_row):
        try:
            fields = json.loads(line)
            place = fields.get("line", None if place is None else place + 1)
            row = _manifest_row(number, fields, place)
            all_rows.take(row.key, bytes.fromhex(row.digest) or NO_DIGEST)
        except (AttributeError, TypeError, ValueError):
            raise _manifest_has_changed(folder) from None
        yield row
    if str(all_rows) != manifest.digest:
        raise _manifest_has_changed(folder)


def manifest_lines(folder: ObjectStoragePath) -> Iterator[bytes]:
    """Yield the line of each row, as it was written: whether it is the manifest of the batch is not checked.

    :param folder: where the batch keeps its state
    :raises FileNotFoundError: if the manifest is gone
    """
    lines = read_lines(folder / _NAME)
    next(lines, None)
    return lines


def _manifest_row(number: int, fields: Mapping[str, Any], line: int | None) -> ManifestRow:
    return ManifestRow(
        number,
        fields.get("key", str(number)),
        fields.get("skipped"),
        fields.get("hash"),
        fields.get("digest", ""),
        line,
    )


def _manifest_has_changed(folder: ObjectStoragePath) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{shown(folder / _NAME)} is not the manifest that this task has written, so it is not known which run is "
        "whose, and nothing was sent or written. Put the file back as it was, or set "
        'on_clear="start_over" and clear the task, which submits all rows anew.'
    )


def read_checked_rows(
    folder: ObjectStoragePath, manifest: Manifest, *, common: tuple[str, Mapping[str, Any] | None]
) -> CheckedRows:
    """Return the digests of all rows that were checked.

    :param folder: where the batch keeps its state
    :param manifest: what ``write_manifest`` returned
    :param common: what is sent for all rows, as ``RowDigests`` takes it
    :raises FileNotFoundError: if the manifest is gone
    """
    digests = bytearray()
    for row in read_manifest(folder, manifest):
        digests += bytes.fromhex(row.digest) or NO_DIGEST
    return CheckedRows(RowDigests(read_salt(folder), common), manifest.first_row, bytes(digests))


def _first_line(folder: ObjectStoragePath) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(next(read_lines(folder / _NAME), b""))
    return fields


def _hash(row: Row, secret: str) -> str | None:
    return personal_number_hash(find_personal_number(row.case), secret)


class _Check:
    def __init__(self, digests: RowDigests) -> None:
        self.digests = digests
        self._all = AllRowsDigest()
        self._bad = BadRows()
        self._rows = self._first_row = 0
        self._has_keys = True

    def take(self, row: Row | BadRow) -> bytes:
        """Take note of a row, and return its digest."""
        self._first_row = self._first_row or row.number
        self._rows += 1
        # A bad row has nothing that a later try would have to find.
        self._has_keys = self._has_keys and (row.has_key or isinstance(row, BadRow))
        if isinstance(row, BadRow):
            digest = NO_DIGEST
            self._bad.add(row)
        else:
            digest = self.digests.of(row)
        self._all.take(row.key, digest)
        return digest

    def manifest(self, *, skip_bad_rows: bool) -> Manifest:
        if not skip_bad_rows:
            self._bad.require_none(self._rows)
        return Manifest(self._rows, self._first_row or 1, self._bad.number, str(self._all), self._has_keys)


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"
