"""Names of Airflow's OpenLineage provider, and of its client, that are not documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from openlineage.client.facet_v2 import RunFacet

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Asset
    from openlineage.client.event_v2 import Dataset


def _find_translate() -> Callable[..., Any]:
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset  # noqa: PLC0415

    require_parameters(translate_airflow_asset, "asset", "lineage_context")
    return translate_airflow_asset


DATASETS_OF_ASSETS = Feature(
    "airflow.providers.openlineage.utils.utils.translate_airflow_asset(asset, lineage_context)",
    purpose="name an asset as OpenLineage does",
    without="Lineage events name the files that a task has written, and no assets",
    find=_find_translate,
)


def dataset_of(asset: Asset) -> Dataset | None:
    """Return the dataset of an asset, or None for an asset that is not one, or where it cannot be told."""
    translate = DATASETS_OF_ASSETS.get()
    return None if translate is None else translate(asset, None)


def _find_sql() -> Callable[..., Any]:
    from airflow.providers.openlineage.sqlparser import get_openlineage_facets_with_sql  # noqa: PLC0415

    require_parameters(
        get_openlineage_facets_with_sql, "hook", "sql", "conn_id", "database", "use_connection"
    )
    return get_openlineage_facets_with_sql


TABLES_IN_SQL = Feature(
    "airflow.providers.openlineage.sqlparser.get_openlineage_facets_with_sql"
    "(hook, sql, conn_id, database, use_connection)",
    purpose="name the tables of a query and of results as OpenLineage does",
    without="Lineage events name the files that a task has read and written, and no tables",
    find=_find_sql,
)


def tables_in_sql(hook: DbApiHook, sql: str, conn_id: str) -> OperatorLineage[Any, Any] | None:
    """Return the tables that a statement reads and writes, without a question to the database.

    :param hook: of the database
    :param sql: the statement
    :param conn_id: id of the connection
    :return: None where they cannot be told
    """
    find = TABLES_IN_SQL.get()
    return None if find is None else find(hook, sql, conn_id, None, use_connection=False)


def _find_facet() -> bool:
    require_attributes(RunFacet, "_get_schema", "_additional_skip_redact", "skip_redact")
    return True


FACETS = Feature(
    "openlineage.client.facet_v2.RunFacet: _get_schema(), _additional_skip_redact",
    purpose="give a facet of its own its schema",
    without="The facet names OpenLineage's general schema, and Airflow may redact values that resemble secrets",
    find=_find_facet,
)


@attrs.define(kw_only=True)
class OwnRunFacet(RunFacet):
    """A facet of a run with a schema of its own.

    A subclass sets ``SCHEMA``, the URL of its schema, and ``OPEN_FIELDS``, the fields that Airflow never redacts.
    """

    SCHEMA: ClassVar[str] = ""
    OPEN_FIELDS: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        FACETS.get()
        cls._additional_skip_redact = list(cls.OPEN_FIELDS)
        cls._get_schema = staticmethod(lambda: cls.SCHEMA)  # type: ignore[method-assign]
