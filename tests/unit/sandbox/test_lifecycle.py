"""Starting and stopping, in code that is synchronous or not, with TLS or without."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import aiohttp
import pytest
import requests

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.sandbox.conftest import Caller


def test_it_serves_within_a_with_block_and_not_after() -> None:
    with Sandbox() as sandbox:
        caller = Caller(sandbox)
        assert caller("POST", "/cases", {}).status_code == 201
    with caller.session, pytest.raises(requests.ConnectionError):
        caller("POST", "/cases", {})


async def test_it_serves_within_an_async_with_block_on_a_loop_of_its_own() -> None:
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        headers = {"Authorization": sandbox.organization_token}
        async with session.post(f"{sandbox.url}/cases", json={}, headers=headers) as response:
            assert response.status == 201
        # A call that blocks this loop could never be answered by it.
        caller = Caller(sandbox)
        with caller.session:
            assert caller("POST", "/cases", {}).status_code == 201


def test_two_run_side_by_side() -> None:
    with Sandbox() as first, Sandbox() as second:
        assert first.url != second.url


def test_starting_twice_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="started already"):
        sandbox.start()


def test_a_port_that_is_taken_is_an_error_where_it_was_started(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: the port is taken"):
        Sandbox(port=port).start()


async def test_a_port_that_is_taken_is_an_error_in_async_code_too(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="the port is taken"):
        await Sandbox(port=int(sandbox.url.rpartition(":")[2])).__aenter__()


def test_it_can_be_away_for_a_while() -> None:
    sandbox = Sandbox()
    with sandbox:
        url, caller = sandbox.url, Caller(sandbox)
        case_id = caller.case()
    with sandbox, caller.session:
        assert sandbox.url == url
        assert caller("GET", f"/cases/{case_id}").status_code == 200


def test_stopping_does_not_wait_for_connections(sandbox: Sandbox, call: Caller) -> None:
    def wait_in_vain() -> None:
        with pytest.raises(requests.RequestException):
            call.case()

    call.case()
    sandbox.fault("latency", seconds=30)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as silent:
        waiting = threading.Thread(target=wait_in_vain)
        waiting.start()
        time.sleep(0.1)
        began = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - began < 1
        assert silent.recv(1) == b""
    waiting.join()


def test_stopping_what_does_not_run_does_nothing() -> None:
    Sandbox().stop()


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with Sandbox():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_there_is_no_url_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="start it first"):
        _ = Sandbox().url


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_others_are_kept_out_unless_let_in(host: str) -> None:
    with pytest.raises(ValueError, match="can be reached from elsewhere"):
        Sandbox(host=host)


def test_others_can_be_let_in() -> None:
    with Sandbox(host="0.0.0.0", allow_remote=True) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        caller = Caller(sandbox)
        with caller.session:
            assert caller("POST", "/cases", {}).status_code == 201


def test_tls_is_served_with_a_certificate_that_can_be_verified_strictly() -> None:
    with Sandbox(tls=True) as sandbox:
        context = ssl.create_default_context(cafile=sandbox.ca_file)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        for name in ("127.0.0.1", "localhost"):
            with (
                socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as plain,
                context.wrap_socket(plain, server_hostname=name) as secured,
            ):
                assert secured.version() == "TLSv1.3"


def test_tls_serves_the_api_and_leaves_no_file_behind() -> None:
    with Sandbox(tls=True) as sandbox:
        assert sandbox.url.startswith("https://")
        caller = Caller(sandbox)
        with caller.session:
            assert caller("POST", "/cases", {}).status_code == 201
        folder = Path(str(sandbox.ca_file)).parent
        assert [file.name for file in folder.iterdir()] == ["certificate.pem"]
    assert not folder.exists()
    assert sandbox.ca_file is None


def test_a_caller_who_does_not_trust_the_certificate_is_kept_out() -> None:
    with Sandbox(tls=True) as sandbox:
        caller = Caller(sandbox)
        caller.session.verify = True
        with caller.session, pytest.raises(requests.exceptions.SSLError):
            caller("POST", "/cases", {})
