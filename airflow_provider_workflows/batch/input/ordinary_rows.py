"""Rows in which all is as it should be, seen at a fraction of the time that a closer check takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from airflow_provider_workflows.api.redaction import CASE_FIELDS
from airflow_provider_workflows.batch.input.cells import is_ordinary
from airflow_provider_workflows.batch.input.columns import PHONE_PARTS
from airflow_provider_workflows.batch.input.phones import is_plain_phone

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.value_rules import ValueRules

#: The name in the body of ``POST /cases`` of each field that is text.
BODY_NAMES = {name: to_camel(name) for name in CASE_FIELDS if name not in ("phone", "documents")}


def ordinary_row(
    cells: Mapping[str, Any], columns: Mapping[str, str], rules: ValueRules
) -> tuple[dict[str, Any], str] | None:
    """Return the body of ``POST /cases`` and the key (empty without one) of a row of ordinary text.

    It says what ``checked`` would say: the model of a case takes such text as it is.

    :param cells: the value of each column
    :param columns: the column of each field
    :param rules: what values become, and what they must be
    :return: None for a row that needs a closer check
    """
    if rules.zero_pad or rules.checks or rules.defaults:
        return None
    case: dict[str, Any] = {}
    phone: dict[str, str] = {}
    key = ""
    for name, column in columns.items():
        value = cells[column]
        if value is None or (type(value) is str and not value):
            continue
        if not is_ordinary(name, value):
            return None
        if name in BODY_NAMES:
            case[BODY_NAMES[name]] = value
        elif name == "key":
            key = value
        elif value.startswith("00"):
            # It may stand for a calling code, in front of the number or of the code itself.
            return None
        else:
            phone[PHONE_PARTS[name]] = value
    if phone:
        if len(phone) < len(PHONE_PARTS) or not is_plain_phone(phone["country_code"], phone["number"]):
            return None
        case["phone"] = {"countryCode": phone["country_code"], "number": phone["number"]}
    return (case, key) if case and (key or not rules.requires_key) else None
