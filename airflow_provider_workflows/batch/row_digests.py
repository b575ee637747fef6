"""The digests of rows, by which a row is recognised when its first call is due, and by a later try of the task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic.alias_generators import to_camel

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import CASE_FIELDS
from airflow_provider_workflows.api.strict_json import with_plain_numbers
from airflow_provider_workflows.batch.input.bad_rows import named_rows
from airflow_provider_workflows.batch.input.columns import PHONE_PARTS

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import OrdinaryRows
    from airflow_provider_workflows.batch.input.rows import BadRow, Row

DIGEST_BYTES = 8
#: Stands in the place of a bad row's digest: nothing is sent for it, so that no row may match it.
NO_DIGEST = bytes(DIGEST_BYTES)
# Made once: ``json.dumps`` with an option makes an encoder for each call.
_DIGESTED = json.JSONEncoder(sort_keys=True)
#: The fields of a case that are text, by their names in the body, in the order in which they are digested.
_TEXTS = tuple(to_camel(name) for name in CASE_FIELDS if name not in ("phone", "documents"))
#: The same of the fields of a row, with its key in front and the parts of its phone behind.
_TEXT_FIELDS = ("key", *(name for name in CASE_FIELDS if name not in ("phone", "documents")), *PHONE_PARTS)
_NOTHING = ("",) * len(_TEXTS)
_TEXTS_AND_PHONE = frozenset((*_TEXTS, "phone"))
_NO_PHONE = {"countryCode": "", "number": ""}
_TEXT = {str}


class Common(NamedTuple):
    """What is sent for all rows, and is part of each row's digest.

    :param workflow_definition_id: id of the workflow definition
    :param parameters: of those rows that have none of their own
    :param table_id: id of the table of records that are created; None for a batch that creates none
    """

    workflow_definition_id: str
    parameters: Mapping[str, Any] | None
    table_id: str | None = None


class RowDigests:
    """Makes the digest of a row: of its key, its case or record, its parameters, and what all rows have in common.

    :param salt: random text, the same for all tries of a batch
    :param common: what is sent for all rows
    """

    def __init__(self, salt: str, common: Common) -> None:
        definition_id, parameters, self._table_id = common
        key = hashlib.sha256(salt.encode()).digest()
        of_all = ["common", definition_id, parameters]
        self._common = self._begun(key, of_all if self._table_id is None else [*of_all, self._table_id])
        self._with_own_parameters = self._begun(key, definition_id)
        self._with_common_parameters = self._begun(key, [definition_id, parameters])

    @staticmethod
    def _begun(key: bytes, common: object) -> Any:
        begun = hashlib.blake2b(digest_size=DIGEST_BYTES, key=key)
        begun.update(_encoded(common))
        return begun

    def of_common(self) -> str:
        """Return the digest of what all rows have in common, as hexadecimal digits."""
        return str(self._common.hexdigest())

    def of(self, row: Row) -> bytes:
        """Return the digest of a row; a row without a key of its own is known by its place."""
        begun = self._with_common_parameters if row.parameters is None else self._with_own_parameters
        digest = begun.copy()
        digest.update(_content_of(row, self._table_id))
        return bytes(digest.digest())

    def of_rows(self, rows: OrdinaryRows) -> list[bytes]:
        """Return the digest of each of several rows."""
        begin = self._with_common_parameters.copy
        digests = []
        for content in _contents_of(rows):
            digest = begin()
            digest.update(content)
            digests.append(digest.digest())
        return digests


def _content_of(row: Row, table_id: str | None) -> bytes:
    """Return what is sent for a row, and its own key, as bytes that no other content has.

    Most rows are texts without white space but blanks, and then their texts are joined, at a part of what an
    encoder of JSON costs. No JSON has the character between them.
    """
    if row.record_id is not None or row.record is not None:
        own = [row.key if row.has_key else None, row.record_id, row.record, row.parameters]
        return _encoded(["record", None if row.record is None else table_id, *own])
    case = row.case
    if row.files:
        with_files = ["files", row.key if row.has_key else None, case, row.parameters, [*row.files]]
        return _encoded(with_files)
    if row.case_id is None and row.parameters is None and case.keys() <= _TEXTS_AND_PHONE:
        phone = case.get("phone", _NO_PHONE)
        texts = [row.key if row.has_key else "", *map(case.get, _TEXTS, _NOTHING)]
        if type(phone) is dict and phone.keys() == _NO_PHONE.keys():
            texts += [phone["countryCode"], phone["number"]]
            is_whole = "" not in case.values() and (phone is _NO_PHONE or all(phone.values()))
            if is_whole and set(map(type, texts)) == _TEXT and "".join(texts).isprintable():
                return "\x1f".join(texts).encode()
    sent = [row.key if row.has_key else None, row.case_id, case, row.parameters]
    return _encoded(sent)


def _encoded(content: object) -> bytes:
    """Return JSON as bytes; an export may spell the same number as 1 one day and as 1.0 the next."""
    text = _DIGESTED.encode(content)
    # A float without a fraction has either in Python's spelling, and most rows have neither.
    if ".0" in text or "e+" in text:
        text = _DIGESTED.encode(with_plain_numbers(content))
    return text.encode()


def _contents_of(rows: OrdinaryRows) -> list[bytes]:
    """Return what ``_content_of`` returns of each of several rows, whose texts are all printable."""
    nothing = [""] * len(rows)
    columns = [rows.values.get(name, nothing) for name in _TEXT_FIELDS]
    return "\n".join(map("\x1f".join, zip(*columns, strict=True))).encode().split(b"\n")


class CheckedRows:
    """The digests of the rows that were checked: 8 bytes for each.

    :param digests: makes the digest of a row
    :param first_row: number of the first row
    :param checked: the digests of all rows, in order, and ``NO_DIGEST`` for a row that was passed over
    :param functions: the names of the user's functions that choose and change rows, for the messages
    """

    def __init__(
        self, digests: RowDigests, first_row: int, checked: bytes, functions: Sequence[str] = ()
    ) -> None:
        self._digests = digests
        self._first_row = first_row
        self._checked = checked
        self._functions = functions

    def require_last(self, number: int) -> None:
        """Return if a row is the last that was checked.

        :param number: number of the row that was read last
        :raises InvalidInput: if there were more
        """
        last = self._first_row + len(self._checked) // DIGEST_BYTES - 1
        if number < last:
            raise InvalidInput(
                f"items ends with row {number} now, and ended with row {last} when it was checked. Rows that "
                "were sent keep their runs: clear the task to go on with the input as it is now."
            )

    def require_passed_over(self, first: int, last: int) -> None:
        """Return if no row that was to be sent is among those that are passed over now.

        :param first: number of the first row that is not there any more, also before the first checked
        :param last: number of the last one
        :raises InvalidInput: with the number of such a row
        """
        for number in range(max(first, self._first_row), last + 1):
            if self._digest(number) not in (NO_DIGEST, b""):
                raise self._changed(number, None)

    def require_skipped(self, row: BadRow) -> None:
        """Return if a bad row was one when the input was checked.

        :raises InvalidInput: with the row's number, if it has changed since
        """
        if self._digest(row.number) != NO_DIGEST:
            raise self._changed(row.number, row.line)

    def are_same(self, rows: OrdinaryRows) -> bool:
        """Return whether all of several rows are what they were when the input was checked."""
        start = (rows.number - self._first_row) * DIGEST_BYTES
        checked = self._checked[start : start + len(rows) * DIGEST_BYTES]
        return checked == b"".join(self._digests.of_rows(rows))

    def require(self, row: Row) -> None:
        """Return if a row is what it was when the input was checked.

        :raises InvalidInput: with the row's number, if it has changed since
        """
        if self._digest(row.number) != self._digests.of(row):
            raise self._changed(row.number, row.line)

    def _digest(self, number: int) -> bytes:
        start = (number - self._first_row) * DIGEST_BYTES
        return self._checked[start : start + DIGEST_BYTES]

    def _changed(self, number: int, line: int | None) -> InvalidInput:
        name = named_rows([number], [] if line is None else [line])
        cause = "Let the export end before the task begins."
        if self._functions:
            functions = " and ".join(self._functions)
            cause = (
                f"Let the export end before the task begins, and have {functions} give the same each time for the "
                "same row, without clock, chance, counter or query."
            )
        return InvalidInput(
            f"{name} of items has changed since the input was checked, so it was not sent, nor were those after "
            f"it. {cause} Rows that were sent before keep their runs: clear the task to go on with the input as it "
            "is now."
        )


class AllRowsDigest:
    """The digest of all rows: of their keys and digests, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def take(self, key: str, digest: bytes, after_gap: int | None = None) -> None:
        """Take note of the next row.

        :param key: its key
        :param digest: its digest
        :param after_gap: its number, if it does not follow on that of the row before
        """
        if after_gap is not None:
            self._digest.update(b"row %d;" % after_gap)
        content = key.encode(errors="surrogatepass")
        self._digest.update(b"%d:%b%b" % (len(content), content, digest))

    def take_rows(self, keys: Iterable[str], digests: Iterable[bytes], after_gap: int | None = None) -> None:
        """Take note of the next rows, which follow on each other.

        :param keys: the key of each
        :param digests: the digest of each
        :param after_gap: the number of the first, if it does not follow on that of the row before
        """
        if after_gap is not None:
            self._digest.update(b"row %d;" % after_gap)
        contents = [key.encode() for key in keys]
        parts = zip(map(len, contents), contents, digests, strict=True)
        self._digest.update(b"".join(map(b"%d:%b%b".__mod__, parts)))

    def __str__(self) -> str:
        """Return the digest of the rows so far."""
        return self._digest.hexdigest()
