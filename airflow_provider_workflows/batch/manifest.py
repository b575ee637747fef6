"""The manifest of a batch: what is kept of its input, all of which is checked before the first call.

It has a line for each row, with a digest of what is sent for it. By that digest a row is recognised when its first
call is due, and by a later try of the task, to which another file may be given. The digest is keyed with a salt in
the manifest's first line. The folder also holds the results themselves: the salt keeps a digest from being compared
with those of another batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.api.pseudonyms import (
    secret_fingerprint,
)
from airflow_provider_workflows.batch.row_digests import (
    DIGEST_BYTES,
    NO_DIGEST,
    AllRowsDigest,
    CheckedRows,
    Common,
    RowDigests,
)
from airflow_provider_workflows.batch.state_files import read_lines
from airflow_provider_workflows.storage import shown

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

MANIFEST_NAME = "manifest.jsonl"


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
    :param last_row: number of the last row, where ``where`` has passed over rows in between; None if the numbers
        have no gaps
    """

    rows: int
    first_row: int
    skipped: int
    digest: str
    has_keys: bool = False
    version: str | None = None
    sharding: dict[str, Any] | None = None
    last_row: int | None = None

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first_row + self.rows - 1 if self.last_row is None else self.last_row


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What is kept of one row of the input.

    :param number: its number in the whole input
    :param key: the row's own identifier, its number where it has none; empty for one without that is left out
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
    lines = read_lines(folder / MANIFEST_NAME, is_stopped=is_stopped)
    next(lines, None)
    all_rows = AllRowsDigest()
    place: int | None = None
    number = manifest.first_row - 1
    for line in lines:
        try:
            fields = json.loads(line)
            has_gap = "row" in fields
            number = fields["row"] if has_gap else number + 1
            place = fields.get("line", None if place is None else place + 1)
            row = _manifest_row(number, fields, place)
            all_rows.take(row.key, bytes.fromhex(row.digest) or NO_DIGEST, number if has_gap else None)
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
    lines = read_lines(folder / MANIFEST_NAME)
    next(lines, None)
    return lines


def _manifest_row(number: int, fields: Mapping[str, Any], line: int | None) -> ManifestRow:
    return ManifestRow(
        number,
        fields.get("key", "" if "skipped" in fields else str(number)),
        fields.get("skipped"),
        fields.get("hash"),
        fields.get("digest", ""),
        line,
    )


def _manifest_has_changed(folder: ObjectStoragePath) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{shown(folder / MANIFEST_NAME)} is not the manifest that this task has written, so it is not known which "
        "run is whose, and nothing was sent or written. Put the file back as it was, or set "
        'on_clear="start_over" and clear the task, which submits all rows anew.'
    )


def read_checked_rows(
    folder: ObjectStoragePath,
    manifest: Manifest,
    *,
    common: Common,
    functions: Sequence[str] = (),
) -> CheckedRows:
    """Return the digests of all rows that were checked.

    :param folder: where the batch keeps its state
    :param manifest: what ``write_manifest`` returned
    :param common: what is sent for all rows
    :param functions: the names of the user's functions that choose and change rows
    :raises FileNotFoundError: if the manifest is gone
    """
    digests = bytearray()
    for row in read_manifest(folder, manifest):
        # No row may come where one was passed over, as none may match where there was a bad one.
        digests += NO_DIGEST * (row.number - manifest.first_row - len(digests) // DIGEST_BYTES)
        digests += bytes.fromhex(row.digest) or NO_DIGEST
    return CheckedRows(RowDigests(read_salt(folder), common), manifest.first_row, bytes(digests), functions)


def _first_line(folder: ObjectStoragePath) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(next(read_lines(folder / MANIFEST_NAME), b""))
    return fields
