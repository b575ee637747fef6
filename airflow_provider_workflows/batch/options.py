"""What a batch is to do, as the operator's arguments say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.input.items import read_together
from airflow_provider_workflows.batch.input.options import AS_IT_IS, InputOptions
from airflow_provider_workflows.batch.input.reading import Note, no_note
from airflow_provider_workflows.batch.output_options import OutputOptions

if TYPE_CHECKING:
    from airflow_provider_workflows.api import Settings
    from airflow_provider_workflows.batch.input.checked_columns import Checked
    from airflow_provider_workflows.batch.input.items import Items


@dataclass(frozen=True)
class BatchOptions:
    """What a batch is to do, as the operator's arguments say; durations are in seconds."""

    workflow_definition_id: str
    parameters: Mapping[str, Any] | None
    skip_bad_rows: bool
    max_concurrency: int
    requests_per_second: float | None
    max_outage: float
    hash_personal_numbers: bool = False
    input: InputOptions = AS_IT_IS
    output: OutputOptions = field(default_factory=OutputOptions)

    def rows(self, items: Items, *, note: Note = no_note) -> Iterator[Checked]:
        """Return an iterator over the checked rows of items, many of them together.

        :param items: as ``read_together`` takes them
        :param note: is told what is left out, without a value of a row
        :raises InvalidInput: as ``read_together``
        """
        return read_together(items, self.input, note=note)

    def hash_secret(self, settings: Settings) -> str | None:
        """Return the secret that personal numbers are hashed with, or None if hashes are not asked for.

        :raises InvalidInput: if the connection has none
        """
        return settings.require_hash_secret() if self.hash_personal_numbers else None

    @property
    def common(self) -> tuple[str, Mapping[str, Any] | None]:
        """What is sent for all rows, which is part of each row's digest."""
        return self.workflow_definition_id, self.parameters
