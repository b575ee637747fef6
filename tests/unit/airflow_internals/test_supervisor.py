"""Threads of a task ask the supervisor in turn, also under `airflow dags test`, whose channel is for one thread."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

from airflow_provider_workflows.airflow_internals.supervisor import in_turn

pytestmark = pytest.mark.contract

THREADS = 4


class Echo:
    """A supervisor that responds to each question, after a moment, with the question."""

    def __init__(self) -> None:
        self.comms = InProcessSupervisorComms(supervisor=self)  # type: ignore[arg-type]

    def _handle_request(self, message: Any, log: Any, request_id: int) -> None:
        time.sleep(0.005)
        self.comms.messages.append(message)


def test_each_thread_gets_the_response_to_its_own_question(monkeypatch: pytest.MonkeyPatch) -> None:
    comms = Echo().comms
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    begin = threading.Barrier(THREADS)

    def ask(thread: int) -> list[Any]:
        begin.wait()
        responses = []
        for number in range(3):
            with in_turn():
                responses.append(task_runner.SUPERVISOR_COMMS.send((thread, number)))  # type: ignore[arg-type]
        return responses

    with ThreadPoolExecutor(THREADS) as threads:
        responses = list(threads.map(ask, range(THREADS)))

    assert responses == [[(thread, number) for number in range(3)] for thread in range(THREADS)]
    assert task_runner.SUPERVISOR_COMMS is comms


def test_a_signal_handler_may_ask_while_its_thread_does() -> None:
    with in_turn(), in_turn():
        pass
