"""The values for Airflow's Helm chart say what this package and its documents say."""

from __future__ import annotations

import re
from typing import Any

import yaml

from airflow_provider_workflows.configuration import OPTIONS
from tests.harness.stack import settings
from tests.unit.project.declared import CHECKOUT

FOLDER = CHECKOUT / "deploy" / "helm"
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text())
INGRESS: dict[str, Any] = yaml.safe_load((FOLDER / "webhooks-ingress.yaml").read_text())
PAGE = (CHECKOUT / "docs" / "kubernetes.md").read_text()


def test_airflow_is_the_one_that_was_tested() -> None:
    (constrained,) = re.findall(r"(?m)^apache-airflow==(\S+)$", (CHECKOUT / "constraints.txt").read_text())

    assert VALUES["airflowVersion"] == constrained
    assert VALUES["defaultAirflowTag"].startswith(f"{constrained}-")


def test_each_option_of_the_section_is_one_that_is_read() -> None:
    assert set(VALUES["config"]["workflows"]) <= set(OPTIONS)
    for name, value in VALUES["config"]["workflows"].items():
        OPTIONS[name].parse(str(value))


def test_the_settings_of_workers_are_those_of_the_stack() -> None:
    section = "AIRFLOW__WORKERS__"
    recommended = {
        name.removeprefix(section).lower(): value
        for name, value in settings.read_settings().items()
        if name.startswith(section)
    }

    assert {name: str(value) for name, value in VALUES["config"]["workers"].items()} == recommended


def test_each_secret_that_must_be_there_is_made_in_the_steps() -> None:
    names = {
        VALUES["fernetKeySecretName"],
        VALUES["jwtSecretName"],
        VALUES["apiSecretKeySecretName"],
        VALUES["data"]["metadataSecretName"],
        *(secret["secretName"] for secret in VALUES["secret"]),
    }

    made = set(re.findall(r"create secret generic (\S+)", PAGE))

    assert made == names


def test_the_webhook_address_is_that_of_the_connection_and_nothing_else_is_let_through() -> None:
    (rule,) = INGRESS["spec"]["rules"]
    (secret,) = VALUES["secret"]
    connection = secret["envName"].removeprefix("AIRFLOW_CONN_").lower()

    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [
        (f"/workflows/webhooks/{connection}", "Exact")
    ]


def test_nothing_runs_as_root_or_may_become_root() -> None:
    pods = [VALUES["securityContexts"]["pod"], VALUES["redis"]["securityContexts"]["pod"]]

    assert [pod for pod in pods if not (pod["runAsNonRoot"] and pod["runAsUser"] > 0)] == []
    assert VALUES["securityContexts"]["containers"]["allowPrivilegeEscalation"] is False
    assert VALUES["securityContexts"]["containers"]["capabilities"] == {"drop": ["ALL"]}


def test_no_secret_is_in_the_values() -> None:
    # These name secrets of the cluster.
    text = re.sub(r"(?m)^.*(SecretName|secretName|secretKey): .*$", "", (FOLDER / "values.yaml").read_text())

    assert not re.search(r"(?im)^[^#\n]*(password|token|secret|key): *\S", text)
    assert VALUES["createUserJob"]["enabled"] is False
