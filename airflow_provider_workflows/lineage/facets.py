"""The facet of OpenLineage's events that says what a task has run. It needs the extra ``[openlineage]``."""

from __future__ import annotations

from typing import ClassVar

import attrs

from airflow_provider_workflows.airflow_internals.openlineage import OwnRunFacet

#: The name of the facet among those of a run.
FACET = "workflows_run"
#: The schema lies beside this file as ``WorkflowsRunFacet.json``.
SCHEMA_URL = "urn:airflow-provider-workflows:facets:1-0-0:WorkflowsRunFacet.json"


@attrs.define(kw_only=True)
class WorkflowsRunFacet(OwnRunFacet):
    """Ids, status and counts of what a task has run, and nothing personal.

    The fields are those of ``TaskLineage`` in OpenLineage's spelling; None: not known.
    """

    SCHEMA: ClassVar[str] = f"{SCHEMA_URL}#/$defs/WorkflowsRunFacet"
    OPEN_FIELDS: ClassVar[tuple[str, ...]] = (
        "host",
        "workflowDefinitionId",
        "workflowId",
        "caseId",
        "recordId",
        "status",
        "revision",
        "executionVersion",
        "counts",
    )

    host: str
    workflowDefinitionId: str | None = None  # noqa: N815  (OpenLineage's spelling)
    workflowId: str | None = None  # noqa: N815
    caseId: str | None = None  # noqa: N815
    recordId: str | None = None  # noqa: N815
    status: str | None = None
    revision: str | None = None
    executionVersion: str | None = None  # noqa: N815
    counts: dict[str, int] | None = None
