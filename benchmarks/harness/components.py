"""The processes of a running Airflow's components."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow

from tests.harness.stack import Stack


def component_processes(stack: Stack, component: str) -> Iterator[psutil.Process]:
    """Yield the process of a component, and then all that it started: they share a session."""
    root = stack._processes[component]._process.pid  # noqa: SLF001
    yield psutil.Process(root)
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if process.pid != root and os.getsid(process.pid) == root:
                yield process
