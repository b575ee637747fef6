"""What an endpoint is to the sandbox: a route, and the call that has arrived at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.request_parsing import FIRST_VERSION
from airflow_provider_workflows.sandbox.responses import JsonObject, StoredFile
from airflow_provider_workflows.sandbox.tokens import Scope

if TYPE_CHECKING:
    from airflow_provider_workflows.sandbox.service import Service


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be carried out.

    :param version: the version of the API that it asks for
    :param ids: the values of the path's template by name
    :param query: the values of the query by name
    :param base_url: where the client reaches the sandbox
    :param body: the checked body, if the route has one
    """

    version: int
    ids: Mapping[str, str]
    query: Mapping[str, str]
    base_url: str
    body: Any = None


Operation: TypeAlias = Callable[["Service", Call], JsonObject | str | StoredFile]
Receives: TypeAlias = Literal["object", "file", "kept file"]


@dataclass(frozen=True)
class Route:
    """One endpoint as the sandbox serves it.

    :param method: the HTTP method
    :param path: the path with the names of the ids in it: ``/workflows/{workflowId}``
    :param summary: what the endpoint does, as an imperative
    :param operation: the function that does it
    :param response: the model of the response, or None for plain text or a file
    :param refusals: the statuses that it responds with beside success
    :param request: the model of the body, if there is one
    :param later_requests: the models of the body in later versions, where they differ
    :param receives: a body without a model: any JSON object, or a form with one file, which is a ``ReceivedFile``
        to the operation, and can be fetched again if it is kept
    :param success: the status of success
    :param authenticated: whether it needs a token
    :param scopes: the scopes of which an organization token must have one
    :param versioned: whether the ``Accept`` header names the version
    :param query: the names of the query's parameters, with their JSON types
    """

    method: str
    path: str
    summary: str
    operation: Operation
    response: type[models.ResponseBody] | None
    refusals: tuple[int, ...]
    request: type[models.RequestBody] | None = None
    later_requests: Mapping[int, type[models.RequestBody]] = field(default_factory=dict)
    receives: Receives | None = None
    success: int = 200
    authenticated: bool = True
    scopes: tuple[Scope, ...] = ()
    versioned: bool = False
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The route's name in counts."""
        return f"{self.method} {self.path}"

    @property
    def requests(self) -> Mapping[int, type[models.RequestBody]]:
        """The models of the body by version; empty if there is no body."""
        return {} if self.request is None else {FIRST_VERSION: self.request, **self.later_requests}
