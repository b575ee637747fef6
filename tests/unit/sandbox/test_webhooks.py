"""Webhooks: where they are sent, when, in what form, and how often they are repeated."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import threading
import time
import uuid

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.sandbox.conftest import (
    CASE,
    LIMIT_SECONDS,
    Clock,
    Destination,
    accept,
    run,
    until,
    until_none_is_pending,
)

PAUSE_SECONDS = 0.05


class TestDelivery:
    @pytest.mark.thorough
    async def test_the_end_of_a_workflow_is_sent_signed(
        self, sending: Sandbox, destination: Destination
    ) -> None:
        began = time.monotonic()
        (workflow_id,) = await run(sending, seconds=0.3, status="FAILED", name="Onboarding")
        (delivered,) = await destination.get(1)
        assert json.loads(delivered.raw) == {
            "workflowId": workflow_id,
            "caseId": CASE,
            "status": "FAILED",
            "name": "Onboarding",
        }
        assert delivered.at - began >= 0.3
        assert delivered.content_type == "application/json"
        uuid.UUID(await accept(sending, delivered))

    @pytest.mark.parametrize(("nested", "identifier"), [(True, "workflowId"), (False, "id"), (True, "id")])
    async def test_its_body_can_have_other_forms(
        self, sending: Sandbox, destination: Destination, nested: bool, identifier: str
    ) -> None:
        sending.webhooks.send_to(destination.url, nested=nested, identifier=identifier)
        (workflow_id,) = await run(sending)
        (delivered,) = await destination.get(1)
        fields = {identifier: workflow_id, "caseId": CASE, "status": "COMPLETED", "name": "Workflow"}
        assert json.loads(delivered.raw) == ({"data": fields} if nested else fields)

    async def test_without_a_url_none_is_sent(self, destination: Destination) -> None:
        async with Sandbox() as sandbox:
            await run(sandbox)
            sandbox.webhooks.send_to(destination.url)
            (sent,) = await run(sandbox)
            assert [delivered.workflow for delivered in await destination.get(1)] == [sent]
            sandbox.webhooks.send_to(None)
            await run(sandbox)
            await until_none_is_pending(sandbox)
            assert sandbox.counts.deliveries == {sent: 1}

    @pytest.mark.thorough
    async def test_it_is_repeated_until_the_response_is_2xx(
        self, sending: Sandbox, destination: Destination
    ) -> None:
        sending.webhooks.send_to(destination.url, pause_seconds=PAUSE_SECONDS)
        destination.statuses = [500, 401, 302]
        (workflow_id,) = await run(sending)
        delivered = await destination.get(4)
        await until_none_is_pending(sending)
        assert sending.counts.deliveries == {workflow_id: 4}
        assert sending.counts.delivery_responses == {workflow_id: {"500": 1, "401": 1, "302": 1, "204": 1}}
        pauses = [later.at - sooner.at for sooner, later in itertools.pairwise(delivered)]
        assert all(pause >= PAUSE_SECONDS for pause in pauses)
        assert len({(each.raw, each.signature) for each in delivered}) == 1

    async def test_deliveries_count_from_zero_after_a_reset(self, sending: Sandbox) -> None:
        (workflow_id,) = await run(sending)
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"204": 1}})
        sending.counts.reset()
        assert sending.counts.deliveries == sending.counts.delivery_responses == {}

    @pytest.mark.thorough
    async def test_it_is_given_up_after_five_deliveries(
        self, sending: Sandbox, destination: Destination
    ) -> None:
        sending.webhooks.send_to(destination.url, pause_seconds=PAUSE_SECONDS)
        destination.statuses = [503] * 10
        (workflow_id,) = await run(sending)
        await destination.get(5)
        await until_none_is_pending(sending)
        assert sending.counts.delivery_responses == {workflow_id: {"503": 5}}

    @pytest.mark.thorough
    async def test_a_response_that_takes_too_long_counts_as_none(
        self, sending: Sandbox, destination: Destination
    ) -> None:
        sending.webhooks.send_to(destination.url, pause_seconds=0.3, timeout_seconds=0.2)
        destination.release.clear()
        (workflow_id,) = await run(sending)
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"(none)": 1}})
        sending.webhooks.send_to(destination.url, pause_seconds=PAUSE_SECONDS, timeout_seconds=LIMIT_SECONDS)
        destination.release.set()
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"(none)": 1, "204": 1}})

    @pytest.mark.thorough
    async def test_a_destination_that_is_not_there_is_no_error(
        self, sending: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        sending.webhooks.send_to("http://127.0.0.1:9/", pause_seconds=PAUSE_SECONDS)
        (workflow_id,) = await run(sending)
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"(none)": 5}})
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    def test_the_service_repeats_after_five_seconds_and_waits_for_ten(self) -> None:
        destination = Sandbox(webhook_url="http://destination/").webhooks.destination
        assert (destination.pause_seconds, destination.timeout_seconds) == (5.0, 10.0)

    @pytest.mark.thorough
    async def test_hundreds_that_end_at_once_are_delivered_at_the_same_time(
        self, sending: Sandbox, destination: Destination
    ) -> None:
        # No delivery is responded to before all have arrived: one that waited for another would never arrive.
        sending.webhooks.send_to(destination.url, timeout_seconds=LIMIT_SECONDS)
        destination.release.clear()
        definition = sending.define(seconds=0.0)
        async with sending.async_client() as client:
            runs = await asyncio.gather(*(client.run_workflow(definition, CASE) for _ in range(500)))
        delivered = await destination.get(500)
        assert {each.workflow for each in delivered} == {each.id for each in runs}
        # One for the sandbox, and asyncio's own few for signing.
        assert threading.active_count() < 20
        destination.release.set()
        await until_none_is_pending(sending)
        assert set(sending.counts.deliveries.values()) == {1}

    async def test_a_webhook_is_pending_until_it_is_delivered(self, destination: Destination) -> None:
        clock = Clock()
        async with Sandbox(webhook_url=destination.url, clock=clock) as sandbox:
            await run(sandbox, seconds=3600.0)
            await run(sandbox, 2)
            await destination.get(2)
            await until(lambda: sandbox.webhooks.pending == 1)


class TestStopping:
    async def test_it_stops_while_deliveries_are_pending(
        self, destination: Destination, caplog: pytest.LogCaptureFixture
    ) -> None:
        # One has no response, one is due in an hour, one is to be repeated; none of them may hold it up.
        async with Sandbox() as sandbox:
            sandbox.webhooks.send_to(destination.url, pause_seconds=3600.0, timeout_seconds=3600.0)
            destination.statuses = [500]
            await run(sandbox)
            await until(lambda: bool(sandbox.counts.delivery_responses))
            destination.release.clear()
            await run(sandbox)
            await run(sandbox, seconds=3600.0)
            await destination.get(2)
            await asyncio.wait_for(asyncio.to_thread(sandbox.stop), LIMIT_SECONDS)
        assert sandbox.webhooks.pending == 3
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    def test_no_thread_is_left_behind(self) -> None:
        threads = threading.active_count()
        with Sandbox(webhook_url="http://127.0.0.1:9/") as sandbox, sandbox.client() as client:
            client.run_workflow(sandbox.define(seconds=0.0), CASE)
            asyncio.run(until(lambda: bool(sandbox.counts.delivery_responses)))
        assert threading.active_count() == threads

    async def test_what_was_not_delivered_is_sent_when_it_starts_again(
        self, destination: Destination
    ) -> None:
        clock = Clock()
        sandbox = Sandbox(webhook_url=destination.url, clock=clock)
        async with sandbox:
            (delivered,) = await run(sandbox)
            (pending,) = await run(sandbox, seconds=3600.0)
            await until(lambda: sandbox.webhooks.pending == 1)
        clock.now += 3600.0
        async with sandbox:
            assert [each.workflow for each in await destination.get(2)] == [delivered, pending]
