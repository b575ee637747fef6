"""The keys that webhooks are signed with, as the sandbox serves them."""

from __future__ import annotations

import re

import pytest

from airflow_provider_workflows.api.webhook_signature import key_id, public_key
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.sandbox.conftest import Delivered, Destination, accept, error_code, read_key, run


async def test_a_public_key_is_read_as_pem_or_bare_without_a_token(sandbox: Sandbox) -> None:
    kid = key_id(sandbox.sign(b""))
    pem, bare = await read_key(sandbox, kid), await read_key(sandbox, kid, "false")
    assert pem.text.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", bare.text)
    assert public_key(pem.text) == public_key(bare.text)
    assert pem.headers["Content-Type"] == bare.headers["Content-Type"] == "text/plain"
    assert sandbox.counts.requests == {"GET /auth/webhooks/key/{kid}": 2}


async def test_the_id_of_a_key_may_be_in_upper_case(sandbox: Sandbox) -> None:
    kid = key_id(sandbox.sign(b""))
    assert (await read_key(sandbox, kid.upper())).status_code == 200


@pytest.mark.parametrize(
    ("kid", "pem", "status", "code"),
    [
        ("3f0d7a52-9a44-4a0e-8d5b-5d2a3c7e6f10", "true", 404, "KEY_NOT_FOUND"),
        ("x", "true", 400, "VALIDATION_FAILED"),
        ("3f0d7a52-9a44-4a0e-8d5b-5d2a3c7e6f10", "yes", 400, "VALIDATION_FAILED"),
    ],
)
async def test_a_key_that_is_not_there_is_refused(
    sandbox: Sandbox, kid: str, pem: str, status: int, code: str
) -> None:
    response = await read_key(sandbox, kid, pem)
    assert (response.status_code, error_code(response)) == (status, code)


@pytest.mark.thorough
@pytest.mark.parametrize(("keep_old", "status"), [(True, 200), (False, 404)])
async def test_a_rotated_key_signs_from_then_on(
    sending: Sandbox, destination: Destination, keep_old: bool, status: int
) -> None:
    await run(sending)
    (before,) = await destination.get(1)
    old = await accept(sending, before)
    new = sending.webhooks.rotate_key(keep_old=keep_old)
    await run(sending)
    _, after = await destination.get(2)
    assert await accept(sending, after) == new != old
    assert (await read_key(sending, old)).status_code == status


async def test_faults_apply_to_the_endpoint_of_keys_too(sandbox: Sandbox) -> None:
    sandbox.fault("server_error", path="/auth/webhooks/key/{kid}", times=1)
    kid = key_id(sandbox.sign(b""))
    assert [(await read_key(sandbox, kid)).status_code for _ in range(2)] == [503, 200]


async def test_a_body_of_ones_own_is_signed_as_the_service_does(sandbox: Sandbox) -> None:
    body = b'{"id": 1}'
    await accept(sandbox, Delivered(body, sandbox.sign(body), "", 0.0))


def test_signing_needs_no_running_sandbox() -> None:
    assert key_id(Sandbox().sign(b"x"))
