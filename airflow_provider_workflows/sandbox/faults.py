"""What can be made to go wrong, and which calls it befalls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from airflow_provider_workflows.sandbox.fault_schedule import FaultSchedule, Share, Times, check_schedule
from airflow_provider_workflows.sandbox.request_parsing import ControlBody
from airflow_provider_workflows.sandbox.routes import ROUTES, STATUS_PATH, Route

Name = Literal[
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


@dataclass(frozen=True)
class Kind:
    """What a fault of one name does.

    :param summary: what the caller sees
    :param work_done: whether the call is carried out all the same
    :param options: the fields of ``Fault`` that are for this name alone
    """

    summary: str
    work_done: bool = False
    options: frozenset[str] = frozenset()


KINDS: Mapping[Name, Kind] = {
    "latency": Kind("served as usual, `seconds` later", True, frozenset({"seconds"})),
    "unauthorized": Kind("401, as for an expired token"),
    "forbidden": Kind("403, as for a missing permission"),
    "rate_limited": Kind("429, with `retry_after` where given", options=frozenset({"retry_after"})),
    "server_error": Kind(
        "`status` 5xx with a body in `form`", options=frozenset({"status", "form", "work_done"})
    ),
    "cut_before": Kind("connection aborted, nothing done"),
    "cut_during": Kind("connection closed in the middle of the response", True),
    "cut_after": Kind("connection aborted once all is done", True),
    "truncated_json": Kind("a response well framed whose JSON ends in the middle", True),
    "html_ok": Kind("200 with an HTML page"),
    "missing_fields": Kind("a success whose JSON is an empty object", True),
    "unknown_status": Kind("a workflow in the status SOMETHING_NEW", True),
    "redirect": Kind("302 to `location`", options=frozenset({"location"})),
}
_OPTIONS = frozenset[str]().union(*(kind.options for kind in KINDS.values()))


class Fault(ControlBody):
    """Something that goes wrong. Without ``times`` and ``share``, with every matching call until cleared.

    :param name: one of ``KINDS``
    :param path: template of the path that it befalls, such as ``/workflows/{workflowId}``; None for all
    :param method: HTTP method that it befalls; None for all
    :param times: the next so many matching calls
    :param share: each matching call with this probability, above 0 up to 1
    :param seconds: of latency; latencies add up, and go before any other fault
    :param status: of server_error, 500 to 599
    :param form: of server_error's body
    :param retry_after: of rate_limited: seconds, or the header as it is (an HTTP date, or garbage)
    :param work_done: of server_error: whether the call is carried out before the error is answered
    :param location: of redirect
    """

    name: Name
    path: str | None = None
    method: str | None = None
    times: Times | None = None
    share: Share | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    status: Annotated[int, Field(ge=500, le=599)] = 503
    form: Literal["json", "html", "empty"] = "json"
    retry_after: Annotated[float, Field(ge=0, allow_inf_nan=False)] | str | None = None
    work_done: bool = False
    location: str = "https://elsewhere.invalid/"

    @model_validator(mode="after")
    def _check_combination(self) -> Fault:
        check_schedule(self)
        foreign = (self.model_fields_set & _OPTIONS) - KINDS[self.name].options
        if foreign:
            raise ValueError(f"{self.name} takes no {', '.join(sorted(foreign))}")
        if self.name == "latency" and self.seconds is None:
            raise ValueError("latency needs seconds")
        for header in (self.location, self.retry_after):
            if isinstance(header, str) and not header.isprintable():
                raise ValueError("a header's value must be printable")
        if not any(self.matches(route) for route in ROUTES):
            raise ValueError(f"{self.name} matches no call: path must be a template such as {STATUS_PATH}")
        return self

    @property
    def carries_out(self) -> bool:
        """Whether the call is carried out all the same."""
        return self.work_done or KINDS[self.name].work_done

    def matches(self, route: Route) -> bool:
        """Whether calls of ``route`` are of those that it may befall."""
        if self.name == "unknown_status" and route.path != STATUS_PATH:
            return False
        return self.path in (None, route.path) and self.method in (None, route.method)


class Faults(FaultSchedule[Fault]):
    """The faults in force."""

    def draw_for(self, route: Route) -> tuple[float, Fault | None]:
        """Return what goes wrong with the call of ``route`` that is here now.

        :returns: the seconds that it is late, and the first other fault that befalls it. Later ones are
            left for later calls.
        """
        drawn = self.draw(
            lambda fault, before: (
                fault.matches(route)
                and (fault.seconds is not None or all(each.seconds is not None for each in before))
            )
        )
        late = sum(fault.seconds for fault in drawn if fault.seconds is not None)
        return late, next((fault for fault in drawn if fault.seconds is None), None)
