"""An Airflow of its own in a temporary folder, of which nothing is left afterwards.

The demo, ``make airflow`` and the integration tests all use it::

    with Sandbox() as sandbox, LocalAirflow(EXAMPLE_DAGS, sandbox.environment) as airflow:
        airflow.migrate()
        assert airflow.run_dag("workflows_single_case").succeeded
        with airflow.standalone() as running:
            run_id, state = running.run("workflows_single_case", {"limit": 2})
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_provider_workflows
from tests.harness.ports import free_ports
from tests.harness.process import Process
from tests.harness.running_airflow import AirflowFailed, RunningAirflow, TaskInstance

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["EXAMPLE_DAGS", "AirflowFailed", "DagTest", "LocalAirflow", "RunningAirflow", "TaskInstance"]

HOST = "127.0.0.1"
#: The folder of the examples; ``dags`` in a checkout is a link to it.
EXAMPLE_DAGS = Path(airflow_provider_workflows.__file__).parent / "example_dags"
USERNAME = "admin"
COMMAND_SECONDS = 120.0
#: With fifteen busy processes for each core it took 379 seconds.
HEALTHY_SECONDS = 600.0
TAIL_LINES = 40


@dataclass(frozen=True, slots=True)
class DagTest:
    """What came of ``airflow dags test``.

    :param exit_code: 0 when the run succeeded
    :param lines: all that was printed
    """

    exit_code: int
    lines: list[str] = field(repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the run succeeded."""
        return self.exit_code == 0

    @property
    def output(self) -> str:
        """All that was printed, as one text."""
        return "\n".join(self.lines)


class LocalAirflow:
    """An Airflow of its own in a temporary folder, as a context manager that removes all of it.

    Its metadata database is SQLite. Its ports are free ones, so several can run side by side. No setting of
    the user's own Airflow reaches it.

    :param dags_folder: folder of the DAGs
    :param environment: further environment variables, such as settings of Airflow and connections
    :param port: port of the API server; a free one if not given
    """

    def __init__(
        self,
        dags_folder: Path | str,
        environment: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
    ) -> None:
        self.dags_folder = Path(dags_folder).resolve()
        self.password = secrets.token_urlsafe(9)
        self._further = dict(environment or {})
        self._port = port
        self._home: Path | None = None
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="airflow-"))
        try:
            self._environment = self._settings(self._home) | self._further
            self.temporary_folder.mkdir()
            passwords = self._home / "simple_auth_manager_passwords.json.generated"
            passwords.write_text(json.dumps({USERNAME: self.password}))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    @property
    def home(self) -> Path:
        """The temporary ``AIRFLOW_HOME``."""
        if self._home is None:
            raise RuntimeError("LocalAirflow is a context manager; enter it first")
        return self._home

    @property
    def temporary_folder(self) -> Path:
        """Where its processes put what is temporary, such as the examples' results; removed with the rest."""
        return self.home / "tmp"

    @property
    def environment(self) -> Mapping[str, str]:
        """All environment variables of its commands."""
        return dict(self._environment)

    @property
    def url(self) -> str:
        """URL of the user interface and of the REST API."""
        return self._environment["AIRFLOW__API__BASE_URL"]

    def migrate(self) -> None:
        """Create the metadata database.

        :raises AirflowFailed: with the end of the log
        """
        self.command("db", "migrate")

    def command(
        self, *arguments: str, environment: Mapping[str, str] | None = None, seconds: float = COMMAND_SECONDS
    ) -> str:
        """Run a command of Airflow's command line to its end.

        :param arguments: such as ``connections``, ``list``
        :param environment: further environment variables
        :param seconds: when to give up
        :returns: what it printed
        :raises AirflowFailed: when it fails or takes too long, with the end of what it printed
        """
        result = self._run(arguments, environment, lambda _: None, seconds)
        if not result.succeeded:
            name = " ".join(arguments[:2])
            raise AirflowFailed(f"airflow {name} ended with {result.exit_code}{_tail(result.lines)}")
        return result.output

    def run_dag(
        self,
        dag_id: str,
        conf: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        on_line: Callable[[str], None] = lambda _: None,
        seconds: float = 300.0,
    ) -> DagTest:
        """Run a DAG by ``airflow dags test``: in one process, without scheduler and triggerer.

        :param dag_id: the DAG
        :param conf: the params of the run
        :param environment: further environment variables
        :param on_line: receives each line that is printed, as it comes
        :param seconds: when to give up
        :raises AirflowFailed: when it takes too long; a run that fails is a response as any other
        """
        arguments = ["dags", "test", dag_id]
        if conf:
            arguments += ["--conf", json.dumps(conf)]
        return self._run(arguments, environment, on_line, seconds)

    @contextlib.contextmanager
    def standalone(
        self, environment: Mapping[str, str] | None = None, *, seconds: float = HEALTHY_SECONDS
    ) -> Iterator[RunningAirflow]:
        """Run ``airflow standalone``, which creates the database as well, and stop it afterwards.

        :param environment: further environment variables
        :param seconds: how long to wait until all of it is healthy
        :raises AirflowFailed: when it does not get healthy, with the end of the log
        """
        log = self.home / "standalone.log"
        log.unlink(missing_ok=True)
        all_variables = self._environment | dict(environment or {})
        with Process([_executable("airflow"), "standalone"], all_variables, log) as process:

            def log_tail() -> str:
                return _tail(log.read_text(errors="replace").splitlines())

            def failure() -> str | None:
                if process.exit_code is not None:
                    return f"airflow standalone ended with {process.exit_code}"
                # It goes on without the server whose port was taken, and another server responds there.
                if b"address already in use" in log.read_bytes().lower():
                    return "a port of airflow standalone is taken"
                return None

            running = RunningAirflow(self.url, USERNAME, self.password, failure=failure, log_tail=log_tail)
            running.until(running.is_healthy, seconds, "airflow standalone to be healthy")
            if problem := failure():
                raise AirflowFailed(f"{problem}{log_tail()}")
            try:
                yield running
            finally:
                # Nothing of it is kept, so none of it need end in good order, which takes half a minute.
                process.kill()

    @contextlib.contextmanager
    def api_server(self, *, seconds: float = HEALTHY_SECONDS) -> Iterator[Process]:
        """Run the API server alone, and stop it afterwards; the database has to be there.

        :param seconds: how long to wait until it responds
        :raises AirflowFailed: when it does not, with the end of the log
        """
        log = self.home / "api-server.log"
        with Process([_executable("airflow"), "api-server"], self._environment, log) as process:

            def log_tail() -> str:
                return _tail(log.read_text(errors="replace").splitlines())

            def failure() -> str | None:
                return None if process.exit_code is None else f"the API server ended with {process.exit_code}"

            running = RunningAirflow(self.url, USERNAME, self.password, failure=failure, log_tail=log_tail)
            running.until(running.responds, seconds, "the API server to respond")
            try:
                yield process
            finally:
                process.kill()

    def _run(
        self,
        arguments: list[str] | tuple[str, ...],
        environment: Mapping[str, str] | None,
        on_line: Callable[[str], None],
        seconds: float,
    ) -> DagTest:
        lines: list[str] = []
        expired = threading.Event()
        all_variables = self._environment | dict(environment or {})
        with Process([_executable("airflow"), *arguments], all_variables) as process:

            def expire() -> None:
                expired.set()
                process.kill()

            timer = threading.Timer(seconds, expire)
            timer.daemon = True
            timer.start()
            try:
                for line in process.lines():
                    lines.append(line)
                    on_line(line)
                exit_code = process.wait()
            finally:
                timer.cancel()
        if expired.is_set():
            name = " ".join(arguments[:3])
            raise AirflowFailed(f"airflow {name} took longer than {seconds:g} seconds{_tail(lines)}")
        return DagTest(exit_code, lines)

    def _settings(self, home: Path) -> dict[str, str]:
        port, worker_log_port, trigger_log_port = free_ports(3)
        url = f"http://{HOST}:{self._port or port}"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        for name in ("NO_PROXY", "no_proxy"):
            variables[name] = ",".join(filter(None, (os.environ.get(name), HOST, "localhost")))
        return variables | {
            # `airflow standalone` finds `airflow` by itself.
            "PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath))),
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
            "AIRFLOW_HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            # One writes at a time: on a busy machine others wait for longer than the default of five seconds. Of
            # two that wait for each other, one is refused after this time.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=20",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self._port or port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            # New files are found at each refresh; reading one again takes seconds of a core, and nobody changes it.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_port),
            # With the default of 5 a deferred task whose trigger fires at once may be taken for failed
            # (apache/airflow issues 71580 and 72716).
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # A task's request waits for the database as long as that may take, above. After the default of 5
            # seconds it would be sent again while the first one is under way, and after five the task would fail.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    def _remove(self) -> None:
        home, self._home = self._home, None
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)


def _executable(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts"), name))


def _tail(lines: list[str]) -> str:
    return "".join(f"\n    {line}" for line in lines[-TAIL_LINES:])
