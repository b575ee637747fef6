"""The page "Getting started", entered as it stands, leads from nothing to results and a repaired batch."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.snippets import DOCS, Snippet, snippets_of

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(900)]

#: Those of the page, and of Airflow's servers of logs.
PORTS = (8080, 8099, 8793, 8794)
_UNTIL_SUCCEEDED = re.compile(r"run until (\d+) rows of (\S+) succeeded")


@dataclass(frozen=True)
class Trial:
    """What came of entering the page.

    :param folder: the working folder
    :param output: what the terminal showed
    :param exit_code: of the shell
    """

    folder: Path
    output: str
    exit_code: int

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table of results."""
        return [
            json.loads(line) for line in (self.folder / "results" / "results.jsonl").read_text().splitlines()
        ]

    @property
    def counts(self) -> list[dict[str, Any]]:
        """What the sandbox has counted, each time that the page asks."""
        # curl ends what it prints without a line feed, so that more may follow on the line.
        lines = [
            line for line in self.output.splitlines() if line.startswith('{"') and "runs_per_case" in line
        ]
        return [json.JSONDecoder().raw_decode(line)[0] for line in lines]


def commands(snippets: Iterator[Snippet]) -> Iterator[str]:
    """Yield what a person enters, and how long the page has them wait, in the page's order."""
    yield 'set -eu\nwait_for() { for _ in $(seq 240); do if eval "$1"; then return; fi; sleep 1; done; exit 3; }'
    for number, snippet in enumerate(snippets):
        if snippet.not_run or not snippet.mark:
            continue
        if snippet.file:
            yield f"cat >{snippet.file} <<'END_OF_FILE'\n{snippet.text}END_OF_FILE"
        elif snippet.language == "python":
            yield f"cat >snippet.py <<'END_OF_FILE'\n{snippet.text}END_OF_FILE\npython snippet.py"
        elif snippet.mark.startswith("run in the background"):
            yield f"( {snippet.text.strip()} ) >background_{number}.log 2>&1 &"
        else:
            yield snippet.text
        if condition := _condition(snippet.mark):
            yield f"wait_for {shlex.quote(condition)}"


def _condition(mark: str) -> str | None:
    if rows := _UNTIL_SUCCEEDED.fullmatch(mark):
        return f'test "$(grep -c \'"outcome": *"succeeded"\' {rows[2]})" = {rows[1]}'
    _, _, until = mark.partition(" until ")
    if until.startswith("http"):
        return f"curl --silent --fail {until} | grep -q healthy"
    return f"test -s {until}" if until else None


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port}, which the page uses, is taken")
    folder = tmp_path_factory.mktemp("workflows-trial")
    script = "\n".join(commands(snippets_of(DOCS / "getting_started.md")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment["PATH"] = os.pathsep.join(
        (sysconfig.get_path("scripts"), environment.get("PATH", os.defpath))
    )
    environment["NO_PROXY"] = "127.0.0.1,localhost"
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=800)
    finally:
        # What the page has left in the background is of this session.
        os.killpg(process.pid, signal.SIGKILL)
    return Trial(folder, output, process.returncode)


def test_every_step_succeeds(trial: Trial) -> None:
    assert trial.exit_code == 0, trial.output[-10_000:]


def test_all_rows_have_a_result_in_the_end(trial: Trial) -> None:
    assert [(row["key"], row["outcome"]) for row in trial.rows] == [
        (f"A-{number}", "succeeded") for number in (1, 2, 3, 4)
    ]


def test_each_case_was_paid_for_once(trial: Trial) -> None:
    first, last = trial.counts[0], trial.counts[-1]

    assert list(first["runs_per_case"].values()) == [1]
    assert list(last["runs_per_case"].values()) == [1] * 5


def test_the_damaged_number_is_named_before_it_is_corrected(trial: Trial) -> None:
    assert "skipped" in trial.output
    assert "A-3 skipped" in trial.output
