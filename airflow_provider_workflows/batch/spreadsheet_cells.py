"""Text as a cell of CSV that no spreadsheet runs as a formula."""

from __future__ import annotations

import re

#: A spreadsheet runs a cell that begins so; some leave out blanks before it, and some take wide characters, too.
_FORMULA = r"[\t\r\n]|\s*[=+\-@＝＋－＠]"  # noqa: RUF001
_IS_RUN = re.compile(_FORMULA)
#: What gets an apostrophe more: what would be run, also after apostrophes, so that one that was put there can be
#: told from the text's own; and what is nothing but apostrophes, because an empty cell has no value.
_TO_ESCAPE = re.compile(rf"'*(?:{_FORMULA}|\Z)")
_ESCAPED = re.compile(rf"'+(?:{_FORMULA}|\Z)")


def cell(text: str) -> str:
    """Return text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _IS_RUN.match(text) else text


def escaped_cell(value: object) -> object:
    """Return a value as a cell that no spreadsheet takes for a formula, and that ``value_of`` gives back."""
    return f"'{value}" if isinstance(value, str) and _TO_ESCAPE.match(value) else value


def value_of(escaped: str) -> str | None:
    """Return the text that ``escaped_cell`` made a cell of; None if there was none.

    :param escaped: the cell
    """
    if not escaped:
        return None
    return escaped[1:] if _ESCAPED.match(escaped) else escaped
