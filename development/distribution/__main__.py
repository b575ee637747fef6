"""Build the wheel and the source distribution into dist/, check both, and run an example from the wheel."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from development.distribution.contents import (
    names_in_source,
    names_in_wheel,
    problems_of_source,
    problems_of_wheel,
    tracked_files,
    uncommitted_changes,
)
from development.distribution.trial import Trial, TrialFailed, python_version
from development.terminal import clean_up_when_terminated, coloured, say

CHECKOUT = Path(__file__).resolve().parents[2]


class NotDistributable(Exception):
    """What was built must not be uploaded; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and check the distributions.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code: 0 only if all may be uploaded
    """
    parser = argparse.ArgumentParser(prog="make dist", description=__doc__)
    parser.add_argument("--uncommitted", action="store_true", help="permit changes that are not committed")
    parser.add_argument(
        "--no-demo", action="store_true", help="do not install the wheel, nor run the example"
    )
    options = parser.parse_args(arguments)
    clean_up_when_terminated()
    try:
        wheel = _build_and_check(uncommitted=options.uncommitted)
        if not options.no_demo:
            _try_out(wheel)
    except (NotDistributable, TrialFailed, OSError) as error:
        say(coloured(f"\nFailed: {error}", "red"))
        return 1
    say(coloured("\nAll of dist/ may be uploaded", "green") + ": docs/releasing.md says how.")
    return 0


def _build_and_check(*, uncommitted: bool) -> Path:
    tracked = tracked_files(CHECKOUT)
    if not uncommitted and (changes := uncommitted_changes(CHECKOUT)):
        raise NotDistributable(f"These changes are not committed: {', '.join(changes)}.")
    dist = CHECKOUT / "dist"
    say("Building the source distribution, and the wheel from it ...")
    source, wheel = _build(dist)
    _run("twine", "check", "--strict", str(source), str(wheel))
    _run("check_wheel_contents", str(wheel))
    problems = [
        *problems_of_wheel(names_in_wheel(wheel), tracked),
        *problems_of_source(names_in_source(source), tracked, CHECKOUT),
    ]
    if problems:
        raise NotDistributable("\n  ".join(["what is in them is not right:", *problems]))
    say("Building both once more, to compare them ...")
    with tempfile.TemporaryDirectory(prefix="dist-") as folder:
        for first, second in zip((source, wheel), _build(Path(folder)), strict=True):
            if _digest(first) != _digest(second):
                raise NotDistributable(f"{first.name} is another file each time it is built.")
    for path in (source, wheel):
        say(f"  {path.name}  {path.stat().st_size:,} bytes  sha256 {_digest(path)}")
    return wheel


def _build(folder: Path) -> tuple[Path, Path]:
    """Build into a folder, which is emptied before, and return the source distribution and the wheel."""
    shutil.rmtree(folder, ignore_errors=True)
    # Without isolation the versions are those of constraints.txt. The time in the archives is the last commit's.
    _run(
        "build", "--no-isolation", "--outdir", str(folder), str(CHECKOUT), variables=_moment_of_last_commit()
    )
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


def _moment_of_last_commit() -> dict[str, str]:
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    return {"SOURCE_DATE_EPOCH": done.stdout.strip()}


def _run(module: str, *arguments: str, variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "NO_COLOR": "1", **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        raise NotDistributable(f"{module} says:\n{done.stdout}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _try_out(wheel: Path) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        trial = Trial(Path(folder), wheel, CHECKOUT / "constraints.txt")
        say(
            f"Installing the wheel into an empty environment with Python {python_version()} (a minute or more) ..."
        )
        trial.install()
        trial.run("airflow", "providers", "get", "airflow-provider-workflows")
        say("Running an example of the wheel against the sandbox of the wheel ...")
        say(f"  Result: {trial.run_example()}")
    say(f"The wheel works by itself ({time.monotonic() - started:.0f} seconds).")


if __name__ == "__main__":
    sys.exit(main())
