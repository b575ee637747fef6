"""The pages' app, which Airflow's API server has at ``/workflows/ui``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from airflow_provider_workflows.airflow_internals import task_reports
from airflow_provider_workflows.airflow_internals.api_server import TaskAccess, task_access
from airflow_provider_workflows.airflow_internals.orm import database_session
from airflow_provider_workflows.airflow_internals.task_reports import TaskWithReport
from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.operators.instruction import Instruction
from airflow_provider_workflows.task_identity import TaskIdentity
from airflow_provider_workflows.ui.airflow_api import AirflowApi
from airflow_provider_workflows.ui.instructions import Asked, instruction_of, leave, require_sense
from airflow_provider_workflows.ui.overview import DAYS as OVERVIEW_DAYS
from airflow_provider_workflows.ui.overview import Overview
from airflow_provider_workflows.ui.problem_rows import ProblemRows, RowFilter
from airflow_provider_workflows.ui.reports import report_of, text
from airflow_provider_workflows.ui.responses import HEADERS, as_json, has_version
from airflow_provider_workflows.ui.same_origin import require_same_origin
from airflow_provider_workflows.ui.search import BATCHES_CONTAIN, outputs_of, rows_with, runs_with
from airflow_provider_workflows.ui.search import DAYS as SEARCH_DAYS
from airflow_provider_workflows.ui.static_files import add_static_files
from airflow_provider_workflows.ui.storage_threads import StorageThreads, storage_failure
from airflow_provider_workflows.ui.task_data import task_data
from airflow_provider_workflows.xcom_keys import REPORT_KEY

if TYPE_CHECKING:
    from starlette.types import ASGIApp

#: Airflow's database keeps the index of a mapped task in four bytes.
MAX_MAP_INDEX = 2**31 - 1
#: This many views of the page Workflows, searches included, are at work or wait for their turn.
MAX_VIEWS_AT_ONCE = 8


def pages_app() -> ASGIApp:
    """Return the app of the pages; it is empty where Airflow cannot tell who may see what."""
    app = FastAPI(
        title="Workflows pages", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    access = task_access()
    if access is not None:
        storage = StorageThreads()
        add_static_files(app, access)
        _add_task_data(app, access)
        _add_buttons(app, access)
        _add_rows(app, access, storage)
        _add_overview(app, access, storage)
    return app


def asked_task(
    dag_id: str, run_id: str, task_id: str, map_index: Annotated[int, Query(ge=-1, le=MAX_MAP_INDEX)] = -1
) -> TaskIdentity:
    """Return the task that a request is about, as a FastAPI dependency."""
    return TaskIdentity(dag_id, run_id, task_id, map_index)


AskedTask = Annotated[TaskIdentity, Depends(asked_task)]


def _task_data(task: TaskIdentity, user: Any, access: TaskAccess) -> dict[str, Any]:
    may_clear = access.may_clear(user, task.dag_id)
    with task_reports.reading_session() as session:
        data = task_data(task, session, may_clear=may_clear, now=datetime.now(timezone.utc))
    if data is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such task instance.")
    return data


def _add_task_data(app: FastAPI, access: TaskAccess) -> None:
    @app.get("/data/task", dependencies=[Depends(access.reader)])
    def task(request: Request, task: AskedTask, user: Any = Depends(access.user)) -> Response:  # noqa: B008
        return as_json(request, _task_data(task, user, access))


def _add_buttons(app: FastAPI, access: TaskAccess) -> None:
    @app.post("/data/instruction", dependencies=[Depends(access.clearer), Depends(require_same_origin)])
    async def instruct(
        request: Request,
        task: AskedTask,
        asked: Asked,
        user: Any = Depends(access.user),  # noqa: B008
    ) -> Response:
        require_sense(asked, await asyncio.to_thread(_task_data, task, user, access))
        instruction = instruction_of(asked, user.get_name())
        api = AirflowApi(request)
        # Before it is done, as Airflow itself does: what is not logged is not done.
        await asyncio.to_thread(_log, task, instruction, asked)
        words = await leave(asked, instruction, task, api)
        return as_json(request, {"message": words})


def _log(task: TaskIdentity, instruction: Instruction, asked: Asked) -> None:
    """Write into Airflow's audit log who has pressed which button."""
    fields = asked.model_dump(mode="json", exclude_none=True)
    event = f"workflow_{instruction.action.value}"
    with database_session() as session:
        task_reports.write_audit_log(task, event, instruction.asked_by, fields, session)


def _add_rows(app: FastAPI, access: TaskAccess, storage: StorageThreads) -> None:
    def problem_rows(task: AskedTask) -> str:
        """Return where the rows of a task with something wrong are, as a FastAPI dependency."""
        with task_reports.reading_session() as session:
            found = task_reports.read_task(task, REPORT_KEY, session)
        report = None if found is None else report_of(found.report)
        uri = None if report is None else text(report.get("problem_rows"))
        if uri is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "The task has no list of rows with something wrong.")
        return uri

    @app.get("/data/rows", dependencies=[Depends(access.reader)])
    async def rows(
        request: Request,
        uri: str = Depends(problem_rows),
        outcome: str = "",
        search: str = "",
        first: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        which = RowFilter(outcome, search)
        try:
            version = await storage.run(lambda: ProblemRows(uri).version(which, first))
            if has_version(request, f'"{version}"'):
                return as_json(request, None, version=version)
            page = await storage.run(lambda: ProblemRows(uri).page(which, first))
        except Exception as error:  # noqa: BLE001  (each kind of storage has its own; everything else is still shown)
            return as_json(request, {"failure": storage_failure(error)})
        return as_json(request, page, version=version)

    @app.get("/data/rows.csv", dependencies=[Depends(access.reader)])
    async def download(uri: str = Depends(problem_rows), outcome: str = "", search: str = "") -> Response:
        which = RowFilter(outcome, search)
        try:
            pieces = await storage.run(lambda: _begun(ProblemRows(uri), which))
        except Exception as error:
            failure = storage_failure(error)
            raise HTTPException(HTTPStatus.BAD_GATEWAY, f"{failure['type']}: {failure['message']}") from error
        headers = {
            **HEADERS,
            "Content-Disposition": 'attachment; filename="problem_rows.csv"',
            "Cache-Control": "no-store",
        }
        return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)


class _Turns:
    """Lets one view at a time read thousands of reports, and few wait for it: the API server needs its threads."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MAX_VIEWS_AT_ONCE)
        self._turn = threading.Lock()

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE, "Too many people search at this moment: try again soon."
            )
        self._turn.acquire()

    def __exit__(self, *_: object) -> None:
        self._turn.release()
        self._places.release()


def wanted_id(wanted: Annotated[str, Query(min_length=1, max_length=100)]) -> str:
    """Return the id that is searched for, as a FastAPI dependency; only a whole id is found.

    :param wanted: what a person has typed
    :raises HTTPException: with 422 if it is no id
    """
    if not is_id(wanted.strip()):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Search for the whole id of a workflow, a case or a record: 32 hexadecimal digits with four hyphens.",
        )
    return wanted.strip()


WantedId = Annotated[str, Depends(wanted_id)]


def _add_overview(app: FastAPI, access: TaskAccess, storage: StorageThreads) -> None:
    turns = _Turns()

    @app.get("/data/overview")
    def overview(request: Request, user: Any = Depends(access.user)) -> Response:  # noqa: B008
        now = datetime.now(timezone.utc)
        dag_ids = access.readable_dag_ids(user)
        found = Overview(now.timestamp())
        with turns, task_reports.reading_session() as session:
            since = now - timedelta(days=OVERVIEW_DAYS)
            found.read(task_reports.read_reports(REPORT_KEY, dag_ids, since, session))
        return as_json(request, found.to_json())

    def batches_and_runs(
        wanted: WantedId,
        user: Any = Depends(access.user),  # noqa: B008
    ) -> tuple[list[dict[str, Any]], list[tuple[TaskIdentity, str]], bool]:
        """Return the tasks whose run has an id, the batches to search, and whether there are more of these."""
        since = datetime.now(timezone.utc) - timedelta(days=SEARCH_DAYS)
        dag_ids = access.readable_dag_ids(user)

        def reports(containing: str) -> Iterator[TaskWithReport]:
            return task_reports.read_reports(REPORT_KEY, dag_ids, since, session, containing=containing)

        with turns, task_reports.reading_session() as session:
            return runs_with(wanted, reports(wanted)), *outputs_of(reports(BATCHES_CONTAIN))

    @app.get("/data/search")
    async def search(
        request: Request,
        wanted: WantedId,
        found: Any = Depends(batches_and_runs),  # noqa: B008
    ) -> Response:
        runs, batches, is_cut = found
        try:
            rows = await storage.run(lambda: rows_with(wanted, batches))
        except asyncio.TimeoutError:
            # One file may take longer than the search has in all: what the database knows is shown all the same.
            unread = len(batches)
            rows = {"tasks": [], "searched_batches": 0, "unread_batches": unread, "cut": True}
        return as_json(request, {**rows, "tasks": runs + rows["tasks"], "cut": rows["cut"] or is_cut})


def _begun(rows: ProblemRows, which: RowFilter) -> Any:
    """Return the pieces of a download whose first is read already, so that storage that fails is a refusal."""
    pieces = rows.download(which)
    first = next(pieces)

    def all_pieces() -> Any:
        yield first
        yield from pieces

    return all_pieces()
