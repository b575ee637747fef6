"""What is personal among arguments shows neither in the view of rendered templates nor where a template fails."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.operators.base import WorkflowsOperator
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.redaction import unwrap
from airflow_provider_workflows.operators.table_record import CreateRecordOperator
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.unit.tasks import TaskInstance, TaskStateStore

SECRET = "qzx-secret-of-more-than-32-characters"
NUMBER = "44051401359"
ROW = {"first_name": "Qzxa", "personal_number": NUMBER}
BORN = datetime(1944, 5, 14, tzinfo=timezone.utc)
UNDEFINED = "{{ nothing.of.that }}"


class Table:
    """Rows in a shape that is not a list, such as a data frame, and whose text is its values."""

    def __repr__(self) -> str:
        return str([ROW])


@pytest.fixture(autouse=True)
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {**sandbox.connection["extra"], "hash_secret": SECRET, "personal_fields": ["pesel"]}
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(sandbox.connection | {"extra": extra}))


def case(**arguments: Any) -> CreateCaseOperator:
    return CreateCaseOperator(task_id="case", **arguments)


def parameters(given: Any, **arguments: Any) -> CreateParametersOperator:
    return CreateParametersOperator(
        task_id="parameters", workflow_definition_id=DEFINITION, parameters=given, **arguments
    )


def record(fields: Any) -> CreateRecordOperator:
    return CreateRecordOperator(task_id="record", table_id=DEFINITION, fields=fields)


def batch(items: Any, **arguments: Any) -> RunWorkflowBatchOperator:
    return RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id=DEFINITION,
        items=items,
        output_path="/tmp/output",
        **arguments,
    )


def rendered(operator: WorkflowsOperator, **context: Any) -> dict[str, Any]:
    """Render as a task does, and return what Airflow stores of it."""
    operator.render_template_fields(context)  # type: ignore[arg-type]
    return _serialize_rendered_fields(operator)


class TestWhereATemplateFails:
    @pytest.mark.parametrize(
        "operator",
        [
            case(case={"first_name": "Qzxa", "last_name": UNDEFINED}),
            case(case={"first_name": date(1944, 5, 14), "last_name": UNDEFINED}),
            record({"personal_number": Decimal(NUMBER), "born": BORN, "limit": UNDEFINED}),
            parameters({"first_name": "Qzxa", "PESEL": 55051401359, "limit": UNDEFINED}),
            parameters({"applicant": [{"personalNumber": NUMBER}], "limit": UNDEFINED}),
            batch([ROW], parameters={"first_name": "Qzxa", "limit": UNDEFINED}),
        ],
        ids=["case", "date in a case", "number and time", "parameters", "nested parameters", "batch"],
    )
    def test_the_log_has_nothing_of_what_stands_beside_it(
        self,
        operator: WorkflowsOperator,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with pytest.raises(jinja2.UndefinedError):
            rendered(operator)

        logged = caplog.text + "".join(capfd.readouterr())
        assert UNDEFINED in logged
        personal = ("Qzxa", NUMBER, "55051401359", "1944-05-14", "1944, 5, 14")
        assert [value for value in personal if value in logged] == []

    def test_the_connection_is_rendered_first_since_it_says_what_is_personal(
        self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        given = {"pesel": "Qzxa", "limit": "harmless", "a": UNDEFINED}
        operator = parameters(given, workflows_conn_id="workflows_{{ name }}")

        with pytest.raises(jinja2.UndefinedError):
            rendered(operator, name="default")

        logged = caplog.text + "".join(capfd.readouterr())
        assert "'limit': 'harmless'" in logged
        assert "Qzxa" not in logged


class TestRenderedTemplates:
    def test_what_is_redacted_before_is_rendered_and_sent_as_given(self) -> None:
        operator = parameters(
            {
                "first_name": "{{ name }}",
                "pesel": NUMBER,
                "company_number": 12,
                "note": "{{ 1 + 1 }}",
                "limits": (1, "{{ name }}"),
            }
        )

        shown = rendered(operator, name="Qzxa {{ 1 }}")["parameters"]

        assert unwrap(operator.parameters) == {
            "first_name": "Qzxa {{ 1 }}",
            "pesel": NUMBER,
            "company_number": 12,
            "note": 2,
            "limits": [1, "Qzxa {{ 1 }}"],
        }
        assert [shown[name] for name in ("first_name", "pesel", "company_number", "note")] == [
            *["***"] * 3,
            2,
        ]

    @pytest.mark.parametrize(
        "template", ['{"first_name": "{{ name }}"} ', "{{ text }}", '["Qzxa"] {{ name }}']
    )
    def test_of_parameters_that_are_text_nothing_shows(self, template: str) -> None:
        operator = parameters(template)

        shown = rendered(operator, name="Qzxa", text="Qzxa,Qzxb")

        assert "Qzx" not in json.dumps(shown)
        with pytest.raises(errors.InvalidInput, match="parameters must be"):
            operator.execute({})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "rows",
        [ROW, [ROW], (ROW,), str([ROW]), json.dumps([ROW]), "first_name\nQzxa", Table()],
        ids=["row", "list", "tuple", "text of Python", "JSON", "CSV", "table"],
    )
    def test_of_rows_in_whatever_shape_nothing_shows(self, rows: Any) -> None:
        shown = rendered(batch("{{ rows }}"), rows=rows)

        assert "Qzxa" not in json.dumps(shown)
        assert NUMBER not in json.dumps(shown)

    @pytest.mark.parametrize(
        ("items", "shown"),
        [
            ("s3://bucket/{{ day }}/cases.csv", "s3://bucket/2026-01-31/cases.csv"),
            (
                ObjectStoragePath("file:///data/cases.csv"),
                {"conn_id": None, "kwargs": {}, "path": "file:///data/cases.csv"},
            ),
            (
                {"items": "/data/{{ day }}.csv", "first_row": 1, "rows": 5},
                {"items": "/data/2026-01-31.csv", "first_row": 1, "rows": 5},
            ),
        ],
    )
    def test_where_rows_are_read_from_shows(self, items: Any, shown: Any) -> None:
        assert rendered(batch(items), day="2026-01-31")["items"] == shown

    def test_values_among_a_batch_s_parameters_are_masked_and_its_rows_are_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_workflows.operators.redaction.mask", masked.extend)

        rendered(batch([ROW], parameters={"PESEL": "55051401359", "limit": 5}))

        assert set(masked) == {"55051401359"}


def test_rows_as_text_are_no_input_of_the_lineage() -> None:
    operator = batch("{{ rows }}")
    rendered(operator, rows=json.dumps([ROW]))

    with DAG("nightly"), pytest.raises(errors.InvalidInput, match="items is a relative path"):
        operator.execute({"ti": _BatchTask(), "task_state_store": TaskStateStore()})  # type: ignore[typeddict-item]

    assert operator.lineage is not None
    assert operator.lineage.inputs == ()


def test_airflow_masks_the_hash_secret_once_the_connection_is_read() -> None:
    assert WorkflowsHook().settings.hash_secret == SECRET

    assert redact(f"keyed with {SECRET}") == "keyed with ***"


@pytest.mark.thorough
def test_the_state_of_a_batch_has_hashes_and_neither_numbers_nor_the_secret(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    # A run that fails leaves the state there.
    operator = RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id=sandbox.define(seconds=0.0, status="FAILED"),
        items=[ROW],
        output_path=str(tmp_path),
        deferrable=False,
        poll_interval=0.02,
        max_poll_interval=0.02,
        hash_personal_numbers=True,
    )

    with pytest.raises(errors.WorkflowsError):
        operator.execute({"ti": _BatchTask(), "task_state_store": TaskStateStore()})  # type: ignore[typeddict-item]

    state = "".join(path.read_text() for path in tmp_path.rglob("_state/**/*") if path.is_file())
    hashed = json.loads((tmp_path / "results.jsonl").read_text())["personal_number_hash"]
    assert hashed in state
    assert [value for value in (NUMBER, "Qzxa", SECRET) if value in state] == []


class _BatchTask(TaskInstance):
    dag_id, run_id, task_id, map_index = "nightly", "scheduled__2026-01-31", "batch", -1
