"""Days and times of PostgreSQL that Python does not have, such as ``infinity``: one of them fails no query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

#: What PostgreSQL calls a type, the number that it has and that of its lists, and psycopg2's reader of it.
_TYPES = (
    ("date", 1082, 1182, "PYDATE"),
    ("time", 1083, 1183, "PYTIME"),
    ("timestamp", 1114, 1115, "PYDATETIME"),
    ("timestamptz", 1184, 1185, "PYDATETIMETZ"),
    ("timetz", 1266, 1270, "PYTIME"),
    ("interval", 1186, 1187, "PYINTERVAL"),
)
#: What psycopg2 makes the last day that Python has, the first, and midnight of the day before.
_CHANGED = ("infinity", "-infinity", "24:00")


@dataclass(frozen=True)
class NotInPython:
    """Stands for a day or a time that Python does not have: ``infinity``, a year before 1 or after 9999, ``24:00``.

    :param kind: what PostgreSQL calls its type
    """

    kind: str


def read_each_time(cursor: Any) -> None:
    """Have a cursor of psycopg give ``NotInPython`` where it would fail or give another time.

    :param cursor: of psycopg2 or psycopg, before its query
    """
    if hasattr(cursor, "adapters"):
        _of_psycopg(cursor)
    else:
        _of_psycopg2(cursor)


def _of_psycopg(cursor: Any) -> None:
    pq = import_module("psycopg.pq")
    for kind, number, _, _ in _TYPES:
        for form in (pq.Format.TEXT, pq.Format.BINARY):
            usual = cursor.adapters.get_loader(number, form)
            if usual is not None:
                cursor.adapters.register_loader(number, _loader(kind, form, usual))


def _loader(kind: str, form: Any, usual: Any) -> Any:
    """Return psycopg's reader of a type that fails on no value; the usual one, in C, cannot be derived from."""
    psycopg = import_module("psycopg")

    class Loader:
        format = form

        def __init__(self, number: int, context: Any = None) -> None:
            self._usual = usual(number, context)

        def load(self, data: Any) -> Any:
            try:
                return self._usual.load(data)
            except (psycopg.DataError, ValueError, OverflowError):
                return NotInPython(kind)

    return Loader


def _of_psycopg2(cursor: Any) -> None:
    extensions = import_module("psycopg2.extensions")
    for kind, number, list_number, name in _TYPES:
        own = extensions.new_type(
            (number,), f"WORKFLOWS_{kind.upper()}", _reader(kind, getattr(extensions, name))
        )
        extensions.register_type(own, cursor)
        own_list = extensions.new_array_type((list_number,), f"WORKFLOWS_{kind.upper()}S", own)
        extensions.register_type(own_list, cursor)


def _reader(kind: str, usual: Callable[[Any, Any], Any]) -> Callable[[str | None, Any], Any]:
    def read(text: str | None, cursor: Any) -> Any:
        if text is None:
            return None
        try:
            return NotInPython(kind) if text.startswith(_CHANGED) else usual(text, cursor)
        except (ValueError, OverflowError):
            return NotInPython(kind)

    return read
