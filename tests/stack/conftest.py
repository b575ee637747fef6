"""What the tests of a whole Airflow share: a stack with PostgreSQL and Celery, and an Airflow with a browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, Page

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.browser import BrowserUnavailable, headless, signed_in
from tests.harness.local_airflow import EXAMPLE_DAGS, LocalAirflow
from tests.harness.ports import free_ports
from tests.harness.stack import Stack, StackUnavailable
from tests.harness.stack.settings import read_settings

from .pages import VIEWER, Pages

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
    for source in (EXAMPLE_DAGS, OWN_DAGS):
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with headless() as running:
            yield running
    except BrowserUnavailable as unavailable:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        pytest.skip(str(unavailable))


@pytest.fixture(scope="module")
def pages_dags() -> Path:
    """The DAGs of the Airflow whose pages are opened."""
    return OWN_DAGS


@pytest.fixture(scope="module")
def pages(browser: Browser, pages_dags: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/airflow"
    with Sandbox() as sandbox:
        environment = sandbox.environment | {
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,{VIEWER}:viewer",
        }
        with LocalAirflow(pages_dags, environment, port=port) as local, local.standalone() as airflow:
            passwords = json.loads((local.home / "simple_auth_manager_passwords.json.generated").read_text())
            yield Pages(airflow, url, passwords, sandbox, tmp_path_factory.mktemp("pages"), browser)


@pytest.fixture
def page(pages: Pages) -> Iterator[Page]:
    with signed_in(pages.browser, pages.url, "admin", pages.passwords["admin"]) as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security" in line.text else None)
        yield page
    assert errors == []
