"""Each change of ``changelog.d`` is in the next release's changelog, under a heading for its kind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
FOLDER = CHECKOUT / "changelog.d"
KINDS = re.findall(r'(?m)^directory = "(\w+)"$', (CHECKOUT / "pyproject.toml").read_text())
# After a release there are no fragments.
FRAGMENTS = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".jinja")


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_says_what_it_is_about_and_what_kind_of_change_it_is(name: str) -> None:
    assert re.fullmatch(rf"[a-z0-9]+([.-][a-z0-9]+)*\.({'|'.join(KINDS)})\.md", name), "see CONTRIBUTING.md"


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_is_a_sentence_or_more_without_a_bullet(name: str) -> None:
    text = (FOLDER / name).read_text()

    assert re.match(r"[\w`]", text)
    assert text.endswith(".\n")


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["next-poll.md", "next-poll.improved.md"])
def test_a_fragment_without_a_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "pyproject.toml").write_text((CHECKOUT / "pyproject.toml").read_text())
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "changelog.d" / "template.jinja").write_text((FOLDER / "template.jinja").read_text())
    (tmp_path / "changelog.d" / name).write_text("The sensor says when the next poll is.\n")

    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode != 0
    assert name in done.stdout + done.stderr


@pytest.mark.thorough
def test_the_next_release_has_every_fragment(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        (tmp_path / name).write_text((CHECKOUT / name).read_text())
    (tmp_path / "changelog.d").mkdir()
    for path in FOLDER.iterdir():
        (tmp_path / "changelog.d" / path.name).write_text(path.read_text())
    before = (tmp_path / "CHANGELOG.md").read_text()

    command = [
        sys.executable,
        "-m",
        "towncrier",
        "build",
        "--keep",
        "--version",
        "9.9.9",
        "--date",
        "2030-01-31",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)

    after = (tmp_path / "CHANGELOG.md").read_text()
    head, added, rest = after.partition("\n## 9.9.9 (2030-01-31)\n")
    assert added
    assert before.startswith(head)
    assert after.endswith(before[len(head) :])
    assert [name for name in FRAGMENTS if plain((FOLDER / name).read_text()) not in plain(rest)] == []
