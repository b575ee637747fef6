"""A batch that goes on after one of its arguments, or its connection, has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.api.pseudonyms import personal_number_hash
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import (
    CASE_CALL,
    PARAMETERS_CALL,
    RUN_CALL,
    BatchTask,
    Service,
    cases,
)
from tests.unit.operators.test_batch_repair import keyed, lines
from tests.unit.tasks import event_of

SECRET = "a secret of more than thirty-two characters"
OTHER_SECRET = "another secret of more than thirty-two characters"
NUMBER = "02211012345"
PEOPLE = [{"personal_number": NUMBER}, {"first_name": "Ada"}]
HASHED = {"hash_personal_numbers": True}

Connect = Callable[..., None]


@pytest.fixture
def connect(batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Change what the connection says."""

    def connect(extra: Mapping[str, Any], **fields: Any) -> None:
        changed = sandbox.connection | fields
        changed["extra"] = {**changed["extra"], **extra}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(changed))

    connect({"hash_secret": SECRET})
    return connect


def hashes(summary: Mapping[str, Any]) -> list[str | None]:
    return [row["personal_number_hash"] for row in read_output(summary["output"])]


@pytest.mark.usefixtures("connect")
class TestHashPersonalNumbers:
    """The hash of a row is that of its input, which only the input has."""

    @pytest.mark.thorough
    @pytest.mark.parametrize("items", [PEOPLE, [{"key": "1", **PEOPLE[0]}, {"key": "2", **PEOPLE[1]}]])
    def test_switched_on_before_a_clear_gives_each_row_its_hash_and_starts_no_run(
        self, batch: BatchTask, sandbox: Sandbox, items: list[Any]
    ) -> None:
        batch.run(items)
        batch.clear()

        summary = batch.run(items, **HASHED)

        assert hashes(summary) == [personal_number_hash(NUMBER, SECRET), None]
        assert (sandbox.counts.requests[RUN_CALL], batch.outcomes) == (2, ["succeeded"] * 2)

    @pytest.mark.thorough
    def test_switched_off_before_a_clear_leaves_no_hash(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.run(PEOPLE, **HASHED)
        batch.clear()

        assert hashes(batch.run(PEOPLE)) == [None, None]
        assert sandbox.counts.requests[RUN_CALL] == 2

    @pytest.mark.thorough
    def test_with_another_secret_gives_all_hashes_of_that(
        self, batch: BatchTask, sandbox: Sandbox, connect: Connect
    ) -> None:
        batch.run(PEOPLE, **HASHED)
        batch.clear()
        connect({"hash_secret": OTHER_SECRET})

        assert hashes(batch.run(PEOPLE, **HASHED)) == [personal_number_hash(NUMBER, OTHER_SECRET), None]
        assert sandbox.counts.requests[RUN_CALL] == 2

    @pytest.mark.thorough
    def test_switched_on_before_a_retry_gives_each_row_its_hash(
        self, batch: BatchTask, service: Service, sandbox: Sandbox
    ) -> None:
        service.running()
        with pytest.raises(BatchFailed):
            batch.run(PEOPLE, max_outage=0.1)
        service.well()
        batch.ti.try_number += 1

        summary = batch.run(PEOPLE, **HASHED)

        assert hashes(summary) == [personal_number_hash(NUMBER, SECRET), None]
        assert sandbox.counts.requests[RUN_CALL] == 0

    @pytest.mark.thorough
    def test_switched_on_while_the_task_is_deferred_gives_each_row_its_hash(self, batch: BatchTask) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            batch.operator(PEOPLE).execute(batch.context)
        event = event_of(deferred.value)

        summary = batch.operator(PEOPLE, **HASHED).resume_execution(
            deferred.value.method_name, {"event": event}, batch.context
        )

        assert hashes(summary) == [personal_number_hash(NUMBER, SECRET), None]

    @pytest.mark.thorough
    @pytest.mark.parametrize("is_gone", [False, True])
    def test_switched_on_after_the_input_has_changed_is_refused_by_a_retry_that_has_nothing_to_submit(
        self, batch: BatchTask, service: Service, sandbox: Sandbox, tmp_path: Path, is_gone: bool
    ) -> None:
        file = tmp_path / "people.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in PEOPLE))
        service.running()
        with pytest.raises(BatchFailed):
            batch.run(str(file), max_outage=0.1)
        service.well()
        batch.ti.try_number += 1
        if is_gone:
            file.unlink()
        else:
            file.write_text(json.dumps(PEOPLE[1]) + "\n" + json.dumps(PEOPLE[0]) + "\n")

        with pytest.raises(InvalidInput, match=r"hash_personal_numbers.*has changed since items was checked"):
            batch.run(str(file), **HASHED)

        assert sandbox.counts.requests[RUN_CALL] == 0
        assert [row["personal_number_hash"] for row in batch.output] == [None, None]

    @pytest.mark.thorough
    def test_switched_on_with_a_corrected_row_pays_for_that_alone(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        rows = [{"key": str(number), **row} for number, row in enumerate(PEOPLE)]
        batch.run(rows)
        batch.clear()

        summary = batch.run([rows[0], {**rows[1], "first_name": "Ada Maria"}], **HASHED)

        assert hashes(summary) == [personal_number_hash(NUMBER, SECRET), None]
        assert sandbox.counts.requests[RUN_CALL] == 3


ONE_FILE = [{"output_format": name} for name in OUTPUT_FORMATS]
PARTS = [each | {"output_rows_per_file": 2} for each in ONE_FILE]


class TestOutputForm:
    @pytest.mark.costly(10)
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("before", "after"),
        [(before, after) for before, after in permutations(ONE_FILE + PARTS, 2)],
        ids=lambda form: "-".join(map(str, form.values())),
    )
    def test_leaves_one_output_and_starts_no_run(
        self, batch: BatchTask, sandbox: Sandbox, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        batch.run(cases(3), **before)
        batch.clear()

        summary = batch.run(cases(3), **after)

        forms = [path.name for path in batch.folder.iterdir() if path.name.startswith("results")]
        assert [str(batch.folder / name) for name in forms] == [summary["output"]]
        assert len(list(batch.folder.glob("results/part-*"))) == (2 if "output_rows_per_file" in after else 0)
        assert [row["outcome"] for row in read_output(summary["output"])] == ["succeeded"] * 3
        assert sandbox.counts.requests[RUN_CALL] == 3

    @pytest.mark.thorough
    def test_of_another_number_of_rows_leaves_no_part_behind(self, batch: BatchTask) -> None:
        batch.run(cases(5), output_rows_per_file=1)
        batch.clear()

        summary = batch.run(cases(5), output_rows_per_file=3)

        parts = sorted(path.name[:10] for path in (batch.folder / "results").iterdir())
        assert parts == ["_SUCCESS", "part-00000", "part-00001"]
        assert [row["row"] for row in read_output(summary["output"])] == [1, 2, 3, 4, 5]


class TestParameters:
    @pytest.mark.thorough
    @pytest.mark.parametrize("argument", ["parameters", "workflow_definition_id"])
    def test_with_keys_submit_all_rows_and_the_log_says_what_has_changed(
        self, batch: BatchTask, sandbox: Sandbox, argument: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        changed = {"parameters": {"limit": 5}, "workflow_definition_id": sandbox.define(seconds=0.0)}[
            argument
        ]
        batch.run(keyed("K1=Ada", "K2=Bea"))
        batch.clear()
        capsys.readouterr()

        batch.run(keyed("K1=Ada", "K2=Bea"), **{argument: changed})

        (line,) = lines(capsys, "has changed since the last try")
        assert (
            "workflow_definition_id, parameters or table_id has changed since the last try: 0 rows are as before"
            in line
        )
        assert "items" not in line
        assert sandbox.counts.requests[RUN_CALL] == 4

    @pytest.mark.thorough
    def test_of_the_rows_themselves_count_as_the_rows(
        self, batch: BatchTask, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (row,) = keyed("K1=Ada")
        batch.run([row | {"parameters": {"limit": 5}}])
        batch.clear()

        batch.run([row | {"parameters": {"limit": 6}}])

        assert "items has changed since the last try: 0 rows are as before, 1 has changed" in str(
            lines(capsys, "has changed since")
        )
        assert sandbox.counts.requests[PARAMETERS_CALL] == 2


class TestConnection:
    @pytest.mark.thorough
    def test_that_leads_to_another_host_is_refused_and_back_again_goes_on(
        self, batch: BatchTask, sandbox: Sandbox, connect: Connect
    ) -> None:
        batch.run(cases(3))
        batch.clear()
        sandbox.counts.reset()
        with Sandbox() as other:
            connect({}, host=other.url, port=None)
            with pytest.raises(
                InvalidInput, match=r"The connection leads to .* now, and this batch's runs are"
            ):
                batch.run(cases(3))
            assert other.counts.total_requests == 0
        connect({})

        batch.run(cases(3))

        assert (batch.outcomes, sandbox.counts.requests[RUN_CALL]) == (["succeeded"] * 3, 0)

    @pytest.mark.thorough
    def test_that_leads_to_where_the_runs_are_unknown_while_they_are_waited_for_costs_nothing(
        self, batch: BatchTask, sandbox: Sandbox, connect: Connect
    ) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            batch.operator(cases(3)).execute(batch.context)
        method = deferred.value.method_name
        with Sandbox() as other:
            connect({}, host=other.url, port=None)
            event = event_of(deferred.value)
            with pytest.raises(BatchFailed):
                batch.operator(cases(3)).resume_execution(method, {"event": event}, batch.context)
        assert batch.outcomes == ["failed"] * 3
        connect({})
        batch.clear()

        batch.run(cases(3))

        assert (batch.outcomes, sandbox.counts.requests[RUN_CALL]) == (["succeeded"] * 3, 3)

    @pytest.mark.thorough
    def test_that_says_now_that_a_status_is_a_success_keeps_those_runs(
        self, batch: BatchTask, sandbox: Sandbox, service: Service, connect: Connect
    ) -> None:
        service.failed()
        with pytest.raises(BatchFailed):
            batch.run(cases(3))
        service.well()
        batch.clear()
        connect({"success_statuses": ["COMPLETED", "FAILED"], "failure_statuses": ["EXPIRED"]})

        batch.run(cases(3), max_failed_share=1.0)

        assert (sandbox.counts.requests[RUN_CALL], sandbox.counts.requests[CASE_CALL]) == (0, 0)

    @pytest.mark.thorough
    def test_that_says_now_that_a_status_is_no_end_waits_for_those_runs(
        self, batch: BatchTask, sandbox: Sandbox, service: Service, connect: Connect
    ) -> None:
        sandbox.define(batch.definition_id, seconds=0.0, status="IN_REVIEW")
        connect({"failure_statuses": ["IN_REVIEW"]})
        with pytest.raises(BatchFailed):
            batch.run(cases(3))
        service.well()
        batch.clear()
        connect({})

        with pytest.raises(TaskDeferred):
            batch.operator(cases(3)).execute(batch.context)

        assert sandbox.counts.requests[RUN_CALL] == 0
