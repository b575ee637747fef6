"""What Airflow asks of a provider."""

from __future__ import annotations

from typing import Any

from airflow_provider_workflows import __version__, configuration
from airflow_provider_workflows.hooks.fields import FIELDS

_PACKAGE = "airflow_provider_workflows"
_INTEGRATION = "Workflows"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as ``provider_info.schema.json`` of Airflow has it."""

    def modules(*names: str) -> list[dict[str, Any]]:
        return [
            {"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}
        ]

    return {
        "package-name": "airflow-provider-workflows",
        "name": _INTEGRATION,
        "description": "TransactionLink's Workflows API: cases, parameters, workflow runs and their results.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.transactionlink.io",
                "tags": ["service"],
            }
        ],
        "hooks": modules("hooks.workflows"),
        "operators": modules(
            "operators.case",
            "operators.parameters",
            "operators.table_record",
            "operators.resource",
            "operators.attachments",
            "operators.run",
            "operators.result",
            "operators.batch",
            "operators.shards",
        ),
        "sensors": modules("sensors.workflow_status"),
        "triggers": modules("triggers.workflow_status", "triggers.batch_status"),
        "notifications": [f"{_PACKAGE}.notifications.workflows.WorkflowsNotifier"],
        "cli": [f"{_PACKAGE}.command_line.definition.get_provider_cli_commands"],
        "task-decorators": [
            {"name": name, "class-name": f"{_PACKAGE}.decorators.{name}.{name}"}
            for name in ("run_workflow", "workflows_batch")
        ],
        "extra-links": [f"{_PACKAGE}.links.WorkflowLink"],
        "asset-uris": [
            {
                "schemes": ["workflows"],
                "handler": f"{_PACKAGE}.lineage.assets.normalized_uri",
                "factory": f"{_PACKAGE}.lineage.assets.create_asset",
                "to_openlineage_converter": f"{_PACKAGE}.lineage.openlineage.convert_asset_to_openlineage",
            }
        ],
        "config": configuration.provider_info(),
        "connection-types": [
            {
                "connection-type": "workflows",
                "hook-class-name": f"{_PACKAGE}.hooks.workflows.WorkflowsHook",
                "hook-name": _INTEGRATION,
                "ui-field-behaviour": {
                    "hidden-fields": ["schema"],
                    "relabeling": {
                        "host": "Base URL",
                        "login": "API key (deprecated)",
                        "password": "Organization token or secret",
                    },
                    "placeholders": {
                        "host": "https://api.transactionlink.io",
                        "login": "empty for an organization token",
                        "password": "an organization token (tot_...), or the API key's secret",
                        # Without a port, Airflow 3.3.1 and later refuse to test a connection that is stored.
                        "port": "443 (without a port, Airflow cannot test the connection)",
                    },
                },
                "conn-fields": {
                    name: {
                        "label": field.label,
                        "description": field.description,
                        "schema": {**field.schema, "section": field.section},
                    }
                    for name, field in FIELDS.items()
                },
            }
        ],
    }
