"""Whole columns in which all values are as they should be, seen at a fraction of what each by itself takes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.calling_codes import LENGTHS, OTHER_LENGTHS
from airflow_provider_workflows.batch.input.cells import (
    APOSTROPHE,
    BEGINS_LINE,
    EMPTY_WORDS,
    HAS_DIGIT,
    LOST,
    MOST_ORDINARY_CHARACTERS,
    NUMBERS,
    is_ordinary,
    require_value,
)
from airflow_provider_workflows.batch.input.names import OF_PERSONS, SHOWS_OTHER_ENCODING, begins_with_letter
from airflow_provider_workflows.batch.input.ordinary_rows import BODY_NAMES
from airflow_provider_workflows.batch.input.phones import is_plain_phone, split_phone
from airflow_provider_workflows.batch.input.rows import CELL_CHARACTERS
from airflow_provider_workflows.batch.input.spreadsheet_errors import BEGINS_ERROR

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.value_rules import ValueRules

#: Stands between values of a column while they are checked together.
_BETWEEN = "|"
_LONGEST_EMPTY_WORD = max(map(len, EMPTY_WORDS))
_TEXT = {str}
_TEXT_OR_NONE = {str, type(None)}
_PHONE = ("phone_country_code", "phone_number")

Texts = Sequence[str]
"""The values of a column; empty where a row has none."""


def ordinary_columns(
    columns: Mapping[str, Sequence[Any]], rules: ValueRules, *, are_texts: bool = False
) -> tuple[dict[str, Texts], set[int]] | None:
    """Return the values of each field as they are sent, and the places of the rows that take a closer check.

    Of each other row it says what ``checked`` would say.

    :param columns: the cells of each field's column, as many in each
    :param rules: what values become, and what they must be
    :param are_texts: whether each cell surely is text
    :return: None if all rows take a closer check
    """
    if not all(name in BODY_NAMES and is_ordinary(name, value) for name, value in rules.defaults.items()):
        return None
    rows = len(next(iter(columns.values()), ()))
    odd: set[int] = set()
    values: dict[str, Texts] = {}
    for name, cells in columns.items():
        texts = cells if are_texts else _texts(cells, odd)
        if name in rules.zero_pad:
            texts = _padded(texts, rules.zero_pad[name], odd)
        if any(texts):
            values[name] = texts
            # A phone that is written as a whole has a rule of its own.
            if name != "phone":
                odd.update(_odd_places(name, texts))
            if name in rules.checks:
                odd.update(_failing(texts, rules.checks[name]))
    _split_phones(values, rules.default_country_code, odd)
    _find_odd_phones(values, rows, odd)
    case = [texts for name, texts in values.items() if name in BODY_NAMES or name in _PHONE]
    if not case:
        return None
    if not any(map(all, case)):
        odd.update(place for place, row in enumerate(zip(*case, strict=True)) if not any(row))
    if rules.requires_key:
        keys = values.get("key") or [""] * rows
        odd.update(place for place, key in enumerate(keys) if not key)
    for name, default in rules.defaults.items():
        values[name] = [text or default for text in values.get(name) or [""] * rows]
    return values, odd


def _texts(cells: Sequence[Any], odd: set[int]) -> Texts:
    """Return the cells as texts, with nothing in the place of the others."""
    kinds = set(map(type, cells))
    if kinds <= _TEXT:
        return cells
    if not kinds <= _TEXT_OR_NONE:
        odd.update(place for place, cell in enumerate(cells) if cell is not None and type(cell) is not str)
    return [cell if type(cell) is str else "" for cell in cells]


def _odd_places(name: str, texts: Texts) -> Iterable[int]:
    """Return the places of texts that are not surely ordinary ones of a field, and not empty."""
    if _is_all_ordinary(name, texts):
        return ()
    return (place for place, text in enumerate(texts) if text and not is_ordinary(name, text))


def _is_all_ordinary(name: str, texts: Texts) -> bool:
    """Return whether surely all texts are ordinary ones of a field, or empty."""
    given = texts if all(texts) else [*filter(None, texts)]
    if name == "key":
        return _are_ordinary_keys(given)
    if name in NUMBERS:
        joined = "".join(given)
        return joined.isascii() and joined.isdigit() and _are_short(joined, given)
    if name == "email":
        joined = _BETWEEN.join(given)
        return (
            # So there is one in each.
            joined.count("@") == len(given)
            and all(map(operator.contains, given, repeat("@")))
            and joined.isascii()
            and joined.isprintable()
            and not any(mark in joined for mark in " ,;<>:")
            and not _begins_or_ends(joined, "@")
            and _are_short(joined, given)
        )
    if name not in BODY_NAMES:
        return False
    distinct = set(given)
    joined = _BETWEEN.join(distinct)
    return (
        joined.isprintable()
        and (joined.isascii() or not SHOWS_OTHER_ENCODING.search(joined))
        and LOST not in joined
        and (name not in OF_PERSONS or not HAS_DIGIT.search(joined) or all(map(begins_with_letter, distinct)))
        and not _begins_or_ends(joined, " ")
        and not any(_begins_or_ends(joined, mark) for mark in (BEGINS_ERROR, *BEGINS_LINE))
        and EMPTY_WORDS.isdisjoint(distinct)
        and _are_short(joined, distinct)
    )


def _are_ordinary_keys(given: Texts) -> bool:
    lengths = set(map(len, given))
    if max(lengths) > MOST_ORDINARY_CHARACTERS:
        return False
    letters_and_digits = "".join(given)
    if not letters_and_digits.isalnum():
        joined = _BETWEEN.join(given)
        if _begins_or_ends(joined, "-") or _begins_or_ends(joined, "_"):
            return False
        letters_and_digits = letters_and_digits.replace("-", "").replace("_", "")
    return (
        letters_and_digits.isalnum()
        and APOSTROPHE not in letters_and_digits
        and (min(lengths) > _LONGEST_EMPTY_WORD or EMPTY_WORDS.isdisjoint(given))
    )


def _are_short(joined: str, given: Iterable[str]) -> bool:
    """Return whether no text is longer than a cell may be: mostly not even all of them are."""
    return len(joined) <= CELL_CHARACTERS or max(map(len, given)) <= CELL_CHARACTERS


def _begins_or_ends(joined: str, mark: str) -> bool:
    """Return whether any of the texts that were joined may begin or end with a mark."""
    return mark in joined and (
        joined[0] == mark
        or joined[-1] == mark
        or f"{_BETWEEN}{mark}" in joined
        or f"{mark}{_BETWEEN}" in joined
    )


def _padded(texts: Texts, digits: int, odd: set[int]) -> Texts:
    joined = "".join(texts)
    if joined.isascii() and (joined.isdigit() or not joined) and max(map(len, texts)) <= digits:
        return [text and text.zfill(digits) for text in texts]
    # What has something beside its digits, and a number that is too long.
    odd.update(
        place
        for place, text in enumerate(texts)
        if text and not (text.isascii() and text.isdigit() and len(text) <= digits)
    )
    return [text and text.zfill(digits) for text in texts]


def _failing(texts: Texts, check: Callable[[str], None]) -> Iterable[int]:
    for place, text in enumerate(texts):
        if text:
            try:
                check(text)
            except InvalidInput:
                yield place


def _split_phones(values: dict[str, Texts], default_country_code: str | None, odd: set[int]) -> None:
    """Have the two parts of phones that are written as a whole, as if they had columns of their own."""
    phones = values.pop("phone", ())
    if values.keys() & set(_PHONE):
        odd.update(place for place, phone in enumerate(phones) if phone)
        return
    parts = [[""] * len(phones), [""] * len(phones)]
    for place, phone in enumerate(phones):
        if phone:
            try:
                require_value("phone_number", phone)
                split = split_phone(phone, default_country_code)
            except InvalidInput:
                odd.add(place)
            else:
                parts[0][place], parts[1][place] = split["country_code"], split["number"]
    if phones:
        values.update(zip(_PHONE, parts, strict=True))


def _find_odd_phones(values: dict[str, Texts], rows: int, odd: set[int]) -> None:
    """Add the rows whose phone, in two parts of digits, is not sent as it is."""
    if not any(name in values for name in _PHONE):
        return
    codes, numbers = (values.get(name) or [""] * rows for name in _PHONE)
    given = set(codes)
    shortest = min(LENGTHS.get(code, OTHER_LENGTHS)[1] for code in given)
    joined = _BETWEEN.join(numbers)
    if (
        all(codes)
        and all(numbers)
        # Then none of them has its calling code in front.
        and max(map(len, numbers)) <= shortest
        and joined.isascii()
        and joined[0] != "0"
        and f"{_BETWEEN}0" not in joined
        and all(map(_is_plain, given))
    ):
        return
    odd.update(
        place
        for place, (code, number) in enumerate(zip(codes, numbers, strict=True))
        if (code or number) and not (code and number and is_plain_phone(code, number))
    )


def _is_plain(code: str) -> bool:
    return code.isascii() and code.isdigit() and code[0] != "0"
