"""Airflow's own API server with this package's plugin, and a metadata database with tasks and their reports."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.sdk import DAG, BaseOperator
from airflow.utils.db import synchronize_log_template
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi.testclient import TestClient
from sqlalchemy import delete, event, insert, select

from airflow_provider_workflows.xcom_keys import REPORT_KEY

#: About now: tests run up to some minutes after this module is imported.
NOW = datetime.now(timezone.utc)
DAG_ID = "nightly"
RUN_ID = "manual__2026-11-27T10:00:00+00:00"
PROBLEM_HEADER = "row,place,outcome,code,message,fingerprint,workflow_id,case_id,record_id"


def run_report(**changes: Any) -> dict[str, Any]:
    """Return the report of a run that goes on."""
    now = NOW.timestamp()
    return {
        "format": 1,
        "kind": "run",
        "workflow_definition_id": "0d1f0000-0000-4000-8000-000000000001",
        "workflow_id": "aaaa0000-0000-4000-8000-000000000001",
        "case_id": "cccc0000-0000-4000-8000-000000000001",
        "parameters_id": None,
        "record_id": None,
        "conn_id": "workflows_default",
        "outcome": "running",
        "status": "RUNNING",
        "submitted_at": now - 300,
        "ended_at": None,
        "polls": 3,
        "last_poll_at": now - 10,
        "next_poll_at": now + 20,
        "webhooks": False,
        "poll_interval": 5.0,
        "max_poll_interval": 60.0,
        "dashboard_url": None,
        "error": None,
        "try_number": 1,
        "at": now - 10,
        **changes,
    }


def batch_report(folder: Path | str = "/nowhere", **changes: Any) -> dict[str, Any]:
    """Return the report of a batch of 500 rows, of which 88 have something wrong."""
    now = NOW.timestamp()
    return {
        "format": 1,
        "kind": "batch",
        "workflow_definition_id": "0d1f0000-0000-4000-8000-000000000002",
        "conn_id": "workflows_default",
        "phase": "ended",
        "phase_started_at": now - 60,
        "rows": 500,
        "outcomes": {"succeeded": 412, "failed": 80, "unknown": 3, "skipped": 5},
        "statuses": {"COMPLETED": 412, "FAILED": 80},
        "rows_per_second": 4.0,
        "expected_end": None,
        "completions": {"start": now - 600, "step": 60.0, "succeeded": [100, 312], "failed": [0, 80]},
        "durations": {"bounds": [1, 2, 5], "counts": [0, 400, 92, 0], "median": 1.5, "p95": 4.0},
        "reasons": {
            "failed": [{"reason": "422 DOCUMENT_EXPIRED: text", "rows": 80, "examples": "1 to 50, 61"}],
            "unknown": [{"reason": "OutcomeUnknown", "rows": 3, "examples": "90, 91, 95"}],
        },
        "repair": {"keeps": 412, "waits_for": 0, "submits": 80, "leaves_unknown": 3, "leaves_failed": 0},
        "input": "/data/cases.csv",
        "output": f"{folder}/results.jsonl",
        "unknown_rows": f"{folder}/unknown.csv",
        "problem_rows": f"{folder}/problem_rows.csv",
        "state_folder": f"{folder}/_state/abc",
        "owner": None,
        "webhooks": False,
        "outage": None,
        "stopped_by": None,
        "deadline": None,
        "begun_at": now - 700,
        "ended_at": now - 60,
        "try_number": 1,
        "at": now - 60,
        **changes,
    }


class Task(BaseOperator):
    """A task that can be mapped."""

    def __init__(self, *, number: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number


@dataclass
class Tasks:
    """The metadata database, with the rows that Airflow and the tasks would have written."""

    added: list[dict[str, Any]] = field(default_factory=list)

    def add(self, report: Any = None, *, state: str | None = "failed", **given: Any) -> dict[str, str]:
        """Add a task, and return the query parameters that name it.

        :param report: the value of its XCom
        :param state: Airflow's state of it
        :param given: ``dag_id``, ``task_id``, ``map_index``, ``xcom_at``, ``deferred_at``, ``heartbeat_at`` and
            ``instruction``
        """
        ids: dict[str, Any] = {
            "dag_id": given.get("dag_id", DAG_ID),
            "run_id": RUN_ID,
            "task_id": given.get("task_id", f"task_{len(self.added)}"),
            "map_index": given.get("map_index", -1),
        }
        self.added.append(ids)
        with create_session() as session:
            run = session.scalar(select(DagRun).filter_by(dag_id=ids["dag_id"], run_id=RUN_ID))
            if session.get(DagBundleModel, "dags-folder") is None:
                session.add(DagBundleModel(name="dags-folder"))
                session.flush()
            if session.get(DagModel, ids["dag_id"]) is None:
                session.add(DagModel(dag_id=ids["dag_id"], bundle_name="dags-folder"))
            if run is None:
                run = DagRun(ids["dag_id"], RUN_ID, run_type="manual", run_after=NOW, state="running")
                session.add(run)
            trigger = None
            if state == "deferred":
                trigger = Trigger(classpath="a.b", kwargs={})
                trigger.created_date = given.get("deferred_at", datetime.now(timezone.utc))
                session.add(trigger)
            session.flush()
            values = {
                **ids,
                "pool": "default_pool",
                "state": state,
                "try_number": 1,
                "start_date": NOW - timedelta(minutes=10),
                "last_heartbeat_at": given.get("heartbeat_at", datetime.now(timezone.utc)),
                "trigger_id": None if trigger is None else trigger.id,
            }
            session.execute(insert(TaskInstance).values(**values))
            if report is not None:
                XComModel.set(REPORT_KEY, report, serialize=False, session=session, **ids)
                session.flush()
                if "xcom_at" in given:
                    xcom = session.scalars(select(XComModel).filter_by(key=REPORT_KEY, **ids)).one()
                    xcom.timestamp = given["xcom_at"]
            if "instruction" in given:
                session.add(
                    TaskStateStoreModel(
                        dag_run_id=run.id,
                        key="workflow_instruction",
                        value=json.dumps(given["instruction"]),
                        updated_at=NOW,
                        **ids,
                    )
                )
        return {name: str(value) for name, value in ids.items()}

    def add_dag(self, report: Any, *, state: str = "failed", mapped: bool = False) -> dict[str, str]:
        """Add a DAG that Airflow can clear, with a task and one after it, and return what names the first.

        :param report: what the task has reported
        :param state: Airflow's state of both
        :param mapped: whether the task is mapped
        """
        with DAG(DAG_ID, schedule=None) as dag:
            batch = Task.partial(task_id="batch").expand(number=[0, 1]) if mapped else Task(task_id="batch")
            batch >> Task(task_id="after")
        DagBundlesManager().sync_bundles_to_db()
        bag = BundleDagBag(dag_folder=os.devnull, bundle_path=Path(os.devnull), bundle_name="dags-folder")
        dag.fileloc, dag.relative_fileloc = __file__, "inline.py"
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        with create_session() as session:
            stored = SerializedDagModel.get_dag(DAG_ID, session=session)
            assert stored is not None
            run = stored.create_dagrun(
                run_id=RUN_ID,
                run_after=NOW,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.UI,
                state=DagRunState.FAILED,
                session=session,
            )
            session.flush()
            for instance in run.get_task_instances(session=session):
                instance.state, instance.try_number = state, 1
        ids: dict[str, Any] = {
            "dag_id": DAG_ID,
            "run_id": RUN_ID,
            "task_id": "batch",
            "map_index": 1 if mapped else -1,
        }
        with create_session() as session:
            XComModel.set(REPORT_KEY, report, serialize=False, session=session, **ids)
        return {name: str(value) for name, value in ids.items()}

    def states(self) -> dict[str, str | None]:
        """Return Airflow's state of each task, and of each mapped one by its index."""
        with create_session() as session:
            return {
                task.task_id if task.map_index < 0 else f"{task.task_id} {task.map_index}": task.state
                for task in session.scalars(select(TaskInstance))
            }

    def instruction(self) -> dict[str, Any] | None:
        """Return the instruction that a button has left."""
        with create_session() as session:
            text = session.scalar(select(TaskStateStoreModel.value).filter_by(key="workflow_instruction"))
        return None if text is None else json.loads(text)

    def leave(self, task: dict[str, str], instruction: dict[str, Any]) -> None:
        """Leave an instruction for a task, as a button did earlier."""
        with create_session() as session:
            run = session.scalar(select(DagRun).filter_by(dag_id=task["dag_id"], run_id=task["run_id"]))
            assert run is not None
            ids = {**task, "map_index": int(task["map_index"])}
            session.add(
                TaskStateStoreModel(
                    dag_run_id=run.id,
                    key="workflow_instruction",
                    value=json.dumps(instruction),
                    updated_at=NOW,
                    **ids,
                )
            )

    def audit_log(self) -> list[tuple[str, str, Any]]:
        """Return the events of Airflow's audit log, each with its user and what more is said."""
        with create_session() as session:
            return [(log.event, log.owner, json.loads(log.extra)) for log in session.scalars(select(Log))]

    def add_triggerer(self, seconds_ago: float) -> None:
        """Add a triggerer that has last reported to Airflow some seconds ago."""
        with create_session() as session:
            job = Job(job_type="TriggererJob", state="running")
            job.latest_heartbeat = datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)
            session.add(job)


@pytest.fixture(scope="session")
def schema() -> None:
    from airflow import settings  # noqa: PLC0415

    import_all_models()
    Base.metadata.create_all(settings.get_engine())
    synchronize_log_template()


@pytest.fixture
def tasks(schema: None) -> Iterator[Tasks]:
    yield Tasks()
    with create_session() as session:
        for model in (
            XComModel,
            TaskStateStoreModel,
            TaskInstance,
            Trigger,
            DagRun,
            SerializedDagModel,
            DagVersion,
            DagModel,
            DagBundleModel,
            Job,
            Log,
        ):
            session.execute(delete(model))


@pytest.fixture(scope="session")
def api_server(schema: None) -> Any:
    """Airflow's API server, as an ASGI app."""
    from airflow.api_fastapi.app import create_app  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
        yield create_app("core")


@dataclass
class Pages:
    """The pages, as a browser of a user sees them.

    :param client: of the API server
    """

    client: TestClient

    @staticmethod
    def signed_in(role: str | None) -> dict[str, str]:
        """Return the headers of a user with a role; of nobody if it is None."""
        from airflow.api_fastapi.app import create_auth_manager  # noqa: PLC0415
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: PLC0415

        if role is None:
            return {}
        token = create_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ada", role=role))
        return {"Cookie": f"_token={token}"}

    def get(
        self, path: str, params: Any = None, *, role: str | None = "admin", **headers: str
    ) -> httpx.Response:
        """Ask for a path below ``/workflows/ui/``, as a user with a role of Airflow's, or as nobody."""
        return self.client.get(
            f"/workflows/ui/{path}",
            params=params,
            headers={**self.signed_in(role), **headers},
            follow_redirects=False,
        )

    def press(
        self, task: dict[str, str], action: str, *, role: str = "admin", headers: Any = None, **more: Any
    ) -> httpx.Response:
        """Press a button of a task's page, as a browser does it."""
        own = {"Sec-Fetch-Site": "same-origin"} if headers is None else headers
        return self.client.post(
            "/workflows/ui/data/instruction",
            params=task,
            json={"action": action, **more},
            headers={**self.signed_in(role), **own},
        )

    def data(self, task: dict[str, str], **given: Any) -> dict[str, Any]:
        """Return the data of a task's page."""
        response = self.get("data/task", task, **given)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@pytest.fixture
def pages(api_server: Any, tasks: Tasks) -> Pages:
    return Pages(TestClient(api_server))


@pytest.fixture
def queries(schema: None) -> Iterator[list[str]]:
    """The statements that are sent to the metadata database."""
    from airflow import settings  # noqa: PLC0415

    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        sent.append(statement)

    event.listen(settings.get_engine(), "before_cursor_execute", note)
    yield sent
    event.remove(settings.get_engine(), "before_cursor_execute", note)
