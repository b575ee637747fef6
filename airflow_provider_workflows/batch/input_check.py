"""The check of a batch's whole input before the first call, and the manifest that is written of it."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.pseudonyms import (
    find_personal_number,
    personal_number_hash,
    secret_fingerprint,
)
from airflow_provider_workflows.batch.input.bad_rows import BadRows
from airflow_provider_workflows.batch.input.checked_columns import Checked, OrdinaryRows
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.manifest import MANIFEST_NAME, Manifest, read_salt
from airflow_provider_workflows.batch.row_digests import NO_DIGEST, AllRowsDigest, Common, RowDigests
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

# Made once: ``json.dumps`` with an option makes an encoder for each call.
_JSON_TEXT = json.encoder.encode_basestring_ascii
_LINE = json.JSONEncoder(separators=(",", ":"))


def write_manifest(
    folder: ObjectStoragePath,
    items: Iterable[Checked],
    *,
    common: Common,
    skip_bad_rows: bool,
    hash_secret: str | None = None,
    salt: str | None = None,
) -> Manifest:
    """Read and check the whole input, and write each row's key and what is wrong with it, but no other value.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_together`` yields them
    :param common: what is sent for all rows
    :param skip_bad_rows: leave bad rows out
    :param hash_secret: write the hashes of personal numbers as well, keyed with this
    :param salt: of the digests, to compare them with those of an earlier manifest; a new one if None
    :raises InvalidInput: listing the bad rows, unless they are left out
    """
    salt = salt or secrets.token_hex(16)
    check = _Check(RowDigests(salt, common))
    with replacing(folder / MANIFEST_NAME) as file:
        _write(file, items, check, salt, hash_secret)
        return check.manifest(skip_bad_rows=skip_bad_rows)


def rewrite_manifest(
    folder: ObjectStoragePath,
    items: Iterable[Checked],
    manifest: Manifest,
    *,
    common: Common,
    hash_secret: str,
) -> None:
    """Write a manifest again, with the hashes of personal numbers.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_together`` yields them
    :param manifest: what ``write_manifest`` returned
    :param common: what is sent for all rows
    :param hash_secret: keys the hashes
    :raises InvalidInput: if the rows are not those of the manifest, which then stays as it is
    :raises FileNotFoundError: if the manifest is gone
    """
    salt = read_salt(folder)
    check = _Check(RowDigests(salt, common))
    with replacing(folder / MANIFEST_NAME) as file:
        _write(file, items, check, salt, hash_secret)
        if check.manifest(skip_bad_rows=True).digest != manifest.digest:
            raise InvalidInput(
                "items has changed while it was read: let the export end before the task begins"
            )


def _write(
    file: BinaryIO, items: Iterable[Checked], check: _Check, salt: str, hash_secret: str | None
) -> None:
    first: dict[str, object] = {"salt": salt, "common": check.digests.of_common()}
    if hash_secret is not None:
        first["hashed_with"] = secret_fingerprint(hash_secret, salt)
    file.write(_line(first))
    expected_number: int | None = None
    expected_line: int | None = None
    for row in items:
        fields: dict[str, object] = {}
        if expected_number is not None and row.number != expected_number:
            # Rows before this one were passed over.
            fields["row"] = row.number
        rows = len(row) if isinstance(row, OrdinaryRows) else 1
        expected_number = row.number + rows
        if row.line is not None:
            # Most rows begin a line after the one before.
            if row.line != expected_line:
                fields["line"] = row.line
            expected_line = row.line + rows
        if isinstance(row, OrdinaryRows):
            file.write(_lines(row, check.take_rows(row), fields, hash_secret))
            continue
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


def _lines(
    rows: OrdinaryRows, digests: Sequence[bytes], fields: Mapping[str, object], hash_secret: str | None
) -> bytes:
    """Return the lines of several rows.

    :param rows: the rows
    :param digests: the digest of each
    :param fields: of the first of them, beside its key and its digest
    :param hash_secret: as ``write_manifest`` takes it
    """
    hexadecimal = map(bytes.hex, digests)
    if rows.own_keys is None:
        lines = [f'{{"digest":"{digest}"}}\n' for digest in hexadecimal]
    else:
        pairs = zip(map(_JSON_TEXT, rows.own_keys), rows.own_keys, hexadecimal, strict=True)
        lines = [
            f'{{"key":{text},"digest":"{digest}"}}\n' if key else f'{{"digest":"{digest}"}}\n'
            for text, key, digest in pairs
        ]
    if hash_secret is not None:
        hashes = (personal_number_hash(each, hash_secret) for each in rows.values.get("personal_number", ()))
        for place, hashed in enumerate(hashes):
            if hashed:
                lines[place] = f'{lines[place][:-2]},"hash":"{hashed}"}}\n'
    if fields:
        lines[0] = _LINE.encode({**fields, **json.loads(lines[0])}) + "\n"
    return "".join(lines).encode()


def recheck(
    folder: ObjectStoragePath,
    items: Iterable[Checked],
    *,
    common: Common,
    skip_bad_rows: bool,
) -> Manifest:
    """Check the whole input anew, for a later try; the manifest is equal if the first try was given the same.

    :param folder: where the batch keeps its state
    :param items: the rows, as ``read_together`` yields them
    :param common: what is sent for all rows
    :param skip_bad_rows: leave bad rows out
    :raises InvalidInput: as ``write_manifest``
    :raises FileNotFoundError: if the manifest is gone
    """
    check = _Check(RowDigests(read_salt(folder), common))
    for row in items:
        if isinstance(row, OrdinaryRows):
            check.take_rows(row)
        else:
            check.take(row)
    return check.manifest(skip_bad_rows=skip_bad_rows)


def _hash(row: Row, secret: str) -> str | None:
    if row.case:
        return personal_number_hash(find_personal_number(row.case), secret)
    # A row without a case may have the number in its record, or in what its run is started with.
    numbers = map(find_personal_number, (row.record, row.parameters if row.case_id is None else None))
    return personal_number_hash(next((number for number in numbers if number is not None), None), secret)


class _Check:
    def __init__(self, digests: RowDigests) -> None:
        self.digests = digests
        self._all = AllRowsDigest()
        self._bad = BadRows()
        self._rows = self._first_row = self._last_row = 0
        self._has_keys = True

    def take(self, row: Row | BadRow) -> bytes:
        """Take note of a row, and return its digest."""
        after_gap = self._count(row.number, 1)
        # A bad row has nothing that a later try would have to find.
        self._has_keys = self._has_keys and (row.has_key or isinstance(row, BadRow))
        if isinstance(row, BadRow):
            digest = NO_DIGEST
            self._bad.add(row)
        else:
            digest = self.digests.of(row)
        self._all.take(row.key, digest, after_gap)
        return digest

    def take_rows(self, rows: OrdinaryRows) -> list[bytes]:
        """Take note of several rows, and return their digests."""
        after_gap = self._count(rows.number, len(rows))
        self._has_keys = self._has_keys and rows.own_keys is not None and all(rows.own_keys)
        digests = self.digests.of_rows(rows)
        self._all.take_rows(rows.keys, digests, after_gap)
        return digests

    def _count(self, number: int, rows: int) -> int | None:
        """Count rows, and return the number of the first if it does not follow on that of the row before."""
        self._first_row = self._first_row or number
        has_gap = self._rows > 0 and number != self._last_row + 1
        self._last_row = number + rows - 1
        self._rows += rows
        return number if has_gap else None

    def manifest(self, *, skip_bad_rows: bool) -> Manifest:
        if not skip_bad_rows:
            self._bad.require_none(self._rows)
        found = Manifest(self._rows, self._first_row or 1, self._bad.number, str(self._all), self._has_keys)
        return found if found.last >= self._last_row else dataclasses.replace(found, last_row=self._last_row)


def _line(fields: Mapping[str, object]) -> bytes:
    return _LINE.encode(fields).encode() + b"\n"
