"""The logs that the tasks of a chaos run have written."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class TaskLogs:
    """The logs of all tasks of a stack.

    :param folder: where the stack keeps them
    """

    folder: Path

    def keep(self) -> Path:
        """Copy the logs to a folder that stays, and return it."""
        kept = Path(tempfile.mkdtemp(prefix="chaos-logs-"))
        shutil.copytree(self.folder, kept, dirs_exist_ok=True)
        return kept

    def times_of_stops(self, name: str) -> list[float]:
        """Return when the tries of a batch were told to stop, in seconds since the epoch.

        :param name: id of the batch's DAG
        """
        return [
            _seconds(record["timestamp"])
            for log in (self.folder / f"dag_id={name}").rglob("*.log")
            for record in _records(log)
            if str(record.get("event", "")).startswith("The task was told to stop")
        ]


def _records(log: Path) -> Iterator[dict[str, object]]:
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict) and "timestamp" in record:
                yield record


def _seconds(timestamp: object) -> float:
    return datetime.fromisoformat(str(timestamp).replace("Z", "+00:00")).timestamp()
