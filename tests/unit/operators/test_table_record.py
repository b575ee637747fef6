"""Tasks that create and read records: with fields of the right types, once, and without personal values."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.field_types import FieldType
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.operators.table_record import CreateRecordOperator, GetRecordOperator
from airflow_provider_workflows.results import read_result
from airflow_provider_workflows.sandbox import READY_RECORD, TYPED_TABLE, Sandbox
from tests.unit.operators.test_uploads import RECORD, run, scoped

NAIVE = dt.datetime.fromisoformat("2026-01-31T08:15")


@pytest.fixture(autouse=True)
def connection(connected: Sandbox, short_pauses: None) -> None:
    """Lead the connections to the sandbox."""


class TestCreateRecord:
    FIELDS: ClassVar[dict[str, Any]] = {
        "born": dt.date(1985, 1, 31),
        "seen": dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.timezone.utc),
        "amount": Decimal("19.99"),
        "name": "{{ 'Wanda' }}",
    }
    TYPES: ClassVar[dict[str, FieldType]] = {
        "born": "date",
        "seen": "datetime",
        "amount": "number",
        "name": "text",
    }

    def operator(self, fields: Any, **arguments: Any) -> CreateRecordOperator:
        given = {"field_types": self.TYPES, "workflows_conn_id": "workflows_generation_3", **arguments}
        return CreateRecordOperator(task_id="create", table_id=TYPED_TABLE, fields=fields, **given)

    def test_sends_dates_and_decimals_as_the_api_takes_them(self, context: Any) -> None:
        record_id = run(self.operator(self.FIELDS), context)

        record = WorkflowsHook("workflows_generation_3").get_conn().read_record(TYPED_TABLE, record_id)
        sent = {name: value for name, value in record.json_object().items() if name in self.FIELDS}
        assert sent == {
            "born": "1985-01-31",
            "seen": "2026-01-31T08:15:00Z",
            "amount": 19.99,
            "name": "Wanda",
        }

    def test_creates_once_over_all_tries(self, sandbox: Sandbox, context: Any) -> None:
        first = run(self.operator(self.FIELDS), context)
        context["ti"].clear()

        assert run(self.operator(self.FIELDS), context) == first
        assert sandbox.counts.records == 1

    def test_shows_no_value(self, context: Any) -> None:
        operator = self.operator(self.FIELDS)
        operator.render_template_fields(context)

        assert set(_serialize_rendered_fields(operator)["fields"].values()) == {"***"}

    def test_masks_each_value_in_logs(self, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_workflows.operators.redaction.mask", masked.extend)

        run(self.operator(self.FIELDS), context)

        assert {"Wanda", "1985-01-31"} <= set(masked)

    def test_stands_in_a_dag_that_is_stored(self) -> None:
        with DAG("records") as dag:
            self.operator(self.FIELDS)

        DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"fields": {"born": "Kowalska"}}, r"fields\.born must be a date"),
            (
                {"fields": {"count": 1.5}, "field_types": {"count": "integer"}},
                r"fields\.count must be a whole",
            ),
            ({"fields": {}, "field_types": {"born": "day"}}, r"field_types\.born must be one of"),
            (
                {"fields": {"seen": NAIVE}, "field_types": None},
                "has no time zone",
            ),
        ],
    )
    def test_refuses_when_the_dag_is_parsed(self, arguments: dict[str, Any], reason: str) -> None:
        with pytest.raises(errors.InvalidInput, match=reason) as raised:
            self.operator(**arguments)

        assert "Kowalska" not in str(raised.value)

    def test_refuses_what_a_template_or_another_task_brings_before_anything_is_sent(
        self, sandbox: Sandbox, context: Any
    ) -> None:
        types: dict[str, FieldType] = {"born": "date", "name": "text"}
        operator = self.operator({"born": "{{ 'Kowal' }}ska", "name": "{{ 5 }}"}, field_types=types)

        with pytest.raises(
            errors.InvalidInput, match=r"fields\.born .*; fields\.name must be text"
        ) as raised:
            run(operator, context)

        assert "Kowalska" not in str(raised.value)
        assert sandbox.counts.total_requests == 0

    def test_refuses_a_type_of_no_field_when_the_dag_is_parsed(self) -> None:
        with pytest.raises(errors.InvalidInput, match=r"field_types has brn, and fields has only born, name"):
            self.operator({"born": "{{ ds }}", "name": "Wanda"}, field_types={"brn": "date", "name": "text"})

    def test_refuses_a_type_of_no_field_that_another_task_brings_before_anything_is_sent(
        self, sandbox: Sandbox, context: Any
    ) -> None:
        with DAG("records"):
            upstream = PythonOperator(task_id="upstream", python_callable=dict)
        operator = self.operator(upstream.output, field_types={"brn": "date"})
        operator.fields = {"born": "1985-01-31"}

        with pytest.raises(errors.InvalidInput, match="field_types has brn, and fields has only born"):
            run(operator, context)

        assert sandbox.counts.total_requests == 0

    def test_leaves_the_types_that_it_is_not_told_to_the_service(
        self, sandbox: Sandbox, context: Any
    ) -> None:
        with pytest.raises(errors.RequestRejected, match="born: is not of the type date"):
            run(self.operator({"born": "Kowalska"}, field_types=None), context)

        assert sandbox.counts.records == 0


class TestGetRecord:
    def read(self, context: Any, **arguments: Any) -> Any:
        return run(GetRecordOperator(task_id="read", **{**RECORD, **arguments}), context)

    def test_returns_the_record(self, sandbox: Sandbox, context: Any) -> None:
        record = self.read(context)

        assert record["firstName"] == "Jana"
        assert {"id", "version", "createdAt", "updatedAt"} <= set(record)
        assert sandbox.counts.requests["GET /tables/{tableId}/records/{recordId}"] == 1

    def test_masks_each_value_of_the_record_in_logs(
        self, context: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_workflows.operators.redaction.mask", masked.extend)

        self.read(context, select=["lastName"])

        assert {"Jana", "Returning"} <= set(masked)

    def test_returns_what_is_selected(self, context: Any) -> None:
        assert self.read(context, select=["lastName", "nothing"]) == {
            "lastName": "Returning",
            "nothing": None,
        }

    def test_returns_a_handle_without_any_of_it(self, context: Any, tmp_path: Path) -> None:
        handle = self.read(context, output_path=str(tmp_path))

        assert "Jana" not in json.dumps(handle)
        assert handle["record_id"] == READY_RECORD
        assert read_result(handle, select=["firstName"]) == {"firstName": "Jana"}

    def test_that_is_too_large_for_an_xcom_says_what_to_do(self, context: Any) -> None:
        with pytest.raises(errors.InvalidInput, match="Give the task an output_path"):
            self.read(context, result_max_xcom_bytes=10)

    def test_names_the_scope_that_the_token_lacks(
        self, sandbox: Sandbox, context: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scoped(sandbox, monkeypatch, "can_edit_data")

        with pytest.raises(errors.PermissionDenied, match="Give the token the scope can_read_data"):
            self.read(context)

    @pytest.mark.parametrize(("name", "given"), [("record_id", "Kowalska"), ("table_id", "Kowalska")])
    def test_refuses_what_is_no_id(self, sandbox: Sandbox, context: Any, name: str, given: str) -> None:
        with pytest.raises(errors.InvalidInput, match=name) as raised:
            self.read(context, **{name: given})

        assert "Kowalska" not in str(raised.value)
        assert sandbox.counts.total_requests == 0
