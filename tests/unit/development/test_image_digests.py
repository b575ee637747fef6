"""How images are pinned by their digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from development.image_digests import DigestUnknown, digest_of, images, pin

CHECKOUT = Path(__file__).parents[3]
OLD, NEW = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


@pytest.mark.parametrize(
    ("line", "pinned"),
    [
        ("    image: postgres:17", f"    image: postgres:17@{NEW}"),
        (f"    image: postgres:17@{OLD}", f"    image: postgres:17@{NEW}"),
        (
            "ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12",
            f"ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12@{NEW}",
        ),
        ("  image: airflow-provider-workflows:local", "  image: airflow-provider-workflows:local"),
        ("FROM ${AIRFLOW_IMAGE}", "FROM ${AIRFLOW_IMAGE}"),
    ],
)
def test_an_image_of_a_registry_gets_the_digest_behind_its_tag(line: str, pinned: str) -> None:
    assert pin(f"# first\n{line}\nlast", lambda _: NEW) == f"# first\n{pinned}\nlast"


def test_each_image_of_the_containers_is_found() -> None:
    found = [
        image.partition(":")[0]
        for name in ("Dockerfile", "docker-compose.yaml")
        for image in images((CHECKOUT / name).read_text())
    ]

    assert sorted(found) == ["apache/airflow", "postgres", "python", "redis"]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, which prints what is written behind ``echo``."""
    program = tmp_path / "docker"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def test_docker_is_asked_for_the_digest_of_a_tag(docker: Path) -> None:
    docker.write_text(
        f'#!/bin/sh\ntest "$1 $2 $3 $6" = "buildx imagetools inspect postgres:17" && echo {NEW}\n'
    )
    docker.chmod(0o755)

    assert digest_of("postgres:17") == NEW


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'no such host' >&2; exit 1", "no such host"),
        ("echo not-a-digest", "not-a-digest"),
        ("exit 0", "nothing was said"),
    ],
)
def test_a_digest_that_cannot_be_had_is_an_error_with_its_reason(
    docker: Path, script: str, reason: str
) -> None:
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)

    with pytest.raises(DigestUnknown, match=rf"the digest of postgres:17 cannot be had: {reason}"):
        digest_of("postgres:17")


def test_a_machine_without_docker_is_an_error(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(docker.parent))

    with pytest.raises(DigestUnknown, match="does not work"):
        digest_of("postgres:17")
