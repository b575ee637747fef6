"""What a batch is to do, as the operator's arguments say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.generations import DEFAULT_GENERATION
from airflow_provider_workflows.batch.input.items import read_together
from airflow_provider_workflows.batch.input.options import AS_IT_IS, InputOptions
from airflow_provider_workflows.batch.input.reading import Note, no_note
from airflow_provider_workflows.batch.output_options import OutputOptions
from airflow_provider_workflows.batch.row_digests import Common
from airflow_provider_workflows.batch.row_generations import rows_of_generation

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow_provider_workflows.api import Settings
    from airflow_provider_workflows.batch.input.checked_columns import Checked
    from airflow_provider_workflows.batch.input.items import Items


@dataclass(frozen=True)
class BatchOptions:
    """What a batch is to do, as the operator's arguments say; durations are in seconds.

    :param generation: number of the API's generation, as the connection says
    """

    workflow_definition_id: str
    parameters: Mapping[str, Any] | None
    skip_bad_rows: bool
    max_concurrency: int
    requests_per_second: float | None
    max_outage: float
    hash_personal_numbers: bool = False
    input: InputOptions = AS_IT_IS
    output: OutputOptions = field(default_factory=OutputOptions)
    generation: int = DEFAULT_GENERATION
    table_id: str | None = None
    locale: str | None = None
    expires_at: datetime | timedelta | None = None

    def rows(self, items: Items, *, note: Note = no_note, warn: Note = no_note) -> Iterator[Checked]:
        """Return an iterator over the checked rows of items, many of them together.

        :param items: as ``read_together`` takes them
        :param note: is told what is left out, without a value of a row
        :param warn: is told what is probably a mistake, without a value of a row
        :raises InvalidInput: as ``read_together``, and if the generation does not have what a row is about
        """
        rows = read_together(items, self.input, note=note, warn=warn)
        return rows_of_generation(
            rows,
            self.generation,
            has_table=self.table_id is not None,
            is_shard=isinstance(items, Mapping),
            warn=warn,
        )

    def hash_secret(self, settings: Settings) -> str | None:
        """Return the secret that personal numbers are hashed with, or None if hashes are not asked for.

        :raises InvalidInput: if the connection has none
        """
        return settings.require_hash_secret() if self.hash_personal_numbers else None

    @property
    def common(self) -> Common:
        """What is sent for all rows and is part of each row's digest; a run's expiry and its language are not."""
        return Common(self.workflow_definition_id, self.parameters, self.table_id)
