"""One row of a batch: what is run, or what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

from pydantic import ValidationError

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.models import CaseDetails, Document, Phone, invalid_fields
from airflow_provider_workflows.api.strict_json import parse_json, require_json_object
from airflow_provider_workflows.batch.input.cells import decimal_in, is_ordinary, require_value
from airflow_provider_workflows.batch.input.columns import DOCUMENT_FILES, PHONE_PARTS, Fields, columns_of
from airflow_provider_workflows.batch.input.ordinary_rows import ordinary_row
from airflow_provider_workflows.batch.input.phones import finished_phone, split_phone
from airflow_provider_workflows.batch.input.record_values import read_record
from airflow_provider_workflows.batch.input.rows_of_nobody import why_nobody
from airflow_provider_workflows.batch.input.scalars import plain
from airflow_provider_workflows.batch.input.subjects import (
    file_paths,
    has_case_field,
    is_record_field,
    may_be_about_nobody,
    taken_record,
    wrong_subjects,
)
from airflow_provider_workflows.batch.input.unreadable import Unreadable
from airflow_provider_workflows.batch.input.value_rules import NO_RULES, ValueRules
from airflow_provider_workflows.batch.input.zero_pad import zero_padded

CELL_CHARACTERS = 100_000
ROW_CHARACTERS = 1_000_000
KEY_CHARACTERS = 200

_JSON_FIELDS = ("phone", "documents", "parameters", "record")
_NAMES_WITHIN = frozenset({*Phone.model_fields, *Document.model_fields})
_TOO_LONG = f"has more than {CELL_CHARACTERS:,} characters"
NOBODY = "has no field of a case or a record, and no case_id or record_id"
"""What is wrong with a row that does not say whom it is about, where no generation is known."""
EMPTY_KEY = "is empty, and each row must have its key there"
NO_KEY = "lacks the column of its key"
ROW_TOO_LONG = f"has more than {ROW_CHARACTERS:,} characters"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be run.

    :param number: of the data row in the whole input, from 1
    :param key: the row's own identifier, its number where it has none
    :param case_id: of a returning user, for whom no case is created
    :param case: body of ``POST /cases``; empty with a ``case_id`` or a record
    :param parameters: of this row's run
    :param has_key: whether it has an identifier of its own
    :param line: the line of its file at which it begins; None if it is from no file that has lines
    :param record_id: of the record that the run is about, if there is one already
    :param record: fields of the record that is created for it; None without one
    :param files: paths or URIs of files that are uploaded as documents of the case
    """

    number: int
    key: str = field(repr=False)
    case_id: str | None
    case: dict[str, Any] = field(repr=False)
    parameters: dict[str, Any] | None = field(repr=False)
    has_key: bool = False
    line: int | None = field(default=None, compare=False)
    record_id: str | None = None
    record: dict[str, Any] | None = field(default=None, repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be run.

    :param number: of the data row in the whole input, from 1
    :param key: the row's own identifier; empty where it has none that can be read, for its number may be the key of
        another row
    :param problems: column as the user wrote it (empty for the row as a whole) and reason
    :param has_key: whether it has an identifier of its own
    :param line: the line of its file at which it begins; None if it is from no file that has lines
    :param cells: the value of each column, where the list of bad rows is to have the values
    :param earlier: the number of the row whose key it has; the last of the problems says so then
    """

    number: int
    key: str = field(repr=False)
    problems: tuple[tuple[str, str], ...]
    has_key: bool = False
    line: int | None = field(default=None, compare=False)
    cells: Mapping[Any, Any] | None = field(default=None, compare=False, repr=False)
    earlier: int | None = field(default=None, compare=False)


Cells: TypeAlias = "Mapping[str, Any] | Unreadable"
"""The value of each column of a row."""


def checked(
    number: int,
    cells: object,
    fields: Fields,
    *,
    flat: bool = False,
    rules: ValueRules = NO_RULES,
    line: int | None = None,
) -> Row | BadRow:
    """Return a row as it can be run, or what is wrong with it.

    :param number: of the data row, from 1
    :param cells: the value of each column, or ``Unreadable``
    :param fields: the field of each column
    :param flat: whether the cells come from a table, where a phone, documents and parameters may be JSON text
    :param rules: what values become, and what they must be
    :param line: the line of its file at which it begins, if it is from one that has lines
    """
    if not isinstance(cells, Mapping):
        wrong_type = f"must be a dict, not {type(cells).__name__}"
        reason = cells.reason if isinstance(cells, Unreadable) else wrong_type
        return BadRow(number, "", (("", reason),), line=line)
    if reason := why_nobody(cells, of_table=flat):
        return BadRow(number, "", (("", reason),), line=line)
    columns, wrong = columns_of(cells, fields)
    if not wrong and (ordinary := ordinary_row(cells, columns, rules)) is not None:
        case, key = ordinary
        return Row(number, key or str(number), None, case, None, bool(key), line)
    values, given = _values(cells, columns, flat, rules, wrong)
    case_id, record_id, parameters, key = (
        values.pop(name, None) for name in ("case_id", "record_id", "parameters", "key")
    )
    files = values.pop(DOCUMENT_FILES, ())
    if rules.requires_key and "key" not in given:
        wrong.append((columns["key"], EMPTY_KEY) if "key" in columns else ("", NO_KEY))
    wrong += wrong_subjects(columns, given)
    record = taken_record(values, columns, wrong, rules.field_types)
    has_field = has_case_field(given)
    if has_field and "case_id" not in given:
        # A row without a field of its own is about nobody, and defaults would make it be about somebody.
        values = {**rules.defaults, **values}
    case, wrong_in_case = _case(values, columns, rules)
    reported = {column for column, _ in wrong}
    wrong += [problem for problem in wrong_in_case if problem[0] not in reported]
    if not wrong:
        # Documents without a word in them are nothing either.
        has_case = has_field and (case.keys() - {"documents"} or any(case.get("documents", ())))
        is_about = case_id or record_id or record or has_case
        if not is_about and not may_be_about_nobody(columns, given):
            wrong.append(("", NOBODY))
        wrong += _too_long({**case, "parameters": parameters, "record": record}, columns)
    has_key = bool(key)
    if wrong:
        return BadRow(number, key or "", tuple(wrong), has_key, line, cells if rules.keeps_cells else None)
    return Row(number, key or str(number), case_id, case, parameters, has_key, line, record_id, record, files)


def _values(
    cells: Mapping[str, Any],
    columns: Mapping[str, str],
    flat: bool,
    rules: ValueRules,
    wrong: list[tuple[str, str]],
) -> tuple[dict[str, Any], set[str]]:
    """Return the value of each field, and which fields have one; add what is wrong with others to ``wrong``."""
    values: dict[str, Any] = {}
    given: set[str] = set()
    for name, column in columns.items():
        value = cells[column]
        is_ruled = name in rules.zero_pad or name in rules.checks
        if not is_ruled and is_ordinary(name, value):
            values[name] = value
        elif _is_empty(name, value := plain(value)):
            continue
        else:
            try:
                read = _read(name, value, flat, rules)
            except InvalidInput as problem:
                wrong.append((column, str(problem).removeprefix(f"{name} ")))
            else:
                if _is_empty(name, read):
                    continue
                values[name] = read
        given.add(name)
    return values, given


def _is_empty(name: str, value: Any) -> bool:
    if name == "phone" and isinstance(value, dict):
        # In a column of objects in Parquet, a row without one has an object of nulls.
        return bool(value) and all(_is_empty("", part) for part in value.values())
    if name in ("documents", DOCUMENT_FILES) and isinstance(value, (list, tuple)) and not value:
        return True
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def _read(name: str, value: Any, flat: bool, rules: ValueRules) -> Any:
    if isinstance(value, Unreadable):
        raise InvalidInput(value.reason)
    if name in rules.zero_pad:
        value = zero_padded(name, value, rules.zero_pad[name])
    if isinstance(value, str):
        if len(value) > CELL_CHARACTERS:
            raise InvalidInput(_TOO_LONG)
        if name == "phone" and not _is_json(value, flat):
            require_value("phone_number", value)
            return split_phone(value, rules.default_country_code)
        if flat and (name in _JSON_FIELDS or (name == DOCUMENT_FILES and value.lstrip()[:1] == "[")):
            value = parse_json(value)
    elif isinstance(value, Decimal):
        value = decimal_in(name, value)
    if is_record_field(name):
        return read_record(name, value, rules)
    require_value(name, value)
    if isinstance(value, str) and name in rules.checks:
        rules.checks[name](value.strip())
    read = _READERS.get(name)
    return value if read is None else read(value)


def _is_json(phone: str, flat: bool) -> bool:
    return flat and phone.lstrip()[:1] in ("{", "[", "n")


def _key(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidInput(f"must be text or a whole number, not {type(value).__name__}")
    # Python refuses to write a number of thousands of digits.
    long = abs(value) >= 10**KEY_CHARACTERS if isinstance(value, int) else len(value.strip()) > KEY_CHARACTERS
    if long:
        raise InvalidInput(f"has more than {KEY_CHARACTERS} characters")
    key = str(value).strip()
    if not key.isprintable():
        raise InvalidInput("holds a character that cannot be printed")
    return key


_READERS: Mapping[str, Callable[[Any], Any]] = {
    **{name: partial(require_id, name) for name in ("case_id", "record_id")},
    "parameters": partial(require_json_object, "parameters"),
    DOCUMENT_FILES: file_paths,
    "key": _key,
}


def _case(
    values: dict[str, Any], columns: Mapping[str, str], rules: ValueRules
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the body of ``POST /cases``, and what is wrong with it."""
    parts = {part: values.pop(name) for name, part in PHONE_PARTS.items() if name in values}
    if parts and "phone" in values:
        return {}, [(columns["phone"], "is given both whole and in parts")]
    if parts:
        values["phone"] = parts
    if isinstance(phone := values.get("phone"), Mapping):
        try:
            values["phone"] = finished_phone(phone, rules.default_country_code)
        except InvalidInput as problem:
            return {}, [_shown(("phone", "number"), str(problem), columns)]
    try:
        return CaseDetails.model_validate(values).body(), []
    except ValidationError as error:
        return {}, [_shown(path, reason, columns) for path, reason in invalid_fields(error)]


def _shown(path: tuple[str, ...], reason: str, columns: Mapping[str, str]) -> tuple[str, str]:
    """Return the column of a field's problem, and the reason with the place within the cell."""
    field_name, *within = path
    part = f"phone_{within[0]}" if within and field_name not in columns else ""
    if part in columns:
        return columns[part], reason
    column = columns.get(field_name) or next(columns[name] for name in PHONE_PARTS if name in columns)
    place = [f"item {int(within.pop(0)) + 1}"] if within and field_name == "documents" else []
    if any(name not in _NAMES_WITHIN for name in within):
        # The name there is the user's own and may be personal, so it is not shown.
        return column, ", ".join([*place, "holds a name that the API does not have"])
    return column, " ".join([", ".join([*place, *within]), reason]).strip()


def _too_long(values: Mapping[str, Any], columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the objects that are too long: with texts, which were measured before, this bounds a row."""
    texts = {
        name: json.dumps(values[name], ensure_ascii=False, separators=(",", ":"))
        for name in _JSON_FIELDS
        if values.get(name)
    }
    return [
        (columns.get(name, name), _TOO_LONG) for name, text in texts.items() if len(text) > CELL_CHARACTERS
    ]
