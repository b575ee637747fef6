"""What the operators that upload a file have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.file_limits import MAX_UPLOAD_BYTES
from airflow_provider_workflows.arguments import is_resolved_later, templated_text, whole_number
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.redaction import mask_in_logs, redact, unwrap
from airflow_provider_workflows.storage import templated_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import ObjectStoragePath
    from typing_extensions import Unpack

    from airflow_provider_workflows.api.uploads import Upload
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments


class UploadsFile(WorkflowsOperator):
    """An operator that uploads one file, which is checked before anything is sent.

    :param path: the file
    :param file_name: its name for the service
    :param content_type: what it is
    :param max_bytes: the largest file that is uploaded, in bytes
    """

    template_fields: Sequence[str] = ("path", "file_name", "content_type", "workflows_conn_id")

    def __init__(
        self,
        *,
        path: Text | ObjectStoragePath,
        file_name: Text | None = None,
        content_type: Text | None = None,
        max_bytes: int = MAX_UPLOAD_BYTES,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.path: Any = templated_path("path", path)
        self.file_name: Any = None if file_name is None else templated_text("file_name", file_name)
        self.content_type = None if content_type is None else templated_text("content_type", content_type)
        self.max_bytes = whole_number("max_bytes", max_bytes, at_least=1)
        # One that was given and turns out to be empty must not make way for the name in storage, which may be that
        # of a person.
        given = {"file_name": file_name, "content_type": content_type}
        self._given = tuple(name for name, value in given.items() if value is not None)
        if self.content_type is not None and not is_resolved_later(self.content_type):
            from airflow_provider_workflows.api.content_types import require_content_type  # noqa: PLC0415  (seldom)

            require_content_type(self.content_type)

    def checked_file(self) -> Upload:
        """Return the file, which is read once for that.

        :raises InvalidInput: saying what is wrong with it
        :raises FileFailed: if it cannot be read
        """
        from airflow_provider_workflows.files_to_upload import file_to_upload  # noqa: PLC0415  (not while parsing)

        for name in self._given:
            value = unwrap(getattr(self, name))
            if value is None or not str(value).strip() or value == "None":
                raise InvalidInput(
                    f"{name} was given and is empty, so a template found nothing to put there; leave it out for "
                    "what the name in storage says"
                )
        upload = file_to_upload(
            "path",
            unwrap(self.path),
            file_name=unwrap(self.file_name),
            content_type=self.content_type,
            max_bytes=self.max_bytes,
        )
        mask_in_logs([upload.name, upload.name.rpartition(".")[0]])
        return upload

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact the file's path and name, which may be that of a person."""
        names = [str(name) for name in unwrap([self.path, self.file_name]) if name is not None]
        mask_in_logs(names, rendered=rendered)
        self.path = redact(self.path, rendered=rendered)
        self.file_name = redact(self.file_name, rendered=rendered)
