"""The secrets that ``make secrets`` writes for the containers."""

from __future__ import annotations

from pathlib import Path

import yaml
from cryptography.fernet import Fernet

from development.stack_secrets import TOKEN, main, write_secrets

CHECKOUT = Path(__file__).parents[3]


def test_it_writes_all_that_the_containers_need_but_the_token(tmp_path: Path) -> None:
    needed = set(yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text())["secrets"])

    write_secrets(tmp_path / "secrets")

    assert {path.name for path in (tmp_path / "secrets").iterdir()} == needed - {TOKEN}
    Fernet((tmp_path / "secrets" / "fernet_key").read_text().strip())


def test_no_two_folders_have_the_same(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_secrets(tmp_path / name)

    assert [
        path.name
        for path in (tmp_path / "one").iterdir()
        if path.read_text() == (tmp_path / "other" / path.name).read_text()
    ] == []


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "fernet_key").write_text("of the database that there is\n")

    written = write_secrets(tmp_path)

    assert "fernet_key" not in written
    assert (tmp_path / "fernet_key").read_text() == "of the database that there is\n"


def test_only_their_owner_gets_to_them_on_this_machine(tmp_path: Path) -> None:
    write_secrets(tmp_path / "secrets")

    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    # A container's user is another one.
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o644}


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert main(["--folder", str(tmp_path / "file" / "secrets")]) == 1
