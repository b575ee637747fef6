"""Who may see a page that this package adds to Airflow's API server, and who may clear a task there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)


def _find_connection_access() -> Callable[..., Any]:
    from airflow.api_fastapi.core_api.security import requires_access_connection  # noqa: PLC0415

    require_parameters(requires_access_connection, "method")
    required: Callable[..., Any] = requires_access_connection
    return required


CONNECTION_ACCESS = Feature(
    "airflow.api_fastapi.core_api.security.requires_access_connection(method)",
    purpose="tell who may read connections, and with them what became of their webhooks",
    without="The page with the number of deliveries is not there",
    find=_find_connection_access,
)


def require_reader_of_connections() -> Callable[..., Any] | None:
    """Return a FastAPI dependency that lets only those in who are signed in and may read Airflow's connections.

    None where Airflow has nothing of the kind: the page must not be served then.
    """
    requires_access_connection = CONNECTION_ACCESS.get()
    return None if requires_access_connection is None else requires_access_connection(method="GET")


class _TaskAccess(NamedTuple):
    requires_access_dag: Any
    get_user: Any
    get_auth_manager: Any
    task_instance: Any
    dag_details: Any
    team_name: Any


def _find_task_access() -> _TaskAccess:
    from airflow.api_fastapi.app import get_auth_manager  # noqa: PLC0415
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager  # noqa: PLC0415
    from airflow.api_fastapi.auth.managers.models.resource_details import (  # noqa: PLC0415
        DagAccessEntity,
        DagDetails,
    )
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag  # noqa: PLC0415
    from airflow.models.dag import DagModel  # noqa: PLC0415

    require_parameters(requires_access_dag, "method", "access_entity")
    require_parameters(BaseAuthManager.get_authorized_dag_ids, "user")
    require_parameters(BaseAuthManager.is_authorized_dag, "method", "user", "access_entity", "details")
    require_attributes(DagModel, "get_team_name")
    return _TaskAccess(
        requires_access_dag,
        get_user,
        get_auth_manager,
        DagAccessEntity.TASK_INSTANCE,
        DagDetails,
        DagModel.get_team_name,
    )


TASK_ACCESS = Feature(
    "airflow.api_fastapi: core_api.security.requires_access_dag(method, access_entity), get_user, "
    "app.get_auth_manager() with is_authorized_dag and get_authorized_dag_ids",
    purpose="tell who may see a task, and who may clear it",
    without="The pages of tasks, and the page Workflows, are not there",
    find=_find_task_access,
)


class TaskAccess:
    """Who may do what with tasks, as FastAPI dependencies; the DAG is the query parameter ``dag_id``."""

    def __init__(self, names: _TaskAccess) -> None:
        self._names = names
        #: Lets those in who are signed in, and gives their user.
        self.user: Callable[..., Any] = names.get_user
        #: Lets those in who may see the DAG's task instances.
        self.reader: Callable[..., Any] = names.requires_access_dag(
            method="GET", access_entity=names.task_instance
        )
        #: Lets those in who may clear the DAG's task instances.
        self.clearer: Callable[..., Any] = names.requires_access_dag(
            method="PUT", access_entity=names.task_instance
        )

    def may_clear(self, user: Any, dag_id: str) -> bool:
        """Return whether a user may clear the task instances of a DAG."""
        names = self._names
        return bool(
            names.get_auth_manager().is_authorized_dag(
                method="PUT",
                access_entity=names.task_instance,
                details=names.dag_details(id=dag_id, team_name=names.team_name(dag_id)),
                user=user,
            )
        )

    def readable_dag_ids(self, user: Any) -> set[str]:
        """Return the ids of the DAGs that a user may see."""
        return set(self._names.get_auth_manager().get_authorized_dag_ids(user=user))


def task_access() -> TaskAccess | None:
    """Return who may do what with tasks, or None where Airflow cannot tell: no page must be served then."""
    names = TASK_ACCESS.get()
    return None if names is None else TaskAccess(names)
