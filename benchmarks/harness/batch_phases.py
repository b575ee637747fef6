"""Runs the phases of a batch, each in a process of its own, as Airflow would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.items import write_items
from benchmarks.harness.processes import Checkout, environment, run_measured
from benchmarks.harness.sandbox import SandboxProcess


def phase_arguments(service: SandboxProcess, folder: Path, rows: int, run_seconds: float) -> dict[str, Any]:
    """Return what all phases of a batch are told.

    :param folder: for the input and the output
    :param rows: number of rows of the input
    :param run_seconds: what each run takes at the service
    """
    return {
        "definition": service.define(run_seconds),
        "items": write_items(folder / "items.jsonl", rows),
        "output": str(folder / "output"),
    }


def run_phase(
    phase: str, service: SandboxProcess, folder: Path, arguments: Mapping[str, Any], checkout: Checkout
) -> dict[str, Any]:
    """Run one phase in a new process of a checkout, and return what it found.

    :param phase: ``"submit"``, ``"wait"`` or ``"collect"``
    :param arguments: of ``phase_arguments``, with the record of the phase before
    """
    module, record = "benchmarks.candidates.batch_process", "record"
    if (checkout.folder / "benchmarks" / "batch_measured.py").exists():
        # Until 0.1.0 took its names, this process and its record were called otherwise.
        module, record = "benchmarks.batch_measured", "known"
    sent = {(record if name == "record" else name): value for name, value in arguments.items()}
    found: dict[str, Any] = run_measured(
        ["-m", module, json.dumps({**sent, "phase": phase})],
        environment(folder, service.environment),
        checkout=checkout,
    )
    return {("record" if name == record else name): value for name, value in found.items()}
