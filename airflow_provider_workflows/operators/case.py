"""Create a case: the person or company that goes through a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.identifiers import require_identifiers_as_text
from airflow_provider_workflows.api.redaction import CASE_FIELDS, all_values
from airflow_provider_workflows.arguments import templated_dict, templated_text
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.creation import create_case_once
from airflow_provider_workflows.operators.redaction import mask_in_logs, redact, unwrap

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.record_models import ResourceFields
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments

#: The argument that holds each field. ``email`` is Airflow's: the address that it alerts when a task fails.
_ARGUMENTS = {name: "email_address" if name == "email" else name for name in CASE_FIELDS}
_PERSONAL = ("case", *_ARGUMENTS.values())


class CreateCaseOperator(WorkflowsOperator):
    """Create a case (``POST /cases``) and return its id; for a returning user, check and return the id given.

    A request whose response was lost is sent again: a case too many costs nothing. A retry or a clear of the task
    returns the id that it has returned before, as long as the fields are the same.

    All fields are optional and templated, and redacted in the log and in the view of rendered templates. A field
    that is None or empty is not sent.

    :param first_name: first name
    :param last_name: last name
    :param personal_number: personal number, as text: a number has lost its leading zeros
    :param email_address: e-mail address of the person
    :param phone: ``{"country_code": "48", "number": "666666666"}``
    :param company_name: name of the company
    :param company_number: number of the company, as text
    :param company_address: address of the company
    :param documents: list of ``{"resource_id": ..., "resource_name": ..., "resource_path": ...}``, as
        ``UploadResourceOperator`` returns each; those of a mapped one are its ``output``
    :param case: the same fields as one dict, in this spelling or the API's; may be given beside other arguments
    :param case_id: the case of a returning user: if it is not empty, nothing is created (``GET /cases/{caseId}``
        checks that it exists)
    :param workflows_conn_id: id of the connection (templated)
    :return: the case's id
    :raises InvalidInput: naming the fields that are wrong, before anything is sent, but never a value
    :raises NotFound: if no case has that id
    """

    template_fields: Sequence[str] = ("case_id", *_PERSONAL, "workflows_conn_id")
    template_fields_renderers = {"case": "json", "phone": "json", "documents": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        first_name: Text | None = None,
        last_name: Text | None = None,
        personal_number: Text | None = None,
        email_address: Text | None = None,
        phone: Mapping[str, str] | Text | None = None,
        company_name: Text | None = None,
        company_number: Text | None = None,
        company_address: Text | None = None,
        documents: Sequence[Mapping[str, str] | ResourceFields | XComArg] | Text | None = None,
        case: Mapping[str, Any] | Text | None = None,
        case_id: Text | None = None,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.first_name = first_name
        self.last_name = last_name
        self.personal_number = personal_number
        self.email_address = email_address
        self.phone = phone
        self.company_name = company_name
        self.company_number = company_number
        self.company_address = company_address
        self.documents = documents
        self.case = None if case is None else templated_dict("case", case, "the case's fields")
        self.case_id = None if case_id is None else templated_text("case_id", case_id, may_be_empty=True)
        require_identifiers_as_text({"personal_number": personal_number, "company_number": company_number})
        if isinstance(case, Mapping):
            require_identifiers_as_text(case, argument="case")

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Return the id of the case."""
        if self.case_id is not None and self.case_id != "":
            case_id = client.read_case(self.case_id).case_id
            self.log.info("Case %s exists, so no case is created.", case_id)
            return case_id
        return create_case_once(context, client, self._details(), self.log)

    def _details(self) -> dict[str, Any]:
        one_by_one = {name: unwrap(getattr(self, argument)) for name, argument in _ARGUMENTS.items()}
        from airflow_provider_workflows.api.models import require_case_details  # noqa: PLC0415  (not while parsing)

        together = unwrap(self.case) or {}
        if not isinstance(together, dict):
            raise InvalidInput(f"case must be a dict of the case's fields, not {type(together).__name__}")
        require_identifiers_as_text(together, argument="case")
        details = require_case_details(_given(together), argument="case").model_dump(exclude_none=True)
        given = _given(one_by_one)
        require_identifiers_as_text(given)
        if twice := sorted(details.keys() & given.keys()):
            raise InvalidInput(f"given both on its own and in case: {', '.join(twice)}")
        return details | given

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact all fields of the case."""
        if rendered and isinstance(self.documents, Sequence) and not isinstance(self.documents, str):
            # What the tasks of a mapped operator have returned is fetched as it is read: by a slice in one request.
            self.documents = [*self.documents[:]]
        values = unwrap([getattr(self, name) for name in _PERSONAL])
        mask_in_logs(all_values(values), rendered=rendered)
        for name in _PERSONAL:
            setattr(self, name, redact(getattr(self, name), rendered=rendered))


def _given(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None and value != ""}
