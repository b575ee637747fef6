"""Workflow definitions: how long a run takes, how it ends and what its result is."""

from __future__ import annotations

import uuid
from random import Random
from typing import Annotated

from pydantic import Field, model_validator

from airflow_provider_workflows.api.status import SUCCESS_STATUSES
from airflow_provider_workflows.sandbox.request_parsing import ControlBody
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.screening import CLEAR, HIT, POSSIBLE_HIT

DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
FAILING_DEFINITION = "f1d0a6c2-7b34-4c0e-9d58-2a6e4b91c7d3"
SLOW_DEFINITION = "5c0e3b7a-1f62-4a9d-8e4b-6d2f90b8a1e5"
FORBIDDEN_DEFINITION = "a94f2d16-c8e3-4b70-b5a1-0e7d3c6f8b29"
UNKNOWN_STATUS_DEFINITION = "d7286e0b-4a5f-4d13-92c6-b83e1f70a54d"
SCREENING_DEFINITION = "c5a80e37-6b1d-4924-8f7a-3d09e1b6472c"
END_USER_DEFINITION = "82e6b4d9-0c17-4f3a-a6d5-91b7e2c8f054"

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Definition(ControlBody):
    """A workflow definition.

    :param id: its id; by default a new one
    :param seconds: how long a run takes, or bounds (low, high) between which each run's time is drawn
    :param status: the status in which a run ends
    :param result: fields of the result, which replace documented ones of the same name. A run that ends in
        another status than ``COMPLETED`` has a result only if this is given.
    :param results: several in place of ``result``, of which one is drawn for each run
    :param may_run: whether the key has the permission ``can_run``
    :param needs_parameters: whether a run without parameters is refused
    :param summary: what it is for, in a few words
    :param name: the reference name of its workflows, which webhooks carry
    :param involves_end_user: whether a run of generation 3 waits until somebody opens its link, and takes its time
        from then on. In the generations before, the link is an endpoint of its own, which the sandbox has not.
    :param revision: the number that runs of generation 3 give; by default one more than before
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()), min_length=1)
    seconds: Seconds | Annotated[tuple[Seconds, Seconds], Field(strict=False)] = 2.0
    status: str = Field(default="COMPLETED", min_length=1)
    result: JsonObject | None = None
    results: list[JsonObject] = Field(default_factory=list)
    may_run: bool = True
    needs_parameters: bool = False
    summary: str = ""
    name: str = "Workflow"
    involves_end_user: bool = False
    revision: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _check_bounds(self) -> Definition:
        low, high = self.bounds
        if low > high:
            raise ValueError("seconds has its higher bound first")
        if self.result is not None and self.results:
            raise ValueError("give result or results, not both")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The shortest and the longest time that a run takes, in seconds."""
        return self.seconds if isinstance(self.seconds, tuple) else (self.seconds, self.seconds)

    @property
    def findings(self) -> JsonObject | None:
        """The result's fields beside the documented ones, or None if there is no result."""
        if self.result is None and self.status in SUCCESS_STATUSES:
            return {}
        return self.result

    def drawn(self, random: Random) -> Definition:
        """Return the definition as one run has it, with one of the results.

        :param random: what decides, if there are several
        """
        if not self.results:
            return self
        return self.model_copy(update={"result": random.choice(self.results), "results": []})


READY_DEFINITIONS = (
    Definition(
        id=DEFINITION,
        result={"decision": "PASS", "score": 0.97},
        summary="completes after 2 seconds with a decision, a score and the parameters",
    ),
    Definition(id=FAILING_DEFINITION, status="FAILED", summary="ends FAILED after 2 seconds"),
    Definition(id=SLOW_DEFINITION, seconds=3600.0, summary="completes after an hour"),
    Definition(id=FORBIDDEN_DEFINITION, may_run=False, summary="may not be run with this key (403)"),
    Definition(
        id=UNKNOWN_STATUS_DEFINITION,
        status="ON_HOLD",
        summary="stays in the undocumented status ON_HOLD after 2 seconds",
    ),
    Definition(
        id=SCREENING_DEFINITION,
        name="Screening",
        results=[CLEAR, POSSIBLE_HIT, HIT],
        summary="completes after 2 seconds with the hits of a screening, if any",
    ),
    Definition(
        id=END_USER_DEFINITION,
        involves_end_user=True,
        summary="in generation 3: completes 2 seconds after its link was opened",
    ),
)
