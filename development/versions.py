"""Print what ``make test-airflow AIRFLOW=...`` has found of each version of Airflow, as a table in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MARKS = {"passed": "yes", "failed": "NO", "skipped": "-"}


def table(results: Iterable[Mapping[str, Any]]) -> str:
    """Return a row for each version of Airflow and Python, and a column for each flow.

    :param results: as ``tests/versions`` has written them
    """
    rows = sorted(results, key=lambda one: (_numbers(one["airflow"]), _numbers(one["python"])))
    flows = list(dict.fromkeys(flow for row in rows for flow in row["flows"]))
    lines = [["Airflow", "Python", *flows, "seconds"], ["---"] * (len(flows) + 3)]
    lines += [
        [
            row["airflow"] + (", and the lowest of all" if row.get("is_lowest") else ""),
            row["python"],
            *(MARKS.get(row["flows"].get(flow), "-") for flow in flows),
            str(row["seconds"]),
        ]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def main() -> None:
    """Print the table."""
    found = sorted(ROOT.glob(".venv-airflow-*/result.json"))
    if not found:
        raise SystemExit("Nothing was run yet: make test-airflow AIRFLOW=3.1.8")
    print(table(json.loads(path.read_text(encoding="utf-8")) for path in found))


if __name__ == "__main__":
    main()
