"""Attachments that are downloaded: by a link that nobody is told, without the token, and wholly or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.settings import Settings
from airflow_provider_workflows.api.uploads import Upload
from airflow_provider_workflows.sandbox import READY_RECORD, TABLE, Sandbox

from .conftest import Driver

Drive = Callable[..., Driver]

CONTENT = bytes(range(256)) * 1000
FILES = "/files/{fileId}"
DOWNLOAD, LINK = f"GET {FILES}", "GET /tables/{tableId}/records/{recordId}/attachments/{attachmentId}"
ID = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"


class Target:
    """A file that is there once it was written as a whole."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.opened = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[BinaryIO]:
        self.opened += 1
        with io.BytesIO() as file:
            yield file
            self.content = file.getvalue()


def with_token(sandbox: Sandbox) -> Settings:
    return dataclasses.replace(
        sandbox.settings, key="", secret=sandbox.organization_token, api_generation=3, read_timeout=5.0
    )


@pytest.fixture
def records(drive: Drive, sandbox: Sandbox) -> Driver:
    """A client of generation 3 with an organization token."""
    return drive(with_token(sandbox))


@pytest.fixture
def attachment_id(records: Driver, sandbox: Sandbox) -> str:
    """An attachment of a record."""
    upload = Upload.of("scan.pdf", lambda: io.BytesIO(CONTENT))
    attachment_id: str = records("upload_attachment", TABLE, READY_RECORD, upload).id
    sandbox.counts.reset()
    return attachment_id


@pytest.fixture
def target() -> Target:
    return Target()


def test_the_file_is_the_one_that_was_attached(
    records: Driver, sandbox: Sandbox, attachment_id: str, target: Target
) -> None:
    downloaded = records("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    assert target.content == CONTENT
    assert (downloaded.size, downloaded.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert sandbox.counts.requests == {LINK: 1, DOWNLOAD: 1}


def test_the_link_is_used_without_the_token(
    records: Driver, sandbox: Sandbox, attachment_id: str, target: Target
) -> None:
    records("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    of_api, of_file = sandbox.counts.seen
    assert "authorization" in of_api.headers
    assert "authorization" not in of_file.headers


def test_no_log_repeats_the_link(
    records: Driver, sandbox: Sandbox, attachment_id: str, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.fault("server_error", path=FILES, times=2)

    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "urllib3"):
        records("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    assert "Trying again" in caplog.text
    assert "signature" not in caplog.text
    assert "expires=" not in caplog.text


@pytest.mark.parametrize("fault", ["forbidden", "server_error", "cut_before", "cut_during", "redirect"])
def test_a_download_that_has_failed_is_made_again_with_a_new_link(
    records: Driver, sandbox: Sandbox, attachment_id: str, target: Target, fault: str
) -> None:
    sandbox.fault(fault, path=FILES, times=1)

    records("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    assert target.content == CONTENT
    assert sandbox.counts.requests == {LINK: 2, DOWNLOAD: 2}


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("forbidden", errors.UnexpectedResponse, r"was not sent \(403\): its link may have expired"),
        ("server_error", errors.ServiceUnavailable, r"was not sent \(503\)"),
        ("cut_during", errors.ServiceUnavailable, "did not arrive as a whole"),
        ("redirect", errors.UnexpectedResponse, r"somewhere else \(302\), which is not followed"),
    ],
)
def test_a_download_that_goes_on_failing_leaves_no_file_and_says_why(
    records: Driver,
    sandbox: Sandbox,
    attachment_id: str,
    target: Target,
    fault: str,
    kind: type[Exception],
    reason: str,
) -> None:
    sandbox.fault(fault, path=FILES)

    with pytest.raises(kind, match=reason) as raised:
        records("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    assert target.content is None
    assert "signature" not in str(raised.value)
    assert sandbox.counts.requests[DOWNLOAD] == sandbox.settings.max_attempts


def test_a_file_beyond_the_limit_is_not_kept(
    records: Driver, sandbox: Sandbox, attachment_id: str, target: Target
) -> None:
    with pytest.raises(errors.InvalidInput, match="at most 1,000 are downloaded"):
        records("download_attachment", TABLE, READY_RECORD, attachment_id, target, max_bytes=1000)

    assert target.content is None
    assert sandbox.counts.requests[DOWNLOAD] == 1


def test_storage_that_cannot_be_written_ends_it_without_the_name(
    records: Driver, sandbox: Sandbox, attachment_id: str
) -> None:
    @contextlib.contextmanager
    def target() -> Iterator[BinaryIO]:
        with io.BytesIO() as file:
            yield file
        raise PermissionError(13, "Permission denied", "/Kowalska.pdf")

    with pytest.raises(errors.FileFailed, match="cannot be written: Permission denied") as raised:
        records("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    assert "Kowalska" not in str(raised.value)
    assert sandbox.counts.requests[DOWNLOAD] == 1


def test_a_token_without_the_scope_is_told_which(
    drive: Drive, sandbox: Sandbox, attachment_id: str, target: Target
) -> None:
    token = sandbox.issue_organization_token("can_edit_attachments")
    client = drive(dataclasses.replace(with_token(sandbox), secret=token))

    with pytest.raises(errors.PermissionDenied, match="Give the token the scope can_read_attachments"):
        client("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    assert target.opened == 0


@pytest.mark.thorough
def test_a_file_comes_by_tls_that_is_checked(drive: Drive, target: Target) -> None:
    with Sandbox(tls=True) as sandbox:
        client = drive(with_token(sandbox))
        upload = Upload.of("scan.pdf", lambda: io.BytesIO(CONTENT))
        attachment_id = client("upload_attachment", TABLE, READY_RECORD, upload).id

        client("download_attachment", TABLE, READY_RECORD, attachment_id, target)

    assert target.content == CONTENT
