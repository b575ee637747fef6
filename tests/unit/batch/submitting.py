"""Rows on their way to the sandbox, without a task around them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api import AsyncWorkflowsClient, Statuses
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.journal import Journal, states
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.submit import WHOLE_BATCH, Submission

TRIES = 3
WITH_PARAMETERS = {"first_name": "Ada", "parameters": {"limit": 1}}

RUNNING, UNKNOWN, NOT_SUBMITTED = RowOutcome.RUNNING, RowOutcome.UNKNOWN, RowOutcome.NOT_SUBMITTED


class Rows:
    """Rows on their way to the sandbox; their states stay from one submission to the next.

    :param client: of a generation of the API
    :param folder: for the journal
    :param definition_id: of the workflow
    :param table_id: of the table in which records are created
    """

    def __init__(
        self, client: AsyncWorkflowsClient, folder: Path, definition_id: str, table_id: str | None = None
    ) -> None:
        self.client = client
        self.table_id = table_id
        self.folder = ObjectStoragePath(str(folder))
        self.definition_id = definition_id
        self.states: dict[int, RowState] = {}

    async def submit(
        self,
        items: Sequence[Any],
        *,
        rate: float | None = None,
        max_outage: float = 0.1,
        parameters: dict[str, Any] | None = None,
        concurrency: int = 4,
        ownership: Ownership | None = None,
    ) -> None:
        is_stopped = None if ownership is None else lambda: not ownership.may_act
        with contextlib.closing(Journal(self.folder, is_stopped=is_stopped)) as journal:
            self.submission = Submission(
                self.client,
                journal,
                self.states,
                FlowControl(
                    rate,
                    max_attempts=TRIES,
                    max_outage=max_outage,
                    clock=asyncio.get_running_loop().time,
                ),
                workflow_definition_id=self.definition_id,
                parameters=parameters,
                concurrency=concurrency,
                generation=self.client.settings.api_generation,
                table_id=self.table_id,
                ownership=ownership,
            )
            await self.submission.run(read_items(items))

    @property
    def outcomes(self) -> dict[int, RowOutcome]:
        return _outcomes(self.states)

    @property
    def written(self) -> dict[int, RowOutcome]:
        """The outcomes as a process sees them that has only the journal."""
        return _outcomes(states(self.folder))


def _outcomes(states: dict[int, RowState]) -> dict[int, RowOutcome]:
    return {row: state.outcome(Statuses()) for row, state in sorted(states.items()) if row != WHOLE_BATCH}
