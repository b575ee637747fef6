"""What the values of a row become, and what they must be, before the row is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import CASE_FIELDS
from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.batch.input.cells import require_value
from airflow_provider_workflows.batch.input.number_checks import CheckValue, checks_of, require_checks
from airflow_provider_workflows.batch.input.phones import require_country_code
from airflow_provider_workflows.batch.input.record_values import named_in_rules, require_one_field_each
from airflow_provider_workflows.batch.input.zero_pad import require_zero_pad

if TYPE_CHECKING:
    from airflow_provider_workflows.api.field_types import FieldType
    from airflow_provider_workflows.batch.input.options import InputOptions

Rule = TypeVar("Rule")

#: What may stand in for a missing value: not what says who a row is about.
_WITH_DEFAULT = frozenset(CASE_FIELDS) - {"personal_number", "phone"}


@dataclass(frozen=True)
class ValueRules:
    """What the values of a row become, and what they must be.

    :param zero_pad: by field, the number of digits to which a number is padded with zeros
    :param default_country_code: the calling code of phones that have none
    :param checks: by field, the function that raises if a value cannot be right
    :param defaults: by field, the value of rows that have none
    :param keeps_cells: whether a bad row keeps its cells, for the list of bad rows with their values
    :param requires_key: whether each row must have a key of its own
    :param field_types: types by the names of a record's fields, as far as they are checked here
    """

    zero_pad: Mapping[str, int] = field(default_factory=dict)
    default_country_code: str | None = None
    checks: Mapping[str, CheckValue] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)
    keeps_cells: bool = False
    requires_key: bool = False
    field_types: Mapping[str, FieldType] = field(default_factory=dict)

    @classmethod
    def of(cls, options: InputOptions, *, requires_key: bool = False) -> ValueRules:
        """Return the rules that the options of an input say.

        :param options: as the operator's arguments say
        :param requires_key: whether each row must have a key of its own
        :raises InvalidInput: if one of them cannot be right
        """
        return cls(
            _by_field("zero_pad", require_zero_pad(options.zero_pad) or {}),
            require_country_code(options.default_country_code),
            _by_field("checks", checks_of(require_checks(options.checks))),
            require_defaults(options.defaults) or {},
            options.bad_row_values,
            requires_key,
            require_types_of_record(options.field_types) or {},
        )


def _by_field(argument: str, rules: Mapping[str, Rule]) -> Mapping[str, Rule]:
    require_one_field_each(argument, rules)
    return {named_in_rules(name): rule for name, rule in rules.items()}


NO_RULES = ValueRules()
"""Values are sent as they are."""


def require_defaults(defaults: object) -> Mapping[str, Any] | None:
    """Return the values of rows that have none.

    :param defaults: values by field: a field of a case, but not ``personal_number`` or ``phone``. None for no
        defaults
    :raises InvalidInput: if it is something else, never with a value
    """
    if defaults is None:
        return None
    if not isinstance(defaults, Mapping):
        refuse("defaults", "a dict of field and value", defaults)
    for name in defaults:
        if name not in _WITH_DEFAULT:
            raise InvalidInput(
                f"defaults can have {', '.join(sorted(_WITH_DEFAULT))}. A row's key, its case_id, its "
                "personal_number and its phone are its own; parameters=... and default_country_code=... are for "
                "rows without them"
            )
    from pydantic import ValidationError  # noqa: PLC0415  (not while parsing)

    from airflow_provider_workflows.api.models import CaseDetails, invalid_fields  # noqa: PLC0415  (not while parsing)

    found = dict(defaults)
    for name, value in found.items():
        _require_value(name, value)
    try:
        details = CaseDetails.model_validate(found)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(path)} {reason}" for path, reason in invalid_fields(error))
        raise InvalidInput(f"defaults: {wrong}") from None
    if missing := [name for name in found if not getattr(details, name)]:
        raise InvalidInput(f"defaults: {', '.join(missing)} has no value")
    return found


def require_types_of_record(field_types: object) -> Mapping[str, FieldType] | None:
    """Return the types of the fields of records.

    :param field_types: types by the names of fields; None to leave the check to the service
    :raises InvalidInput: if it is something else
    """
    if field_types is None:
        return None
    from airflow_provider_workflows.api.field_types import require_field_types  # noqa: PLC0415  (not while parsing)

    return require_field_types(field_types)


def _require_value(name: str, value: object) -> None:
    try:
        require_value(name, value)
    except InvalidInput as problem:
        raise InvalidInput(f"defaults: {name} {problem}") from None
