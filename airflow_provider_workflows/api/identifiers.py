"""The fields with numbers that identify a person or a company: leading zeros belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic.alias_generators import to_camel

from airflow_provider_workflows.api.errors import InvalidInput

IDENTIFIERS = ("personal_number", "company_number")
# Once, because each row of a batch is checked.
_SPELLED_IDENTIFIERS = tuple(spelling for name in IDENTIFIERS for spelling in (name, to_camel(name)))


def require_identifiers_as_text(fields: Mapping[str, Any], *, argument: str = "") -> None:
    """Refuse an identifier that is a number: its leading zeros may be lost. The API itself takes whole numbers.

    :param fields: values by name, in Python's or the API's spelling
    :param argument: the argument that the fields come from, put before each name in an error
    :raises InvalidInput: naming the fields, never a value
    """
    wrong = [name for name in _SPELLED_IDENTIFIERS if isinstance(fields.get(name), (int, float, Decimal))]
    if wrong:
        names = ", ".join(".".join([argument] * bool(argument) + [name]) for name in wrong)
        raise InvalidInput(f"{names}: is a number, so its leading zeros may be lost; give it as text")
