"""What is wrong with the connection of a storage, in words that hold nothing of it."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseHook

from airflow_provider_workflows.airflow_internals.secrets_masker import masked
from airflow_provider_workflows.api.redaction import REDACTED, all_values, one_line

#: What a message is made of, beside blanks and punctuation.
_WORD = re.compile(r"[^\s'\"()\[\]{}<>,;:=]+")
#: A shorter part of a secret tells nothing, and words such as "in" are part of many.
_FEWEST_CHARACTERS = 3
#: A word of more characters with a digit in it may be a key that the connection names and does not hold.
_LONGEST_WORD = 20
_SHOWN_CHARACTERS = 200


def connection_problem(shown_path: str, conn_id: str | None, error: Exception) -> str:
    """Return what is wrong with the connection of a path.

    :param shown_path: the path, as messages show it
    :param conn_id: id of the connection; None or empty for what the machine itself is allowed to
    :param error: what was raised as the storage was opened by it
    """
    connection = f"the connection {conn_id!r}" if conn_id else "the storage"
    words = _words(conn_id, error)
    said = f": {words}" if words else "; its own words are left out, because they may repeat a secret"
    kind = type(error).__name__
    return f"{connection} of {shown_path} cannot be used ({kind}){said}. Correct its fields and its extra"


def _words(conn_id: str | None, error: Exception) -> str:
    """Return what an error says, without any part of the connection; nothing if that cannot be told."""
    text = masked(str(error))
    if text is None:
        return ""
    try:
        values = _values(BaseHook.get_connection(conn_id)) if conn_id else []
    except Exception:  # noqa: BLE001  (what cannot be read cannot be left out)
        return ""

    def shown(found: re.Match[str]) -> str:
        word = found[0]
        is_key = len(word) > _LONGEST_WORD and any(map(str.isdigit, word))
        is_part = len(word) >= _FEWEST_CHARACTERS and any(word in value for value in values)
        return REDACTED if is_key or is_part else word

    return one_line(_WORD.sub(shown, text), _SHOWN_CHARACTERS).rstrip(".")


def _values(connection: Any) -> list[str]:
    """Return each value of a connection, also as a URI writes it."""
    fields = [connection.login, connection.password, connection.host, connection.schema, connection.port]
    extra = connection.extra or "{}"
    try:
        fields += all_values(json.loads(extra))
    except ValueError:
        fields.append(extra)
    texts = [str(field) for field in fields if field is not None]
    return [*texts, *map(quote, texts)]
