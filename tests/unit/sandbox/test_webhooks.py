"""Webhooks on the wire: who gets them, when, how signed, how often, and what can go wrong with them."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import re
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, key_id, public_key, verify
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.service import READY_CASES
from tests.unit.sandbox.conftest import Caller, error_code

CASE = next(iter(READY_CASES))
QUICK = {"pause_seconds": 0.1, "timeout_seconds": 0.3}


@dataclass(frozen=True)
class Came:
    """A webhook that came, and when, in monotonic seconds."""

    raw: bytes
    signature: str | None
    content_type: str
    at: float

    @property
    def workflow(self) -> str:
        return str(json.loads(self.raw)["workflowId"])


class Receiver:
    """Takes webhooks on a socket, ``silent`` seconds long; responses ``statuses`` in turn, then 204."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.statuses: list[int] = []
        self.silent = 0.0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        signature = request.headers.get("JWS-SIGNATURE")
        self.came.append(Came(raw, signature, request.headers["Content-Type"], time.monotonic()))
        await asyncio.sleep(self.silent)
        # Where a redirect leads, all would be well.
        headers = {"Location": self.url}
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204, headers=headers)

    async def get(self, number: int) -> list[Came]:
        """Return what came, as soon as that is ``number`` webhooks."""
        await until(lambda: len(self.came) >= number)
        return self.came


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in 10 seconds"
        await asyncio.sleep(0.005)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def sending(receiver: Receiver) -> AsyncIterator[Sandbox]:
    """A running sandbox that sends its webhooks to the receiver."""
    async with Sandbox(webhook_url=receiver.url) as running:
        yield running


async def run(sandbox: Sandbox, number: int = 1, **definition: Any) -> list[str]:
    """Run so many workflows, one after the other; they end at once unless told otherwise."""
    defined = sandbox.define(**{"seconds": 0.0, **definition})
    async with sandbox.async_client() as client:
        return [(await client.run_workflow(defined, CASE)).id for _ in range(number)]


async def read_key(sandbox: Sandbox, kid: str, pem: str = "true") -> Any:
    caller = Caller(sandbox)
    caller.token = ""
    with caller.session:
        return await asyncio.to_thread(caller, "GET", f"/auth/webhooks/key/{kid}?pem={pem}")


async def accept(sandbox: Sandbox, came: Came) -> str:
    """Verify a webhook as a receiver does, with the key from the service; return the key's id."""
    kid = key_id(came.signature or "")
    verify(came.signature or "", came.raw, public_key((await read_key(sandbox, kid)).text))
    return kid


class TestDelivery:
    async def test_the_end_of_a_workflow_is_told_signed(self, sending: Sandbox, receiver: Receiver) -> None:
        began = time.monotonic()
        (workflow_id,) = await run(sending, seconds=0.3, status="FAILED", name="Onboarding")
        (came,) = await receiver.get(1)
        assert json.loads(came.raw) == {
            "workflowId": workflow_id,
            "caseId": CASE,
            "status": "FAILED",
            "name": "Onboarding",
        }
        assert 0.3 <= came.at - began < 1.5
        assert came.content_type == "application/json"
        uuid.UUID(await accept(sending, came))

    @pytest.mark.parametrize(("nested", "identifier"), [(True, "workflowId"), (False, "id"), (True, "id")])
    async def test_its_body_can_have_other_forms(
        self, sending: Sandbox, receiver: Receiver, nested: bool, identifier: str
    ) -> None:
        sending.webhooks.send_to(receiver.url, nested=nested, identifier=identifier)
        (workflow_id,) = await run(sending)
        (came,) = await receiver.get(1)
        fields = {identifier: workflow_id, "caseId": CASE, "status": "COMPLETED", "name": "Workflow"}
        assert json.loads(came.raw) == ({"data": fields} if nested else fields)

    async def test_without_a_url_none_is_sent(self, receiver: Receiver) -> None:
        async with Sandbox() as sandbox:
            await run(sandbox)
            sandbox.webhooks.send_to(receiver.url)
            (told,) = await run(sandbox)
            assert [came.workflow for came in await receiver.get(1)] == [told]
            sandbox.webhooks.send_to(None)
            await run(sandbox)
            await asyncio.sleep(0.2)
            assert sandbox.counts.deliveries == {told: 1}

    async def test_it_is_tried_again_until_the_response_is_2xx(
        self, sending: Sandbox, receiver: Receiver
    ) -> None:
        sending.webhooks.send_to(receiver.url, **QUICK)
        receiver.statuses = [500, 401, 302]
        (workflow_id,) = await run(sending)
        came = await receiver.get(4)
        await asyncio.sleep(0.3)
        assert sending.counts.deliveries == {workflow_id: 4}
        assert sending.counts.delivery_responses == {workflow_id: {"500": 1, "401": 1, "302": 1, "204": 1}}
        assert all(later.at - sooner.at >= 0.1 for sooner, later in itertools.pairwise(came))
        assert len({(each.raw, each.signature) for each in came}) == 1

    async def test_deliveries_count_from_zero_after_a_reset(self, sending: Sandbox) -> None:
        (workflow_id,) = await run(sending)
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"204": 1}})
        sending.counts.reset()
        assert sending.counts.deliveries == sending.counts.delivery_responses == {}

    async def test_it_is_given_up_after_five_tries(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.send_to(receiver.url, **QUICK)
        receiver.statuses = [503] * 10
        (workflow_id,) = await run(sending)
        await receiver.get(5)
        await asyncio.sleep(0.4)
        assert sending.counts.delivery_responses == {workflow_id: {"503": 5}}

    async def test_an_response_that_takes_too_long_is_none(
        self, sending: Sandbox, receiver: Receiver
    ) -> None:
        sending.webhooks.send_to(receiver.url, **QUICK)
        receiver.silent = 0.6
        (workflow_id,) = await run(sending)
        await receiver.get(1)
        receiver.silent = 0.0
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"(none)": 1, "204": 1}})

    async def test_a_receiver_that_is_not_there_is_no_error(
        self, sending: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        sending.webhooks.send_to("http://127.0.0.1:9/", **QUICK)
        (workflow_id,) = await run(sending)
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"(none)": 5}})
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    def test_the_service_tries_again_after_five_seconds_and_waits_for_ten(self) -> None:
        destination = Sandbox(webhook_url="http://receiver/").webhooks.destination
        assert (destination.pause_seconds, destination.timeout_seconds) == (5.0, 10.0)

    async def test_hundreds_that_end_at_once_are_delivered_within_seconds(
        self, sending: Sandbox, receiver: Receiver
    ) -> None:
        definition = sending.define(seconds=1.0)
        async with sending.async_client() as client:
            runs = await asyncio.gather(*(client.run_workflow(definition, CASE) for _ in range(500)))
        ended = time.monotonic() + 1.0
        came = await receiver.get(500)
        assert time.monotonic() - ended < 2.0
        assert {each.workflow for each in came} == {each.id for each in runs}
        # One for the sandbox, and asyncio's own few for signing.
        assert threading.active_count() < 20


class TestStopping:
    async def test_it_stops_at_once_while_tries_are_pending(
        self, receiver: Receiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        receiver.silent = 5.0
        async with Sandbox(webhook_url=receiver.url) as sandbox:
            await run(sandbox)
            await run(sandbox, seconds=3600.0)
            await receiver.get(1)
            receiver.statuses, receiver.silent = [500], 0.0
            await run(sandbox)
            await receiver.get(2)
            began = time.monotonic()
        assert time.monotonic() - began < 1
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    def test_no_thread_is_left_behind(self) -> None:
        threads = threading.active_count()
        with Sandbox(webhook_url="http://127.0.0.1:9/") as sandbox, sandbox.client() as client:
            client.run_workflow(sandbox.define(seconds=0.0), CASE)
            asyncio.run(until(lambda: bool(sandbox.counts.delivery_responses)))
        assert threading.active_count() == threads

    async def test_what_was_not_delivered_is_when_it_starts_again(self, receiver: Receiver) -> None:
        sandbox = Sandbox(webhook_url=receiver.url)
        async with sandbox:
            (delivered,) = await run(sandbox)
            (pending,) = await run(sandbox, seconds=0.5)
            await until(lambda: delivered in sandbox.counts.delivery_responses)
        await asyncio.sleep(0.6)
        async with sandbox:
            assert [came.workflow for came in await receiver.get(2)] == [delivered, pending]


class TestFaults:
    async def test_doubled(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("doubled", times=1, copies=5)
        doubled, single = await run(sending, 2)
        await receiver.get(6)
        assert sending.counts.deliveries == {doubled: 5, single: 1}

    async def test_each_copy_of_a_doubled_one_is_tried_for_itself(
        self, sending: Sandbox, receiver: Receiver
    ) -> None:
        sending.webhooks.send_to(receiver.url, **QUICK)
        sending.webhooks.fault("doubled")
        receiver.statuses = [500]
        (workflow_id,) = await run(sending)
        await until(lambda: sending.counts.delivery_responses == {workflow_id: {"500": 1, "204": 2}})

    async def test_late(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("late", seconds=0.5, times=1)
        late, punctual = await run(sending, 2)
        came = await receiver.get(2)
        assert [each.workflow for each in came] == [punctual, late]
        assert came[1].at - came[0].at > 0.3

    async def test_lost(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("lost", times=1)
        _, told = await run(sending, 2)
        await receiver.get(1)
        await asyncio.sleep(0.2)
        assert sending.counts.deliveries == {told: 1}

    @pytest.mark.parametrize("fields", [{}, {"seconds": 3599.8}])
    async def test_early_while_the_workflow_is_running(
        self, sending: Sandbox, receiver: Receiver, fields: dict[str, float]
    ) -> None:
        sending.webhooks.fault("early", **fields)
        (workflow_id,) = await run(sending, seconds=3600.0)
        (came,) = await receiver.get(1)
        assert json.loads(came.raw)["status"] == "COMPLETED"
        async with sending.async_client() as client:
            assert (await client.read_workflow(workflow_id)).status == "RUNNING"

    async def test_early_in_place_of_at_the_end(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("early")
        (workflow_id,) = await run(sending, seconds=0.2)
        await receiver.get(1)
        await asyncio.sleep(0.4)
        assert sending.counts.deliveries == {workflow_id: 1}

    async def test_reordered(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("reordered", times=1)
        (first,) = await run(sending)
        await asyncio.sleep(0.2)
        assert receiver.came == []
        second, third = await run(sending, 2)
        came = [each.workflow for each in await receiver.get(3)]
        assert sorted(came) == sorted([first, second, third])
        assert came.index(second) < came.index(first)

    async def test_reordered_with_none_after_it_is_sent_all_the_same(
        self, sending: Sandbox, receiver: Receiver
    ) -> None:
        sending.webhooks.send_to(receiver.url, **QUICK)
        sending.webhooks.fault("reordered")
        (workflow_id,) = await run(sending)
        await receiver.get(1)
        await asyncio.sleep(0.2)
        assert sending.counts.deliveries == {workflow_id: 1}

    @pytest.mark.parametrize(
        ("name", "header", "reason"),
        [
            ("wrong_key", {"alg": "RS256"}, "does not fit"),
            ("alg_none", {"alg": "none"}, "form"),
            ("hs256", {"alg": "HS256"}, "algorithm"),
        ],
    )
    async def test_signed_wrongly(
        self, sending: Sandbox, receiver: Receiver, name: str, header: dict[str, str], reason: str
    ) -> None:
        sending.webhooks.fault(name, times=1)
        await run(sending)
        (wrong,) = await receiver.get(1)
        await run(sending)
        _, right = await receiver.get(2)
        kid = await accept(sending, right)
        protected = json.loads(base64.urlsafe_b64decode(str(wrong.signature).split(".")[0] + "=="))
        assert protected == {"kid": kid, "typ": "JWT", **header}
        key = public_key((await read_key(sending, kid)).text)
        with pytest.raises(SignatureInvalid, match=reason):
            verify(str(wrong.signature), wrong.raw, key)

    async def test_unsigned(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("unsigned")
        await run(sending)
        assert [came.signature for came in await receiver.get(1)] == [None]

    async def test_several_at_once(self, sending: Sandbox, receiver: Receiver) -> None:
        for name, fields in {"doubled": {}, "early": {}, "unsigned": {}}.items():
            sending.webhooks.fault(name, **fields)
        (workflow_id,) = await run(sending, seconds=3600.0)
        came = await receiver.get(2)
        assert [(each.workflow, each.signature) for each in came] == [(workflow_id, None)] * 2

    async def test_of_one_aspect_the_later_one_is_left_for_later(
        self, sending: Sandbox, receiver: Receiver
    ) -> None:
        sending.webhooks.fault("unsigned", times=1)
        sending.webhooks.fault("alg_none", times=1)
        for number in (1, 2):
            await run(sending)
            await receiver.get(number)
        assert [(came.signature or "").endswith("..") for came in receiver.came] == [False, True]

    async def test_a_share_befalls_about_that_share(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("lost", share=0.3)
        await run(sending, 200)
        await receiver.get(110)
        await asyncio.sleep(0.5)
        assert len(receiver.came) <= 170

    async def test_all_goes_well_again_once_cleared(self, sending: Sandbox, receiver: Receiver) -> None:
        sending.webhooks.fault("lost")
        sending.clear_faults()
        await run(sending)
        await receiver.get(1)

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
    def test_what_cannot_be_right_is_refused(self, fields: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            Sandbox().webhooks.fault(**fields)


class TestKeys:
    async def test_a_public_key_is_read_as_pem_or_bare_without_a_token(self, sending: Sandbox) -> None:
        kid = key_id(sending.sign(b""))
        pem, bare = await read_key(sending, kid), await read_key(sending, kid, "false")
        assert pem.text.startswith("-----BEGIN PUBLIC KEY-----\n")
        assert re.fullmatch(r"[A-Za-z0-9+/]+=*", bare.text)
        assert public_key(pem.text) == public_key(bare.text)
        assert pem.headers["Content-Type"] == bare.headers["Content-Type"] == "text/plain"
        assert sending.counts.requests == {"GET /auth/webhooks/key/{kid}": 2}

    @pytest.mark.parametrize(
        ("kid", "pem", "status", "code"),
        [
            ("3f0d7a52-9a44-4a0e-8d5b-5d2a3c7e6f10", "true", 404, "KEY_NOT_FOUND"),
            ("x", "true", 400, "VALIDATION_FAILED"),
            ("3f0d7a52-9a44-4a0e-8d5b-5d2a3c7e6f10", "yes", 400, "VALIDATION_FAILED"),
        ],
    )
    async def test_a_key_that_is_not_there_is_refused(
        self, sending: Sandbox, kid: str, pem: str, status: int, code: str
    ) -> None:
        response = await read_key(sending, kid, pem)
        assert (response.status_code, error_code(response)) == (status, code)

    @pytest.mark.parametrize(("keep_old", "status"), [(True, 200), (False, 404)])
    async def test_a_rotated_key_signs_from_then_on(
        self, sending: Sandbox, receiver: Receiver, keep_old: bool, status: int
    ) -> None:
        await run(sending)
        (before,) = await receiver.get(1)
        old = await accept(sending, before)
        new = sending.webhooks.rotate_key(keep_old=keep_old)
        await run(sending)
        _, after = await receiver.get(2)
        assert await accept(sending, after) == new != old
        assert (await read_key(sending, old)).status_code == status

    async def test_faults_befall_the_key_endpoint_too(self, sending: Sandbox) -> None:
        sending.fault("server_error", path="/auth/webhooks/key/{kid}", times=1)
        kid = key_id(sending.sign(b""))
        assert [(await read_key(sending, kid)).status_code for _ in range(2)] == [503, 200]

    async def test_a_body_of_ones_own_is_signed_as_the_service_does(self, sending: Sandbox) -> None:
        body = b'{"id": 1}'
        await accept(sending, Came(body, sending.sign(body), "", 0.0))

    def test_signing_needs_no_running_sandbox(self) -> None:
        assert key_id(Sandbox().sign(b"x"))


class TestControl:
    def test_webhooks_are_steered_over_the_wire(self, sandbox: Sandbox, call: Caller) -> None:
        body = {"url": "http://receiver/", "nested": True}
        assert call("POST", "/_sandbox/webhooks", body).status_code == 200
        assert call("POST", "/_sandbox/webhooks/faults", {"name": "lost", "times": 2}).status_code == 201
        listed = call("GET", "/_sandbox/webhooks").json()
        assert body.items() <= listed.items()
        assert [(fault["name"], fault["times"]) for fault in listed["faults"]] == [("lost", 2)]
        assert call("DELETE", "/_sandbox/faults").status_code == 200
        assert call("GET", "/_sandbox/webhooks").json()["faults"] == []
        assert call("POST", "/_sandbox/webhooks", {}).json().get("url") is None
        assert sandbox.webhooks.destination.url is None

    @pytest.mark.parametrize(("body", "status"), [(None, 200), ({"keep_old": False}, 404)])
    def test_the_key_is_rotated_over_the_wire(
        self, sandbox: Sandbox, call: Caller, body: dict[str, bool] | None, status: int
    ) -> None:
        old = key_id(sandbox.sign(b""))
        new = call("POST", "/_sandbox/webhooks/key", body).json()["kid"]
        assert key_id(sandbox.sign(b"")) == new != old
        assert call("GET", f"/auth/webhooks/key/{old}").status_code == status

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("webhooks", {"url": "ftp://receiver/"}),
            ("webhooks", {"url": "receiver"}),
            ("webhooks", {"url": "http://"}),
            ("webhooks", {"url": "http://[::"}),
            ("webhooks", {"url": "http://receiver/", "identifier": "caseId"}),
            ("webhooks", {"url": "http://receiver/", "pause_seconds": 0}),
            ("webhooks/faults", {"name": "late"}),
            ("webhooks/key", {"keep_old": "no"}),
        ],
    )
    def test_what_cannot_be_right_is_refused(self, call: Caller, path: str, body: object) -> None:
        assert error_code(call("POST", f"/_sandbox/{path}", body)) == "VALIDATION_FAILED"

    @pytest.mark.parametrize("url", ["receiver", "ftp://receiver/", "http://"])
    def test_a_sandbox_with_a_url_that_cannot_be_right_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="must begin with http:// or https://"):
            Sandbox(webhook_url=url)

    async def test_the_url_is_taken_from_the_command_line(self, receiver: Receiver) -> None:
        program = [sys.executable, "-m", "airflow_provider_workflows.sandbox", "--port", "0"]
        process = await asyncio.create_subprocess_exec(
            *program, "--webhook-url", receiver.url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout
        try:
            (url,) = re.findall(r"listens on (\S+)", (await process.stdout.readline()).decode())
            definition = {"id": str(uuid.uuid4()), "seconds": 0}
            body = {"caseId": CASE, "workflowDefinitionId": definition["id"]}
            headers = {"Authorization": Sandbox().organization_token}
            async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
                await session.post(f"{url}/_sandbox/definitions", json=definition)
                await session.post(f"{url}/workflows/run", json=body)
                await receiver.get(1)
        finally:
            process.terminate()
            output, _ = await process.communicate()
        assert re.search(r"webhook of workflow \S+: 204$", output.decode(), re.MULTILINE)
