"""Files: uploaded as resources and attachments, and downloaded by signed links."""

from __future__ import annotations

import gc
import hashlib
import http.client
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_workflows.sandbox import READY_RECORD, TABLE, Sandbox
from tests.unit.sandbox.conftest import Caller, Clock, error_code

NOWHERE = "9c5d2f0a-63be-4f21-8a47-1be0c94d7a35"
ATTACHMENTS = f"/tables/{TABLE}/records/{READY_RECORD}/attachments"
BOUNDARY = "limit-of-a-part"
CONTENT = bytes(range(256)) * 1000


def part(content: bytes, disposition: str = 'name="file"; filename="a.pdf"', *headers: str) -> bytes:
    lines = [f"--{BOUNDARY}", f"Content-Disposition: form-data; {disposition}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send(call: Caller, body: Any, path: str = "/resources", boundary: str = f"; boundary={BOUNDARY}") -> Any:
    headers = {"Authorization": call.token, "Content-Type": f"multipart/form-data{boundary}"}
    return call("POST", path, data=body, headers=headers)


def test_a_resource_is_named_as_a_case_needs_it(sandbox: Sandbox, call: Caller) -> None:
    files = {"file": ("Mój paszport.pdf", io.BytesIO(CONTENT), "application/pdf")}
    response = call("POST", "/resources", files=files)
    resource = response.json()
    assert response.status_code == 201
    assert set(resource) == {"resourceId", "resourceName", "resourcePath"}
    assert resource["resourceName"] == "Mój paszport.pdf"
    root, _, identifier, name = resource["resourcePath"].split("/")
    assert (root, identifier, name) == ("resources", resource["resourceId"], "Mój paszport.pdf")
    (upload,) = sandbox.files
    assert (upload.size, upload.content_type) == (len(CONTENT), "application/pdf")
    assert upload.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert call("POST", "/cases", {"documents": [resource]}).status_code == 201
    assert sandbox.counts.resources == 1
    listed = call("GET", "/_sandbox/files").json()["files"]
    assert [(each["id"], each["sha256"]) for each in listed] == [(upload.id, upload.sha256)]


@pytest.mark.parametrize("path", ["/resources", ATTACHMENTS])
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
def test_a_file_of_any_size_arrives_as_it_is(sandbox: Sandbox, call: Caller, path: str, size: int) -> None:
    content = (CONTENT * 2)[:size]
    assert send(call, form(part(content)), path).status_code == 201
    (upload,) = sandbox.files
    assert (upload.size, upload.sha256) == (size, hashlib.sha256(content).hexdigest())


def test_content_that_resembles_the_end_of_a_part_arrives_as_it_is(sandbox: Sandbox, call: Caller) -> None:
    content = f"\r\n--{BOUNDARY[:-1]}\r\n\r\n--".encode() * 9
    assert send(call, form(part(content))).status_code == 201
    assert sandbox.files[0].sha256 == hashlib.sha256(content).hexdigest()


def test_a_file_of_unknown_length_arrives_as_it_is(sandbox: Sandbox, call: Caller) -> None:
    body = form(part(CONTENT))
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    assert send(call, pieces).status_code == 201
    assert sandbox.files[0].sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="file"; filename="../../etc/passwd"', "passwd"),
        ('name="file"; filename="C:\\\\docs\\\\a.pdf"', "a.pdf"),
        ("name=\"file\"; filename*=utf-8''za%C5%BC.pdf", "zaż.pdf"),
        ('name="document"; filename="a b.pdf"', "a b.pdf"),
    ],
)
def test_a_name_is_kept_without_folders(call: Caller, disposition: str, name: str) -> None:
    assert send(call, form(part(b"x", disposition))).json()["resourceName"] == name


@pytest.mark.parametrize("length", ["-7", "0", "99", "x"])
def test_a_length_in_the_part_is_ignored(sandbox: Sandbox, call: Caller, length: str) -> None:
    body = form(part(CONTENT, 'name="file"; filename="a"', f"Content-Length: {length}"))
    assert send(call, body).status_code == 201
    assert sandbox.files[0].sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_other_fields_of_the_form_do_no_harm(sandbox: Sandbox, call: Caller) -> None:
    assert (
        send(call, form(part(b"1", 'name="kind"'), part(CONTENT), part(b"2", 'name="x"'))).status_code == 201
    )
    assert sandbox.files[0].size == len(CONTENT)


@pytest.mark.parametrize("path", ["/resources", ATTACHMENTS])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form(), "FILE_REQUIRED"),
        (form(part(b"x", 'name="file"')), "FILE_REQUIRED"),
        (form(part(b"x", 'name="file"; filename=""')), "FILE_REQUIRED"),
        (form(part(b"x", 'name="file"; filename="/"')), "FILE_REQUIRED"),
        (form(part(b"x"), part(b"y")), "ONE_FILE"),
        (b"", "MALFORMED_BODY"),
        (b"\r\n", "MALFORMED_BODY"),
        (part(b"x")[:-2], "MALFORMED_BODY"),
        (part(b"x")[:20], "MALFORMED_BODY"),
        (b"--other\r\n\r\nx\r\n--other--\r\n", "MALFORMED_BODY"),
        (b"\x00\xff" * 500, "MALFORMED_BODY"),
        (form(part(b"x", 'name="file"; filename="a"', "X: " + "y" * 20_000)), "MALFORMED_BODY"),
        (
            form(part(b"x", 'name="file"; filename="a"', "Content-Type: multipart/mixed; boundary=b")),
            "MALFORMED_BODY",
        ),
    ],
)
def test_a_form_without_one_file_is_refused(
    sandbox: Sandbox, call: Caller, path: str, body: bytes, code: str
) -> None:
    response = send(call, body, path)
    assert (response.status_code, error_code(response)) == (400, code)
    assert sandbox.files == []


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 200])
def test_a_form_without_a_boundary_is_refused(call: Caller, boundary: str) -> None:
    assert error_code(send(call, form(part(b"x")), boundary=boundary)) == "MALFORMED_BODY"


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "multipart/mixed"])
def test_only_a_form_is_read(call: Caller, content_type: str) -> None:
    headers = {"Authorization": call.token, "Content-Type": content_type}
    response = call("POST", "/resources", data=b"{}", headers=headers)
    assert (response.status_code, error_code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.fixture
def limited() -> Iterator[Caller]:
    with Sandbox(max_file_bytes=100_000) as sandbox:
        caller = Caller(sandbox)
        with caller.session:
            yield caller


@pytest.mark.parametrize("path", ["/resources", ATTACHMENTS])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "of unknown length"])
@pytest.mark.parametrize(("size", "status"), [(100_000, 201), (100_001, 413), (9_000_000, 413)])
def test_a_file_beyond_the_limit_is_refused(
    limited: Caller, path: str, announced: bool, size: int, status: int
) -> None:
    body = form(part(b"x" * size))
    response = send(limited, body if announced else iter([body]), path)
    assert response.status_code == status
    if status == 413:
        assert error_code(response) == "FILE_TOO_LARGE"
        assert limited.sandbox.files == []


def test_the_fields_beside_the_file_count_to_the_limit(limited: Caller) -> None:
    body = form(part(b"x" * 60_000, 'name="note"'), part(b"y" * 60_000))
    assert error_code(send(limited, body)) == "FILE_TOO_LARGE"


def test_a_form_that_breaks_off_leaves_nothing(sandbox: Sandbox, call: Caller) -> None:
    address = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    connection.putrequest("POST", ATTACHMENTS)
    connection.putheader("Authorization", call.token)
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", "100000")
    connection.endheaders()
    connection.send(part(b"x" * 50_000))
    connection.close()
    assert send(call, form(part(b"y")), ATTACHMENTS).status_code == 201
    assert [upload.size for upload in sandbox.files] == [1]


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/resources", ATTACHMENTS])
def test_a_file_is_never_whole_in_memory(call: Caller, path: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield part(b"")[:-2]
        for _ in range(320):
            yield b"x" * 65_536
        yield b"\r\n" + form()

    tracemalloc.start()
    try:
        assert send(call, pieces(), path).status_code == 201
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def attach(call: Caller, content: bytes = CONTENT) -> dict[str, Any]:
    files = {"file": ("paßport.pdf", io.BytesIO(content), "application/pdf")}
    response = call("POST", ATTACHMENTS, files=files)
    assert response.status_code == 201
    attachment: dict[str, Any] = response.json()
    return attachment


def signed(call: Caller, attachment: dict[str, Any]) -> str:
    link: str = call("GET", f"{ATTACHMENTS}/{attachment['id']}").json()["link"]
    return link.removeprefix(call.sandbox.url)


def test_an_attachment_is_downloaded_by_its_link_alone(sandbox: Sandbox, call: Caller) -> None:
    attachment = attach(call)
    assert call("GET", ATTACHMENTS).json() == {"attachments": [attachment]}
    assert (attachment["name"], attachment["size"]) == ("paßport.pdf", len(CONTENT))
    link = signed(call, attachment)
    call.token = ""
    response = call("GET", link)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["Content-Type"] == "application/pdf"
    assert "filename*=utf-8''pa%C3%9Fport.pdf" in response.headers["Content-Disposition"]
    assert sandbox.counts.attachments == 1
    assert all("signature" not in seen.path for seen in sandbox.requests_seen)


def test_a_link_holds_for_a_short_time() -> None:
    clock = Clock()
    with Sandbox(clock=clock) as sandbox:
        call = Caller(sandbox)
        with call.session:
            link = signed(call, attach(call))
            clock.now += 299
            assert call("GET", link).status_code == 200
            clock.now += 1
            response = call("GET", link)
    assert (response.status_code, error_code(response)) == (403, "LINK_EXPIRED")


def test_a_link_that_was_changed_is_refused(call: Caller) -> None:
    first, second = (signed(call, attach(call)) for _ in range(2))
    path, _, query = first.partition("?")
    for changed, status in (
        (path, 400),
        (f"{second.partition('?')[0]}?{query}", 403),
        (first.replace("expires=", "expires=9"), 403),
        (first[:-1] + ("0" if first[-1] != "0" else "1"), 403),
        (f"{path}?expires=x&signature=%C5%BC", 403),
    ):
        assert call("GET", changed).status_code == status


def test_an_attachment_of_an_unknown_record_is_not_kept(sandbox: Sandbox, call: Caller) -> None:
    path = ATTACHMENTS.replace(READY_RECORD, NOWHERE)
    assert error_code(send(call, form(part(b"x")), path)) == "RECORD_NOT_FOUND"
    assert sandbox.files == []


def test_what_is_kept_goes_with_the_sandbox() -> None:
    with Sandbox() as sandbox:
        call = Caller(sandbox)
        with call.session:
            attach(call)
        (upload,) = sandbox.files
        assert isinstance(upload.path, Path)
        assert upload.path.read_bytes() == CONTENT
        folder = upload.path.parent
    del sandbox, call
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("fault", "length"),
    [("truncated_json", len(CONTENT) // 2), ("missing_fields", 2), ("latency", len(CONTENT))],
)
def test_a_download_can_be_faulty(sandbox: Sandbox, call: Caller, fault: str, length: int) -> None:
    link = signed(call, attach(call))
    seconds = {"seconds": 0.01} if fault == "latency" else {}
    sandbox.fault(fault, path="/files/{fileId}", **seconds)
    assert len(call("GET", link).content) == length


def test_an_upload_can_be_lost_after_it_was_carried_out(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", path="/resources", work_done=True)
    assert send(call, form(part(b"x"))).status_code == 503
    assert (sandbox.counts.resources, len(sandbox.files)) == (1, 1)
