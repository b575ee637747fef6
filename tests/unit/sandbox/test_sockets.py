"""TLS: the certificate that a sandbox serves, and what is left of it."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import requests

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.sandbox.conftest import Caller


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


def test_a_client_that_does_not_trust_the_certificate_is_kept_out() -> None:
    with Sandbox(tls=True) as sandbox:
        caller = Caller(sandbox)
        caller.session.verify = True
        with caller.session, pytest.raises(requests.exceptions.SSLError):
            caller("POST", "/cases", {})
