"""A task that tells all that it knows of a person, once with what masks it, and once without."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow_provider_workflows.lineage.task import TaskLineage
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.redaction import unwrap


class TellingOperator(CreateCaseOperator):
    """Logs what it was given, and hands the same on wherever it can."""

    def call(self, client: Any, context: Any) -> str:
        text = f"case: {unwrap(self.case)}"
        self.log.info("Creating %s", text)
        self.lineage = TaskLineage(client.settings.host)
        return super().call(client, context)


class UnmaskedOperator(TellingOperator):
    """The same without what masks."""

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        BaseOperator._do_render_template_fields(self, parent, *args, **kwargs)

    def call(self, client: Any, context: Any) -> str:
        case_id = super().call(client, context)
        self.lineage = dataclasses.replace(self.lineage, status=str(self.case))
        return case_id


def read_person(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


for name, operator in {"masked": TellingOperator, "unmasked": UnmaskedOperator}.items():
    with DAG(
        f"telling_{name}",
        schedule=None,
        catchup=False,
        params={"person": ""},
        user_defined_macros={"read_person": read_person},
    ):
        operator(task_id="case", case="{{ read_person(params.person) }}")
