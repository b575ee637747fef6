"""The processes of Airflow that a stack consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tests.harness.stack.hostname import VARIABLE

Executor: TypeAlias = Literal["CeleryExecutor", "LocalExecutor"]


@dataclass(frozen=True, slots=True)
class Component:
    """A process of Airflow.

    :param name: its name, such as ``triggerer-1``; Airflow knows it as its host name
    :param arguments: of the command ``airflow``
    :param job_type: the type of the job that it keeps in the metadata database, if any
    :param port_settings: its settings that are ports of its own
    """

    name: str
    arguments: Sequence[str]
    job_type: str | None = None
    port_settings: Sequence[str] = ()

    @property
    def is_worker(self) -> bool:
        """Whether it is a Celery worker."""
        return self.arguments[0] == "celery"

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variable that tells it its name."""
        return {VARIABLE: self.name}


@dataclass(frozen=True, slots=True)
class Topology:
    """How many components of which kind.

    :param executor: who runs the tasks; with ``LocalExecutor`` there are no workers
    :param workers: number of Celery workers
    :param triggerers: number of triggerers
    :raises ValueError: when there would be none of a kind
    """

    executor: Executor = "CeleryExecutor"
    workers: int = 2
    triggerers: int = 2
    components: Mapping[str, Component] = field(init=False)

    def __post_init__(self) -> None:
        if self.workers < 1 or self.triggerers < 1:
            raise ValueError("a stack has at least one worker and one triggerer")
        components = {component.name: component for component in self._listed()}
        object.__setattr__(self, "components", components)

    @property
    def has_workers(self) -> bool:
        """Whether Celery workers run the tasks."""
        return self.executor == "CeleryExecutor"

    def _listed(self) -> Sequence[Component]:
        log_port = ("AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT",)
        trigger_log_port = ("AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT",)
        health_port = ("AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",)
        workers = range(1, self.workers + 1) if self.has_workers else ()
        return (
            Component("api-server", ("api-server",)),
            # With LocalExecutor it serves the logs of the tasks as well.
            Component("scheduler", ("scheduler",), "SchedulerJob", (*health_port, *log_port)),
            Component("dag-processor", ("dag-processor",), "DagProcessorJob"),
            *(
                # The name is also the one in Celery, by which workers of one machine are told apart.
                Component(name, ("celery", "worker", "--celery-hostname", name), port_settings=log_port)
                for name in (f"worker-{number}" for number in workers)
            ),
            *(
                Component(f"triggerer-{number}", ("triggerer",), "TriggererJob", trigger_log_port)
                for number in range(1, self.triggerers + 1)
            ),
        )
