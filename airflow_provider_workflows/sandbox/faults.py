"""What can be made to go wrong, with requests and with webhooks; ``fault_schedule.py`` says when it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field, model_validator

from airflow_provider_workflows.sandbox.request_parsing import ControlBody
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.route import Route
from airflow_provider_workflows.sandbox.routes import ALL_ROUTES, STATUS_PATH

Times = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

FaultName = Literal[
    "latency",
    "unauthorized",
    "forbidden",
    "rate_limited",
    "server_error",
    "cut_before",
    "cut_during",
    "cut_after",
    "truncated_json",
    "html_ok",
    "missing_fields",
    "unknown_status",
    "redirect",
]
WebhookFaultName = Literal[
    "doubled", "late", "lost", "early", "reordered", "unsigned", "wrong_key", "alg_none", "hs256"
]
Aspect = Literal["number", "sending", "moment", "signature"]


@dataclass(frozen=True)
class Kind:
    """What the faults of one name do.

    :param summary: what the client sees
    :param work_done: whether the request is carried out all the same
    :param options: the fields of ``Fault`` that are for this name alone
    """

    summary: str
    work_done: bool = False
    options: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WebhookKind:
    """What the webhook faults of one name do.

    :param summary: what arrives where the webhook is sent
    :param aspect: what it changes; of the faults of one aspect, only one applies to a webhook
    :param options: the fields of ``WebhookFault`` that are for this name alone
    """

    summary: str
    aspect: Aspect
    options: frozenset[str] = frozenset()


KINDS: Mapping[FaultName, Kind] = {
    "latency": Kind("served as usual, `seconds` later", True, frozenset({"seconds"})),
    "unauthorized": Kind("401, as for an expired token"),
    "forbidden": Kind("403, as for a missing permission"),
    "rate_limited": Kind("429, with `retry_after` where given", options=frozenset({"retry_after"})),
    "server_error": Kind(
        "`status` 5xx with a body in `form`", options=frozenset({"status", "form", "work_done"})
    ),
    "cut_before": Kind("connection aborted, nothing carried out"),
    "cut_during": Kind("connection closed in the middle of the response", True),
    "cut_after": Kind("connection aborted once the request is carried out", True),
    "truncated_json": Kind("a complete response whose JSON ends in the middle", True),
    "html_ok": Kind("200 with an HTML page"),
    "missing_fields": Kind("a success whose JSON is an empty object", True),
    "unknown_status": Kind("a workflow in the status SOMETHING_NEW", True),
    "redirect": Kind("302 to `location`", options=frozenset({"location"})),
}

WEBHOOK_KINDS: Mapping[WebhookFaultName, WebhookKind] = {
    "doubled": WebhookKind("sent `copies` times at once", "number", frozenset({"copies"})),
    "lost": WebhookKind("never sent", "sending"),
    "late": WebhookKind("sent `seconds` after the end", "moment", frozenset({"seconds"})),
    "early": WebhookKind(
        "sent while the workflow is RUNNING and not at its end: at once, or `seconds` before the end",
        "moment",
        frozenset({"seconds"}),
    ),
    "reordered": WebhookKind("sent after the webhook that is due next", "moment"),
    "unsigned": WebhookKind("without the header", "signature"),
    "wrong_key": WebhookKind("signed with another key than its `kid` names", "signature"),
    "alg_none": WebhookKind("`alg` is `none`, and the signature empty", "signature"),
    "hs256": WebhookKind("HS256 with the public key's PEM as the secret", "signature"),
}


class Fault(ControlBody):
    """A fault of requests. Without ``times`` and ``share``, it applies to every matching request until cleared.

    :param name: one of ``KINDS``
    :param path: template of the path that it applies to, such as ``/workflows/{workflowId}``; None for all
    :param method: HTTP method that it applies to; None for all
    :param times: how many matching requests it applies to
    :param share: the probability with which it applies to each matching request, above 0 up to 1
    :param seconds: of latency; latencies add up, and go before any other fault
    :param status: of server_error, 500 to 599
    :param form: of server_error's body
    :param retry_after: of rate_limited: seconds, or the header's text (an HTTP date, or garbage)
    :param work_done: of server_error: whether the request is carried out before the error is sent
    :param location: of redirect
    """

    name: FaultName
    path: str | None = None
    method: str | None = None
    times: Times | None = None
    share: Share | None = None
    seconds: Seconds | None = None
    status: Annotated[int, Field(ge=500, le=599)] = 503
    form: Literal["json", "html", "empty"] = "json"
    retry_after: Annotated[float, Field(ge=0, allow_inf_nan=False)] | str | None = None
    work_done: bool = False
    location: str = "https://elsewhere.invalid/"

    @model_validator(mode="after")
    def _check_combination(self) -> Fault:
        _check_schedule(self)
        _check_options(self.name, self.model_fields_set, KINDS)
        if self.name == "latency" and self.seconds is None:
            raise ValueError("latency needs seconds")
        for header in (self.location, self.retry_after):
            if isinstance(header, str) and not header.isprintable():
                raise ValueError("a header's value must be printable")
        if not any(self.matches(route) for route in ALL_ROUTES):
            raise ValueError(
                f"{self.name} matches no endpoint: path must be a template such as {STATUS_PATH}, and method "
                "one that the endpoint has, in capitals"
            )
        return self

    def json_object(self) -> JsonObject:
        """Return the fields that are set and that its name uses, as a JSON object."""
        return _without(super().json_object(), _options_of_others(self.name, KINDS))

    @property
    def carries_out(self) -> bool:
        """Whether the request is carried out all the same."""
        return self.work_done or KINDS[self.name].work_done

    def matches(self, route: Route) -> bool:
        """Return whether the fault may apply to requests of ``route``."""
        if self.name == "unknown_status" and route.path != STATUS_PATH:
            return False
        return self.path in (None, route.path) and self.method in (None, route.method)


class WebhookFault(ControlBody):
    """A fault of the webhooks of workflows that are run from then on.

    Without ``times`` and ``share``, it applies to each webhook until cleared.

    :param name: one of ``WEBHOOK_KINDS``
    :param times: how many webhooks it applies to
    :param share: the probability with which it applies to each webhook, above 0 up to 1
    :param seconds: of late and early
    :param copies: of doubled: how often the webhook is sent in all
    """

    name: WebhookFaultName
    times: Times | None = None
    share: Share | None = None
    seconds: Seconds | None = None
    copies: Annotated[int, Field(ge=2, le=100)] = 2

    @model_validator(mode="after")
    def _check_combination(self) -> WebhookFault:
        _check_schedule(self)
        _check_options(self.name, self.model_fields_set, WEBHOOK_KINDS)
        if self.name == "late" and self.seconds is None:
            raise ValueError("late needs seconds")
        return self

    def json_object(self) -> JsonObject:
        """Return the fields that are set and that its name uses, as a JSON object."""
        return _without(super().json_object(), _options_of_others(self.name, WEBHOOK_KINDS))

    @property
    def aspect(self) -> Aspect:
        """What it changes."""
        return WEBHOOK_KINDS[self.name].aspect


class _WithOptions(Protocol):
    @property
    def options(self) -> frozenset[str]: ...


AnyName = TypeVar("AnyName", bound=str)


def _check_schedule(fault: Fault | WebhookFault) -> None:
    if fault.times is not None and fault.share is not None:
        raise ValueError("give times or share, not both")


def _check_options(name: AnyName, given: set[str], kinds: Mapping[AnyName, _WithOptions]) -> None:
    foreign = given & _options_of_others(name, kinds)
    if foreign:
        raise ValueError(f"{name} takes no {', '.join(sorted(foreign))}")


def _options_of_others(name: AnyName, kinds: Mapping[AnyName, _WithOptions]) -> frozenset[str]:
    return frozenset[str]().union(*(kind.options for kind in kinds.values())) - kinds[name].options


def _without(fields: JsonObject, names: frozenset[str]) -> JsonObject:
    return {name: value for name, value in fields.items() if name not in names}
