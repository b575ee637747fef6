"""The reference to a shard's rows, by which its batch task finds them, and sees whether they are the same still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput

_ROWS = {"items", "first_row", "rows"}
_SHARDING = {"all_rows", "digest"}
_OPTIONAL = {"again", "rows_before", "key", "tables"}


@dataclass(frozen=True, slots=True)
class ShardReference:
    """The rows of a shard.

    :param items: URI of the file
    :param first_row: number of the shard's first row, from 1
    :param rows: number of its rows
    :param all_rows: number of the rows of all shards; None in a reference that was not made by ``shard``
    :param digest: of its rows, as ``ShardDigest`` gives it; None in a reference that was not made by ``shard``, so
        that nothing is compared
    :param rows_before: number of the rows in the shards before it, where ``where`` has passed over some, so that
        the numbers of rows do not say so
    :param again: whether ``shard`` may have run before, so that a row may have a run in another shard
    :param key: the column of the rows' keys, where the file has the rows of a query
    :param tables: namespace and name of each table that the query has read, as lineage names them
    """

    items: Any
    first_row: int
    rows: int
    all_rows: int | None = None
    digest: str | None = None
    again: bool = False
    rows_before: int | None = None
    key: str | None = None
    tables: Sequence[Sequence[str]] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the reference as JSON, as a batch task takes it for its items."""
        return {
            "items": self.items,
            "first_row": self.first_row,
            "rows": self.rows,
            **(self.sharding or {}),
            **({"again": True} if self.again else {}),
            **({} if self.key is None else {"key": self.key}),
            **({"tables": [[*table] for table in self.tables]} if self.tables else {}),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ShardReference:
        """Return the reference that ``to_json`` made JSON of.

        :raises InvalidInput: if it is not one
        """
        if not (is_shard_reference(fields) and _are_typed(fields)):
            raise InvalidInput(
                'items is a dict but not a shard\'s reference ({"items": file, "first_row": 1, "rows": 5000}); '
                "a single row is given as a list of one dict"
            )
        return cls(**fields)

    @property
    def sharding(self) -> dict[str, Any] | None:
        """What ``merge`` compares over all shards: ``all_rows``, ``digest`` and, where there, ``rows_before``."""
        if self.digest is None:
            return None
        before = {} if self.rows_before is None else {"rows_before": self.rows_before}
        return {"all_rows": self.all_rows, "digest": self.digest, **before}


def is_shard_reference(items: object) -> bool:
    """Return whether a batch's items have the fields of a shard's reference."""
    return isinstance(items, Mapping) and items.keys() - _OPTIONAL in (_ROWS, _ROWS | _SHARDING)


def _are_typed(fields: Mapping[str, Any]) -> bool:
    numbers = [fields["first_row"], fields["rows"], fields.get("all_rows", 1)]
    before = fields.get("rows_before", 0)
    return (
        all(type(number) is int and number >= 1 for number in numbers)
        and isinstance(fields.get("digest", ""), str)
        and type(before) is int
        and before >= 0
        and isinstance(fields.get("key", ""), str)
        and _are_tables(fields.get("tables", []))
    )


def _are_tables(tables: object) -> bool:
    return isinstance(tables, Sequence) and all(
        isinstance(table, Sequence) and len(table) == 2 and all(isinstance(name, str) for name in table)
        for table in tables
    )
