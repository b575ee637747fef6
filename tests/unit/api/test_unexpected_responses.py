"""What an error says of a response that is not one of the API's: which kind it was, and a proxy only for a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_workflows.api import Settings, errors
from tests.harness.hostile_server import HostileServer, gzipped, json_response

from .conftest import Driver

Drive = Callable[..., Driver]

WORKFLOW = "11111111-1111-4111-8111-111111111111"
CASE = "22222222-2222-4222-8222-222222222222"

#: A response, what is said of it, and whether a proxy is named.
KINDS: dict[str, tuple[bytes, str, bool]] = {
    "nothing": (json_response(b""), "a body that is empty", False),
    "white space": (json_response(b" \r\n"), "a body that is empty", False),
    "a page": (json_response(b"<!DOCTYPE html><title>Sign in"), "a page in HTML", True),
    "a page with white space": (json_response(b"\n <html><body>Access denied"), "a page in HTML", True),
    "a page of nginx": (json_response(b"<center><h1>Hello"), "a page in HTML", True),
    "text": (json_response(b"OK"), "a body that is not JSON", False),
    "cut off": (json_response(b'{"id": "1111'), "JSON that ends in the middle", False),
    "two values": (json_response(b"{}{}"), "JSON with something behind it", False),
    "too deep": (json_response(b"[" * 100_000 + b"]" * 100_000), "JSON that is nested too deeply", False),
    "a list": (json_response([1]), "JSON that is a list and not an object", False),
    "a text": (json_response("RUNNING"), "JSON that is text and not an object", False),
    "a number": (json_response(1.5), "JSON that is a number and not an object", False),
    "true": (json_response(True), "JSON that is true or false and not an object", False),
    "null": (json_response(None), "JSON that is null and not an object", False),
    "errors": (
        json_response({"errors": [{"code": "X"}]}),
        "no valid id, status .* but errors, with a status",
        False,
    ),
    "an empty object": (json_response({}), "no valid id, status", False),
    "a coding not asked for": (
        json_response(b"\x8b\x01\x80", "Content-Encoding: br"),
        "a body in the coding br, which was not asked for",
        False,
    ),
    "gzip within gzip": (
        json_response(gzipped(gzipped(b"{}")), "Content-Encoding: gzip"),
        "a body that is not JSON",
        False,
    ),
    "another workflow": (json_response({"id": CASE, "status": "RUNNING"}), "about another one", False),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_message_says_which_kind_it_was_and_names_a_proxy_only_for_a_page(
    drive: Drive, name: str
) -> None:
    response, kind, names_proxy = KINDS[name]
    with HostileServer(lambda _: [response]) as server:
        client = drive(Settings(host=server.host, secret="tot_x", max_attempts=1))

        with pytest.raises(errors.UnexpectedResponse, match=kind) as raised:
            client("read_workflow", WORKFLOW)

    assert ("proxy" in str(raised.value)) is names_proxy


@pytest.mark.parametrize(
    "name", [name for name in KINDS if name not in ("another workflow", "errors", "an empty object")]
)
def test_a_run_is_unknown_whatever_kind_it_was(drive: Drive, name: str) -> None:
    response, kind, _ = KINDS[name]
    with HostileServer(lambda _: [response]) as server:
        client = drive(Settings(host=server.host, secret="tot_x", max_attempts=3))

        with pytest.raises(errors.OutcomeUnknown, match=kind):
            client("run_workflow", WORKFLOW, CASE)

    assert server.calls == ["POST /workflows/run"]


@pytest.mark.parametrize(
    ("status", "body", "names_proxy"),
    [
        ("502 Bad Gateway", b"<html>Bad gateway", True),
        ("403 Forbidden", b"<!doctype html>Blocked", True),
        ("407 Proxy Authentication Required", b"", True),
        ("502 Bad Gateway", b"upstream", False),
        ("400 Bad Request", b"", False),
    ],
)
def test_a_refusal_names_a_proxy_only_for_a_page(
    drive: Drive, status: str, body: bytes, names_proxy: bool
) -> None:
    with HostileServer(lambda _: [json_response(body, status=status)]) as server:
        client = drive(Settings(host=server.host, secret="tot_x", max_attempts=1))

        with pytest.raises(errors.WorkflowsError, match=status[:3]) as raised:
            client("read_workflow", WORKFLOW)

    assert ("prox" in str(raised.value)) is names_proxy


@pytest.mark.parametrize("status", ["600 Odd", "799 Odd", "999 Request Denied"])
def test_a_status_that_http_does_not_have_refuses_nothing(drive: Drive, status: str) -> None:
    with HostileServer(lambda _: [json_response({}, status=status)]) as server:
        client = drive(Settings(host=server.host, secret="tot_x", max_attempts=1))

        with pytest.raises(errors.ServiceUnavailable):
            client("read_workflow", WORKFLOW)
        with pytest.raises(errors.OutcomeUnknown):
            client("run_workflow", WORKFLOW, CASE)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://a\xffb.example/\r\nContent-Length: 0\r\n\r\n",
        json_response(b"abc", "Content-Encoding: x\xff"),
    ],
    ids=["Location", "Content-Encoding"],
)
def test_bytes_of_a_header_that_are_not_utf_8_leave_a_message_that_can_be_stored(
    drive: Drive, response: bytes
) -> None:
    with HostileServer(lambda _: [response]) as server:
        client = drive(Settings(host=server.host, secret="tot_x", max_attempts=1))

        with pytest.raises(errors.UnexpectedResponse) as raised:
            client("read_workflow", WORKFLOW)

        assert str(raised.value).encode()
