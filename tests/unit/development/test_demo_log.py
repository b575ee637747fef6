"""What the demos print of Airflow's log."""

from __future__ import annotations

import tempfile
from pathlib import Path

from development.demo_log import without_paths


def test_a_temporary_folder_within_a_temporary_folder_keeps_its_slash() -> None:
    temporary = tempfile.gettempdir()
    path = Path(temporary, f"airflow-x{temporary}", "results.json")

    text = without_paths(f"It is in {path}.")

    assert text == f"It is in airflow-x{temporary}/results.json."
