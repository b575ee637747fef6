"""JSON whose rows are within an object, as the responses of most services have them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import parse_json
from airflow_provider_workflows.batch.input.reading import Reading

#: Names under which services give rows; only these are shown, for another may be a person's.
_USUAL_NAME = re.compile(
    "body|cases|content|customers|d|data|entries|hits|items|list|objects|payload|people|records|response|results?|"
    "rows|users|values?"
)
_TEXT = r'"(?:[^"\\]|\\.)*"'
#: The beginning of an object that is too long to be parsed, up to the first row in it.
_BEGINS_WITH_ROWS = re.compile(
    rf'\s*\{{(?:\s*{_TEXT}\s*:\s*(?:{_TEXT}|[-+.\w]+)\s*,)*\s*"([^"\\]*)"\s*:\s*\[\s*[\[{{]'
)
#: Such an object over several lines.
_GOES_ON = ("{", "[")


def require_rows(first: str, reading: Reading) -> None:
    """Return if the first line of a file of JSON may be a row.

    :param first: the line, or the beginning of a long one
    :param reading: how it is read
    :raises InvalidInput: if rows are within it, saying under which name, or if it is not the whole of an object
    """
    text = first.strip()
    names = _place_of_rows(text, reading)
    if names is not None:
        usual = all(map(_USUAL_NAME.fullmatch, names))
        under = f", under {'.'.join(names)!r}" if usual else ""
        raise InvalidInput(
            f"items is JSON whose rows are within an object{under}: write an array of the rows alone, or each row "
            "in a line of its own"
        )
    if text.endswith(_GOES_ON):
        raise InvalidInput(
            "items is JSON, but has neither an object in each line nor an array of objects: write an array of the "
            "rows, or each row in a line of its own"
        )


def _place_of_rows(text: str, reading: Reading) -> tuple[str, ...] | None:
    """Return the names under which the rows are; None if the text may be a row."""
    # Of any column, the user's function may make fields.
    if not text.startswith("{") or reading.functions.transform is not None:
        return None
    try:
        value = parse_json(text)
    except InvalidInput:
        found = _BEGINS_WITH_ROWS.match(text)
        return (found[1],) if found and not reading.fields.of(found[1]) else None
    if not isinstance(value, dict) or any(map(reading.fields.of, value)):
        return None
    return next(_rows_within(value), None)


def _rows_within(value: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the names of each list of objects in an object, or in an object in it, as OData has it."""
    for name, each in value.items():
        if _are_rows(each):
            yield (name,)
        elif isinstance(each, dict):
            yield from ((name, within) for within, items in each.items() if _are_rows(items))


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict | list) for each in value)
