"""The values of a record's fields: those that stand for a field of a case are checked as that one's."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import CASE_FIELDS
from airflow_provider_workflows.batch.input.cells import require_value
from airflow_provider_workflows.batch.input.columns import (
    PHONE_PARTS,
    RECORD_PREFIX,
    plain_name,
    record_field,
)
from airflow_provider_workflows.batch.input.subjects import json_fields
from airflow_provider_workflows.batch.input.zero_pad import zero_padded

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.value_rules import ValueRules

#: The fields of a case by their names as headers are compared.
_OF_CASE = {plain_name(name): name for name in (*CASE_FIELDS, *PHONE_PARTS) if name != "documents"}

#: The types of fields of which the DAG's author says that numbers are right in them.
_NUMBER_TYPES = ("number", "integer")


@functools.lru_cache(maxsize=1000)
def named_in_rules(name: str) -> str:
    """Return the name by which rules are kept for a field: of a record's without regard to its spelling.

    :param name: such as ``"personal_number"`` or ``"record.personalNumber"``
    """
    field = record_field(name)
    return f"{RECORD_PREFIX}{plain_name(field.removeprefix(RECORD_PREFIX))}" if field else name


def require_one_field_each(argument: str, names: Iterable[str]) -> None:
    """Return if each name is that of another field.

    :param argument: the argument that has them
    :param names: the names of fields
    :raises InvalidInput: naming two that are one field
    """
    found: dict[str, str] = {}
    for name in names:
        earlier = found.setdefault(named_in_rules(name), name)
        if earlier != name:
            raise InvalidInput(f"{argument} names {earlier} and {name}, which are one field: leave one out")


def read_record(name: str, value: Any, rules: ValueRules) -> Any:
    """Return a field of a record, or a whole record as JSON, with values as they are sent.

    :param name: ``record.NAME``, or ``record`` for a whole one
    :param value: what the source has for it; not empty
    :param rules: what values become, and what they must be
    :raises InvalidInput: saying what is wrong, and of a whole record in which field, never the value
    """
    if name != "record":
        return _ruled(name, value, rules)
    require_value(name, value)
    fields = _with_ruled_values(value, rules) if isinstance(value, Mapping) else value
    return json_fields(fields, rules.field_types)


def _with_ruled_values(record: Mapping[Any, Any], rules: ValueRules) -> dict[Any, Any]:
    values = dict(record)
    for name, value in record.items():
        if value is None or not isinstance(name, str) or (isinstance(value, str) and not value.strip()):
            continue
        field = f"{RECORD_PREFIX}{name}"
        try:
            values[name] = _ruled(field, value, rules)
        except InvalidInput as problem:
            raise InvalidInput(f"{field} {problem}") from None
    return values


def _ruled(name: str, value: Any, rules: ValueRules) -> Any:
    rule = named_in_rules(name)
    of_case = _OF_CASE.get(rule.removeprefix(RECORD_PREFIX))
    if rule in rules.zero_pad:
        value = zero_padded(name, value, rules.zero_pad[rule])
        # What is padded is a number by which somebody is known, whatever it is called.
        of_case = of_case or "personal_number"
    if of_case is None or rules.field_types.get(name.removeprefix(RECORD_PREFIX)) in _NUMBER_TYPES:
        require_value(name, value)
    else:
        _require_value_of_case(name, of_case, value)
    if rule in rules.checks:
        if not isinstance(value, str):
            raise InvalidInput(
                f"is {type(value).__name__}, and checks asks for text: read the column as text"
            )
        rules.checks[rule](value.strip())
    return value


def _require_value_of_case(name: str, of_case: str, value: Any) -> None:
    is_number = isinstance(value, Number) and not isinstance(value, bool)
    if of_case in PHONE_PARTS and is_number and not isinstance(value, int):
        raise InvalidInput("is a number with a fraction, so digits may be lost; read the column as text")
    # As text, a phone has what its number may have.
    checked_as = "phone_number" if of_case == "phone" and isinstance(value, str) else of_case
    try:
        require_value(checked_as, value)
    except InvalidInput as problem:
        raise InvalidInput(str(problem).replace(f"'{of_case}'", f"'{name}'")) from None
