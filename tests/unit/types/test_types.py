"""A misspelled argument, or one of a wrong type, is found by a type checker before the DAG is parsed."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import BaseOperator, BaseSensorOperator

from airflow_provider_workflows.operators.task_arguments import OperatorArguments, SensorArguments

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
MISTAKES, CORRECT = HERE / "mistakes.py", HERE / "correct.py"
#: Of 24 mistakes, each type checker must find this many.
FOUND_AT_LEAST = 22
#: Refused by Airflow since 3.0.
_OF_OLD_AIRFLOW = {"sla"}


def mypy(*files: Path) -> dict[str, set[int]]:
    """Return the lines with an error, by the names of files, as mypy finds them."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, files)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, set[int]] = {file.name: set() for file in files}
    for path, line in re.findall(r"^(\S+):(\d+): error:", done.stdout, re.MULTILINE):
        found[Path(path).name].add(int(line))
    assert done.returncode in (0, 1), done.stderr
    return found


def pyright(*files: Path) -> dict[str, set[int]]:
    """Return the lines with an error, by the names of files, as pyright finds them."""
    # With its extra "nodejs" it loads nothing when it runs.
    pytest.importorskip("pyright", reason="pyright is in the extra [dev]")
    arguments = ["--pythonpath", sys.executable, "--outputjson", "--level", "error", *map(str, files)]
    done = subprocess.run(
        [sys.executable, "-m", "pyright", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, set[int]] = {file.name: set() for file in files}
    for each in json.loads(done.stdout)["generalDiagnostics"]:
        found[Path(each["file"]).name].add(each["range"]["start"]["line"] + 1)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_mistakes_are_found_and_nothing_else(checker: Callable[..., dict[str, set[int]]]) -> None:
    lines = MISTAKES.read_text().splitlines()
    mistakes = {number for number, line in enumerate(lines, 1) if re.search(r"# mistake \d+$", line)}

    found = checker(MISTAKES, CORRECT)

    assert len(mistakes) == 24
    assert len(found["mistakes.py"] & mistakes) >= FOUND_AT_LEAST
    assert found["mistakes.py"] - mistakes == set()
    assert found["correct.py"] == set()


@pytest.mark.contract
@pytest.mark.parametrize(
    ("operator", "arguments"),
    [(BaseOperator, OperatorArguments), (BaseSensorOperator, SensorArguments)],
)
def test_all_arguments_of_airflow_are_known(operator: type[BaseOperator], arguments: type) -> None:
    signature = inspect.signature(operator.__init__)
    names = {name for name, each in signature.parameters.items() if each.kind is each.KEYWORD_ONLY}

    # The sensor names its poke_interval itself.
    assert names - _OF_OLD_AIRFLOW - {"poke_interval"} <= arguments.__annotations__.keys()
