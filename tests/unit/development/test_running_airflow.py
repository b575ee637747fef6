"""When the harness takes an Airflow for ready."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.harness.hostile_server import HostileServer, Pieces, ReceivedRequest, json_response
from tests.harness.running_airflow import RunningAirflow

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
HEALTHY = json_response({name: {"status": "healthy"} for name in COMPONENTS})
WITHOUT_SCHEDULER = json_response(
    {name: {"status": "unhealthy" if name == "scheduler" else "healthy"} for name in COMPONENTS}
)
SERVES_TASKS = json_response({"status": "healthy"})
FAILS = json_response({}, status="503 Service Unavailable")
ABORTED = None


@pytest.mark.parametrize(
    ("reported", "for_tasks", "expected"),
    [
        pytest.param(HEALTHY, SERVES_TASKS, True, id="all is well"),
        pytest.param(HEALTHY, FAILS, False, id="tasks are responded to with an error"),
        pytest.param(HEALTHY, ABORTED, False, id="tasks are not responded to"),
        pytest.param(WITHOUT_SCHEDULER, SERVES_TASKS, False, id="no scheduler"),
        pytest.param(FAILS, SERVES_TASKS, False, id="nothing is reported"),
    ],
)
def test_airflow_is_healthy_once_it_serves_tasks_and_reports_that_all_is_well(
    reported: bytes, for_tasks: bytes | None, expected: bool
) -> None:
    def respond(request: ReceivedRequest) -> Pieces:
        return [for_tasks if request.path == "/execution/health" else reported]

    with HostileServer(respond) as server:
        running = RunningAirflow(server.host, "admin", "swordfish")

        assert running.is_healthy() is expected


@pytest.mark.thorough
def test_the_question_for_the_health_makes_the_part_of_the_api_server_that_tasks_call() -> None:
    from airflow.api_fastapi.execution_api.app import create_task_execution_api_app  # noqa: PLC0415  (takes seconds)

    app = create_task_execution_api_app()
    made_before = {version: len(router.routes) for version, router in app.router.versioned_routers.items()}

    with TestClient(app) as client:
        response = client.get("/health")

    assert response.json() == {"status": "healthy"}
    assert set(made_before.values()) == {0}
    assert all(router.routes for router in app.router.versioned_routers.values())
