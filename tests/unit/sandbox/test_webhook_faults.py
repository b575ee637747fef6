"""Each fault of webhooks, as it arrives where they are sent."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest

from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, public_key, verify
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.sandbox.conftest import (
    Clock,
    Destination,
    accept,
    read_key,
    run,
    until,
    until_none_is_pending,
)

PAUSE_SECONDS = 0.05


async def test_doubled(sending: Sandbox, destination: Destination) -> None:
    sending.webhooks.fault("doubled", times=1, copies=5)
    doubled, single = await run(sending, 2)
    await destination.get(6)
    assert sending.counts.deliveries == {doubled: 5, single: 1}


async def test_each_copy_of_a_doubled_one_is_repeated_by_itself(
    sending: Sandbox, destination: Destination
) -> None:
    sending.webhooks.send_to(destination.url, pause_seconds=PAUSE_SECONDS)
    sending.webhooks.fault("doubled")
    destination.statuses = [500]
    (workflow_id,) = await run(sending)
    await until(lambda: sending.counts.delivery_responses == {workflow_id: {"500": 1, "204": 2}})


@pytest.mark.thorough
async def test_late(destination: Destination) -> None:
    clock = Clock()
    sandbox = Sandbox(webhook_url=destination.url, clock=clock)
    sandbox.webhooks.fault("late", seconds=3600.0, times=1)
    async with sandbox:
        late, punctual = await run(sandbox, 2)
        await until(lambda: sandbox.webhooks.pending == 1)
    clock.now += 3599.8
    began = time.monotonic()
    async with sandbox:
        delivered = await destination.get(2)
    assert [each.workflow for each in delivered] == [punctual, late]
    assert delivered[1].at - began >= 0.2


async def test_lost(sending: Sandbox, destination: Destination) -> None:
    sending.webhooks.fault("lost", times=1)
    _, sent = await run(sending, 2)
    await destination.get(1)
    await until_none_is_pending(sending)
    assert sending.counts.deliveries == {sent: 1}


@pytest.mark.thorough
@pytest.mark.parametrize("fields", [{}, {"seconds": 3599.8}])
async def test_early_while_the_workflow_is_running(
    sending: Sandbox, destination: Destination, fields: dict[str, float]
) -> None:
    sending.webhooks.fault("early", **fields)
    (workflow_id,) = await run(sending, seconds=3600.0)
    (delivered,) = await destination.get(1)
    assert json.loads(delivered.raw)["status"] == "COMPLETED"
    async with sending.async_client() as client:
        assert (await client.read_workflow(workflow_id)).status == "RUNNING"


async def test_early_and_not_at_the_end(sending: Sandbox, destination: Destination) -> None:
    sending.webhooks.fault("early")
    (workflow_id,) = await run(sending, seconds=0.2)
    await destination.get(1)
    await until_none_is_pending(sending)
    assert sending.counts.deliveries == {workflow_id: 1}


@pytest.mark.thorough
async def test_reordered(sending: Sandbox, destination: Destination) -> None:
    sending.webhooks.fault("reordered", times=1)
    (first,) = await run(sending)
    # Long enough for it to be sent, were it not kept back.
    await asyncio.sleep(0.2)
    assert destination.delivered == []
    second, third = await run(sending, 2)
    delivered = [each.workflow for each in await destination.get(3)]
    assert sorted(delivered) == sorted([first, second, third])
    assert delivered.index(second) < delivered.index(first)


async def test_reordered_with_none_after_it_is_sent_all_the_same(
    sending: Sandbox, destination: Destination
) -> None:
    sending.webhooks.send_to(destination.url, pause_seconds=PAUSE_SECONDS)
    sending.webhooks.fault("reordered")
    (workflow_id,) = await run(sending)
    await destination.get(1)
    await until_none_is_pending(sending)
    assert sending.counts.deliveries == {workflow_id: 1}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "header", "reason"),
    [
        ("wrong_key", {"alg": "RS256"}, "does not fit"),
        ("alg_none", {"alg": "none"}, "form"),
        ("hs256", {"alg": "HS256"}, "algorithm"),
    ],
)
async def test_signed_wrongly(
    sending: Sandbox, destination: Destination, name: str, header: dict[str, str], reason: str
) -> None:
    sending.webhooks.fault(name, times=1)
    await run(sending)
    (wrong,) = await destination.get(1)
    await run(sending)
    _, right = await destination.get(2)
    kid = await accept(sending, right)
    protected = json.loads(base64.urlsafe_b64decode(str(wrong.signature).split(".")[0] + "=="))
    assert protected == {"kid": kid, "typ": "JWT", **header}
    key = public_key((await read_key(sending, kid)).text)
    with pytest.raises(SignatureInvalid, match=reason):
        verify(str(wrong.signature), wrong.raw, key)


async def test_unsigned(sending: Sandbox, destination: Destination) -> None:
    sending.webhooks.fault("unsigned")
    await run(sending)
    assert [delivered.signature for delivered in await destination.get(1)] == [None]


async def test_several_at_once(sending: Sandbox, destination: Destination) -> None:
    for name, fields in {"doubled": {}, "early": {}, "unsigned": {}}.items():
        sending.webhooks.fault(name, **fields)
    (workflow_id,) = await run(sending, seconds=3600.0)
    delivered = await destination.get(2)
    assert [(each.workflow, each.signature) for each in delivered] == [(workflow_id, None)] * 2


async def test_of_one_aspect_the_later_one_is_left_for_later(
    sending: Sandbox, destination: Destination
) -> None:
    sending.webhooks.fault("unsigned", times=1)
    sending.webhooks.fault("alg_none", times=1)
    for number in (1, 2):
        await run(sending)
        await destination.get(number)
    assert [(each.signature or "").endswith("..") for each in destination.delivered] == [False, True]


@pytest.mark.thorough
async def test_a_share_applies_to_about_that_share(sending: Sandbox, destination: Destination) -> None:
    sending.webhooks.fault("lost", share=0.3)
    await run(sending, 200)
    await destination.get(110)
    await until_none_is_pending(sending)
    assert len(destination.delivered) <= 170


async def test_nothing_goes_wrong_once_cleared(sending: Sandbox, destination: Destination) -> None:
    sending.webhooks.fault("lost")
    sending.clear_faults()
    await run(sending)
    await destination.get(1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "tripled"}, "name"),
        ({"name": "late"}, "late needs seconds"),
        ({"name": "lost", "seconds": 1.0}, "lost takes no seconds"),
        ({"name": "late", "seconds": -1.0}, "greater than 0"),
        ({"name": "doubled", "copies": 1}, "copies"),
        ({"name": "lost", "times": 1, "share": 0.5}, "times or share"),
        ({"name": "lost", "share": 0.0}, "share"),
    ],
)
def test_a_webhook_fault_that_cannot_be_right_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Sandbox().webhooks.fault(**fields)
