"""Types in ``field_types`` that no column of the input has a field for: what they were to check is not checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.input.columns import RECORD_PREFIX, Fields
from airflow_provider_workflows.batch.input.rows import Row

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import Checked


def with_types_of_no_field(
    rows: Iterator[Checked], fields: Fields, warn: Callable[[str], None]
) -> Iterator[Checked]:
    """Yield rows, and behind the last say which types are of no field.

    :param rows: the rows as they were checked
    :param fields: the field of each column
    :param warn: is told
    """
    for row in rows:
        if fields.sought and isinstance(row, Row) and row.record:
            # A column may have the record as a whole.
            fields.sought.difference_update(f"{RECORD_PREFIX}{name}" for name in row.record)
        yield row
    if fields.sought:
        missing = sorted(fields.sought)
        names = ", ".join(name.removeprefix(RECORD_PREFIX) for name in missing)
        warn(
            f"field_types has {names}, and no column of items gives such a field of a record, as {missing[0]}: "
            "nothing is checked by it. Spell the name as the field's, or leave it away"
        )
