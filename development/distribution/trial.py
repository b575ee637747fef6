"""A wheel in an environment that has nothing else, outside of the checkout."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.harness.process import Process

PACKAGE = "airflow_provider_workflows"
DAG_ID = "workflows_single_case"
RESULT_PREFIX = "Result:"
COMMAND_SECONDS = 300.0
SANDBOX_SECONDS = 60.0


class TrialFailed(Exception):
    """The wheel cannot be used as it is; the text says what has failed."""


class Trial:
    """An environment with a wheel and what it depends on.

    :param folder: an empty folder; everything goes in there
    :param wheel: the wheel
    :param constraints: the file with the versions of what it depends on
    """

    def __init__(self, folder: Path, wheel: Path, constraints: Path) -> None:
        self._folder = folder
        self._wheel = wheel
        self._constraints = constraints
        self._programs = folder / "environment" / "bin"

    def install(self) -> None:
        """Make the environment, and install the wheel alone.

        :raises TrialFailed: if it cannot be installed, or what is installed does not fit together
        """
        venv.create(self._folder / "environment", with_pip=True)
        pip = ("python", "-m", "pip", "--disable-pip-version-check", "-q")
        self.run(*pip, "install", "--constraint", str(self._constraints), str(self._wheel))
        self.run(*pip, "check")

    def installed_package(self) -> Path:
        """Return where the package is, as Python finds it there.

        :raises TrialFailed: if it cannot be imported, or is not in the environment
        """
        path = Path(self.run("python", "-c", f"import {PACKAGE}; print({PACKAGE}.__path__[0])").strip())
        if not path.is_relative_to(self._folder):
            raise TrialFailed(f"Python imports {PACKAGE} from {path}, and not from the wheel.")
        return path

    def run_example(self) -> str:
        """Run an example of the wheel against the wheel's sandbox, and return what it has found out.

        :raises TrialFailed: if it does not succeed, with the end of what was printed
        """
        dags = self.installed_package() / "example_dags"
        settings = {
            "AIRFLOW_HOME": str(self._folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        self.run("airflow", "db", "migrate", environment=settings)
        with self._sandbox() as connection:
            settings |= {"AIRFLOW_CONN_WORKFLOWS_DEFAULT": connection}
            printed = self.run("airflow", "dags", "test", DAG_ID, environment=settings)
        results = [
            line.partition(RESULT_PREFIX)[2].strip() for line in printed.splitlines() if RESULT_PREFIX in line
        ]
        if not results:
            raise TrialFailed(f"The DAG {DAG_ID} has succeeded, but printed no result.{_end_of(printed)}")
        return results[0]

    def run(self, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a program of the environment to its end, and return what it has printed.

        :param program: its name, such as ``airflow``
        :param arguments: what it is given
        :param environment: further environment variables
        :raises TrialFailed: if it fails or takes too long, with the end of what it has printed
        """
        command = [str(self._programs / program), *arguments]
        try:
            done = subprocess.run(
                command,
                env={**self._environment(), **(environment or {})},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                text=True,
                timeout=COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise TrialFailed(
                f"`{program} {arguments[0]}` takes more than {COMMAND_SECONDS:.0f} seconds."
            ) from error
        if done.returncode != 0:
            raise TrialFailed(f"`{program} {' '.join(arguments[:3])}` has failed.{_end_of(done.stdout)}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """Return the variables of this process but for those of the checkout and of the user's own Airflow."""
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "PYTHON", "VIRTUAL_ENV"))
        }
        return kept | {
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(temporary),
        }

    @contextlib.contextmanager
    def _sandbox(self) -> Iterator[str]:
        """Run the sandbox of the wheel, and yield the connection that it prints."""
        output = self._folder / "sandbox.log"
        command = [str(self._programs / "workflows-sandbox"), "--port", "0"]
        with Process(command, self._environment(), output) as process:
            end = time.monotonic() + SANDBOX_SECONDS
            while True:
                printed = output.read_text()
                if found := re.search(r"export AIRFLOW_CONN_WORKFLOWS_DEFAULT='(.+)'\n", printed):
                    break
                if process.exit_code is not None or time.monotonic() > end:
                    raise TrialFailed(f"The sandbox does not start.{_end_of(printed)}")
                time.sleep(0.1)
            yield found[1]


def _end_of(printed: str, lines: int = 30) -> str:
    return "".join(
        f"\n    {line}" for line in ["The end of what it has printed:", *printed.splitlines()[-lines:]]
    )


def python_version() -> str:
    """Return the version of Python that the environment gets: that of this process."""
    return ".".join(map(str, sys.version_info[:2]))
