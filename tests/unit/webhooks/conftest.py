"""The webhook app as Airflow's API server mounts it, with a sandbox and a metadata database of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
import uvicorn
from airflow.models import import_all_models, xcom
from airflow.models.asset import AssetActive, AssetEvent, AssetModel
from airflow.models.base import Base
from airflow.models.connection import Connection
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.triggers.base import BaseTrigger
from airflow.utils.session import create_session
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from fastapi import FastAPI
from sqlalchemy import delete, event, func, insert, select

from airflow_provider_workflows.plugin import WorkflowsPlugin
from airflow_provider_workflows.sandbox import Sandbox, signing
from airflow_provider_workflows.sandbox.service import READY_CASES
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from airflow_provider_workflows.webhooks import app
from airflow_provider_workflows.webhooks.handler import WebhookHandler
from airflow_provider_workflows.webhooks.registry import HandlerRegistry
from airflow_provider_workflows.xcom_keys import WORKFLOW_ID_KEY

#: Airflow 3.4 has two tables, and reads them as one.
XCOM_TABLES = [getattr(xcom, name) for name in ("XComModelV1", "XComModelV2") if hasattr(xcom, name)] or [
    XComModel
]
CONN_ID = "workflows_default"
KEY_CALL = "GET /auth/webhooks/key/{kid}"
STATUS_CALL = "GET /workflows/{workflowId}"
KEY_PATH = "/auth/webhooks/key/{kid}"
STATUS_PATH = "/workflows/{workflowId}"
AUTHORIZE_CALL = "POST /auth/authorize"
SIGNED = object()


@dataclass(frozen=True)
class Task:
    """A row of a task instance.

    :param task_id: its id; its DAG and run are the same for all
    """

    task_id: str

    @property
    def key(self) -> dict[str, Any]:
        return {"dag_id": "nightly", "run_id": "manual__1", "task_id": self.task_id, "map_index": -1}

    @property
    def row(self) -> TaskInstance:
        with create_session() as session:
            return session.scalars(select(TaskInstance).filter_by(**self.key)).one()

    def xcom(self, key: str) -> Any:
        with create_session() as session:
            return session.scalar(select(XComModel.value).filter_by(key=key, **self.key))


class Database:
    """The metadata database, with the rows that Airflow would have written."""

    def rows(self) -> dict[str, int]:
        """Return how many rows each table has that has any."""
        with create_session() as session:
            counted = {
                table.name: session.scalar(select(func.count()).select_from(table)) or 0
                for table in Base.metadata.sorted_tables
            }
        return {name: number for name, number in counted.items() if number}

    def asset(self, uri: str, *, active: bool = True) -> None:
        """Add an asset; it is active while some DAG names it."""
        with create_session() as session:
            asset = AssetModel(name=uri, uri=uri)
            session.add(asset)
            session.flush()
            if active:
                session.add(AssetActive.for_asset(asset))

    def connection(self, conn_id: str, fields: dict[str, Any], **extra: Any) -> None:
        """Add a connection, with more in its extra."""
        given = json.dumps(fields["extra"] | extra)
        with create_session() as session:
            session.add(Connection(conn_id, **fields | {"extra": given}))

    def events(self, uri: str | None = None) -> list[tuple[str | None, dict[str, Any]]]:
        """Return the partition key and the extra of each event, of one asset or of all."""
        chosen = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        if uri is not None:
            chosen = chosen.where(AssetModel.uri == uri)
        with create_session() as session:
            return [(event.partition_key, event.extra) for event in session.scalars(chosen)]

    def task(self, trigger: BaseTrigger, workflow_id: str | None = None, **changes: Any) -> Task:
        """Add a task that was deferred a minute ago.

        :param trigger: what it waits with
        :param workflow_id: what is in its XCom
        :param changes: of its row, and ``deferred_seconds``, ``classpath``, ``xcom_key``, and other ``xcoms``
        """
        task = Task(f"task_{uuid.uuid4().hex}")
        deferred_at = datetime.now(timezone.utc) - timedelta(seconds=changes.pop("deferred_seconds", 60.0))
        xcoms = changes.pop("xcoms", {})
        xcom_key = changes.pop("xcom_key", WORKFLOW_ID_KEY)
        if workflow_id is not None:
            xcoms[xcom_key] = workflow_id
        row = Trigger.from_object(trigger)
        row.created_date = deferred_at
        row.classpath = changes.pop("classpath", row.classpath)
        with create_session() as session:
            if session.scalar(select(func.count()).select_from(DagRun)) == 0:
                session.add(
                    DagRun("nightly", "manual__1", run_type="manual", run_after=deferred_at, state="running")
                )
            session.add(row)
            session.flush()
            fields = {
                "pool": "default_pool",
                "state": "deferred",
                "next_method": "execute_complete",
                "next_kwargs": {},
                "trigger_id": row.id,
            }
            session.execute(insert(TaskInstance).values(**task.key | fields | changes))
            for key, value in xcoms.items():
                XComModel.set(key, value, serialize=False, session=session, **task.key)
        return task

    def remove(self, task: Task) -> None:
        """Remove a task and its trigger."""
        trigger_id = task.row.trigger_id
        with create_session() as session:
            XComModel.clear(**task.key, session=session)
            session.execute(delete(TaskInstance).filter_by(**task.key))
            session.execute(delete(Trigger).filter_by(id=trigger_id))

    def waiting(self, workflow_id: str, **changes: Any) -> Task:
        """Add a task that waits for one workflow, as ``task`` does."""
        return self.task(
            WorkflowStatusTrigger(workflow_id=workflow_id, workflows_conn_id=CONN_ID, webhooks=True),
            workflow_id,
            **changes,
        )


@pytest.fixture(scope="session")
def schema() -> None:
    from airflow import settings  # noqa: PLC0415

    import_all_models()
    Base.metadata.create_all(settings.get_engine())


class Statements:
    """What is sent to the metadata database, each with its parameters."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def __call__(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        self.sent.append(f"{statement} {parameters}")

    def writes(self, table: str) -> list[str]:
        """Return what was inserted into a table, or updated in it."""
        written = re.compile(rf"(INSERT INTO|UPDATE) {table}(_v\d)? ")
        return [each for each in self.sent if written.match(each)]


@pytest.fixture
def statements(schema: None) -> Iterator[Statements]:
    from airflow import settings  # noqa: PLC0415

    statements = Statements()
    event.listen(settings.get_engine(), "before_cursor_execute", statements)
    yield statements
    event.remove(settings.get_engine(), "before_cursor_execute", statements)


@pytest.fixture
def database(schema: None) -> Iterator[Database]:
    yield Database()
    with create_session() as session:
        for model in (
            *XCOM_TABLES,
            TaskInstance,
            Trigger,
            DagRun,
            AssetEvent,
            AssetActive,
            AssetModel,
            Connection,
        ):
            session.execute(delete(model))


class Clock:
    """A clock that stands still until it is moved on; in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def move_on(self, seconds: float) -> None:
        self.seconds += seconds


class Pauses:
    """What the webhook app sleeps by: no time, unless ``end`` was cleared; the clock is moved on as it ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.end = asyncio.Event()
        self.end.set()
        self.number = 0

    async def __call__(self, seconds: float) -> None:
        self.number += 1
        await self.end.wait()
        self._clock.move_on(seconds)


class Api:
    """Airflow's API server, as far as the service that sends webhooks sees it."""

    def __init__(
        self,
        sandbox: Sandbox,
        handlers: HandlerRegistry,
        clock: Clock,
        pauses: Pauses,
        app: FastAPI,
        client: httpx.AsyncClient,
    ) -> None:
        self.sandbox = sandbox
        self.registry = handlers
        self.clock = clock
        self.pauses = pauses
        self.app = app
        self.client = client

    @property
    def handler(self) -> WebhookHandler:
        return self.registry.handlers[CONN_ID]

    @property
    def counts(self) -> Counter[str]:
        return Counter({outcome.value: number for outcome, number in self.handler.counts.items()})

    async def post(
        self, body: Any, signature: Any = SIGNED, conn_id: str = CONN_ID, **headers: str
    ) -> httpx.Response:
        """Deliver a body, signed by the service unless a signature is given; None is no signature."""
        if signature is SIGNED:
            signature = self.sandbox.sign(body)
        if signature is not None:
            headers["JWS-SIGNATURE"] = signature
        return await self.client.post(f"/workflows/webhooks/{conn_id}", content=body, headers=headers)

    async def deliver(self, body: bytes, signature: str | None) -> int:
        """Deliver a body without an HTTP client in between, cheap enough for a flood; return the status."""
        headers = [] if signature is None else [(b"jws-signature", signature.encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"/workflows/webhooks/{CONN_ID}",
            "root_path": "",
            "query_string": b"",
            "headers": headers,
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        status: int = sent[0]["status"]
        return status

    async def tell(self, workflow_id: str, **fields: Any) -> int:
        """Deliver that a workflow has ended, and return the status of the response."""
        return (await self.post(json.dumps({"workflowId": workflow_id, **fields}).encode())).status_code

    def run(self, **definition: Any) -> str:
        """Run a workflow that has ended already, unless ``seconds`` says otherwise, and return its id."""
        definition_id = self.sandbox.define(**{"seconds": 0.0} | definition)
        with self.sandbox.client() as client:
            workflow_id = client.run_workflow(definition_id, next(iter(READY_CASES))).id
        self.sandbox.counts.reset()
        return workflow_id

    @property
    def asked(self) -> tuple[int, int]:
        """How often the service was asked for a key, and for the status of a workflow."""
        requests = self.sandbox.counts.requests
        return requests[KEY_CALL], requests[STATUS_CALL]


@pytest.fixture
def connect(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set a connection to the sandbox."""

    def set_connection(conn_id: str = CONN_ID, **extra: Any) -> None:
        # Key and secret go on working, and have a call more that can fail.
        connection = sandbox.connection_with_key
        given = json.dumps(connection | {"extra": connection["extra"] | extra})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", given)

    return set_connection


class ServiceClock:
    """The service's clock, which can be moved on."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def move_on(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def service_clock() -> ServiceClock:
    return ServiceClock()


@pytest.fixture(scope="session")
def rsa_keys() -> Iterator[RSAPrivateKey]:
    """Keys in turn: to make one takes longer than most tests."""
    return itertools.cycle([rsa.generate_private_key(65537, 2048) for _ in range(4)])


@pytest.fixture
def sandbox(
    service_clock: ServiceClock, rsa_keys: Iterator[RSAPrivateKey], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    monkeypatch.setattr(signing, "_new_key", rsa_keys.__next__)
    with Sandbox(clock=service_clock) as sandbox:
        yield sandbox


@pytest.fixture
async def api(
    sandbox: Sandbox, connect: Callable[..., None], database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    """The webhook app with a connection that takes webhooks, and the sandbox's counts at zero."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    connect(webhooks=True)
    clock = Clock()
    pauses = Pauses(clock)
    handlers = HandlerRegistry(clock, pauses)
    monkeypatch.setattr(app, "HandlerRegistry", lambda: handlers)
    server = FastAPI()
    (entry,) = WorkflowsPlugin.fastapi_apps
    server.mount(entry["url_prefix"], type(entry["app"])())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://airflow") as client:
        yield Api(sandbox, handlers, clock, pauses, server, client)
    await handlers.close()


@pytest.fixture
async def port(api: Api) -> AsyncIterator[int]:
    """The port of a server that responds as Airflow's API server does."""
    config = uvicorn.Config(api.app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Return as soon as ``condition`` holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"it did not come about in {seconds} seconds"
        await asyncio.sleep(0.02)
