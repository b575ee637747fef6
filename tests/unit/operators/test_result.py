"""Some fields of a result, hashes of personal numbers, and what a connection adds to the personal fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.pseudonyms import personal_number_hash
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.results import read_result
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox

from .test_operators import run

SECRET = "a secret of thirty-two characters"
NUMBER = "02211012345"
RESULT = {"decision": "PASS", "checks": [{"status": "OK"}, {"status": "BAD"}]}


@pytest.fixture(autouse=True)
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    given = sandbox.connection | {
        "extra": {**sandbox.connection["extra"], "hash_secret": SECRET, "personal_fields": ["pesel", "note"]}
    }
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(given))
    monkeypatch.setenv("AIRFLOW_CONN_PLAIN", sandbox.connection_json)


@pytest.fixture
def workflow_id(sandbox: Sandbox) -> str:
    definition_id = sandbox.define(seconds=0.0, result=RESULT)
    with sandbox.client() as client:
        case_id = client.create_case(first_name="Zdzisława", personal_number=NUMBER).case_id
        sandbox.counts.reset()
        return client.run_workflow(definition_id, case_id).id


def fetch(workflow_id: str, **arguments: Any) -> Any:
    return run(GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id, **arguments))


class TestSelect:
    def test_returns_what_each_expression_finds_and_nothing_else(self, workflow_id: str) -> None:
        found = fetch(
            workflow_id, select=["decision", "checks[1].status", "checks[*].status", "missing.part"]
        )

        assert found == {
            "decision": "PASS",
            "checks[1].status": "BAD",
            "checks[*].status": ["OK", "BAD"],
            "missing.part": None,
        }

    def test_is_all_that_is_written(self, workflow_id: str, tmp_path: Path) -> None:
        handle = fetch(workflow_id, select=["decision"], output_path=str(tmp_path))

        assert json.loads(Path(handle["uri"]).read_bytes()) == {"decision": "PASS"}
        assert handle["case_id"]

    def test_is_what_the_limit_counts(self, workflow_id: str) -> None:
        assert fetch(workflow_id, select=["decision"], result_max_xcom_bytes=30) == {"decision": "PASS"}

    def test_may_be_of_what_is_read(self, workflow_id: str, tmp_path: Path) -> None:
        handle = fetch(workflow_id, output_path=str(tmp_path))

        assert read_result(handle, select=["checks[0].status"]) == {"checks[0].status": "OK"}

    def test_is_a_template(self, workflow_id: str) -> None:
        operator = GetWorkflowResultOperator(
            task_id="result", workflow_id=workflow_id, select=["{{ field }}"]
        )

        assert run(operator, field="decision") == {"decision": "PASS"}

    @pytest.mark.parametrize(
        ("select", "problem"),
        [
            (["decision", "checks[0"], r"'checks\[0', which is not a JMESPath"),
            ([""], "not a JMESPath"),
            ([5], "not text but int"),
            ("decision", "must be a list"),
            ([], "must be a list"),
        ],
    )
    def test_is_checked_before_anything_is_sent(
        self, sandbox: Sandbox, workflow_id: str, select: Any, problem: str
    ) -> None:
        sandbox.counts.reset()

        with pytest.raises(errors.InvalidInput, match=problem):
            fetch(workflow_id, select=select)

        assert not sandbox.counts.requests

    def test_an_expression_that_does_not_fit_is_named_without_the_value(self, workflow_id: str) -> None:
        expression = "abs(partyDetails.personal.firstName)"

        with pytest.raises(errors.InvalidInput, match="does not fit") as raised:
            fetch(workflow_id, select=[expression])

        assert expression in str(raised.value)
        assert "Zdzisława" not in str(raised.value)


class TestHashKeys:
    def test_gives_the_hash_of_the_number_in_the_result(self, workflow_id: str) -> None:
        found = fetch(workflow_id, hash_personal_numbers=True, select=["decision"])

        assert found == {"decision": "PASS", "personal_number_hash": personal_number_hash(NUMBER, SECRET)}

    def test_is_in_the_handle_and_not_in_the_file(self, workflow_id: str, tmp_path: Path) -> None:
        handle = fetch(workflow_id, hash_personal_numbers=True, output_path=str(tmp_path))

        assert handle["personal_number_hash"] == personal_number_hash(NUMBER, SECRET)
        assert "personal_number_hash" not in read_result(handle)

    @pytest.mark.thorough
    def test_joins_a_batch_with_the_results_of_another_run(
        self, sandbox: Sandbox, workflow_id: str, tmp_path: Path
    ) -> None:
        items = [{"personal_number": "12345678901"}, {"personal_number": NUMBER}, {"first_name": "Ada"}]
        batch = batch_operator(sandbox, tmp_path, items)

        run_batch(batch)

        hashes = [row["personal_number_hash"] for row in rows_of(tmp_path)]
        expected = [personal_number_hash(number, SECRET) for number in ("12345678901", NUMBER, None)]
        assert hashes == expected
        assert fetch(workflow_id, hash_personal_numbers=True)["personal_number_hash"] == hashes[1]

    @pytest.mark.thorough
    def test_of_a_returning_user_is_that_of_the_result(self, sandbox: Sandbox, tmp_path: Path) -> None:
        with sandbox.client() as client:
            case_id = client.create_case(personal_number=NUMBER).case_id

        run_batch(batch_operator(sandbox, tmp_path, [{"case_id": case_id}]))

        assert rows_of(tmp_path)[0]["personal_number_hash"] == personal_number_hash(NUMBER, SECRET)

    def test_without_a_secret_is_refused_before_anything_is_sent(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        batch = batch_operator(sandbox, tmp_path, [{"first_name": "Ada"}], workflows_conn_id="plain")

        with pytest.raises(errors.InvalidInput, match="'hash_secret' of at least 32"):
            run_batch(batch)

        assert not sandbox.counts.requests

    def test_a_secret_that_is_short_is_refused(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        short = sandbox.connection | {"extra": {"hash_secret": "x" * 31}}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(short))

        with pytest.raises(errors.InvalidInput, match="at least 32 characters"):
            fetch("0f6b1c2d-3e4a-4b5c-8d7e-9f0a1b2c3d4e", hash_personal_numbers=True)


class TestPersonalFields:
    def test_of_the_connection_are_redacted_among_rendered_parameters(self) -> None:
        operator = CreateParametersOperator(
            task_id="parameters",
            workflow_definition_id=DEFINITION,
            parameters={"limit": 5, "PESEL": NUMBER, "applicant": {"Note": "private", "first_name": "Jo"}},
        )

        operator.render_template_fields({})  # type: ignore[arg-type]

        shown = _serialize_rendered_fields(operator)["parameters"]
        assert shown == {"limit": 5, "PESEL": "***", "applicant": {"Note": "***", "first_name": "***"}}

    def test_are_all_while_the_connection_cannot_be_read(self) -> None:
        operator = RunWorkflowBatchOperator(
            task_id="batch",
            workflows_conn_id="missing",
            workflow_definition_id=DEFINITION,
            items=[],
            output_path="/tmp/x",
            parameters={"limit": 5, "a": {"b": "c"}},
        )

        operator.render_template_fields({})  # type: ignore[arg-type]

        assert _serialize_rendered_fields(operator)["parameters"] == {"limit": "***", "a": {"b": "***"}}

    def test_of_the_connection_are_masked_when_a_result_has_them(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_workflows.operators.redaction.mask", masked.extend)
        definition_id = sandbox.define(seconds=0.0, result={"found": [{"PESEL": "77"}], "decision": "PASS"})
        with sandbox.client() as client:
            workflow_id = client.run_workflow(definition_id, client.create_case().case_id).id

        fetch(workflow_id)

        assert masked == ["77"]


def batch_operator(
    sandbox: Sandbox, folder: Path, items: list[dict[str, Any]], **arguments: Any
) -> RunWorkflowBatchOperator:
    return RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id=sandbox.define(seconds=0.0),
        items=items,
        output_path=str(folder),
        deferrable=False,
        poll_interval=0.02,
        max_poll_interval=0.02,
        hash_personal_numbers=True,
        **arguments,
    )


def run_batch(operator: RunWorkflowBatchOperator) -> Any:
    from tests.unit.batch_task import BatchTaskInstance  # noqa: PLC0415

    return run(operator, ti=BatchTaskInstance())


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
