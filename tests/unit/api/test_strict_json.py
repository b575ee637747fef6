"""JSON as RFC 8259 has it: what is read, what is refused, and that no error repeats what was read."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import MAX_DEPTH, parse_json, require_json_object


def nested(depth: int) -> str:
    """Return objects and lists within each other, as JSON."""
    return (
        '{"a":' * (depth // 2) + "[" * (depth - depth // 2) + "]" * (depth - depth // 2) + "}" * (depth // 2)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            '{"a": [1, -2.5e3, "\\u00f3", true, false, null, {}, []]}',
            {"a": [1, -2500.0, "ó", True, False, None, {}, []]},
        ),
        ('{"a": {"b": 1}, "c": {"b": 1}}', {"a": {"b": 1}, "c": {"b": 1}}),
        ('"ó"'.encode(), "ó"),
        (" 7\n", 7),
    ],
)
def test_what_the_rfc_allows_is_read(text: str | bytes, value: object) -> None:
    assert parse_json(text) == value


def test_as_deep_as_the_bound_is_read() -> None:
    assert parse_json(nested(MAX_DEPTH))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"Kowalska": 1, "Kowalska": 1}', "the same name twice"),
        ('[{"a": {"Kowalska": 1, "Kowalska": 2}}]', "the same name twice"),
        ("NaN", "NaN or Infinity"),
        ('{"a": [-Infinity]}', "NaN or Infinity"),
        ("[1e999]", "beyond the range of a float"),
        ("9" * 5000, "is not valid JSON"),
        (nested(MAX_DEPTH + 1), "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
        ('{"Kowalska"', "is not valid JSON"),
        ("{'Kowalska': 1}", "is not valid JSON"),
        ('["Kowalska",]', "is not valid JSON"),
        ('"Kowalska\n"', "is not valid JSON"),
        ('"Kowalska" "Kowalska"', "is not valid JSON"),
        ("", "is not valid JSON"),
        ("\ufeff{}", "is not valid JSON"),
        (b'"Kowalsk\xf3"', "is not valid JSON"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "bytes",
)
def test_anything_else_is_refused_without_a_value(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as raised:
        parse_json(text)

    assert "Kowalsk" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("beyond", [0, 1])
def test_values_of_python_nest_no_deeper_than_text(beyond: int) -> None:
    value: Any = {}
    for _ in range(MAX_DEPTH - 1 + beyond):
        value = {"a": value}

    if beyond:
        with pytest.raises(InvalidInput, match="parameters is nested too deeply"):
            require_json_object("parameters", value)
    else:
        assert require_json_object("parameters", value) == value
