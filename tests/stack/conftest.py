"""The stack: PostgreSQL, Redis, API server, scheduler, DAG processor, Celery workers and triggerers."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.stack import Stack, StackUnavailable
from tests.harness.stack.settings import read_settings

EXAMPLES = Path(__file__).parents[2] / "dags"
OWN_DAGS = Path(__file__).parent / "dags"

#: Set by `.ci/run`, which installs the servers: a stack that cannot be had is an error there, not a reason to skip.
REQUIRED_VARIABLE = "STACK_REQUIRED"
#: Reading a DAG again takes seconds of a core, and nobody changes one.
READ_ONCE = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600"}


class StartStack(Protocol):
    """Starts a stack; the options are those of ``Stack``, and its sandbox is the test's."""

    def __call__(
        self, sandbox: Sandbox, environment: dict[str, str] | None = None, **options: Any
    ) -> contextlib.AbstractContextManager[Stack]: ...


@pytest.fixture(scope="session")
def dags_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example DAGs and those of these tests."""
    folder = tmp_path_factory.mktemp("dags")
    for source in (EXAMPLES, OWN_DAGS):
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def start_stack(dags_folder: Path) -> StartStack:
    """For tests that need a stack with options of their own."""

    @contextlib.contextmanager
    def start(sandbox: Sandbox, environment: dict[str, str] | None = None, **options: Any) -> Iterator[Stack]:
        with contextlib.ExitStack() as cleanup:
            stack = Stack(dags_folder, sandbox.environment | READ_ONCE | (environment or {}), **options)
            try:
                cleanup.enter_context(stack)
            except StackUnavailable as unavailable:
                if os.environ.get(REQUIRED_VARIABLE):
                    raise
                pytest.skip(str(unavailable))
            yield stack

    return start


@pytest.fixture(scope="module")
def module_sandbox() -> Iterator[Sandbox]:
    """One sandbox for the tests of a module."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def stack(start_stack: StartStack, module_sandbox: Sandbox) -> Iterator[Stack]:
    """The stack as ``stack.env`` sets it, for the tests of a module."""
    as_in_the_file = {name: value for name, value in read_settings().items() if name in READ_ONCE}
    with start_stack(module_sandbox, as_in_the_file) as running:
        yield running
