"""A running Airflow, through its REST API."""

from __future__ import annotations

import http.client
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from tests.harness.airflow_log import readable

RUN_SECONDS = 180.0
#: Between two questions to the API server, which has other work to do.
POLL_SECONDS = 0.2
#: With SQLite, one writes at a time: a call waits for those before it, up to the minute that the database allows.
RESPONSE_SECONDS = 90.0
DAG_SECONDS = 90.0

Value = TypeVar("Value")


class AirflowFailed(RuntimeError):
    """Airflow did not do what it was started for; the message ends with the end of its log."""


class NoResponse(AirflowFailed):
    """The API server did not respond, or responded that it failed; the next request may succeed."""


@dataclass(frozen=True, slots=True)
class TaskInstance:
    """A task instance of a run.

    :param id: its id, another one for each try
    :param task_id: its task
    :param map_index: its number if it is mapped, else -1
    :param state: ``success``, ``failed``, ...; None before it is scheduled
    :param try_number: the number of tries
    :param duration: seconds of the last try
    """

    id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    duration: float | None


class RunningAirflow:
    """A running Airflow, through its REST API.

    :param url: its base URL
    :param username: who to log in as
    :param password: the password
    :param failure: returns what is wrong with Airflow's processes, or None; asked while waiting
    :param log_tail: returns the end of Airflow's log, for messages
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        failure: Callable[[], str | None] = lambda: None,
        log_tail: Callable[[], str] = lambda: "",
    ) -> None:
        self.url = url
        self.username = username
        self.password = password
        self._failure = failure
        self._log_tail = log_tail
        self._token: str | None = None
        # The server is on this machine: no proxy of the environment is asked.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Call the REST API as the user and return its JSON response.

        :param method: the HTTP method
        :param path: below ``/api/v2``, such as ``/dags``
        :param body: sent as JSON if not None
        :param query: the query parameters
        :raises urllib.error.HTTPError: when the call is refused (4xx)
        :raises NoResponse: when there is no response, or a 5xx
        """
        if self._token is None:
            credentials = {"username": self.username, "password": self.password}
            self._token = str(self._send("POST", "/auth/token", credentials)["access_token"])
        return self._send(method, f"/api/v2{path}{'?' + urlencode(query) if query else ''}", body)

    def page_data(self, path: str, **query: object) -> Any:
        """Return what a page of this package shows, as JSON.

        :param path: below ``/workflows/ui/data/``, such as ``task``
        :param query: the query parameters
        :raises urllib.error.HTTPError: when it is refused (4xx)
        :raises NoResponse: when there is no response, or a 5xx
        """
        self.call("GET", "/version")
        return self._send("GET", f"/workflows/ui/data/{path}?{urlencode(query)}")

    def responds(self) -> bool:
        """Return whether the API server responds."""
        try:
            return bool(self._send("GET", "/api/v2/version"))
        except NoResponse:
            return False

    def serves_tasks(self) -> bool:
        """Return whether the API server responds to tasks too.

        It makes the part of itself that tasks call when it is first asked for it (Cadwyn does so with versioned
        routes), and responds to nobody meanwhile: 4 seconds of a core, on a busy machine a minute or more. A task
        gives up after five requests of 5 seconds each, and fails before it has started, with nothing in its log.
        """
        try:
            return bool(self._send("GET", "/execution/health"))
        except NoResponse:
            return False

    def is_healthy(self) -> bool:
        """Return whether the API server serves tasks, and all that it reports on is well.

        That is the database, scheduler, triggerer and DAG processor.
        """
        # First, so that it gets ready while the others start.
        if not self.serves_tasks():
            return False
        try:
            health = self._send("GET", "/api/v2/monitor/health")
        except NoResponse:
            return False
        wanted = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all((health.get(name) or {}).get("status") == "healthy" for name in wanted)

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Start a run, as soon as the DAG processor has found the DAG.

        :param dag_id: the DAG
        :param conf: the params of the run
        :returns: the id of the run
        """
        dag = f"/dags/{quote(dag_id, safe='')}"

        def is_known() -> bool:
            try:
                self.call("GET", f"{dag}/details")
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                return False
            return True

        self.until(is_known, DAG_SECONDS, f"the DAG {dag_id} to be found")
        self.until(
            lambda: self.call("PATCH", dag, {"is_paused": False}),
            DAG_SECONDS,
            f"the DAG {dag_id} to be unpaused",
        )
        # With an id of its own, so that the request can be repeated: SQLite refuses one of two that write at once.
        run = {
            "dag_run_id": f"manual__{datetime.now(timezone.utc).isoformat()}_{secrets.token_hex(4)}",
            "logical_date": None,
            "conf": dict(conf or {}),
        }

        def is_started() -> bool:
            try:
                self.call("POST", f"{dag}/dagRuns", run)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.CONFLICT:
                    raise
            return True

        self.until(is_started, DAG_SECONDS, f"a run of the DAG {dag_id} to be started")
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.call("GET", _run(dag_id, run_id))["state"])

    def wait(self, dag_id: str, run_id: str, seconds: float = RUN_SECONDS) -> str:
        """Wait for the end of a run.

        :returns: ``success`` or ``failed``
        :raises AirflowFailed: when it takes longer than ``seconds``
        """

        def ended() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in ("success", "failed") else None

        return self.until(ended, seconds, f"the end of {dag_id}, run {run_id}")

    def run(
        self, dag_id: str, conf: Mapping[str, object] | None = None, seconds: float = RUN_SECONDS
    ) -> tuple[str, str]:
        """Start a run and wait for its end; return its id and its state."""
        run_id = self.trigger(dag_id, conf)
        return run_id, self.wait(dag_id, run_id, seconds)

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return the task instances of a run, of whatever state, those that ran first before the others."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call(
                "GET", f"{_run(dag_id, run_id)}/taskInstances", limit=100, offset=len(found), order_by="id"
            )
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                break
        found.sort(key=lambda one: one["start_date"] or "~")
        return [TaskInstance(**{name: one[name] for name in TaskInstance.__slots__}) for one in found]

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run that has no mapped tasks."""
        return {one.task_id: one.state for one in self.task_instances(dag_id, run_id)}

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1
    ) -> str:
        """Return the log of a try: a line per message with all of its fields, then its exceptions."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/logs/{try_number}"
        response = self.call("GET", path, map_index=map_index, full_content="true")
        return "\n".join(
            readable(message) if isinstance(message, dict) else str(message)
            for message in response["content"]
        )

    def clear(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> None:
        """Clear a task instance, whatever its state, as a person does in the user interface."""
        self.clear_all(dag_id, run_id, [task_id if map_index < 0 else [task_id, map_index]])

    def clear_all(self, dag_id: str, run_id: str, tasks: Sequence[object]) -> None:
        """Clear task instances of a run at once, whatever their states.

        :param tasks: the id of each task; ``[task_id, map_index]`` of one that is mapped
        """
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": list(tasks), "only_failed": False}
        path = f"/dags/{quote(dag_id, safe='')}/clearTaskInstances"

        def is_cleared() -> bool:
            self.call("POST", path, body)
            return True

        # SQLite refuses one of two that write at once, and what is refused has changed nothing.
        self.until(is_cleared, DAG_SECONDS, f"tasks of {dag_id} to be cleared")

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, *, map_index: int = -1) -> None:
        """Mark a task instance, as a person does in the user interface.

        :param state: ``failed`` or ``success``
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}"
        if map_index >= 0:
            path += f"/{map_index}"
        self.call("PATCH", path, {"new_state": state})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Mark a run as failed, and delete it: Airflow refuses to delete one that is under way."""
        self.call("PATCH", _run(dag_id, run_id), {"state": "failed"})
        self.call("DELETE", _run(dag_id, run_id))

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """Return a value that a task has pushed, None if it is missing.

        :param key: what it was pushed under; its own value is the one that it returned
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/xcomEntries/{quote(key)}"
        try:
            response = self.call("GET", path, map_index=map_index, stringify="false")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None
        return response["value"]

    def add_connection(self, connection_id: str, connection: Mapping[str, Any]) -> None:
        """Store a connection, as a person does in the user interface.

        :param connection_id: its id
        :param connection: its fields; ``extra`` as a dict
        """
        fields = {**connection, "extra": json.dumps(connection.get("extra") or {})}
        self.call("POST", "/connections", {"connection_id": connection_id, **fields})

    def press_test(self, connection_id: str) -> tuple[bool, str]:
        """Press the button that tests a stored connection, and return whether all is well, and what it says.

        The request is that of Airflow 3.3's list of connections, which sends what it lists, redacted, and 0 for a
        port that is not there.

        :param connection_id: id of the connection
        :raises urllib.error.HTTPError: when Airflow refuses it, as it does for a connection without a port
        """
        row = self.call("GET", f"/connections/{quote(connection_id, safe='')}")
        texts = ("description", "host", "login", "password", "schema")
        body = {
            "conn_type": row["conn_type"],
            "connection_id": row["connection_id"],
            "extra": row["extra"] or "{}",
            "port": row["port"] or 0,
            **{name: row[name] or "" for name in texts},
        }
        response = self.call("POST", "/connections/test", body)
        return response["status"], response["message"]

    def until(self, find: Callable[[], Value | None], seconds: float, what: str) -> Value:
        """Call ``find`` a few times a second until it returns something true, and return that.

        :param find: returns what is waited for, or something false
        :param seconds: when to give up
        :param what: what is waited for, for the message
        :raises AirflowFailed: when that takes too long, or Airflow has failed meanwhile
        """
        end = time.monotonic() + seconds
        reason = ""
        while True:
            try:
                if found := find():
                    return found
            except NoResponse as error:
                reason = f" ({error})"
            if failure := self._failure():
                raise AirflowFailed(f"{failure}, while waiting for {what}{self._log_tail()}")
            if time.monotonic() > end:
                raise AirflowFailed(f"waited {seconds:g} seconds for {what}{reason}{self._log_tail()}")
            time.sleep(POLL_SECONDS)

    def watch(self) -> NoReturn:
        """Return never; only an exception ends it.

        :raises AirflowFailed: when Airflow ends by itself
        """
        while True:
            if failure := self._failure():
                raise AirflowFailed(f"{failure}{self._log_tail()}")
            time.sleep(POLL_SECONDS)

    def _send(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=RESPONSE_SECONDS) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise
            raise NoResponse(f"{method} {path}: the API server responded with {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise NoResponse(f"{method} {path}: the API server did not respond: {error}") from error


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
