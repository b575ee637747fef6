"""What OpenLineage gets: datasets by its naming rules, and a facet that fits its schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from typing import Any

import attrs
import pytest
from airflow.providers.openlineage.utils.utils import translate_airflow_asset
from airflow.sdk import Asset
from jsonschema import Draft202012Validator, FormatChecker
from openlineage.client.serde import Serde

from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.lineage.assets import completed, definition
from airflow_provider_workflows.lineage.facets import FACET, SCHEMA_URL
from airflow_provider_workflows.lineage.openlineage import file_dataset, operator_lineage
from airflow_provider_workflows.lineage.task import TaskLineage

HOST = "https://api.transactionlink.io"
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
OF_DEFINITION = ("workflows://api.transactionlink.io", f"definitions/{DEFINITION}")
RUN = TaskLineage(HOST, DEFINITION, workflow_id="w", case_id="c", status="COMPLETED")
RUN_OF_A_RECORD = TaskLineage(
    HOST, DEFINITION, workflow_id="w", record_id="r", status="COMPLETED", revision=7, execution_version="1"
)
BATCH = TaskLineage(
    HOST,
    DEFINITION,
    counts={outcome.value: 1 for outcome in RowOutcome},
    inputs=("s3://conn@bucket/cases.csv",),
    output="/data/results.jsonl",
)

#: URI of a file, and its namespace and name by https://openlineage.io/docs/spec/naming.
FILES = {
    "/data/results.jsonl": ("file", "/data/results.jsonl"),
    "file:///data/results.jsonl": ("file", "/data/results.jsonl"),
    "s3://bucket/a/b.csv": ("s3://bucket", "a/b.csv"),
    "s3://conn_id@bucket/a/b.csv": ("s3://bucket", "a/b.csv"),
    "s3a://bucket/a/b.csv": ("s3://bucket", "a/b.csv"),
    "gs://conn_id@bucket/a/b.csv": ("gs://bucket", "a/b.csv"),
    "gcs://bucket/a/b.csv": ("gs://bucket", "a/b.csv"),
    "s3://bucket/a#1/b.csv": ("s3://bucket", "a#1/b.csv"),
    "s3://bucket": ("s3://bucket", "/"),
    "abfs://conn_id@container/a/b.csv": ("abfs://container", "a/b.csv"),
    "abfss://container@account.dfs.core.windows.net/a/b.csv": (
        "abfss://container@account.dfs.core.windows.net",
        "a/b.csv",
    ),
    "wasbs://container@account.blob.core.windows.net/a/b.csv": (
        "wasbs://container@account.dfs.core.windows.net",
        "a/b.csv",
    ),
    "hdfs://conn_id@namenode:8020/a/b.csv": ("hdfs://namenode:8020", "/a/b.csv"),
    "file://host/data/a.csv": ("file://host", "/data/a.csv"),
    "/data/a#1.csv": ("file", "/data/a#1.csv"),
    "memory://place/a/b.csv": ("memory://place", "a/b.csv"),
}


def names(datasets: list[Any]) -> list[tuple[str, str]]:
    return [(dataset.namespace, dataset.name) for dataset in datasets]


def facet_of(lineage: TaskLineage) -> dict[str, Any]:
    """The facet as it is sent."""
    sent: dict[str, Any] = json.loads(Serde.to_json(operator_lineage(lineage).run_facets[FACET]))
    return sent


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = resources.files("airflow_provider_workflows.lineage") / "WorkflowsRunFacet.json"
    content = json.loads(schema.read_text())
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content, format_checker=FormatChecker())


@pytest.mark.parametrize(("uri", "expected"), FILES.items())
def test_a_file_is_named_by_openlineage_s_rules(uri: str, expected: tuple[str, str]) -> None:
    assert names([file_dataset(uri)]) == [expected]


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        (definition(DEFINITION), OF_DEFINITION),
        (completed(), ("workflows://api.transactionlink.io", "completed")),
    ],
)
def test_airflow_converts_the_asset_as_the_operator_names_it(asset: Asset, expected: tuple[str, str]) -> None:
    dataset = translate_airflow_asset(asset, None)

    assert dataset is not None
    assert names([dataset]) == [expected]


def test_a_run_is_an_output_of_its_definition() -> None:
    result = operator_lineage(RUN)

    assert (names(result.inputs), names(result.outputs)) == ([], [OF_DEFINITION])


def test_a_batch_reads_its_items_and_writes_its_table() -> None:
    result = operator_lineage(BATCH)

    assert names(result.inputs) == [("s3://bucket", "cases.csv")]
    assert names(result.outputs) == [("file", "/data/results.jsonl"), OF_DEFINITION]


@pytest.mark.parametrize(
    "given",
    ['[{"first_name": "Ada", "site": "https://ada.example"}]', "Ada,Lovelace", "None", "cases.csv", ""],
)
def test_what_is_no_place_is_no_dataset_for_it_may_be_rows(given: str) -> None:
    result = operator_lineage(TaskLineage(HOST, DEFINITION, inputs=(given,)), failed=True)

    assert names(result.inputs) == []
    assert result.run_facets


def test_outlets_are_outputs_once() -> None:
    result = operator_lineage(
        RUN, [definition(DEFINITION), Asset("file:///data/a.csv"), Asset("of no place")]
    )

    assert names(result.outputs) == [OF_DEFINITION, ("file", "/data/a.csv")]


def test_a_failure_has_those_outputs_alone_that_it_has_written() -> None:
    assert names(operator_lineage(RUN, [definition(DEFINITION)], failed=True).outputs) == []
    assert names(operator_lineage(BATCH, failed=True).outputs) == [("file", "/data/results.jsonl")]


def test_of_a_task_of_which_nothing_is_known_nothing_is_told() -> None:
    result = operator_lineage(None)

    assert (result.inputs, result.outputs, result.run_facets) == ([], [], {})


@pytest.mark.parametrize(
    "lineage",
    [RUN, RUN_OF_A_RECORD, BATCH, TaskLineage(HOST)],
    ids=["run", "run of a record", "batch", "only the host"],
)
def test_the_facet_fits_its_schema(lineage: TaskLineage, validator: Draft202012Validator) -> None:
    facet = facet_of(lineage)

    validator.validate({FACET: facet})
    assert facet["_schemaURL"] == f"{SCHEMA_URL}#/$defs/WorkflowsRunFacet"
    assert facet["host"] == HOST


@pytest.mark.parametrize(
    "change",
    [
        {"firstName": "Jo"},
        {"counts": {"lost": 1}},
        {"counts": {"failed": -1}},
        {"host": "nowhere"},
        {"status": 5},
    ],
)
def test_the_schema_refuses_what_is_no_such_facet(
    change: dict[str, Any], validator: Draft202012Validator
) -> None:
    facet = facet_of(RUN) | change

    assert not validator.is_valid({FACET: facet})


def test_the_schema_s_id_is_that_of_the_facet(validator: Draft202012Validator) -> None:
    assert validator.schema["$id"] == SCHEMA_URL


def test_the_facet_has_all_ids_and_counts_of_the_task() -> None:
    of_files = {"inputs", "output", "query", "table", "tables"}
    facets = facet_of(BATCH) | facet_of(RUN) | facet_of(RUN_OF_A_RECORD)
    result = {name for name in facets if not name.startswith("_")}

    assert (
        len(result)
        == len({field.name for field in attrs.fields(type(operator_lineage(RUN).run_facets[FACET]))}) - 2
    )
    assert len(result) == len(TaskLineage.__dataclass_fields__) - len(of_files)


@pytest.mark.thorough
def test_the_package_does_without_openlineage() -> None:
    program = (
        "import sys; sys.modules['openlineage'] = None\n"
        "import airflow_provider_workflows.lineage.openlineage, airflow_provider_workflows.operators.batch\n"
        "from airflow_provider_workflows.operators.run import RunWorkflowOperator\n"
        "print('done')"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        # As a worker has it: without the part of Airflow that needs its database.
        env={**os.environ, "_AIRFLOW__AS_LIBRARY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr
