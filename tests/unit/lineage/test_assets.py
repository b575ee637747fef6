"""The scheme ``workflows``, as Airflow reads it out of what the provider says of itself."""

from __future__ import annotations

import pytest
from airflow.sdk import Asset
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from airflow_provider_workflows.lineage.assets import create_asset, definition

ID = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
HOST = "api.transactionlink.io"
URI = f"workflows://{HOST}/definitions/{ID}"

SPELLINGS = {
    f"workflows://{HOST.upper()}/definitions/{ID}": URI,
    f"workflows://{HOST}/definitions/{ID.upper()}": URI,
    f"workflows://{HOST}/definitions/{ID}/": URI,
    f"WORKFLOWS://{HOST}/definitions/{ID}": URI,
    f"workflows://{HOST}/definitions/{ID}?a=b": URI,
    f"workflows://127.0.0.1:8099/definitions/{ID}": f"workflows://127.0.0.1:8099/definitions/{ID}",
    f"workflows://{HOST}/completed": f"workflows://{HOST}/completed",
}
BAD = [
    "workflows:///definitions/" + ID,
    f"workflows://{HOST}",
    f"workflows://{HOST}/definitions",
    f"workflows://{HOST}/definitions/none",
    f"workflows://{HOST}/definitions/{ID}/runs",
    f"workflows://{HOST}/completed/{ID}",
    f"workflows://{HOST}/cases/{ID}",
]


@pytest.mark.parametrize(("uri", "expected"), SPELLINGS.items())
def test_an_asset_has_one_uri_however_it_is_spelled(uri: str, expected: str) -> None:
    assert Asset(uri).uri == expected


@pytest.mark.parametrize("uri", BAD)
def test_a_uri_of_another_form_is_refused_when_the_dag_is_parsed(uri: str) -> None:
    with pytest.raises(
        ValueError, match=r"workflows://<host>/definitions/<workflow definition id>|workflow_defin"
    ):
        Asset(uri)


@pytest.mark.parametrize("host", [HOST, f"https://{HOST}", f"https://{HOST}/"])
def test_airflow_s_factory_makes_the_asset_that_dags_are_scheduled_on(host: str) -> None:
    factory = ProvidersManagerTaskRuntime().asset_factories["workflows"]

    made = factory(host=host, workflow_definition_id=ID.upper())

    assert made == create_asset(host=host, workflow_definition_id=ID) == definition(ID) == Asset(URI)
