"""Tasks that upload files, attach them to records and download them: once, wholly, and without personal names."""

from __future__ import annotations

import hashlib
import json
from collections import UserList
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from airflow.serialization.serialized_objects import DagSerialization
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.operators.attachments import (
    DownloadAttachmentOperator,
    UploadAttachmentOperator,
)
from airflow_provider_workflows.operators.base import WorkflowsOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.creation import RESOURCE_KEY
from airflow_provider_workflows.operators.resource import UploadResourceOperator
from airflow_provider_workflows.sandbox import READY_RECORD, TABLE, Sandbox

NAME = "Wanda Kowalska.pdf"
CONTENT = b"%PDF" * 100_000
RECORD = {"table_id": TABLE, "record_id": READY_RECORD, "workflows_conn_id": "workflows_generation_3"}
ID = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"


@pytest.fixture(autouse=True)
def connection(connected: Sandbox, short_pauses: None) -> None:
    """Lead the connections to the sandbox."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    return path


def run(operator: WorkflowsOperator, context: Any) -> Any:
    operator.render_template_fields(context)
    return operator.execute(context)


def upload(context: Any, path: Any, **arguments: Any) -> Any:
    return run(UploadResourceOperator(task_id="upload", path=path, **arguments), context)


def attach(context: Any, path: Any, **arguments: Any) -> Any:
    return run(UploadAttachmentOperator(task_id="attach", path=path, **{**RECORD, **arguments}), context)


def scoped(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, *scopes: Any) -> None:
    """Give the connection a token that has these scopes alone."""
    name = "AIRFLOW_CONN_WORKFLOWS_GENERATION_3"
    given = json.loads(sandbox.environment[name])
    given |= {"login": "", "password": sandbox.issue_organization_token(*scopes)}
    monkeypatch.setenv(name, json.dumps(given))


class TestUploadResource:
    def test_returns_what_the_documents_of_a_case_take(
        self, sandbox: Sandbox, context: Any, file: Path
    ) -> None:
        resource = upload(context, str(file))

        run(CreateCaseOperator(task_id="case", documents=[resource]), context)

        assert set(resource) == {"resource_id", "resource_name", "resource_path"}
        assert (sandbox.counts.resources, sandbox.counts.cases) == (1, 1)

    def test_of_a_mapped_task_is_one_of_several_documents(
        self, sandbox: Sandbox, context: Any, file: Path
    ) -> None:
        resources = [upload(context, str(file), file_name=name) for name in ("a.pdf", "b.pdf")]

        case = CreateCaseOperator(task_id="case", documents=UserList(resources))
        case_id = run(case, context)

        with WorkflowsHook().get_conn() as client:
            details = client.read_case(case_id).party_details
        assert details is not None
        assert [each["resourceName"] for each in details.documents or []] == ["a.pdf", "b.pdf"]

    def test_takes_its_place_in_a_dag(self) -> None:
        with DAG("documents") as dag:
            uploaded = UploadResourceOperator(task_id="upload", path="s3://files/{{ ds }}/scan.pdf")
            CreateCaseOperator(task_id="case", documents=[uploaded.output])

        assert dag.task_dict["case"].upstream_task_ids == {"upload"}
        DagSerialization.from_dict(DagSerialization.to_dict(dag))

    def test_uploads_from_remote_storage(
        self, sandbox: Sandbox, context: Any, remote: MemoryFileSystem
    ) -> None:
        remote.pipe_file("/incoming/scan.png", b"\x89PNG")

        upload(context, ObjectStoragePath("memory://incoming/scan.png"), file_name="document.png")

        assert [(each.name, each.content_type, each.size) for each in sandbox.files] == [
            ("document.png", "image/png", 4)
        ]

    @pytest.mark.parametrize("is_cleared", [True, False], ids=["clear", "retry"])
    def test_uploads_once_over_all_tries(
        self, sandbox: Sandbox, context: Any, file: Path, is_cleared: bool
    ) -> None:
        first = upload(context, str(file))
        if is_cleared:
            context["ti"].clear()

        assert upload(context, str(file)) == first
        assert sandbox.counts.requests["POST /resources"] == 1

    @pytest.mark.parametrize(
        "arguments",
        [{"file_name": "other.pdf"}, {"content_type": "text/plain"}],
    )
    def test_uploads_again_under_another_name_or_type(
        self, sandbox: Sandbox, context: Any, file: Path, arguments: Any
    ) -> None:
        first = upload(context, str(file))

        assert upload(context, str(file), **arguments)["resource_id"] != first["resource_id"]
        assert sandbox.counts.resources == 2

    def test_uploads_again_what_has_another_content(self, sandbox: Sandbox, context: Any, file: Path) -> None:
        upload(context, str(file))
        file.write_bytes(b"other")

        upload(context, str(file))

        assert [each.size for each in sandbox.files] == [len(CONTENT), 5]

    def test_a_lost_response_uploads_twice_and_remembers_the_second(
        self, sandbox: Sandbox, context: Any, file: Path
    ) -> None:
        sandbox.fault("cut_after", path="/resources", times=1)
        first = upload(context, str(file))

        assert upload(context, str(file)) == first
        assert sandbox.counts.resources == 2

    def test_stores_nothing_of_the_content(self, context: Any, file: Path) -> None:
        upload(context, str(file), file_name="document.pdf")

        stored = context["task_state_store"].stored[RESOURCE_KEY]
        assert "Kowalska" not in stored
        assert hashlib.sha256(CONTENT).hexdigest() not in stored

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"max_bytes": 10}, "at most 10 are uploaded"),
            ({"file_name": "Kowalska"}, "give content_type"),
            ({"file_name": "../Kowalska.pdf"}, "a slash"),
            ({"content_type": "{{ 'pdf' }}"}, "content_type must be"),
            ({"path": "/nowhere/Kowalska.pdf"}, "there is no such file"),
        ],
    )
    def test_refuses_before_anything_is_sent_and_names_nobody(
        self, sandbox: Sandbox, context: Any, file: Path, arguments: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(errors.InvalidInput, match=reason) as raised:
            upload(context, **{"path": str(file), **arguments})

        assert "Kowalska" not in str(raised.value)
        assert sandbox.counts.total_requests == 0

    @pytest.mark.parametrize("name", ["file_name", "content_type"])
    @pytest.mark.parametrize("value", ["{{ '' }}", "{{ none }}", " {{ '' }}"])
    def test_refuses_what_was_given_and_renders_to_nothing(
        self, sandbox: Sandbox, context: Any, file: Path, name: str, value: str
    ) -> None:
        with pytest.raises(errors.InvalidInput, match=f"{name} was given and is empty"):
            upload(context, str(file), **{name: value})

        assert sandbox.counts.total_requests == 0

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"path": 5}, "path must be a URI"),
            ({"path": "/a.pdf", "max_bytes": 0}, "max_bytes must be a whole number of at least 1"),
            ({"path": "/a.pdf", "content_type": "pdf"}, "content_type must be a type and a subtype"),
            ({"path": "/a.pdf", "file_name": 5}, "file_name must be text"),
        ],
    )
    def test_refuses_when_the_dag_is_parsed(self, arguments: dict[str, Any], reason: str) -> None:
        with pytest.raises(errors.InvalidInput, match=reason):
            UploadResourceOperator(task_id="upload", **arguments)

    def test_shows_neither_path_nor_name(self, context: Any, file: Path) -> None:
        operator = UploadResourceOperator(task_id="upload", path=str(file), file_name="Wanda.pdf")
        operator.render_template_fields(context)

        shown = _serialize_rendered_fields(operator)

        assert (shown["path"], shown["file_name"]) == ("***", "***")

    def test_logs_neither_path_nor_name(
        self, context: Any, file: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with caplog.at_level("DEBUG", "airflow_provider_workflows.api"):
            upload(context, str(file))

        logged = caplog.text + "".join(capfd.readouterr())
        assert "Created resource" in logged
        assert "Kowalska" not in logged


class TestAttachments:
    def test_go_up_and_down_as_they_are(
        self, sandbox: Sandbox, context: Any, file: Path, tmp_path: Path
    ) -> None:
        attachment_id = attach(context, str(file))
        handle = run(
            DownloadAttachmentOperator(
                task_id="download",
                attachment_id=attachment_id,
                output_path=str(tmp_path / "down" / "{{ 'scan' }}.pdf"),
                **RECORD,
            ),
            context,
        )

        written = tmp_path / "down" / "scan.pdf"
        assert written.read_bytes() == CONTENT
        assert written.stat().st_mode & 0o777 == 0o600
        assert handle == {
            "uri": str(ObjectStoragePath(str(written))),
            "attachment_id": attachment_id,
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
        }

    @pytest.mark.parametrize("name", ["", "/", "/new/"])
    def test_are_not_asked_for_where_the_output_path_is_a_folder(
        self, sandbox: Sandbox, context: Any, tmp_path: Path, name: str
    ) -> None:
        operator = DownloadAttachmentOperator(
            task_id="download", attachment_id=ID, output_path=f"{tmp_path}{name}", **RECORD
        )

        with pytest.raises(errors.InvalidInput, match="output_path is a folder"):
            run(operator, context)

        assert sandbox.counts.total_requests == 0

    def test_show_no_path_that_they_are_downloaded_to(self, context: Any) -> None:
        operator = DownloadAttachmentOperator(
            task_id="download", attachment_id=ID, output_path="/archive/{{ 'Kowalska' }}.pdf", **RECORD
        )
        operator.render_template_fields(context)

        assert _serialize_rendered_fields(operator)["output_path"] == "***"

    def test_are_attached_once_over_all_tries(self, sandbox: Sandbox, context: Any, file: Path) -> None:
        first = attach(context, str(file))
        context["ti"].clear()

        assert attach(context, str(file)) == first
        assert sandbox.counts.attachments == 1

    def test_go_down_to_remote_storage(self, context: Any, file: Path, remote: MemoryFileSystem) -> None:
        attachment_id = attach(context, str(file))

        WorkflowsHook("workflows_generation_3").download_attachment(
            TABLE, READY_RECORD, attachment_id, "memory://down/scan.pdf"
        )

        assert remote.cat_file("/down/scan.pdf") == CONTENT

    def test_that_do_not_arrive_leave_the_file_as_it_was(
        self, sandbox: Sandbox, context: Any, file: Path, tmp_path: Path
    ) -> None:
        attachment_id = attach(context, str(file))
        target = tmp_path / "scan.pdf"
        target.write_bytes(b"before")
        sandbox.fault("cut_during", path="/files/{fileId}")

        with pytest.raises(errors.ServiceUnavailable, match="did not arrive as a whole"):
            run(
                DownloadAttachmentOperator(
                    task_id="download", attachment_id=attachment_id, output_path=str(target), **RECORD
                ),
                context,
            )

        assert target.read_bytes() == b"before"
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([NAME, "scan.pdf"])

    def test_name_the_scope_that_the_token_lacks(
        self, sandbox: Sandbox, context: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scoped(sandbox, monkeypatch, "can_read_data")

        with pytest.raises(errors.PermissionDenied, match="can_edit_attachments"):
            attach(context, str(file))
        with pytest.raises(errors.PermissionDenied, match="can_read_attachments"):
            WorkflowsHook("workflows_generation_3").download_attachment(
                TABLE, READY_RECORD, ID, str(tmp_path / "scan.pdf")
            )

    def test_need_a_generation_with_records(self, sandbox: Sandbox, context: Any, file: Path) -> None:
        with pytest.raises(errors.InvalidInput, match="needs api_generation 2 or 3"):
            attach(context, str(file), workflows_conn_id="workflows_default")

        assert sandbox.counts.total_requests == 0


class TestHook:
    def test_uploads_a_resource_and_an_attachment(self, sandbox: Sandbox, file: Path) -> None:
        hook = WorkflowsHook("workflows_generation_3")

        resource = hook.upload_resource(str(file), file_name="document.pdf")
        attachment_id = hook.upload_attachment(TABLE, READY_RECORD, str(file))

        assert [each.id for each in sandbox.files] == [resource["resource_id"], attachment_id]
        assert resource["resource_name"] == "document.pdf"
