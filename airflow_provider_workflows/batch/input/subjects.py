"""Whom a row is about: a case that is created or exists, or a record that is created or exists."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.columns import RECORD_PREFIX

if TYPE_CHECKING:
    from airflow_provider_workflows.api.field_types import FieldType

#: The fields of a row that say nothing of whom it is about.
_OTHER_FIELDS = frozenset({"parameters", "key"})
_IDS = ("case_id", "record_id")
_NOT_OF_CASE = _OTHER_FIELDS.union(_IDS, ("record",))


def is_record_field(name: str) -> bool:
    """Return whether a field is that of a record, or the record as a whole."""
    return name == "record" or name.startswith(RECORD_PREFIX)


def has_case_field(given: AbstractSet[str]) -> bool:
    """Return whether a row has a field of a case.

    :param given: the fields that have a value
    """
    return any(not name.startswith(RECORD_PREFIX) for name in given - _NOT_OF_CASE)


def may_be_about_nobody(columns: Mapping[str, str], given: AbstractSet[str]) -> bool:
    """Return whether a row may be run though it says of nobody that it is about them: its parameters are all.

    A row whose columns could say it, and whose cells do not, lacks something instead.

    :param columns: the column of each field
    :param given: the fields that have a value
    """
    return "parameters" in given and _OTHER_FIELDS.issuperset(columns)


def wrong_subjects(columns: Mapping[str, str], given: AbstractSet[str]) -> list[tuple[str, str]]:
    """Return what is wrong with a row that says in more than one way whom it is about.

    :param columns: the column of each field
    :param given: the fields that have a value
    """
    ids = [name for name in _IDS if name in given]
    of_record = [name for name in given if is_record_field(name)]
    if not ids and not of_record:
        return []
    has_case = has_case_field(given)
    wrong = []
    if "case_id" in ids and has_case:
        wrong.append(
            (columns["case_id"], "case_id and case fields together: a case that exists is not changed")
        )
    if "record_id" in ids and of_record:
        wrong.append(
            (
                columns["record_id"],
                "record_id and record fields together: a record that exists is not changed",
            )
        )
    about_record = "record_id" if "record_id" in ids else min(of_record, default=None)
    if about_record is not None and (has_case or "case_id" in ids):
        wrong.append((columns[about_record], "a record and a case together: a run is about one of them"))
    return wrong


def taken_record(
    values: dict[str, Any],
    columns: Mapping[str, str],
    wrong: list[tuple[str, str]],
    field_types: Mapping[str, FieldType],
) -> dict[str, Any] | None:
    """Return the fields of the record that is created for a row, and take them out of its values.

    :param values: the value of each field
    :param columns: the column of each field
    :param wrong: column and reason of what cannot be right, to which such a field is added
    :param field_types: types by the names of the fields, as far as they are checked here
    :return: None for a row without such a field
    """
    whole = values.pop("record", None)
    names = [name for name in values if name.startswith(RECORD_PREFIX)]
    if not names:
        return whole or None
    fields = {name.removeprefix(RECORD_PREFIX): _text(values.pop(name)) for name in names}
    if whole is not None:
        wrong.append((columns["record"], "is given both whole and in parts"))
        return None
    try:
        fields = json_fields(fields, field_types)
    except InvalidInput:
        for name, value in fields.items():
            try:
                json_fields({name: value}, field_types)
            except InvalidInput as problem:  # noqa: PERF203  (in a bad row alone)
                field = f"{RECORD_PREFIX}{name}"
                wrong.append((columns[field], str(problem).removeprefix(f"{field} ")))
    return fields


def file_paths(value: object) -> tuple[str, ...]:
    """Return the paths of the files of a row.

    :param value: the URI or the absolute path of a file, or a list of these
    :raises InvalidInput: if it is something else, never with a path: it may hold a name
    """
    given = value if isinstance(value, (list, tuple)) else [value]
    paths = [path.strip() for path in given if isinstance(path, str)]
    if len(paths) < len(given) or not all(paths):
        raise InvalidInput("must be the URI or the absolute path of a file, or a list of these")
    return tuple(paths)


def json_fields(fields: object, field_types: Mapping[str, FieldType] | None = None) -> dict[str, Any]:
    """Return the fields of a record as JSON, dates and decimals as the API takes them.

    :param fields: values by name
    :param field_types: types by the names of the fields, as far as they are checked here
    :raises InvalidInput: naming the fields that cannot be right, as ``record.name``, never a value
    """
    from airflow_provider_workflows.api.field_types import require_record_fields  # noqa: PLC0415  (not while parsing)

    if not isinstance(fields, Mapping):
        raise InvalidInput(f"record must be a dict, not {type(fields).__name__}")
    try:
        return require_record_fields(fields, field_types)
    except InvalidInput as problem:
        raise InvalidInput(str(problem).replace("fields.", RECORD_PREFIX)) from None


def _text(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
