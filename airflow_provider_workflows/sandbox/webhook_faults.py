"""What can be ordered of webhooks: where they go, what they look like, and what goes wrong with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import yarl
from pydantic import Field, model_validator

from airflow_provider_workflows.sandbox.fault_schedule import FaultSchedule, Share, Times, check_schedule
from airflow_provider_workflows.sandbox.request_parsing import ControlBody
from airflow_provider_workflows.sandbox.responses import JsonObject

Name = Literal["doubled", "late", "lost", "early", "reordered", "unsigned", "wrong_key", "alg_none", "hs256"]
Aspect = Literal["number", "sending", "moment", "signature"]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class WebhookKind:
    """What a fault of one name does.

    :param summary: what the receiver sees
    :param aspect: what it changes; of the faults of one aspect only one befalls a webhook
    :param options: the fields of ``WebhookFault`` that are for this name alone
    """

    summary: str
    aspect: Aspect
    options: frozenset[str] = frozenset()


WEBHOOK_KINDS: Mapping[Name, WebhookKind] = {
    "doubled": WebhookKind("sent `copies` times at once", "number", frozenset({"copies"})),
    "lost": WebhookKind("never sent", "sending"),
    "late": WebhookKind("sent `seconds` after the end", "moment", frozenset({"seconds"})),
    "early": WebhookKind(
        "sent in place of at the end while the workflow is RUNNING: at once, or `seconds` before the end",
        "moment",
        frozenset({"seconds"}),
    ),
    "reordered": WebhookKind("sent after the one that is due next", "moment"),
    "unsigned": WebhookKind("without the header", "signature"),
    "wrong_key": WebhookKind("signed with a key that is not the one of its `kid`", "signature"),
    "alg_none": WebhookKind("`alg` is none, and the signature empty", "signature"),
    "hs256": WebhookKind("HS256 with the public key's PEM as the secret", "signature"),
}
_OPTIONS = frozenset[str]().union(*(kind.options for kind in WEBHOOK_KINDS.values()))


class WebhookFault(ControlBody):
    """Something that goes wrong with webhooks, of the workflows that are run from then on.

    Without ``times`` and ``share``, with each webhook until cleared.

    :param name: one of ``WEBHOOK_KINDS``
    :param times: the next so many webhooks
    :param share: each webhook with this probability, above 0 up to 1
    :param seconds: of late and early
    :param copies: of doubled: how often it is sent in all
    """

    name: Name
    times: Times | None = None
    share: Share | None = None
    seconds: Seconds | None = None
    copies: Annotated[int, Field(ge=2, le=100)] = 2

    @model_validator(mode="after")
    def _check_combination(self) -> WebhookFault:
        check_schedule(self)
        foreign = (self.model_fields_set & _OPTIONS) - WEBHOOK_KINDS[self.name].options
        if foreign:
            raise ValueError(f"{self.name} takes no {', '.join(sorted(foreign))}")
        if self.name == "late" and self.seconds is None:
            raise ValueError("late needs seconds")
        return self

    @property
    def aspect(self) -> Aspect:
        """What it changes."""
        return WEBHOOK_KINDS[self.name].aspect


class WebhookFaults(FaultSchedule[WebhookFault]):
    """The faults of webhooks in force."""

    def draw_for(self) -> dict[Aspect, WebhookFault]:
        """Return what goes wrong with the webhook of the workflow that is run now, by aspect."""
        drawn = self.draw(lambda fault, before: fault.aspect not in {each.aspect for each in before})
        return {fault.aspect: fault for fault in drawn}


class Destination(ControlBody):
    """Where webhooks go, and what they look like there.

    :param url: where they are sent; None for nowhere
    :param nested: whether the fields are one level down, under ``data``
    :param identifier: the name of the field that holds the workflow's id
    :param pause_seconds: pause between two tries
    :param timeout_seconds: how long one try may take
    """

    url: str | None = None
    nested: bool = False
    identifier: Literal["workflowId", "id"] = "workflowId"
    pause_seconds: Seconds = 5.0
    timeout_seconds: Seconds = 10.0

    @model_validator(mode="after")
    def _check_url(self) -> Destination:
        if self.url is None:
            return self
        try:
            url = yarl.URL(self.url)
        except ValueError:
            url = yarl.URL()
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("the URL of webhooks must begin with http:// or https:// and name a host")
        return self

    def body(self, workflow_id: str, case_id: str, status: str, name: str) -> bytes:
        """Return the body of a webhook as it goes over the wire."""
        fields: JsonObject = {self.identifier: workflow_id, "caseId": case_id, "status": status, "name": name}
        return json.dumps({"data": fields} if self.nested else fields, separators=(",", ":")).encode()
