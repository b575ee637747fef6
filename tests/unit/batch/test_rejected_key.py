"""A key that is rejected while a batch is under way: the batch goes on with what its connection says by then."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.api.retry import BACKOFF
from airflow_provider_workflows.batch.collect import Collection
from airflow_provider_workflows.batch.current_client import CurrentClient
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.journal import Journal
from airflow_provider_workflows.batch.manifest import ManifestRow
from airflow_provider_workflows.batch.output_options import OutputOptions
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.batch.submit import Submission
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import AUTHORIZE_CALL, RUN_CALL, cases
from tests.unit.clocks import SleepingClock, until

pytestmark = pytest.mark.sampled(1)

ROWS = 100
CONCURRENCY = 32
#: The tests' clock goes on while a response is under way, so that a call may meet another step of the backoff.
MARGIN = 3


class Connection:
    """A connection, from which the batch reads its settings again; the new secret may come late."""

    def __init__(self, sandbox: Sandbox, clock: SleepingClock) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self.said = sandbox.settings
        self.changes_at = float("inf")
        self.is_missing = False
        self.reads = 0

    def read(self) -> Settings:
        self.reads += 1
        if self.is_missing:
            raise ConnectionError
        return self.sandbox.settings if self.clock() >= self.changes_at else self.said


class Rotated:
    """A batch of whose rows one was submitted; then the secret was rotated."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = ObjectStoragePath(str(folder))
        self.clock = SleepingClock()
        self.connection = Connection(sandbox, self.clock)
        self.definition_id = sandbox.define(seconds=0.0)
        self.states: dict[int, RowState] = {}

    async def submit(self, rows: int, *, max_outage: float = 3600.0) -> None:
        async with self._client() as client:
            with contextlib.closing(Journal(self.folder)) as journal:
                await Submission(
                    client,
                    journal,
                    self.states,
                    self._flow_control(client, max_outage),
                    workflow_definition_id=self.definition_id,
                    parameters=None,
                    concurrency=CONCURRENCY,
                ).run(read_items(cases(rows)))

    async def collect(self, rows: int, *, max_outage: float = 3600.0) -> Collection:
        for state in self.states.values():
            state.change({"status": "COMPLETED", "ended_at": 1.0})
        async with self._client() as client:
            flow_control = self._flow_control(client, max_outage)
            collection = Collection(client, flow_control, self.states, concurrency=CONCURRENCY)
            await collection.run(
                (ManifestRow(row, str(row)) for row in range(1, rows + 1)),
                partial(writer, self.folder, OutputOptions()),
            )
        return collection

    def rotate(self) -> None:
        self.sandbox.rotate_secret()
        self.sandbox.counts.reset()
        self.rotated_at = self.clock()

    @property
    def submitted(self) -> int:
        return sum(state.workflow_id is not None for state in self.states.values())

    @property
    def authorize_calls(self) -> int:
        return self.sandbox.counts.requests[AUTHORIZE_CALL]

    @property
    def steps(self) -> int:
        """The steps of the backoff since the secret was rotated."""
        ends = itertools.accumulate(BACKOFF.seconds(failures) for failures in itertools.count(1))
        return sum(1 for _ in itertools.takewhile(lambda end: end <= self.clock() - self.rotated_at, ends))

    def _client(self) -> CurrentClient:
        return CurrentClient(
            self.connection.said,
            read_settings=self.connection.read,
            pool_size=CONCURRENCY,
            clock=self.clock,
        )

    def _flow_control(self, client: CurrentClient, max_outage: float) -> FlowControl:
        return FlowControl(
            None,
            max_attempts=3,
            max_outage=max_outage,
            credentials=client,
            clock=self.clock,
            sleep=self.clock.sleep,
        )


@pytest.fixture
def rotated(sandbox: Sandbox, tmp_path: Path) -> Rotated:
    return Rotated(sandbox, tmp_path)


class TestWhileSubmitting:
    @pytest.fixture(autouse=True)
    async def begun(self, rotated: Rotated) -> None:
        await rotated.submit(1)
        rotated.rotate()

    async def test_the_batch_goes_on_with_the_new_secret(self, rotated: Rotated, sandbox: Sandbox) -> None:
        rotated.connection.changes_at = rotated.clock()

        await rotated.submit(ROWS)

        assert rotated.submitted == ROWS
        assert sandbox.counts.requests[RUN_CALL] == ROWS - 1
        assert 2 <= rotated.authorize_calls <= MARGIN + rotated.steps
        assert rotated.connection.reads == 1

    async def test_the_key_is_sent_once_in_a_step_of_the_backoff_over_all_rows(
        self, rotated: Rotated
    ) -> None:
        rotated.connection.changes_at = rotated.clock() + 200

        await rotated.submit(ROWS)

        assert rotated.submitted == ROWS
        # The first one, then one at the end of each step, of which the last is with the new secret.
        assert 5 < rotated.authorize_calls <= MARGIN + rotated.steps
        assert 5 < rotated.connection.reads <= MARGIN + rotated.steps

    @pytest.mark.thorough
    async def test_a_connection_that_cannot_be_read_meanwhile_ends_nothing(self, rotated: Rotated) -> None:
        rotated.connection.is_missing = True
        submitting = asyncio.create_task(rotated.submit(ROWS))
        await until(lambda: rotated.connection.reads >= 3)

        rotated.connection.is_missing = False
        rotated.connection.changes_at = rotated.clock()
        await submitting

        assert rotated.submitted == ROWS

    async def test_rows_are_given_up_after_max_outage_if_no_other_secret_comes(
        self, rotated: Rotated, sandbox: Sandbox
    ) -> None:
        await rotated.submit(ROWS, max_outage=100)

        assert sandbox.counts.requests[RUN_CALL] == 0
        assert {state.error["kind"] for state in rotated.states.values() if state.error} == {
            "AuthenticationFailed"
        }
        assert rotated.authorize_calls <= MARGIN + rotated.steps


class TestOnTheFirstCall:
    async def test_it_fails_at_once_and_the_connection_is_not_read_again(self, rotated: Rotated) -> None:
        rotated.rotate()
        rotated.connection.changes_at = rotated.clock()

        with pytest.raises(errors.AuthenticationFailed):
            await rotated.submit(ROWS)

        assert rotated.authorize_calls == 1
        assert rotated.connection.reads == 0


class TestWhileFetching:
    @pytest.fixture(autouse=True)
    async def submitted(self, rotated: Rotated) -> None:
        await rotated.submit(ROWS)
        rotated.rotate()

    @pytest.mark.parametrize("late", [0.0, 200.0], ids=["at once", "late"])
    async def test_the_batch_goes_on_with_the_new_secret(self, rotated: Rotated, late: float) -> None:
        rotated.connection.changes_at = rotated.clock() + late

        collection = await rotated.collect(ROWS)

        assert collection.outcomes == {"succeeded": ROWS}
        assert rotated.authorize_calls <= MARGIN + rotated.steps


class TestAnOrganizationToken:
    @pytest.fixture(autouse=True)
    def token(self, rotated: Rotated, sandbox: Sandbox) -> None:
        rotated.connection.said = dataclasses.replace(
            sandbox.settings, key="", secret=sandbox.organization_token
        )

    @pytest.mark.thorough
    async def test_is_read_again_as_well(self, rotated: Rotated, sandbox: Sandbox) -> None:
        await rotated.submit(1)
        sandbox._tokens.organization_token = "tot_another"
        rotated.rotate()
        rotated.connection.changes_at = rotated.clock() + 20

        await rotated.submit(ROWS)

        assert rotated.submitted == ROWS
        assert rotated.connection.reads <= MARGIN + rotated.steps


@pytest.fixture
async def client(rotated: Rotated) -> AsyncIterator[CurrentClient]:
    async with rotated._client() as made:
        yield made


class TestATokenThatIsRejectedThoughItIsNew:
    @pytest.mark.thorough
    async def test_brings_about_one_authorize_call_in_a_step_over_all_calls(
        self, rotated: Rotated, client: CurrentClient, sandbox: Sandbox
    ) -> None:
        await rotated.submit(1)
        rotated.rotated_at = rotated.clock()
        sandbox.counts.reset()
        sandbox.fault("unauthorized", path="/workflows/run")

        await rotated.submit(ROWS, max_outage=60)

        assert rotated.authorize_calls <= MARGIN + rotated.steps
