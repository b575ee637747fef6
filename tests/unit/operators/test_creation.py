"""A case, or a set of parameters, is created once over all tries of a task, as long as its input is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.creation import CASE_KEY, PARAMETERS_KEY
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox

PERSON = {
    "first_name": "Adelheid",
    "last_name": "Brunhilde-Kowalska",
    "personal_number": "00211012345",
    "email": "adelheid@example.org",
    "phone": {"country_code": "48", "number": "666666666"},
}
CASE_CALL, PARAMETERS_CALL = "POST /cases", "POST /parameters"


@pytest.fixture(autouse=True)
def connection(connected: Sandbox, short_pauses: None) -> None:
    """Lead the connection to the sandbox."""


def create_case(context: Any, **changes: Any) -> str:
    operator = CreateCaseOperator(task_id="case", case=PERSON | changes)
    operator.render_template_fields(context)
    case_id: str = operator.execute(context)
    return case_id


def create_parameters(context: Any, **changes: Any) -> str:
    operator = CreateParametersOperator(
        task_id="parameters",
        workflow_definition_id=DEFINITION,
        parameters={"limit": 5, "applicant": {"firstName": "Adelheid"}} | changes,
    )
    operator.render_template_fields(context)
    parameters_id: str = operator.execute(context)
    return parameters_id


EACH = pytest.mark.parametrize(
    ("create", "call", "key", "change"),
    [
        (create_case, CASE_CALL, CASE_KEY, {"first_name": "Adele"}),
        (create_parameters, PARAMETERS_CALL, PARAMETERS_KEY, {"limit": 6}),
    ],
    ids=["case", "parameters"],
)


@EACH
class TestSameInput:
    @pytest.mark.parametrize("is_cleared", [True, False], ids=["clear", "retry"])
    def test_returns_the_id_that_was_made_before(
        self, sandbox: Sandbox, context: Any, create: Any, call: str, key: str, change: Any, is_cleared: bool
    ) -> None:
        first = create(context)
        if is_cleared:
            context["ti"].clear()

        assert create(context) == first
        assert sandbox.counts.requests[call] == 1

    def test_in_another_task_instance_makes_a_new_one(
        self, sandbox: Sandbox, context: Any, create: Any, call: str, key: str, change: Any
    ) -> None:
        first = create(context)
        context["task_state_store"].stored.clear()

        assert create(context) != first
        assert sandbox.counts.requests[call] == 2

    def test_a_lost_response_makes_another_and_remembers_that(
        self, sandbox: Sandbox, context: Any, create: Any, call: str, key: str, change: Any
    ) -> None:
        sandbox.fault("cut_after", path=call.split()[1], times=1)
        first = create(context)

        assert create(context) == first
        assert sandbox.counts.requests[call] == 2


@EACH
class TestChangedInput:
    def test_makes_a_new_one_which_is_remembered(
        self, sandbox: Sandbox, context: Any, create: Any, call: str, key: str, change: Any
    ) -> None:
        first = create(context)
        context["ti"].clear()

        second = create(context, **change)

        assert second != first
        assert create(context, **change) == second
        assert sandbox.counts.requests[call] == 2

    def test_another_service_makes_a_new_one(
        self,
        sandbox: Sandbox,
        context: Any,
        create: Any,
        call: str,
        key: str,
        change: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        create(context)
        with Sandbox() as another:
            for name, value in another.environment.items():
                monkeypatch.setenv(name, value)

            create(context)

            assert another.counts.requests[call] == 1


@EACH
class TestRecord:
    def test_holds_an_id_and_a_salted_digest_and_nothing_of_the_input(
        self, context: Any, create: Any, call: str, key: str, change: Any
    ) -> None:
        created_id = create(context)

        record = context["task_state_store"].get(key)
        assert set(record) == {"format", "clears", "created_id", "salt", "digest"}
        assert record["created_id"] == created_id
        stored = json.dumps(record)
        for value in ("Adelheid", "Brunhilde", "00211012345", "example.org", "666666666", "limit"):
            assert value not in stored

    def test_of_the_same_input_is_another_in_each_task(
        self, context: Any, create: Any, call: str, key: str, change: Any
    ) -> None:
        create(context)
        first = context["task_state_store"].get(key)
        context["task_state_store"].stored.clear()

        create(context)

        second = context["task_state_store"].get(key)
        assert first["salt"] != second["salt"]
        assert first["digest"] != second["digest"]

    def test_that_cannot_be_written_does_not_fail_the_task(
        self,
        sandbox: Sandbox,
        context: Any,
        create: Any,
        call: str,
        key: str,
        change: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def failing(*_: Any, **__: Any) -> None:
            raise RuntimeError("the API server is away")

        monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.0)
        monkeypatch.setattr(context["task_state_store"], "set", failing)

        assert create(context)
        assert sandbox.counts.requests[call] == 1

    def test_that_cannot_be_read_fails_the_try_before_another_is_made(
        self,
        sandbox: Sandbox,
        context: Any,
        create: Any,
        call: str,
        key: str,
        change: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def failing(_: str) -> None:
            raise RuntimeError("the API server is away")

        monkeypatch.setattr(context["task_state_store"], "get", failing)

        with pytest.raises(RuntimeError):
            create(context)

        assert sandbox.counts.requests[call] == 0

    def test_of_another_version_makes_a_new_one(
        self, sandbox: Sandbox, context: Any, create: Any, call: str, key: str, change: Any
    ) -> None:
        context["task_state_store"].set(key, {"format": 99})

        assert create(context)
        assert sandbox.counts.requests[call] == 1

    def test_is_done_without_where_airflow_has_no_store(
        self, sandbox: Sandbox, context: Any, create: Any, call: str, key: str, change: Any
    ) -> None:
        del context["task_state_store"]

        assert create(context) != create(context)
        assert sandbox.counts.requests[call] == 2


def test_a_returning_user_s_case_is_checked_in_each_try(sandbox: Sandbox, context: Any) -> None:
    case_id = create_case(context)

    for _ in range(2):
        assert CreateCaseOperator(task_id="case", case_id=case_id).execute(context) == case_id

    assert sandbox.counts.requests["GET /cases/{caseId}"] == 2


def test_a_pipeline_that_is_cleared_from_its_first_task_pays_for_nothing(
    sandbox: Sandbox, context: Any
) -> None:
    def pipeline() -> tuple[str, str, str]:
        case_id, parameters_id = create_case(context), create_parameters(context)
        run = RunWorkflowOperator(
            task_id="run",
            workflow_definition_id=DEFINITION,
            case_id=case_id,
            parameters_id=parameters_id,
        )
        return case_id, parameters_id, run.execute(context)

    first = pipeline()
    context["ti"].clear()

    assert pipeline() == first
    assert sandbox.counts.runs_per_case == {first[0]: 1}


def test_parameters_with_the_same_number_in_another_spelling_are_not_made_again(
    sandbox: Sandbox, context: Any
) -> None:
    parameters_id = create_parameters(context, limit=5)

    assert create_parameters(context, limit=5.0) == parameters_id
    assert sandbox.counts.requests[PARAMETERS_CALL] == 1
