"""Files that are uploaded: checked before anything is sent, sent in pieces, and as they were checked."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.effects import Response
from airflow_provider_workflows.api.file_endpoints import upload_resource
from airflow_provider_workflows.api.responses import read
from airflow_provider_workflows.api.uploads import PIECE_BYTES, Upload
from airflow_provider_workflows.sandbox import READY_RECORD, TABLE, Sandbox

from .conftest import Driver

Drive = Callable[..., Driver]

NAME = "Passport Wanda Kowalska.pdf"
CONTENT = bytes(range(256)) * 1000
RESOURCES = "POST /resources"


class Opened:
    """Counts how often a file is opened, and the longest piece that was read of it."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = contents
        self.times = 0
        self.longest = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[BinaryIO]:
        content = self.contents[min(self.times, len(self.contents) - 1)]
        self.times += 1
        opened = self

        class File(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                assert size is not None
                assert size > 0
                opened.longest = max(opened.longest, size)
                return super().read(size)

        with File(content) as file:
            yield file


def upload(*contents: bytes, name: str = NAME, **options: Any) -> Upload:
    return Upload.of(name, Opened(*(contents or (CONTENT,))), **options)


@pytest.fixture
def records(drive: Drive, sandbox: Sandbox) -> Driver:
    """A client of generation 3 with an organization token."""
    settings = dataclasses.replace(
        sandbox.settings, key="", secret=sandbox.organization_token, api_generation=3
    )
    return drive(settings)


class TestResource:
    def test_is_what_the_documents_of_a_case_take(self, client: Driver, sandbox: Sandbox) -> None:
        resource = client("upload_resource", upload())

        case = client("create_case", documents=[resource.document()])

        (document,) = case.party_details.documents
        assert document["resourceName"] == NAME
        assert document["resourceId"] == resource.resource_id
        assert sandbox.counts.requests == {RESOURCES: 1, "POST /cases": 1}

    @pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, 1_000_003])
    def test_has_the_content_of_the_file(self, client: Driver, sandbox: Sandbox, size: int) -> None:
        content = (CONTENT * 4)[:size]

        client("upload_resource", upload(content))

        (received,) = sandbox.files
        assert (received.size, received.sha256) == (size, hashlib.sha256(content).hexdigest())
        assert received.content_type == "application/pdf"

    @pytest.mark.parametrize("name", ["zażółć 文件.pdf", "a; b=c.pdf", "50%.pdf", "it's.pdf"])
    def test_has_the_name_of_the_file(self, client: Driver, name: str) -> None:
        assert client("upload_resource", upload(name=name)).resource_name == name

    def test_is_sent_by_a_connection_of_each_generation(self, drive: Drive, sandbox: Sandbox) -> None:
        for generation in (1, 2, 3):
            client = drive(dataclasses.replace(sandbox.settings, api_generation=generation))
            client("upload_resource", upload())

        assert sandbox.counts.resources == 3

    def test_is_sent_again_where_the_response_was_lost(self, client: Driver, sandbox: Sandbox) -> None:
        sandbox.fault("cut_after", path="/resources", times=1)

        client("upload_resource", upload())

        assert sandbox.counts.resources == 2

    @pytest.mark.parametrize("fault", ["rate_limited", "cut_before"])
    def test_is_sent_again_where_it_may_be(self, client: Driver, sandbox: Sandbox, fault: str) -> None:
        sandbox.fault(fault, path="/resources", times=1)

        client("upload_resource", upload())

        assert (sandbox.counts.requests[RESOURCES], sandbox.counts.resources) == (2, 1)

    def test_is_sent_again_with_a_new_token(self, client: Driver, sandbox: Sandbox) -> None:
        sandbox.expire_tokens()

        client("upload_resource", upload())

        assert (sandbox.counts.requests[RESOURCES], sandbox.counts.resources) == (2, 1)


class TestFile:
    def test_is_read_in_pieces(self, client: Driver) -> None:
        opened = Opened(CONTENT)

        client("upload_resource", Upload.of(NAME, opened))

        assert (opened.times, opened.longest) == (2, PIECE_BYTES)

    @pytest.mark.parametrize(
        "changed",
        [CONTENT + b"more", CONTENT[:-1], CONTENT[:-1] + b"x", b""],
        ids=["longer", "shorter", "other", "empty"],
    )
    def test_that_was_changed_meanwhile_is_not_uploaded(
        self, client: Driver, sandbox: Sandbox, changed: bytes
    ) -> None:
        with pytest.raises(errors.FileFailed, match="was changed while it was uploaded"):
            client("upload_resource", upload(CONTENT, changed))

        assert sandbox.counts.resources == 0

    def test_that_cannot_be_read_any_more_is_no_outage_of_the_service(
        self, client: Driver, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        file = tmp_path / NAME
        file.write_bytes(CONTENT)
        checked = Upload.of(NAME, lambda: file.open("rb"))
        file.unlink()

        with pytest.raises(errors.FileFailed, match="cannot be read: No such file") as raised:
            client("upload_resource", checked)

        assert "Kowalska" not in str(raised.value)
        assert sandbox.counts.resources == 0

    def test_that_is_refused_after_its_check_is_no_outage_of_the_service(
        self, client: Driver, sandbox: Sandbox
    ) -> None:
        class Vanished(Opened):
            def __call__(self) -> Any:
                if self.times:
                    raise errors.InvalidInput("there is no such file")
                return super().__call__()

        checked = Upload.of(NAME, Vanished(CONTENT))

        with pytest.raises(errors.FileFailed, match="since it was checked: there is no such file"):
            client("upload_resource", checked)

        assert sandbox.counts.resources == 0

    def test_is_not_read_further_than_the_limit(self) -> None:
        class Endless(io.RawIOBase):
            taken = 0

            def read(self, size: int = -1, /) -> bytes:
                self.taken += size
                return bytes(size)

        endless = Endless()

        with pytest.raises(errors.InvalidInput, match="has more bytes, and at most 1,000,000 are uploaded"):
            Upload.of(NAME, lambda: contextlib.nullcontext(endless), max_bytes=1_000_000)  # type: ignore[arg-type]

        assert endless.taken <= 1_000_000 + PIECE_BYTES

    def test_that_is_empty_is_refused(self) -> None:
        with pytest.raises(errors.InvalidInput, match="empty"):
            upload(b"")


class TestName:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("", "is empty"),
            ("  ", "is empty"),
            ("Kowalska/passport.pdf", "slash"),
            ("Kowalska\\passport.pdf", "slash"),
            ("Kowalska\r\nX-Header: 1.pdf", "control character"),
            ("Kowalska\x7f.pdf", "control character"),
            ("Kowalska" * 40 + ".pdf", "324 bytes"),
            ("Kowalska\udcff.pdf", "not Unicode"),
        ],
    )
    def test_that_cannot_be_sent_is_refused_without_it(self, name: str, reason: str) -> None:
        with pytest.raises(errors.InvalidInput, match=reason) as raised:
            upload(name=name)

        assert "Kowalska" not in str(raised.value)

    def test_shows_in_no_repr(self) -> None:
        assert "Kowalska" not in repr(upload())

    def test_that_the_service_repeats_is_redacted(self) -> None:
        message = f"{NAME} is too large, and so is {NAME[:-4].upper()}."
        body = json.dumps({"errors": [{"code": "TOO_LARGE", "message": message}]}).encode()

        with pytest.raises(errors.RequestRejected, match="413") as raised:
            read(upload_resource(upload()), Response(413, {}, body), now=0.0)

        assert "Kowalska".casefold() not in f"{raised.value} {raised.value.detail}".casefold()

    def test_of_a_file_that_the_service_does_not_take_is_not_in_the_error(self, drive: Drive) -> None:
        with Sandbox(max_file_bytes=1000) as sandbox:
            client = drive(sandbox.settings)

            with pytest.raises(errors.RequestRejected, match="413") as raised:
                client("upload_resource", upload())

        assert "Kowalska" not in str(raised.value)


class TestContentType:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a.pdf", "application/pdf"),
            ("a.PDF", "application/pdf"),
            ("a.b.jpeg", "image/jpeg"),
            ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            ("a.pdf.gz", "application/gzip"),
            ("a.heic", "image/heic"),
        ],
    )
    def test_is_told_from_the_name(self, name: str, expected: str) -> None:
        assert upload(name=name).content_type == expected

    def test_that_is_given_counts(self, client: Driver, sandbox: Sandbox) -> None:
        client("upload_resource", upload(name="scan", content_type="text/plain; charset=utf-8"))

        assert sandbox.files[0].content_type == "text/plain; charset=utf-8"

    @pytest.mark.parametrize("name", ["Kowalska", "Kowalska.unheard", ".pdf"])
    def test_that_is_unknown_is_refused_with_words(self, name: str) -> None:
        with pytest.raises(errors.InvalidInput, match="give content_type") as raised:
            upload(name=name)

        assert "Kowalska" not in str(raised.value)

    @pytest.mark.parametrize("given", ["pdf", "a/b\r\nX: 1", "a/b; c", "", 5])
    def test_that_cannot_be_right_is_refused(self, given: Any) -> None:
        with pytest.raises(errors.InvalidInput, match="content_type must be"):
            upload(content_type=given)


class TestAttachment:
    def test_is_of_its_record(self, records: Driver, sandbox: Sandbox) -> None:
        attachment = records("upload_attachment", TABLE, READY_RECORD, upload())

        assert [(each.id, each.name) for each in sandbox.files] == [(attachment.id, NAME)]
        assert sandbox.counts.attachments == 1

    @pytest.mark.parametrize(("fault", "made"), [("cut_after", 2), ("cut_before", 1), ("rate_limited", 1)])
    def test_is_sent_again_where_the_response_was_lost_or_it_may_be(
        self, records: Driver, sandbox: Sandbox, fault: str, made: int
    ) -> None:
        sandbox.fault(fault, path="/tables/{tableId}/records/{recordId}/attachments", times=1)

        records("upload_attachment", TABLE, READY_RECORD, upload())

        assert sandbox.counts.attachments == made

    def test_needs_a_generation_with_records(self, client: Driver, sandbox: Sandbox) -> None:
        with pytest.raises(errors.InvalidInput, match="needs api_generation 2 or 3"):
            client("upload_attachment", TABLE, READY_RECORD, upload())

        assert sandbox.counts.total_requests == 0

    def test_that_the_token_may_not_make_names_the_scope(self, drive: Drive, sandbox: Sandbox) -> None:
        token = sandbox.issue_organization_token("can_read_attachments")
        settings = dataclasses.replace(sandbox.settings, key="", secret=token, api_generation=3)

        with pytest.raises(errors.PermissionDenied, match="Give the token the scope can_edit_attachments"):
            drive(settings)("upload_attachment", TABLE, READY_RECORD, upload())
