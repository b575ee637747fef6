"""The argument ``checks``: numbers and e-mail addresses that cannot be right are found before anything is paid.

``python-stdnum`` knows the numbers of dozens of countries. Of a format without a check digit only length and
characters are checked, and some have a check digit only in numbers of a certain length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.identifiers import IDENTIFIERS
from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.batch.input.columns import record_field
from airflow_provider_workflows.batch.input.names import NO_EMAIL

CheckValue = Callable[[str], None]
"""A function that takes a value without white space around it, and raises if it cannot be right."""

EMAIL = "EMAIL"
"""The format of e-mail addresses."""

_REQUIREMENT = (
    "a dict of field and format, such as {'personal_number': 'PL-PESEL', 'company_number': ['PL-NIP', 'PL-REGON'], "
    "'email': 'EMAIL', 'record.NAME': 'PL-PESEL'}"
)
_FORMAT = re.compile(r"(?P<country>[A-Z]{2})-(?P<name>[A-Z][A-Z0-9_]*)")
_MOST_CHARACTERS_OF_EMAIL = 254
_MOST_CHARACTERS_BEFORE_AT = 64
#: ``\w`` has letters and digits of any script, which both sides of an address may have.
_EMAIL = re.compile(
    r"(?P<local>[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*)@"
    r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?P<top>[^\W\d_]{2,}|xn--[a-z0-9-]+)",
    re.IGNORECASE,
)


def require_checks(checks: object) -> Mapping[str, tuple[str, ...]] | None:
    """Return the formats of each field that is checked.

    :param checks: a format, or a list of formats of which a value has to have one, by ``personal_number``,
        ``company_number``, ``email`` and ``record.NAME``; or None
    :raises InvalidInput: if it is something else, or names an unknown format, or ``python-stdnum`` is missing
    """
    if checks is None:
        return None
    if not isinstance(checks, Mapping):
        refuse("checks", _REQUIREMENT, checks)
    found = {}
    for name, given in checks.items():
        formats = (given,) if isinstance(given, str) else given
        if not (name in (*IDENTIFIERS, "email") or record_field(name)) or not _are_texts(formats):
            raise InvalidInput(f"checks must be {_REQUIREMENT}")
        for each in formats:
            _check_of(name, each)
        found[name] = tuple(each.upper() for each in formats)
    return found


def checks_of(checks: Mapping[str, Sequence[str]] | None) -> Mapping[str, CheckValue]:
    """Return the function that checks each field.

    :param checks: what ``require_checks`` returned
    :raises InvalidInput: if ``python-stdnum`` is missing
    """
    return {
        name: _any_of([_check_of(name, each) for each in formats], formats)
        for name, formats in (checks or {}).items()
    }


def _are_texts(formats: object) -> bool:
    return (
        isinstance(formats, (list, tuple))
        and bool(formats)
        and all(isinstance(each, str) for each in formats)
    )


def _check_of(name: str, given: str) -> CheckValue:
    format_name = given.upper()
    if not record_field(name) and (name == "email") is not (format_name == EMAIL):
        raise InvalidInput(
            f"checks: {name} cannot be checked as {given!r}; the format of email is {EMAIL!r}, and those of "
            "numbers are named by country and number, such as 'PL-PESEL'"
        )
    if format_name == EMAIL:
        return _check_email
    written = _FORMAT.fullmatch(format_name)
    stdnum = _require_stdnum()
    # The name of a module of the country's package, and of nothing else in there.
    module = None if written is None else stdnum.get_cc_module(written["country"], written["name"].lower())
    if not callable(getattr(module, "validate", None)):
        raise InvalidInput(
            f"checks: python-stdnum has no format {given!r}. Formats are named by country and number, such as "
            "'PL-PESEL', 'PL-NIP' or 'DE-IDNR': its documentation lists them"
        )
    return _NumberCheck(format_name, module)


class _NumberCheck:
    def __init__(self, format_name: str, module: Any) -> None:
        self._format = format_name
        self._validate = module.validate

    def __call__(self, value: str) -> None:
        # stdnum reads digits and hyphens of other scripts too, and the service may not.
        if not value.isascii():
            raise InvalidInput(f"has characters that no {self._format} has")
        if not re.search("[1-9A-Za-z]", value):
            # Zeros have the right check digit in many formats.
            raise InvalidInput(f"has only zeros, so it is not a {self._format}")
        reason = ""
        try:
            self._validate(value)
        except Exception as error:  # noqa: BLE001  (on odd text, some formats raise more than they say)
            reason = self._reason(type(error).__name__, value)
        if reason:
            raise InvalidInput(reason)

    def _reason(self, kind: str, value: str) -> str:
        if kind == "InvalidChecksum":
            return f"has a wrong check digit, so it is not a {self._format}"
        if kind == "InvalidLength":
            lost = ": if its leading zeros are lost, zero_pad gives them back" if value.isdigit() else ""
            return f"has another length than a {self._format}{lost}"
        if kind == "InvalidComponent":
            return f"has a part that no {self._format} has, such as a day that does not exist"
        return f"is not written as a {self._format}"


def _any_of(checks: Sequence[CheckValue], formats: Sequence[str]) -> CheckValue:
    if len(checks) == 1:
        return checks[0]

    def check(value: str) -> None:
        if all(_fails(each, value) for each in checks):
            raise InvalidInput(f"is not a {' or a '.join(formats)}")

    return check


def _fails(check: CheckValue, value: str) -> bool:
    try:
        check(value)
    except InvalidInput:
        return True
    return False


def _check_email(value: str) -> None:
    written = _EMAIL.fullmatch(value) if len(value) <= _MOST_CHARACTERS_OF_EMAIL else None
    if written is None or len(written["local"]) > _MOST_CHARACTERS_BEFORE_AT:
        raise InvalidInput(NO_EMAIL)


def _require_stdnum() -> Any:
    try:
        from stdnum import util  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InvalidInput(
            "checks asks for numbers to be checked, which needs python-stdnum: "
            "pip install 'airflow-provider-workflows[checks]'"
        ) from None
    return util
