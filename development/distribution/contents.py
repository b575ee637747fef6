"""What must be in the wheel and in the source distribution, and nothing else."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

PACKAGE = "airflow_provider_workflows"
NOT_DISTRIBUTED = (".ci/", ".github/")
"""What only serves the repository; as ``exclude`` in pyproject.toml says it."""
BUILT_DOCUMENTATION = "site/"
"""What ``make docs`` has made, which the source distribution has as well."""
WRITTEN_BY_THE_BUILD = "PKG-INFO"


def tracked_files(checkout: Path) -> frozenset[str]:
    """Return the files under version control, relative to the checkout.

    :raises OSError: if this is no checkout, or git is missing
    """
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, cwd=checkout, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"git cannot list the files of {checkout}: {done.stderr.strip()}")
    return frozenset(filter(None, done.stdout.split("\0")))


def uncommitted_changes(checkout: Path) -> list[str]:
    """Return the files that differ from the last commit, or are new."""
    command = ["git", "status", "--porcelain", "-z"]
    done = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True)
    return [line[3:] for line in done.stdout.split("\0") if line]


def names_in_wheel(wheel: Path) -> frozenset[str]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def names_in_source(source: Path) -> frozenset[str]:
    """Return the files of a source distribution, relative to its one folder."""
    with tarfile.open(source) as archive:
        return frozenset(member.name.partition("/")[2] for member in archive if not member.isdir())


def problems_of_wheel(names: AbstractSet[str], tracked: AbstractSet[str]) -> Iterator[str]:
    """Yield what is wrong with the files of a wheel, in words.

    :param names: the files of the wheel
    :param tracked: the files under version control
    """
    package = {name for name in tracked if name.startswith(f"{PACKAGE}/")}
    about = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    yield from _differences("The wheel", names - about, package)


def problems_of_source(names: AbstractSet[str], tracked: AbstractSet[str], checkout: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a source distribution, in words.

    :param names: the files of the source distribution
    :param tracked: the files under version control
    :param checkout: where they are: a link among them is left out
    """
    written = {name for name in names if name == WRITTEN_BY_THE_BUILD or name.startswith(BUILT_DOCUMENTATION)}
    expected = {
        name
        for name in tracked
        if not name.startswith(NOT_DISTRIBUTED) and not (checkout / name).is_symlink()
    }
    yield from _differences("The source distribution", names - written, expected)
    if f"{BUILT_DOCUMENTATION}index.html" not in names:
        yield "The source distribution lacks the documentation that `make docs` builds."


def _differences(subject: str, names: Iterable[str], expected: Iterable[str]) -> Iterator[str]:
    names, expected = set(names), set(expected)
    for name in sorted(expected - names):
        yield f"{subject} lacks {name}."
    for name in sorted(names - expected):
        yield f"{subject} has {name}, which is not to be in it."
