"""What docker-compose.yaml and the Dockerfile deny the containers, and how Airflow gets its secrets there."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf

from airflow_provider_workflows.sandbox.server import ORGANIZATION_TOKEN
from development.image_digests import images
from tests.harness.stack import settings
from tests.unit.project.declared import CHECKOUT, section

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text())
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
TRIAL_SECRETS = CHECKOUT / "deploy" / "trial-secrets"
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COMMANDS = {
    name.removesuffix(settings.COMMAND_SUFFIX): command
    for name, command in SERVICES["scheduler"]["environment"].items()
    if name.endswith(settings.COMMAND_SUFFIX)
}
POSTGRES = "postgresql+psycopg2://airflow:swordfish@postgres/airflow"

each_service = pytest.mark.parametrize("name", SERVICES)


def in_folder(text: str, folder: Path) -> str:
    """Return what a container is told as its shell gets it, with the secrets of another folder."""
    return text.replace("$$", "$").replace("/run/secrets", str(folder))


class TestEachContainer:
    @pytest.mark.sampled(2)
    @each_service
    def test_has_only_the_rights_of_its_user(self, name: str) -> None:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in SERVICES[name]["security_opt"]
        assert not SERVICES[name].get("privileged")

    @pytest.mark.sampled(2)
    @each_service
    def test_writes_to_volumes_and_to_memory_alone(self, name: str) -> None:
        assert SERVICES[name]["read_only"] is True

    @pytest.mark.sampled(2)
    @each_service
    def test_cannot_take_all_of_the_machine(self, name: str) -> None:
        assert set(SERVICES[name]["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        assert SERVICES[name]["logging"]["options"]["max-size"]

    def test_is_not_roots(self) -> None:
        # Those of our image have its user.
        assert {
            name: one.get("user")
            for name, one in SERVICES.items()
            if one["image"] != "airflow-provider-workflows:local"
        } == {
            "postgres": "postgres",
            "redis": "redis",
        }
        assert re.findall(r"(?m)^USER (.+)$", DOCKERFILE)[-1] == "50000"

    @pytest.mark.sampled(2)
    @each_service
    def test_is_given_only_the_secrets_that_it_reads(self, name: str) -> None:
        read = set(re.findall(r"/run/secrets/(\w+)", json.dumps(SERVICES[name])))

        assert set(SERVICES[name].get("secrets", ())) == read

    def test_is_reached_from_this_machine_alone(self) -> None:
        ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

        assert ports
        assert [port for port in ports if not port.startswith("${LISTEN_ON:-127.0.0.1}:")] == []


class TestSecrets:
    @pytest.mark.parametrize(
        ("section", "option", "secret", "value"),
        [
            ("database", "sql_alchemy_conn", "postgres_password", POSTGRES),
            ("celery", "result_backend", "postgres_password", f"db+{POSTGRES}"),
            ("core", "fernet_key", "fernet_key", "swordfish"),
            ("api_auth", "jwt_secret", "jwt_secret", "swordfish"),
            ("api", "secret_key", "api_secret_key", "swordfish"),
        ],
    )
    def test_airflow_reads_them_from_files(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        section: str,
        option: str,
        secret: str,
        value: str,
    ) -> None:
        variable = f"AIRFLOW__{section.upper()}__{option.upper()}"
        (tmp_path / secret).write_text("swordfish\n")
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv(f"{variable}_CMD", in_folder(COMMANDS[variable], tmp_path))

        assert conf.get(section, option) == value

    def test_the_password_of_the_administrator_is_read_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "admin_password").write_text("swordfish\n")
        script = in_folder(SERVICES["api-server"]["command"][-1], tmp_path)
        script = script.replace("python -", f"{sys.executable} -").replace("exec airflow api-server", "")

        subprocess.run(
            ["bash", "-e", "-c", script], env={"AIRFLOW_HOME": str(tmp_path)}, check=True, timeout=60
        )

        written = tmp_path / "simple_auth_manager_passwords.json.generated"
        assert json.loads(written.read_text()) == {"admin": "swordfish"}
        assert written.stat().st_mode & 0o077 == 0

    @pytest.mark.thorough
    def test_the_connections_are_stored_with_the_token_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "workflows_secret").write_text('tot_"quoted\\"\n')
        (tmp_path / "bin").mkdir()
        airflow = tmp_path / "bin" / "airflow"
        airflow.write_text(f'#!/bin/sh\nif [ "$1" = connections ]; then cp "$4" {tmp_path}/imported; fi\n')
        airflow.chmod(0o755)
        script = in_folder(SERVICES["init"]["command"][-1], tmp_path).replace(
            "/tmp/connections.json", f"{tmp_path}/made"
        )
        environment = {
            "PATH": f"{tmp_path}/bin:{Path(sys.executable).parent}:/usr/bin:/bin",
            "WORKFLOWS_CONNECTION": '{"conn_type": "workflows", "host": "http://sandbox", "port": 8099}',
        }

        subprocess.run(["bash", "-e", "-c", script], env=environment, check=True, timeout=60)

        connection = {
            "conn_type": "workflows",
            "host": "http://sandbox",
            "port": 8099,
            "password": 'tot_"quoted\\"',
        }
        assert json.loads((tmp_path / "imported").read_text()) == {
            "workflows_default": connection,
            "workflows_generation_3": connection | {"extra": {"api_generation": 3}},
        }
        assert not (tmp_path / "made").exists()

    def test_those_for_trying_out_say_what_they_are(self) -> None:
        key = base64.urlsafe_b64decode((TRIAL_SECRETS / "fernet_key").read_text())

        assert key == b"for-trying-out-only-not-a-secret"
        assert (TRIAL_SECRETS / "workflows_secret").read_text().strip() == ORGANIZATION_TOKEN


class TestImage:
    def test_it_is_made_of_the_versions_that_were_tested(self) -> None:
        installations = re.findall(r"pip install (?:[^\n]*\\\n)*[^\n]*", DOCKERFILE)

        assert len(installations) == 2
        assert [one for one in installations if "--constraint" not in one] == []
        assert "--no-build-isolation" in DOCKERFILE

    def test_what_builds_the_wheel_is_of_a_known_version_here_and_in_a_release(self) -> None:
        needed = re.findall(r'"([\w-]+)>=', section("build-system"))
        (installed,) = re.findall(r"--constraint constraints.txt (.+)", DOCKERFILE)
        constraints = (CHECKOUT / "constraints.txt").read_text()

        assert installed.split() == needed
        assert [name for name in needed if f"\n{name}==" not in constraints] == []
        assert [name for name in needed if f'"{name}>=' not in section("project.optional-dependencies")] == []

    def test_it_begins_with_the_airflow_of_the_constraints(self) -> None:
        (constrained,) = re.findall(
            r"(?m)^apache-airflow==(\S+)$", (CHECKOUT / "constraints.txt").read_text()
        )

        assert f"apache/airflow:{constrained}-python3.12" in [
            image.partition("@")[0] for image in images(DOCKERFILE)
        ]

    def test_each_file_that_it_copies_is_sent_to_docker(self) -> None:
        sent = set(re.findall(r"(?m)^!(.+)$", (CHECKOUT / ".dockerignore").read_text()))
        copied = {
            name.removeprefix("./")
            for line in re.findall(r"(?m)^COPY (?!--)(.+)$", DOCKERFILE)
            for name in line.split()[:-1]
        }

        assert copied == sent
        assert [name for name in copied if not (CHECKOUT / name).exists()] == []
