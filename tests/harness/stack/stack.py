"""Airflow as it runs in production, as plain processes, of which nothing is left afterwards.

``make stack`` and the tests of the stack use it::

    with Sandbox() as sandbox, Stack(EXAMPLE_DAGS, sandbox.environment, workers=2) as stack:
        run_id, state = stack.running.run("workflows_single_case")
        stack.kill("triggerer-1")
        stack.start("triggerer-1")
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import signal
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, cast

from celery import Celery  # type: ignore[import-untyped]

from tests.harness.local_airflow import USERNAME, LocalAirflow, RunningAirflow
from tests.harness.ports import free_ports
from tests.harness.process import Process
from tests.harness.servers import HOST, tail
from tests.harness.stack import settings
from tests.harness.stack.broker import empty_broker
from tests.harness.stack.components import Component, Executor, Topology
from tests.harness.stack.postgresql import Database, empty_database

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

START_SECONDS = 600.0
PING_SECONDS = 1.0
ALL_TAIL_LINES = 15


class Stack:
    """PostgreSQL, Redis, API server, scheduler, DAG processor, Celery workers and triggerers.

    A context manager that starts all of it, waits until it is healthy, and removes all of it. Its settings
    are those of ``stack.env``, its ports are free ones, so that several can run side by side, and all that it
    writes is in temporary folders.

    :param dags_folder: folder of the DAGs
    :param environment: further environment variables, such as connections, and settings of Airflow that win
        over those of ``stack.env``
    :param executor: who runs the tasks; with ``LocalExecutor`` there are neither workers nor Redis
    :param workers: number of Celery workers
    :param triggerers: number of triggerers
    :param worker_concurrency: how many tasks a worker runs at once; None for what ``stack.env`` says
    :param port: port of the API server; a free one if not given
    :raises StackUnavailable: on entering, if this machine has no PostgreSQL or Redis
    :raises AirflowFailed: on entering, when a part does not start, with the end of its log
    """

    def __init__(
        self,
        dags_folder: Path | str,
        environment: Mapping[str, str] | None = None,
        *,
        executor: Executor = "CeleryExecutor",
        workers: int = 2,
        triggerers: int = 2,
        worker_concurrency: int | None = None,
        port: int | None = None,
    ) -> None:
        self.topology = Topology(executor, workers, triggerers)
        self._dags_folder = dags_folder
        self._options = {"AIRFLOW__CORE__EXECUTOR": str(executor)}
        if worker_concurrency is not None:
            self._options["AIRFLOW__CELERY__WORKER_CONCURRENCY"] = str(worker_concurrency)
        self._further = dict(environment or {})
        self._port = port
        self._cleanup = contextlib.ExitStack()
        self._processes: dict[str, Process] = {}
        self._own_environments: dict[str, dict[str, str]] = {}
        self._started: dict[str, datetime] = {}
        # Those that were ended on purpose.
        self._ended: set[str] = set()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as cleanup:
            self._enter(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _enter(self, cleanup: contextlib.ExitStack) -> None:
        # All at once, for none of them is taken before the others are chosen.
        ports = iter(free_ports(3 + sum(len(one.port_settings) for one in self.topology.components.values())))
        self.database: Database = cleanup.enter_context(empty_database(next(ports)))
        self.broker_url: str | None = None
        if self.topology.has_workers:
            self.broker_url = cleanup.enter_context(empty_broker(next(ports)))
        port = self._port or next(ports)
        self._airflow = LocalAirflow(self._dags_folder, self._settings() | self._further, port=port)
        cleanup.enter_context(self._airflow)
        for component in self.topology.components.values():
            self._own_environments[component.name] = self._own_environment(component, ports)
        self._airflow.migrate()
        self.running = RunningAirflow(
            self._airflow.url,
            USERNAME,
            self._airflow.password,
            failure=self._failure,
            log_tail=self._log_tail,
        )
        cleanup.callback(self._kill_all)
        for name in self.topology.components:
            self.start(name, wait=False)
        self.wait_until_ready(*self.topology.components)
        self.running.until(self.running.is_healthy, START_SECONDS, "Airflow to be healthy")

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that all components share."""
        return self._airflow.environment

    @property
    def folder(self) -> Path:
        """The temporary ``AIRFLOW_HOME``, with the components' logs."""
        return self._airflow.home

    def is_running(self, name: str) -> bool:
        """Return whether the process of a component runs."""
        process = self._processes.get(name)
        return process is not None and process.exit_code is None

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a component again that was killed or stopped.

        :param name: such as ``triggerer-1``, ``worker-1``, ``scheduler``, ``dag-processor``, ``api-server``
        :param wait: until it is ready
        :raises RuntimeError: when it runs already
        :raises AirflowFailed: when it does not get ready, with the end of its log
        """
        component = self.topology.components[name]
        if self.is_running(name):
            raise RuntimeError(f"{name} runs already")
        self._ended.discard(name)
        self._started[name] = datetime.now(timezone.utc)
        self._processes[name] = Process(
            [str(Path(sysconfig.get_path("scripts"), "airflow")), *component.arguments],
            {**self.environment, **self._own_environments[name]},
            self.log_file(name),
        )
        if wait:
            self.wait_until_ready(name)

    def kill(self, name: str) -> None:
        """End a component as a lost machine does: SIGKILL to it and to all that it started."""
        self._ended.add(name)
        self._processes[name].kill()

    def stop(self, name: str) -> None:
        """End a component as an update does: it may finish what it does, within half a minute."""
        self._ended.add(name)
        self._processes[name].stop()

    def terminate(self, name: str) -> None:
        """Tell a component to end, as an init system does first, and return at once; ``kill`` ends what is left."""
        self._ended.add(name)
        self._processes[name].send_signal(signal.SIGTERM)

    def members(self, name: str) -> list[int]:
        """Return the ids of the processes of a component: its own, and all that it started."""
        return self._processes[name].members()

    def wait_until_ready(self, *names: str, seconds: float = START_SECONDS) -> None:
        """Wait until components do their work: a worker takes tasks, others have reported.

        The API server is ready when it responds to people and to tasks.

        :raises AirflowFailed: when one of them has ended or takes too long, with the end of its log
        """
        end = time.monotonic() + seconds
        for name in names:
            is_ready = functools.partial(self._is_ready, self.topology.components[name])
            left = max(end - time.monotonic(), 0.0)
            self.running.until(is_ready, left, f"{name} to be ready")

    def triggers(self) -> Counter[str | None]:
        """Return the number of triggers that each triggerer holds; under None, those that no one holds."""
        rows = self.sql(
            "SELECT job.hostname, count(*) FROM trigger LEFT JOIN job ON job.id = trigger.triggerer_id GROUP BY 1"
        )
        return Counter({cast("str | None", name): cast("int", number) for name, number in rows})

    def sql(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Execute a statement on the metadata database, in a transaction of its own.

        :param statement: in SQL, with ``:name`` where a value goes
        :param values: the values
        :returns: the rows
        """
        return self.database.execute(statement, **values)

    def command(self, *arguments: str) -> str:
        """Run a command of Airflow's command line to its end and return what it printed.

        :raises AirflowFailed: when it fails, with the end of what it printed
        """
        return self._airflow.command(*arguments)

    def log(self, name: str) -> str:
        """Return all that a component has logged."""
        return self.log_file(name).read_text(errors="replace")

    def log_file(self, name: str) -> Path:
        """Return where a component logs."""
        return self.folder / f"{name}.log"

    def _settings(self) -> dict[str, str]:
        """Return the settings file with what is different here: addresses, and what was asked for."""
        address = self.database.address
        addresses = {
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "tests.harness.stack.hostname.component",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": HOST,
        }
        if self.broker_url is not None:
            addresses["AIRFLOW__CELERY__BROKER_URL"] = self.broker_url
            addresses["AIRFLOW__CELERY__RESULT_BACKEND"] = f"db+{address}"
        paths = [str(settings.CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
        further = {
            # For the callable above.
            "PYTHONPATH": os.pathsep.join(paths),
            # Workers refuse to run as root unless they are told.
            "C_FORCE_ROOT": "1",
        }
        return settings.read_settings() | addresses | self._options | further

    def _own_environment(self, component: Component, ports: Iterator[int]) -> dict[str, str]:
        own_ports = {setting: str(next(ports)) for setting in component.port_settings}
        return {**component.environment, **own_ports}

    def _is_ready(self, component: Component) -> bool:
        if component.job_type is not None:
            return self._has_reported(component)
        if component.is_worker:
            return self._takes_tasks(component)
        return self._responds()

    def _responds(self) -> bool:
        try:
            self.running.call("GET", "/version")
        except (OSError, http.client.HTTPException):
            return False
        return self.running.serves_tasks()

    def _has_reported(self, component: Component) -> bool:
        return bool(
            self.sql(
                "SELECT 1 FROM job WHERE job_type = :job_type AND hostname = :name AND state = 'running'"
                " AND start_date >= :started",
                job_type=component.job_type,
                name=component.name,
                started=self._started[component.name],
            )
        )

    def _takes_tasks(self, component: Component) -> bool:
        with Celery(broker=self.broker_url, set_as_current=False) as celery:
            return bool(celery.control.ping(destination=[f"celery@{component.name}"], timeout=PING_SECONDS))

    def ended_alone(self) -> list[str]:
        """Return the components that ended though nobody asked them to."""
        return [
            name
            for name, process in self._processes.items()
            if process.exit_code is not None and name not in self._ended
        ]

    def _failure(self) -> str | None:
        for name in self.ended_alone():
            return f"{name} ended with {self._processes[name].exit_code}"
        return None

    def _log_tail(self) -> str:
        if failed := self.ended_alone():
            return self._tails(failed)
        return self._tails(list(self._processes), ALL_TAIL_LINES)

    def _tails(self, names: Sequence[str], lines: int = 40) -> str:
        return "".join(f"\n  {name}:{tail(self.log_file(name), lines)}" for name in names)

    def _kill_all(self) -> None:
        # Nothing of it is kept, so none of it need end in good order. Twice, because an impatient Ctrl-C
        # interrupts one of the calls, and not the others.
        with contextlib.ExitStack() as kills:
            for name in (*self._processes, *self._processes):
                kills.callback(self.kill, name)
