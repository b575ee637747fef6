"""The operators against the sandbox: what they send, return, refuse and hide."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import RESULT_MAX_XCOM_BYTES, GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.results import as_json, read_result
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.unit.tasks import TaskInstance, TaskStateStore

PERSON = {
    "first_name": "Jo",
    "last_name": "Brunhilde-Kowalska",
    "personal_number": "00211012345",
    "email": "jo@example.org",
    "phone": {"country_code": "48", "number": "666666666"},
    "company_name": "Acme",
    "company_number": "12345678",
    "company_address": "Long Street 1",
    "documents": [{"resource_id": "r-1", "resource_name": "passport of jo"}],
}


#: The same person as the operator's arguments: ``email`` is Airflow's own.
ARGUMENTS = {"email_address" if name == "email" else name: value for name, value in PERSON.items()}


@pytest.fixture(autouse=True)
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)


def run(operator: BaseOperator, **more: Any) -> Any:
    """Render and execute as a new task does."""
    context: Any = {
        "ti": TaskInstance(),
        "task_state_store": TaskStateStore(),
        "outlet_events": OutletEventAccessors(),
        **more,
    }
    operator.render_template_fields(context)
    return operator.execute(context)


def new_case() -> str:
    case_id: str = run(CreateCaseOperator(task_id="case"))
    return case_id


class TestCreateCase:
    @pytest.mark.parametrize(
        "arguments",
        [
            ARGUMENTS,
            {"case": PERSON},
            {"case": {"firstName": "Jo", "companyNumber": "12345678"}, "last_name": "Brunhilde-Kowalska"},
            {},
        ],
        ids=["one by one", "as one dict", "in the API's spelling", "nothing at all"],
    )
    def test_creates_one_and_returns_its_id(self, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
        case_id = run(CreateCaseOperator(task_id="case", **arguments))

        assert case_id
        assert sandbox.counts.cases == 1
        assert sandbox.counts.requests == {"POST /cases": 1}

    def test_sends_what_was_given(self, sandbox: Sandbox) -> None:
        case_id = run(CreateCaseOperator(task_id="case", **ARGUMENTS))

        with sandbox.client() as client:
            party = client.read_case(case_id).party_details
        assert party is not None
        assert party.personal == {
            "firstName": "Jo",
            "lastName": "Brunhilde-Kowalska",
            "personalNumber": "00211012345",
            "email": "jo@example.org",
            "phone": {"countryCode": "48", "number": "666666666"},
        }
        assert party.business is not None
        assert party.business["companyNumber"] == "12345678"

    def test_is_made_again_when_the_response_is_lost(self, sandbox: Sandbox, short_pauses: None) -> None:
        sandbox.fault("cut_after", path="/cases", times=2)

        case_id = run(CreateCaseOperator(task_id="case", **ARGUMENTS))

        with sandbox.client() as client:
            assert client.read_case(case_id).case_id == case_id
        assert sandbox.counts.requests["POST /cases"] == 3

    def test_fails_until_a_retry_when_responses_go_on_being_lost(
        self, sandbox: Sandbox, short_pauses: None
    ) -> None:
        sandbox.fault("cut_after", path="/cases")

        with pytest.raises(errors.ServiceUnavailable) as raised:
            run(CreateCaseOperator(task_id="case", **ARGUMENTS))

        assert raised.value.is_retryable()

    def test_leaves_out_what_is_empty(self, sandbox: Sandbox) -> None:
        case_id = run(
            CreateCaseOperator(task_id="case", first_name="{{ params.name }}", last_name=""),
            params={"name": ""},
        )

        with sandbox.client() as client:
            party = client.read_case(case_id).party_details
        assert party is not None
        assert party.personal == {}

    def test_reuses_the_case_of_a_returning_user(self, sandbox: Sandbox) -> None:
        case_id = new_case()
        sandbox.counts.reset()

        returned = run(CreateCaseOperator(task_id="case", case_id=case_id, first_name="Jo"))

        assert returned == case_id
        assert sandbox.counts.requests == {"GET /cases/{caseId}": 1}

    def test_fails_when_the_case_of_a_returning_user_does_not_exist(self) -> None:
        with pytest.raises(errors.NotFound, match=DEFINITION):
            run(CreateCaseOperator(task_id="case", case_id=DEFINITION))

    @pytest.mark.parametrize("case_id", [None, "", "{{ params.case_id }}"])
    def test_creates_one_when_the_case_id_is_empty(self, sandbox: Sandbox, case_id: str | None) -> None:
        run(CreateCaseOperator(task_id="case", case_id=case_id), params={"case_id": ""})

        assert sandbox.counts.requests["POST /cases"] == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"phone": {"country_code": "48"}}, "phone.number is missing"),
            ({"phone": "48 666"}, "phone must be an object, not str"),
            ({"first_name": 7}, "first_name must be text, not int"),
            ({"case": {"nickname": "Brunhilde"}}, "case.nickname is not a field of the API"),
            ({"case": "Brunhilde"}, "case must be a dict"),
            (
                {"case": {"email": "a@b.c"}, "email_address": "d@e.f"},
                "given both on its own and in case: email",
            ),
            ({"case_id": "00211012345"}, "case_id has 11 characters"),
        ],
    )
    def test_refuses_bad_input_before_anything_is_sent(
        self, sandbox: Sandbox, arguments: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(errors.InvalidInput, match=message) as raised:
            run(CreateCaseOperator(task_id="case", **arguments))

        assert sandbox.counts.total_requests == 0
        assert "Brunhilde" not in str(raised.value)
        assert "00211012345" not in str(raised.value)

    @pytest.mark.parametrize("field", ["personal_number", "company_number"])
    @pytest.mark.parametrize("number", [44051401359, 7, 7.0, True])
    def test_refuses_a_number_that_may_have_lost_its_zeros_when_the_dag_is_parsed(
        self, field: str, number: Any
    ) -> None:
        for arguments, name in (({field: number}, field), ({"case": {field: number}}, f"case.{field}")):
            with pytest.raises(
                errors.InvalidInput, match=f"^{name}: is a number, so its leading zeros may be"
            ):
                CreateCaseOperator(task_id="case", **arguments)

    @pytest.mark.parametrize(
        "arguments", [{"personal_number": "{{ params.x }}"}, {"case": "{{ params.case }}"}]
    )
    def test_refuses_such_a_number_of_a_template_before_anything_is_sent(
        self, sandbox: Sandbox, arguments: dict[str, Any]
    ) -> None:
        params = {"x": 44051401359, "case": {"companyNumber": 44051401359}}

        with pytest.raises(errors.InvalidInput, match="leading zeros may be lost; give it as text") as raised:
            run(CreateCaseOperator(task_id="case", **arguments), params=params)

        assert sandbox.counts.total_requests == 0
        assert "44051401359" not in str(raised.value)

    def test_never_makes_the_person_the_one_whom_airflow_alerts(self) -> None:
        operator = CreateCaseOperator(task_id="case", email_address="jo@example.org")

        operator.render_template_fields({})  # type: ignore[arg-type]

        assert operator.email is None

    def test_never_makes_the_one_whom_airflow_alerts_the_person(self, sandbox: Sandbox) -> None:
        with DAG("alerting", default_args={"email": "operations@example.org"}):
            operator = CreateCaseOperator(task_id="case", first_name="Jo")

        case_id = run(operator)

        with sandbox.client() as client:
            party = client.read_case(case_id).party_details
        assert party is not None
        assert party.personal == {"firstName": "Jo"}
        assert operator.email == "operations@example.org"

    def test_takes_a_whole_case_from_a_template(self, sandbox: Sandbox) -> None:
        run(CreateCaseOperator(task_id="case", case="{{ params.case }}"), params={"case": PERSON})

        assert sandbox.counts.requests["POST /cases"] == 1


class TestMasking:
    @pytest.mark.parametrize("arguments", [ARGUMENTS, {"case": PERSON}], ids=["one by one", "as one dict"])
    def test_rendered_templates_show_no_personal_value(self, arguments: dict[str, Any]) -> None:
        operator = CreateCaseOperator(task_id="case", **arguments)

        operator.render_template_fields({})  # type: ignore[arg-type]

        shown = str(_serialize_rendered_fields(operator))
        assert "***" in shown
        for value in ("'Jo'", "Brunhilde", "00211012345", "example.org", "666666666", "Acme", "12345678"):
            assert value not in shown
        assert "Street" not in shown
        assert "passport" not in shown

    def test_rendered_templates_of_a_mapped_task_show_no_personal_value(self) -> None:
        with DAG("mapped"):
            mapped = CreateCaseOperator.partial(task_id="case").expand(first_name=["Brunhilde"])
        operator = mapped.unmap({"first_name": "Brunhilde"})

        operator._do_render_template_fields(
            operator, operator.template_fields, {}, operator.get_template_env(), set()
        )

        assert "Brunhilde" not in str(_serialize_rendered_fields(operator))
        assert "Brunhilde" not in repr(operator.first_name)

    def test_values_are_handed_to_airflow_s_masker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_workflows.operators.redaction.mask", masked.extend)
        operator = CreateCaseOperator(task_id="case", **(ARGUMENTS | {"first_name": "{{ params.name }}"}))

        operator.render_template_fields({"params": {"name": "Adelheid"}})  # type: ignore[typeddict-item]

        assert {"Adelheid", "Brunhilde-Kowalska", "00211012345", "666666666"} <= set(masked)
        assert not [value for value in masked if "{{" in value]

    def test_personal_names_among_parameters_are_masked(self) -> None:
        operator = CreateParametersOperator(
            task_id="parameters",
            workflow_definition_id=DEFINITION,
            parameters={"limit": 5, "applicant": {"firstName": "Jo", "age": 30}},
        )

        operator.render_template_fields({})  # type: ignore[arg-type]

        shown = _serialize_rendered_fields(operator)["parameters"]
        assert shown == {"limit": 5, "applicant": {"firstName": "***", "age": 30}}

    def test_personal_values_are_sent_all_the_same(self, sandbox: Sandbox) -> None:
        sandbox.define(DEFINITION, seconds=0.0)
        parameters_id = run(
            CreateParametersOperator(
                task_id="parameters",
                workflow_definition_id=DEFINITION,
                parameters={"applicant": {"firstName": "Jo"}},
            )
        )

        workflow_id = run(
            RunWorkflowOperator(
                task_id="run",
                workflow_definition_id=DEFINITION,
                case_id=new_case(),
                parameters_id=parameters_id,
            )
        )

        result = run(GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id))
        assert result["parameters"] == {"applicant": {"firstName": "Jo"}}


class TestCreateParameters:
    def test_keeps_the_types_of_templated_values(self, sandbox: Sandbox) -> None:
        definition = sandbox.define(seconds=0.0)
        given = {
            "number": "{{ params.number }}",
            "share": "{{ params.share }}",
            "truth": "{{ params.truth }}",
            "nothing": "{{ params.nothing }}",
            "list": "{{ params.list }}",
            "digits": "{{ params.digits }}",
            "text": "no. {{ params.number }}",
            "both": "{{ params.number }}{{ params.number }}",
            "literal": 7,
            "nested": ["{{ params.number }}", {"deep": "{{- params.share -}}"}],
        }
        values = {
            "number": 0,
            "share": 1.2222,
            "truth": True,
            "nothing": None,
            "list": [1, "a"],
            "digits": "007",
        }
        parameters_id = run(
            CreateParametersOperator(
                task_id="parameters", workflow_definition_id=definition, parameters=given
            ),
            params=values,
        )

        workflow_id = run(
            RunWorkflowOperator(
                task_id="run",
                workflow_definition_id=definition,
                case_id=new_case(),
                parameters_id=parameters_id,
            )
        )

        result = run(GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id))
        assert result["parameters"] == values | {
            "text": "no. 0",
            "both": "00",
            "literal": 7,
            "nested": [0, {"deep": 1.2222}],
        }

    def test_are_made_again_when_the_response_is_lost(self, sandbox: Sandbox, short_pauses: None) -> None:
        sandbox.fault("cut_after", path="/parameters", times=2)

        assert run(
            CreateParametersOperator(task_id="parameters", workflow_definition_id=DEFINITION, parameters={})
        )

        assert sandbox.counts.requests["POST /parameters"] == 3

    def test_fail_until_a_retry_when_responses_go_on_being_lost(
        self, sandbox: Sandbox, short_pauses: None
    ) -> None:
        sandbox.fault("cut_after", path="/parameters")

        with pytest.raises(errors.ServiceUnavailable) as raised:
            run(
                CreateParametersOperator(
                    task_id="parameters", workflow_definition_id=DEFINITION, parameters={}
                )
            )

        assert raised.value.is_retryable()

    def test_refuses_an_unknown_definition(self) -> None:
        with pytest.raises(errors.NotFound, match=r"definition .* responded with 404"):
            run(
                CreateParametersOperator(
                    task_id="parameters",
                    workflow_definition_id="00000000-0000-0000-0000-000000000000",
                    parameters={},
                )
            )


class TestRunWorkflow:
    def test_starts_one_run_and_returns_its_id(self, sandbox: Sandbox) -> None:
        case_id = new_case()

        workflow_id = run(
            RunWorkflowOperator(task_id="run", workflow_definition_id=DEFINITION, case_id=case_id)
        )

        with sandbox.client() as client:
            assert client.read_workflow(workflow_id).case_id == case_id
        assert sandbox.counts.runs_per_case == {case_id: 1}

    def test_fails_without_a_retry_when_the_outcome_is_unknown(self, sandbox: Sandbox) -> None:
        case_id = new_case()
        sandbox.fault("cut_after", path="/workflows/run")

        with pytest.raises(AirflowFailException, match=case_id):
            run(RunWorkflowOperator(task_id="run", workflow_definition_id=DEFINITION, case_id=case_id))

        assert sandbox.counts.runs_per_case == {case_id: 1}

    @pytest.mark.parametrize(
        ("parameters_id", "message"),
        [
            ("{{ params.nothing }}", "parameters_id was given but turned out to be None"),
            ("{{ params.empty }}", "parameters_id is empty"),
        ],
    )
    def test_refuses_parameters_that_turned_out_empty(
        self, sandbox: Sandbox, parameters_id: str, message: str
    ) -> None:
        operator = RunWorkflowOperator(
            task_id="run",
            workflow_definition_id=DEFINITION,
            case_id=DEFINITION,
            parameters_id=parameters_id,
        )

        with pytest.raises(errors.InvalidInput, match=message):
            run(operator, params={"nothing": None, "empty": ""})

        assert sandbox.counts.total_requests == 0


class TestGetResult:
    def test_returns_all_fields(self, sandbox: Sandbox) -> None:
        definition = sandbox.define(seconds=0.0, result={"decision": "PASS", "deep": {"list": [1, None]}})
        case_id = run(CreateCaseOperator(task_id="case", first_name="Jo"))
        workflow_id = run(
            RunWorkflowOperator(task_id="run", workflow_definition_id=definition, case_id=case_id)
        )

        result = run(GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id))

        assert result["decision"] == "PASS"
        assert result["deep"] == {"list": [1, None]}
        assert result["caseId"] == case_id
        assert result["partyDetails"]["personal"] == {"firstName": "Jo"}

    def test_of_a_running_workflow_fails_with_its_status(self) -> None:
        workflow_id = run(
            RunWorkflowOperator(task_id="run", workflow_definition_id=DEFINITION, case_id=new_case())
        )

        with pytest.raises(errors.WorkflowNotCompleted, match="RUNNING"):
            run(GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id))


def completed(sandbox: Sandbox, **result: Any) -> str:
    """Return the id of a workflow that has completed with this result."""
    definition = sandbox.define(seconds=0.0, result=result)
    case_id = new_case()
    started = run(RunWorkflowOperator(task_id="run", workflow_definition_id=definition, case_id=case_id))
    assert isinstance(started, str)
    return started


def fetch(workflow_id: str, **arguments: Any) -> Any:
    return run(GetWorkflowResultOperator(task_id="result", workflow_id=workflow_id, **arguments))


class TestResultByReference:
    def test_is_written_as_json_and_the_handle_has_nothing_out_of_it(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        workflow_id = completed(sandbox, decision="PASS", text="żółw")

        handle = fetch(workflow_id, output_path=str(tmp_path / "results" / "one.json"))

        content = (tmp_path / "results" / "one.json").read_bytes()
        case_id = json.loads(content)["caseId"]
        assert handle == {
            "uri": f"{tmp_path}/results/one.json",
            "workflow_id": workflow_id,
            "case_id": case_id,
            "status": "COMPLETED",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        assert json.loads(content)["text"] == "żółw"
        assert len(json.dumps(handle)) < 500

    def test_is_what_the_task_returns_without_an_output(self, sandbox: Sandbox, tmp_path: Path) -> None:
        workflow_id = completed(sandbox, deep={"list": [1, None]})
        assert read_result(fetch(workflow_id, output_path=str(tmp_path))) == fetch(workflow_id)

    def test_goes_into_a_file_of_its_own_in_a_folder(self, sandbox: Sandbox, tmp_path: Path) -> None:
        workflow_ids = [completed(sandbox) for _ in range(2)]
        for workflow_id in workflow_ids:
            fetch(workflow_id, output_path=str(tmp_path))
        assert {path.name for path in tmp_path.iterdir()} == {f"{each}.json" for each in workflow_ids}

    def test_takes_the_place_of_what_an_earlier_try_wrote(self, sandbox: Sandbox, tmp_path: Path) -> None:
        workflow_id = completed(sandbox)
        first = fetch(workflow_id, output_path=str(tmp_path))
        assert fetch(workflow_id, output_path=str(tmp_path)) == first
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize(
        ("output_path", "problem"),
        [(None, "output"), ("", "empty"), ("results", "output"), ("{{ x }}", "empty")],
    )
    def test_an_output_that_is_not_a_place_is_refused_before_anything_is_sent(
        self, sandbox: Sandbox, output_path: str | None, problem: str
    ) -> None:
        workflow_id = completed(sandbox)
        operator = GetWorkflowResultOperator(
            task_id="result", workflow_id=workflow_id, output_path="/tmp/given"
        )
        operator.output_path = output_path
        sandbox.counts.reset()
        with pytest.raises(errors.InvalidInput, match=problem):
            run(operator)
        assert not sandbox.counts.requests

    def test_a_large_one_without_an_output_is_refused_with_what_to_do(self, sandbox: Sandbox) -> None:
        workflow_id = completed(sandbox, text="x" * RESULT_MAX_XCOM_BYTES)
        with pytest.raises(errors.InvalidInput, match=r"an XCom takes 49,152 .*output_path="):
            fetch(workflow_id)

    def test_one_of_exactly_the_limit_is_returned(self, sandbox: Sandbox) -> None:
        workflow_id = completed(sandbox)
        size = len(as_json(fetch(workflow_id)))
        assert fetch(workflow_id, result_max_xcom_bytes=size)
        with pytest.raises(errors.InvalidInput, match="result_max_xcom_bytes"):
            fetch(workflow_id, result_max_xcom_bytes=size - 1)

    @pytest.mark.parametrize("number", [0, -1, 1.5, True, "48"])
    def test_a_limit_that_cannot_be_right_is_refused(self, number: Any) -> None:
        with pytest.raises(errors.InvalidInput, match="result_max_xcom_bytes must be"):
            GetWorkflowResultOperator(task_id="result", workflow_id="w", result_max_xcom_bytes=number)

    @pytest.mark.parametrize(
        "change",
        [lambda content: content + b" ", lambda content: content[:-1], lambda content: b"[" + content[1:]],
        ids=["longer", "shorter", "other"],
    )
    def test_a_file_that_was_changed_is_not_read(
        self, sandbox: Sandbox, tmp_path: Path, change: Callable[[bytes], bytes]
    ) -> None:
        file = tmp_path / "one.json"
        handle = fetch(completed(sandbox), output_path=str(file))
        file.write_bytes(change(file.read_bytes()))
        with pytest.raises(errors.InvalidInput, match="it was changed"):
            read_result(handle)

    @pytest.mark.parametrize(
        "handle", [None, {}, "file:///x.json", {"uri": "/x.json", "size": "1", "sha256": ""}]
    )
    def test_what_is_not_a_handle_is_not_read(self, handle: Any) -> None:
        with pytest.raises(errors.InvalidInput, match="read_result takes the handle"):
            read_result(handle)
