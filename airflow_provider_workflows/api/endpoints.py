"""Every endpoint of the API as a value: method, path, models, generations, and whether it is repeatable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_workflows.api import models
from airflow_provider_workflows.api.generations import DEFAULT_GENERATION, GENERATIONS
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.record_models import Record
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.api.strict_json import require_json_object

if TYPE_CHECKING:
    from airflow_provider_workflows.api.field_types import FieldType
    from airflow_provider_workflows.api.uploads import Upload

ResponseModel = TypeVar("ResponseModel", bound=models.ResponseBody)
_NO_IDS: Mapping[str, str] = {}
#: Cases and sets of parameters: generation 3 has records, and parameters that are sent as a run is started.
_WITH_CASES = frozenset({1, 2})
WITH_RECORDS = frozenset({2, 3})


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[ResponseModel]):
    """An endpoint with its ids and its body filled in: all that a call needs.

    :param method: the HTTP method
    :param path: the path with its ids filled in
    :param response: the model of a successful response
    :param repeatable: whether a request may be repeated after it may have been carried out: because it only reads,
        or because another case, set of parameters or token costs nothing. One that is not repeatable, and that is
        one that starts a run, is repeated only if it surely was not carried out.
    :param body: the JSON object to send, or None
    :param upload: the file to send in place of a body, or None
    :param scope: what a token must be allowed to do, for the error of one that is not; empty if that is unknown
    :param authenticated: whether the request carries a token
    :param sensitive: whether the body holds personal data or secrets, which no message may repeat
    :param secret_response: whether the response holds a secret, of which no message may repeat anything
    :param text: whether the response is text instead of JSON; its model takes it as ``text``
    :param expected: the ids that the response must name, if it names any, by the API's names of their fields:
        ``{"caseId": "3b2d..."}``
    :param ids: the ids that messages name besides the path's: ``{"case": "3b2d..."}``
    :param versioned: whether it has versions, so that the ``Accept`` header names one
    :param generations: numbers of the generations that have it
    """

    method: str
    path: str
    response: type[ResponseModel]
    repeatable: bool
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    upload: Upload | None = None
    scope: str = ""
    authenticated: bool = True
    sensitive: bool = False
    secret_response: bool = False
    text: bool = False
    expected: Mapping[str, str] = field(default_factory=lambda: _NO_IDS)
    ids: Mapping[str, str] = field(default_factory=lambda: _NO_IDS)
    versioned: bool = True
    generations: frozenset[int] = frozenset(GENERATIONS)

    @property
    def sent(self) -> Mapping[str, Any]:
        """What was sent that no message may repeat; empty if it may be repeated."""
        if self.upload is not None:
            name = self.upload.name
            return {"name": name, "without its ending": name.rpartition(".")[0]}
        return self.body if self.sensitive and self.body is not None else {}

    def __str__(self) -> str:
        """Return the endpoint and its ids as messages name it."""
        about = ", ".join(f"{name} {value}" for name, value in self.ids.items())
        return f"{self.method} {self.path}" + (f" ({about})" if about else "")


def authorize(key: str, secret: str) -> Endpoint[models.Tokens]:
    """``POST /auth/authorize``: tokens for an API key."""
    return _token_endpoint("/auth/authorize", models.ApiKey(key=key, secret=secret))


def refresh(refresh_token: str) -> Endpoint[models.Tokens]:
    """``POST /auth/refresh``: new tokens for a refresh token."""
    return _token_endpoint("/auth/refresh", models.RefreshToken(refresh_token=refresh_token))


def _token_endpoint(path: str, request: models.RequestBody) -> Endpoint[models.Tokens]:
    return Endpoint(
        "POST",
        path,
        models.Tokens,
        repeatable=True,
        body=request.body(),
        authenticated=False,
        sensitive=True,
        versioned=False,
    )


def create_case(details: Mapping[str, Any]) -> Endpoint[models.Case]:
    """``POST /cases``: a new case; repeating it makes another, which costs nothing.

    :param details: fields of ``models.CaseDetails``, in Python's or the API's spelling; all are optional
    :raises InvalidInput: naming the fields that are wrong, never a value
    """
    case = models.require_case_details(details)
    return Endpoint(
        "POST",
        "/cases",
        models.Case,
        repeatable=True,
        body=case.body(),
        sensitive=True,
        generations=_WITH_CASES,
    )


def read_case(case_id: str) -> Endpoint[models.Case]:
    """``GET /cases/{caseId}``: a case.

    :raises InvalidInput: if ``case_id`` is not a UUID
    """
    case_id = require_id("case_id", case_id)
    return Endpoint(
        "GET",
        f"/cases/{case_id}",
        models.Case,
        repeatable=True,
        expected={"caseId": case_id},
        generations=_WITH_CASES,
    )


def create_parameters(
    workflow_definition_id: str, parameters: Mapping[str, Any]
) -> Endpoint[models.Parameters]:
    """``POST /parameters``: a new set of parameters for a definition; another one costs nothing.

    :param parameters: JSON values by name
    :raises InvalidInput: if ``workflow_definition_id`` is not a UUID, or JSON cannot express a value
    """
    definition = require_id("workflow_definition_id", workflow_definition_id)
    details = models.ParametersDetails(
        workflow_definition_id=definition, parameters=require_json_object("parameters", parameters)
    )
    return Endpoint(
        "POST",
        "/parameters",
        models.Parameters,
        repeatable=True,
        body=details.body(),
        sensitive=True,
        expected={"workflowDefinitionId": definition},
        ids={"definition": definition},
        generations=_WITH_CASES,
    )


def run_workflow(
    details: RunDetails, generation: int = DEFAULT_GENERATION
) -> Endpoint[models.StartedWorkflow]:
    """``POST /workflows/run``, or from generation 3 on ``POST /workflows``: a new run, which is billed.

    Repeating it would bill another.

    :param details: what the run is started with
    :param generation: number of the API's generation
    :raises InvalidInput: naming an argument that cannot be right, or that the generation does not have
    """
    body = details.body(generation)
    names = {"case": "caseId", "record": "recordId", "definition": "workflowDefinitionId"}
    return Endpoint(
        "POST",
        GENERATIONS[generation].run_path,
        models.StartedWorkflow,
        repeatable=False,
        body=body,
        sensitive="parameters" in body,
        # What is named in the response must be what was asked for.
        expected={name: body[name] for name in ("caseId", "recordId") if name in body},
        ids={name: body[field] for name, field in names.items() if field in body},
        generations=frozenset({generation}),
    )


def create_record(
    table_id: str, fields: Mapping[str, Any], field_types: Mapping[str, FieldType] | None = None
) -> Endpoint[Record]:
    """``POST /tables/{tableId}/records``: a new record; repeating it makes another, which costs nothing.

    :param table_id: id of the table
    :param fields: values by the names of the table's fields, as ``require_record_fields`` takes them
    :param field_types: types by the names of the fields, as far as they are to be checked here
    :raises InvalidInput: if ``table_id`` is not a UUID, or naming the fields whose values cannot be right
    """
    from airflow_provider_workflows.api.field_types import require_record_fields  # noqa: PLC0415  (not while parsing)

    return Endpoint(
        "POST",
        f"/tables/{require_id('table_id', table_id)}/records",
        Record,
        repeatable=True,
        body=require_record_fields(fields, field_types),
        sensitive=True,
        versioned=False,
        generations=WITH_RECORDS,
        scope="can_edit_data on the table",
    )


def read_record(table_id: str, record_id: str) -> Endpoint[Record]:
    """``GET /tables/{tableId}/records/{recordId}``: a record.

    :raises InvalidInput: if one of the ids is not a UUID
    """
    record_id = require_id("record_id", record_id)
    return Endpoint(
        "GET",
        f"/tables/{require_id('table_id', table_id)}/records/{record_id}",
        Record,
        repeatable=True,
        expected={"id": record_id},
        versioned=False,
        generations=WITH_RECORDS,
        scope="can_read_data on the table",
    )


def read_workflow(
    workflow_id: str, case_id: str | None = None, record_id: str | None = None
) -> Endpoint[models.Workflow]:
    """``GET /workflows/{workflowId}``: a workflow with its status.

    :param case_id: the case that it must be of; None if that is not known
    :param record_id: the record that it must be about; None if that is not known
    :raises InvalidInput: if one of the ids is not a UUID
    """
    workflow_id = require_id("workflow_id", workflow_id)
    return Endpoint(
        "GET",
        f"/workflows/{workflow_id}",
        models.Workflow,
        repeatable=True,
        expected={"id": workflow_id, **_subject(case_id, record_id)},
    )


def read_result(
    workflow_id: str, case_id: str | None = None, record_id: str | None = None
) -> Endpoint[models.WorkflowResult]:
    """``GET /workflows/{workflowId}/result``: the result of a completed workflow.

    :param case_id: the case that it must be of; None if that is not known
    :param record_id: the record that it must be about; None if that is not known
    :raises InvalidInput: if one of the ids is not a UUID
    """
    workflow_id = require_id("workflow_id", workflow_id)
    return Endpoint(
        "GET",
        f"/workflows/{workflow_id}/result",
        models.WorkflowResult,
        repeatable=True,
        # What a definition puts under "id" is its own affair.
        expected={"workflowId": workflow_id, **_subject(case_id, record_id)},
    )


def _subject(case_id: str | None, record_id: str | None) -> Mapping[str, str]:
    expected = {} if case_id is None else {"caseId": require_id("case_id", case_id)}
    return expected if record_id is None else expected | {"recordId": require_id("record_id", record_id)}


def read_webhook_key(key_id: str) -> Endpoint[models.PlainText]:
    """``GET /auth/webhooks/key/{kid}``: the public key that webhooks are signed with, as PEM; needs no token.

    :raises InvalidInput: if ``key_id`` is not a UUID
    """
    return Endpoint(
        "GET",
        f"/auth/webhooks/key/{require_id('kid', key_id)}?pem=true",
        models.PlainText,
        repeatable=True,
        authenticated=False,
        text=True,
        versioned=False,
    )
