"""A task's work in the words of OpenLineage.

Only Airflow's OpenLineage provider calls these functions, so the package works without it. Datasets are named by
https://openlineage.io/docs/spec/naming.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import Asset

from airflow_provider_workflows.lineage.assets import definition_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset

    from airflow_provider_workflows.lineage.task import TaskLineage

_PLACE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:/")
_AZURE = re.compile(r"(?P<container>[^@]+)@(?P<service>[^@.]+)\.(?:dfs|blob)\.core\.windows\.net")


def operator_lineage(
    lineage: TaskLineage | None, outlets: Iterable[object] = (), *, failed: bool = False
) -> OperatorLineage[Any, Any]:
    """Return the datasets and the facet of a task's work.

    Airflow's provider adds the error's message to the event of a failure, and itself as the processing engine.

    :param lineage: the work so far; None before there is any
    :param outlets: the task's outlets; those that are datasets are outputs, too
    :param failed: whether the task has failed: then its outputs are only the file that it has written
    """
    from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415

    if lineage is None:
        return OperatorLineage()
    outputs = [] if lineage.output is None else [file_dataset(lineage.output)]
    # A task may fail because it was given rows in place of a file: they must not become a dataset's name.
    inputs = [file_dataset(uri) for uri in lineage.inputs if _PLACE.match(uri)]
    if lineage.tables:
        from openlineage.client.event_v2 import Dataset  # noqa: PLC0415

        inputs += [Dataset(namespace=namespace, name=name) for namespace, name in lineage.tables]
    if lineage.query is not None or lineage.table is not None:
        from airflow_provider_workflows.lineage.tables import table_written, tables_read  # noqa: PLC0415

        inputs += [] if lineage.query is None else tables_read(*lineage.query)
        outputs += [] if lineage.table is None else table_written(*lineage.table)
    if not failed:
        from airflow_provider_workflows.airflow_internals.openlineage import dataset_of  # noqa: PLC0415

        assets = [outlet for outlet in outlets if isinstance(outlet, Asset)]
        if lineage.workflow_definition_id is not None:
            assets.insert(0, Asset(definition_uri(lineage.host, lineage.workflow_definition_id)))
        outputs += [dataset for asset in assets if (dataset := dataset_of(asset)) is not None]
    return OperatorLineage(
        inputs=inputs,
        outputs=list({(dataset.namespace, dataset.name): dataset for dataset in outputs}.values()),
        run_facets=_run_facets(lineage),
    )


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001  (Airflow's call)
    """Return the dataset of an asset of the scheme ``workflows``.

    ``workflows://<host>/definitions/<id>`` is ``definitions/<id>`` in the namespace ``workflows://<host>``.
    """
    from openlineage.client.event_v2 import Dataset  # noqa: PLC0415

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.strip("/"))


def file_dataset(uri: str) -> Dataset:
    """Return the dataset of a file.

    :param uri: absolute path, or URI as ``ObjectStoragePath`` has it: ``s3://conn_id@bucket/key``
    """
    from openlineage.client.event_v2 import Dataset  # noqa: PLC0415

    naming = _naming(uri)
    return Dataset(namespace=naming.get_namespace(), name=naming.get_name())


def _naming(uri: str) -> Any:
    from openlineage.client.naming import dataset as naming  # noqa: PLC0415

    parts = urlsplit(uri, allow_fragments=False)
    if azure := _AZURE.fullmatch(parts.netloc):
        key = parts.path.strip("/") or "/"
        kind = naming.WASBS if parts.scheme in ("wasb", "wasbs") else naming.ABFSS
        return kind(azure["container"], azure["service"], key)
    # Before the @ is the id of an Airflow connection, which says nothing of where the file is.
    place, key = parts.netloc.rpartition("@")[2], parts.path.strip("/") or "/"
    if parts.scheme in ("", "file", "local") and not place:
        return naming.LocalFileSystem(path=parts.path if parts.scheme else uri)
    if parts.scheme in ("s3", "s3a", "s3n"):
        return naming.S3(bucket_name=place, object_key=key)
    if parts.scheme in ("gs", "gcs"):
        return naming.GCS(bucket_name=place, object_key=key)
    # A file system's names are paths, an object store's are keys.
    name = parts.path if parts.scheme in ("file", "hdfs") else key
    return _Other(f"{parts.scheme}://{place}", name)


class _Other:
    """The name of a file in a store that OpenLineage's client has no rule for."""

    def __init__(self, namespace: str, name: str) -> None:
        self._namespace = namespace
        self._name = name

    def get_namespace(self) -> str:
        return self._namespace

    def get_name(self) -> str:
        return self._name


def _run_facets(lineage: TaskLineage) -> dict[str, Any]:
    from airflow_provider_workflows.lineage.facets import FACET, WorkflowsRunFacet  # noqa: PLC0415

    facet = WorkflowsRunFacet(
        host=lineage.host,
        workflowDefinitionId=lineage.workflow_definition_id,
        workflowId=lineage.workflow_id,
        caseId=lineage.case_id,
        recordId=lineage.record_id,
        status=lineage.status,
        revision=None if lineage.revision is None else str(lineage.revision),
        executionVersion=None if lineage.execution_version is None else str(lineage.execution_version),
        counts=None if lineage.counts is None else dict(lineage.counts),
    )
    return {FACET: facet}
