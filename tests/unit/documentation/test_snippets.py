"""Each block of code in the documentation is true: it runs, it passes mypy, or it says why neither can be shown."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG

from airflow_provider_workflows.results import write_result
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage import ObjectStoragePath
from tests.harness.snippets import Snippet, pages, snippets, snippets_of
from tests.unit.batch_task import BatchTask, cases

PYTHON = [snippet for snippet in snippets("python") if not snippet.not_run]
DAGS = [snippet for snippet in PYTHON if snippet.mark == "dag" or snippet.file]
SCRIPTS = [snippet for snippet in PYTHON if snippet.mark in ("", "with a handle")]
ON_RESULTS = [snippet for snippet in PYTHON if "results" in snippet.mark]
SHELL = snippets("sh")
#: What a mark may say, by how it begins.
MARKS = ("dag", "file: ", "not run: ", "run", "with a handle", "with results")
#: What Airflow 3.3 exports and its own stub does not name; and ``ObjectStoragePath.open``, which has no types.
MISSING_IN_THE_STUB = re.compile(
    r'Module "airflow.sdk" has no attribute "(AsyncCallback|DeadlineAlert|DeadlineReference)"'
    r'|Call to untyped function "open" in typed context'
)
WORKFLOW = "5a77b2c0-aef3-4296-96c6-687506789951"


def named(snippet: object) -> str:
    return snippet.id if isinstance(snippet, Snippet) else str(snippet)


def run(snippet: Snippet, **names: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "snippet", "__file__": f"/trial/dags/{snippet.line}.py", **names}
    exec(compile(snippet.text, snippet.id, "exec"), namespace)
    return namespace


@pytest.fixture
def results(batch: BatchTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with the results of a batch in both formats."""
    working_folder = tmp_path / "working"
    (working_folder / "results").mkdir(parents=True)
    for output_format in ("jsonl", "parquet"):
        BatchTask(tmp_path / output_format, batch.definition_id).run(cases(3), output_format=output_format)
        shutil.copy(tmp_path / output_format / f"results.{output_format}", working_folder / "results")
    monkeypatch.chdir(working_folder)
    return working_folder


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_each_comment_above_a_block_is_one_that_the_tests_understand(page: Path) -> None:
    marks = [snippet.mark for snippet in snippets_of(page) if snippet.mark]

    assert [mark for mark in marks if not mark.startswith(MARKS)] == []


@pytest.mark.parametrize("snippet", DAGS, ids=named)
def test_a_dag_can_be_made(connected: Sandbox, snippet: Snippet) -> None:
    dags = [value for value in run(snippet).values() if isinstance(value, DAG)]

    # Within `with DAG(...)`, and of `@dag`, it has no name of its own.
    assert dags or "with DAG(" in snippet.text or "@dag(" in snippet.text


@pytest.mark.thorough
@pytest.mark.parametrize("snippet", SCRIPTS, ids=named)
def test_a_script_runs(connected: Sandbox, tmp_path: Path, snippet: Snippet) -> None:
    handle = write_result(
        ObjectStoragePath(str(tmp_path / "result.json")),
        {"decision": "PASS"},
        workflow_id=WORKFLOW,
        case_id=None,
        status="COMPLETED",
    )

    run(snippet, handle=handle)


@pytest.mark.thorough
@pytest.mark.parametrize("snippet", ON_RESULTS, ids=named)
def test_a_script_that_reads_results_runs(
    results: Path, snippet: Snippet, capsys: pytest.CaptureFixture[str]
) -> None:
    run(snippet)

    assert capsys.readouterr().out.strip()


@pytest.mark.thorough
@pytest.mark.slow
def test_every_block_of_python_passes_mypy(tmp_path: Path) -> None:
    for number, snippet in enumerate(PYTHON):
        before = (
            "from typing import Any\nhandle: dict[str, Any] = {}\n" if snippet.mark == "with a handle" else ""
        )
        place = f"# {snippet.id}\n"
        (tmp_path / f"snippet_{number}.py").write_text(place + before + snippet.text, encoding="utf-8")
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = True\n[mypy-pandas.*,duckdb.*]\nignore_missing_imports = True\n")

    files = sorted(map(str, tmp_path.glob("*.py")))
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line for line in lines if not MISSING_IN_THE_STUB.search(line)] == []
    assert "Success" in done.stdout or lines


@pytest.mark.parametrize("snippet", SHELL, ids=named)
def test_a_block_of_shell_is_run_or_says_why_not(snippet: Snippet) -> None:
    done = subprocess.run(["sh", "-n"], input=snippet.text, text=True, capture_output=True, check=False)

    assert done.stderr == ""
    assert snippet.not_run or (snippet.mark.startswith("run") and snippet.page == "docs/getting_started.md")


@pytest.mark.parametrize("snippet", snippets("json", "yaml", "ini"), ids=named)
def test_a_block_of_data_can_be_read(snippet: Snippet) -> None:
    if snippet.language == "json":
        assert json.loads(snippet.text)
    elif snippet.language == "yaml":
        assert yaml.safe_load(snippet.text)
    else:
        settings = configparser.ConfigParser()
        settings.read_string(snippet.text)
        assert settings.sections()
