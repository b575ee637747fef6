"""A batch by the generation of its connection: what is sent for each row, refused, and paid once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_provider_workflows.api.errors import InvalidInput, ServiceUnavailable
from airflow_provider_workflows.api.pseudonyms import personal_number_hash
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.sharding import references
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.sandbox.tables import READY_RECORD, TABLE, TYPED_TABLE
from tests.unit.batch_task import CASE_CALL, PARAMETERS_CALL, RUN_CALL, BatchTask, cases

RECORD_CALL = "POST /tables/{tableId}/records"
INLINE_RUN_CALL = "POST /workflows"
RUN_CALLS = {1: RUN_CALL, 2: RUN_CALL, 3: INLINE_RUN_CALL}
NUMBER = "02211012345"
ROWS = 4


class Kind(NamedTuple):
    """What the rows of a batch are about, in one generation.

    :param generation: number of the generation
    :param row: returns the row of a number
    :param arguments: of the batch
    :param calls: the calls of a row before the one that starts its run
    """

    generation: int
    row: Callable[[int], Mapping[str, Any]]
    arguments: Mapping[str, Any]
    calls: frozenset[str]

    def rows(self, number: int = ROWS) -> list[dict[str, Any]]:
        """Return rows, each with its own key."""
        return [{"key": f"K{each}", **self.row(each)} for each in range(1, number + 1)]

    def given(self, **arguments: Any) -> dict[str, Any]:
        """Return the arguments of the batch, with further ones."""
        return {"workflows_conn_id": CONNECTION_IDS[self.generation], **self.arguments, **arguments}


def of_case(number: int) -> Mapping[str, Any]:
    return {"first_name": f"Ada{number}", "parameters": {"limit": number}}


def of_record(number: int) -> Mapping[str, Any]:
    return {"record.firstName": f"Ada{number}", "record.limit": number, "parameters": {"limit": number}}


def of_given_record(number: int) -> Mapping[str, Any]:
    return {"record_id": READY_RECORD, "parameters": {"limit": number}}


def of_nobody(number: int) -> Mapping[str, Any]:
    return {"parameters": {"limit": number}}


IN_TABLE = {"table_id": TABLE}
KINDS = {
    "1: cases": Kind(1, of_case, {}, frozenset({CASE_CALL, PARAMETERS_CALL})),
    "2: cases": Kind(2, of_case, {}, frozenset({CASE_CALL, PARAMETERS_CALL})),
    "2: records": Kind(2, of_record, IN_TABLE, frozenset({RECORD_CALL, PARAMETERS_CALL})),
    "2: given records": Kind(2, of_given_record, {}, frozenset({PARAMETERS_CALL})),
    "2: nobody": Kind(2, of_nobody, {}, frozenset({PARAMETERS_CALL})),
    "3: records": Kind(3, of_record, IN_TABLE, frozenset({RECORD_CALL})),
    "3: given records": Kind(3, of_given_record, {}, frozenset()),
    "3: nobody": Kind(3, of_nobody, {}, frozenset()),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def kind(request: pytest.FixtureRequest) -> Kind:
    given: Kind = request.param
    return given


def limits(sandbox: Sandbox) -> dict[str, int]:
    """Return how often a run was paid for each row, by the row's own parameter."""
    return dict(sandbox.counts.runs_per_parameter("limit"))


def once(rows: int = ROWS) -> dict[str, int]:
    return {str(number): 1 for number in range(1, rows + 1)}


@pytest.mark.thorough
class TestWhatIsSent:
    def test_each_row_is_run_once_with_its_own_parameters(
        self, batch: BatchTask, connected: Sandbox, kind: Kind
    ) -> None:
        batch.run(kind.rows(), **kind.given())

        calls = {RUN_CALLS[kind.generation], *kind.calls}
        sent = {call: number for call, number in connected.counts.requests.items() if call.startswith("POST")}
        assert sent == dict.fromkeys(calls, ROWS)
        assert limits(connected) == once()
        assert batch.outcomes == ["succeeded"] * ROWS
        assert {workflow.generation for workflow in connected.workflows} == {kind.generation}

    @pytest.mark.parametrize("generation", [2, 3])
    def test_a_record_has_the_fields_of_its_row(
        self, batch: BatchTask, connected: Sandbox, generation: int
    ) -> None:
        row = {"record": {"name": "Brunhilde", "count": 3, "active": True, "born": "1990-01-31"}}
        batch.run([row], table_id=TYPED_TABLE, workflows_conn_id=CONNECTION_IDS[generation])

        (workflow,) = connected.workflows
        assert workflow.record_id is not None
        assert batch.output[0]["record_id"] == workflow.record_id
        with connected.client(api_generation=generation) as client:
            record = client.read_record(TYPED_TABLE, workflow.record_id).json_object()
        assert {name: record[name] for name in row["record"]} == row["record"]

    def test_columns_of_a_file_are_fields_of_a_record(
        self, batch: BatchTask, connected: Sandbox, tmp_path: Path
    ) -> None:
        path = tmp_path / "people.csv"
        path.write_text("key,Name,Record.reference,limit\nK1, Ada ,007,\nK2,Bob,,5\n")
        columns = {"Name": "record.name", "limit": None}

        batch.run(str(path), columns=columns, table_id=TYPED_TABLE, workflows_conn_id=CONNECTION_IDS[3])

        with connected.client(api_generation=3) as client:
            ids = [row["record_id"] for row in batch.output]
            records = [client.read_record(TYPED_TABLE, each).json_object() for each in ids]
        assert [(record["name"], record.get("reference")) for record in records] == [
            ("Ada", "007"),
            ("Bob", None),
        ]

    @pytest.mark.parametrize("is_sharded", [False, True])
    def test_dates_and_decimals_are_fields_of_a_record_as_the_api_takes_them(
        self, batch: BatchTask, connected: Sandbox, tmp_path: Path, *, is_sharded: bool
    ) -> None:
        given = {"record.born": date(1990, 1, 31), "record.amount": Decimal("1.5"), "key": "K1"}
        items: Any = [given, {"record": {"born": date(1991, 1, 31), "amount": Decimal(2)}, "key": "K2"}]
        if is_sharded:
            (items,) = references(items, 10, folder=str(tmp_path / "items"))
        batch.run(items, table_id=TYPED_TABLE, workflows_conn_id=CONNECTION_IDS[3])

        with connected.client(api_generation=3) as client:
            ids = [row["record_id"] for row in batch.output]
            records = [client.read_record(TYPED_TABLE, each).json_object() for each in ids]
        assert [(record["born"], record["amount"]) for record in records] == [
            ("1990-01-31", 1.5),
            ("1991-01-31", 2),
        ]

    def test_locale_and_expiry_are_those_of_each_run(self, batch: BatchTask, connected: Sandbox) -> None:
        kind = KINDS["3: nobody"]
        batch.run(kind.rows(2), **kind.given(locale="pl", expires_at=timedelta(minutes=30)))

        assert [workflow.details.locale for workflow in connected.workflows if workflow.details] == ["pl"] * 2
        assert all(workflow.expires_at < float("inf") for workflow in connected.workflows)

    def test_parameters_of_all_rows_are_sent_with_each_run_of_generation_3(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        rows = [{"record_id": READY_RECORD}, {"record_id": READY_RECORD, "parameters": {"limit": 2}}]
        batch.run(rows, parameters={"limit": 1}, workflows_conn_id=CONNECTION_IDS[3])

        assert limits(connected) == {"1": 1, "2": 1}
        assert not connected.counts.requests[PARAMETERS_CALL]


class TestWhatIsRefused:
    @pytest.mark.parametrize("row", [{"record.owner": object()}, {"record": {"owner": object()}}])
    def test_what_json_cannot_express_makes_a_bad_row_in_a_shard_too(
        self, row: dict[str, Any], tmp_path: Path
    ) -> None:
        with pytest.raises(InvalidInput, match="1 of 2 rows of items cannot be run"):
            references([row, {"record.owner": "Ada"}], 10, folder=str(tmp_path / "items"))

    @pytest.mark.parametrize(
        ("generation", "row", "arguments", "words"),
        [
            (
                1,
                {"record_id": READY_RECORD},
                {},
                "row 2 of items has record_id, which needs api_generation 2 or 3",
            ),
            (
                1,
                {"record.name": "Ada"},
                {},
                "row 2 of items has fields of a record, which need api_generation 2 or",
            ),
            (
                1,
                {"record.name": "Ada"},
                IN_TABLE,
                "table_id needs api_generation 2 or 3; the connection has 1",
            ),
            (
                1,
                {"first_name": "Ada"},
                {"locale": "pl"},
                "locale needs api_generation 3; the connection has 1",
            ),
            (
                2,
                {"record_id": READY_RECORD},
                {"expires_at": timedelta(hours=1)},
                "expires_at needs api_generation 3",
            ),
            (2, {"record.name": "Ada"}, {}, "row 2 of items has fields of a record, and table_id is missing"),
            (
                3,
                {"first_name": "Ada"},
                {},
                "row 2 of items has fields of a case, which need api_generation 1 or 2",
            ),
            (
                3,
                {"case_id": READY_RECORD},
                {},
                "row 2 of items has case_id, which needs api_generation 1 or 2",
            ),
        ],
    )
    @pytest.mark.parametrize("on_bad_row", ["fail", "skip"])
    def test_what_a_generation_does_not_have_is_named_before_anything_is_sent(
        self,
        batch: BatchTask,
        connected: Sandbox,
        generation: int,
        row: dict[str, Any],
        arguments: dict[str, Any],
        words: str,
        on_bad_row: str,
    ) -> None:
        first = {1: {"first_name": "Bob"}, 2: {"record_id": READY_RECORD}, 3: {"record_id": READY_RECORD}}
        conn_id = CONNECTION_IDS[generation]
        with pytest.raises(InvalidInput) as refused:
            batch.run([first[generation], row], workflows_conn_id=conn_id, on_bad_row=on_bad_row, **arguments)

        assert words in str(refused.value)
        assert "Ada" not in str(refused.value)
        assert not connected.counts.requests

    def test_a_file_of_cases_is_refused_by_generation_3_where_rows_are_read_together(
        self, batch: BatchTask, connected: Sandbox, tmp_path: Path
    ) -> None:
        path = tmp_path / "people.csv"
        path.write_text("first_name\n" + "Ada\n" * 50)
        with pytest.raises(InvalidInput, match=r"row 1 \(line 2 of the file\) of items has fields of a case"):
            batch.run(str(path), workflows_conn_id=CONNECTION_IDS[3])
        assert not connected.counts.requests

    def test_parameters_alone_make_a_bad_row_in_generation_1(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        with pytest.raises(InvalidInput, match="row 1: has neither a case field nor a case_id"):
            batch.run([{"parameters": {"limit": 1}}])
        assert not connected.counts.requests

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"columns": {"PESEL": "record.pesel"}}, "columns has record.pesel, and table_id is missing"),
            (
                {"columns": {"PESEL": "personal_number"}, "locale": "pl"},
                "columns has personal_number, which needs api_generation 1 or 2, and locale needs api_generation 3",
            ),
            (
                {"defaults": {"company_name": "Acme"}, "expires_at": timedelta(hours=1)},
                "defaults has company_name, which needs api_generation 1 or 2, and expires_at needs",
            ),
            ({"expires_at": timedelta(minutes=29)}, "expires_at must be from 30 minutes to 30 days ahead"),
            ({"expires_at": datetime(2030, 1, 31)}, "expires_at has no time zone"),  # noqa: DTZ001  (refused)
            ({"columns": {"PESEL": "record."}}, "columns maps 'PESEL' to what is not a field"),
        ],
    )
    def test_what_no_connection_can_run_is_refused_as_the_dag_is_parsed(
        self, arguments: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            RunWorkflowBatchOperator(
                task_id="batch",
                workflow_definition_id="d",
                items="people.csv",
                output_path="out",
                **arguments,
            )
        assert words in str(refused.value)

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ({"record_id": READY_RECORD, "first_name": "Ada"}, "a record and a case together"),
            ({"record_id": READY_RECORD, "case_id": READY_RECORD}, "a record and a case together"),
            ({"record_id": READY_RECORD, "record.name": "Ada"}, "record_id and record fields together"),
            ({"record": {"name": "Ada"}, "record.name": "Ada"}, "is given both whole and in parts"),
            ({"record_id": "Ada"}, "record_id: "),
            (
                {"record_id": None, "parameters": {"limit": 1}},
                "has no field of a case or a record, and no case_id or record_id",
            ),
            (
                {"record": {}, "parameters": {"limit": 1}},
                "has no field of a case or a record, and no case_id or record_id",
            ),
            ({"record.name": "NULL"}, "is text that stands for an empty cell"),
            ({"record.born": datetime(2030, 1, 31)}, "record.born: has no time zone"),  # noqa: DTZ001
            ({"record": "Ada"}, "record: must be a dict"),
            ({"record.owner": object()}, "record.owner: is object, which is not a JSON value"),
        ],
    )
    def test_a_row_that_does_not_say_whom_it_is_about_is_a_bad_row(
        self, batch: BatchTask, connected: Sandbox, row: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            batch.run([row], table_id=TABLE, workflows_conn_id=CONNECTION_IDS[2])
        assert words in str(refused.value)
        assert "Ada" not in str(refused.value)
        assert not connected.counts.requests

    def test_a_field_that_the_table_does_not_have_fails_its_row_alone(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        rows = [{"record.name": "Ada"}, {"record.born": "Brunhilde"}, {"record.name": "Bob"}]
        batch.run(rows, table_id=TYPED_TABLE, workflows_conn_id=CONNECTION_IDS[3], max_failed_share=1.0)

        assert batch.outcomes == ["succeeded", "not_submitted", "succeeded"]
        assert "born: is not of the type date" in batch.output[1]["error"]
        assert "Brunhilde" not in json.dumps(batch.output)

    def test_a_table_that_is_not_there_ends_the_batch_at_its_first_row(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        with pytest.raises(Exception, match=r"404|not found|no such table"):
            batch.run(
                [{"record.name": "Ada"}] * 5, table_id=READY_RECORD, workflows_conn_id=CONNECTION_IDS[3]
            )
        assert connected.counts.requests[RECORD_CALL] == 1

    def test_an_expiry_that_comes_too_soon_is_refused_before_anything_is_sent(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        kind = KINDS["3: nobody"]
        with pytest.raises(InvalidInput, match="expires_at must be from 30 minutes"):
            batch.run(kind.rows(), **kind.given(expires_at=datetime.now(timezone.utc) + timedelta(minutes=5)))
        assert not connected.counts.requests


@pytest.mark.thorough
def test_an_expiry_that_comes_too_near_while_the_service_fails_keeps_the_failure(
    batch: BatchTask, connected: Sandbox
) -> None:
    kind = KINDS["3: nobody"]
    connected.fault("server_error", status=503, path="/workflows")
    moment = datetime.now(timezone.utc) + timedelta(minutes=30, seconds=1)

    with pytest.raises(ServiceUnavailable) as failed:
        batch.run(kind.rows(), **kind.given(expires_at=moment))

    assert (failed.value.status, failed.value.is_retryable()) == (503, False)
    assert failed.value.fingerprint is not None
    assert str(failed.value.fingerprint) in str(failed.value)
    assert f"{moment:%Y-%m-%dT%H:%M:%SZ} is 29 minutes ahead" in str(failed.value)
    assert "has come too near since the first attempt" in str(failed.value)
    assert not connected.counts.runs


@pytest.mark.thorough
class TestWhatIsPaidOnce:
    def test_a_clear_and_a_retry_pay_nothing_twice(
        self, batch: BatchTask, connected: Sandbox, kind: Kind
    ) -> None:
        rows = kind.rows()
        batch.run(rows, **kind.given())
        batch.clear()
        batch.run(rows, **kind.given())
        batch.ti.try_number += 1
        batch.run(rows, **kind.given())

        assert limits(connected) == once()

    def test_a_row_that_has_changed_is_due_and_no_other(
        self, batch: BatchTask, connected: Sandbox, kind: Kind
    ) -> None:
        rows = kind.rows()
        batch.run(rows, **kind.given())
        batch.clear()
        rows[1] = {**rows[1], "parameters": {"limit": 12}}
        batch.run(list(reversed(rows)), **kind.given())

        assert limits(connected) == {**once(), "12": 1}

    @pytest.mark.parametrize("generation", [2, 3])
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"record.name": "Ada"}, {"record.name": "Eva"}),
            ({"record.name": "Ada"}, {"record.name": "Ada", "record.level": 1}),
            ({"record.name": "Ada"}, {"record_id": READY_RECORD}),
        ],
    )
    def test_a_row_about_another_record_is_due(
        self,
        batch: BatchTask,
        connected: Sandbox,
        generation: int,
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        given = {"table_id": TABLE, "workflows_conn_id": CONNECTION_IDS[generation]}
        others = [{"key": "K2", "record.name": "Bob"}]
        batch.run([{"key": "K1", **before}, *others], **given)
        batch.clear()
        batch.run([{"key": "K1", **after}, *others], **given)

        assert connected.counts.runs == 3
        assert set(connected.counts.runs_per_record.values()) == {1}

    @pytest.mark.parametrize("changed", [{"locale": "en"}, {"expires_at": timedelta(hours=2)}])
    def test_another_locale_or_expiry_makes_no_row_due(
        self, batch: BatchTask, connected: Sandbox, changed: dict[str, Any]
    ) -> None:
        kind = KINDS["3: records"]
        batch.run(kind.rows(), **kind.given(locale="pl", expires_at=timedelta(hours=1)))
        batch.clear()
        batch.run(kind.rows(), **kind.given(**{"locale": "pl", "expires_at": timedelta(hours=1), **changed}))

        assert limits(connected) == once()

    def test_another_table_makes_the_rows_due_whose_records_are_created(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        rows = [{"key": "K1", "record.name": "Ada"}, {"key": "K2", "record_id": READY_RECORD}]
        conn_id = CONNECTION_IDS[3]
        batch.run(rows, table_id=TYPED_TABLE, workflows_conn_id=conn_id)
        batch.clear()
        batch.run(rows, table_id=TABLE, workflows_conn_id=conn_id)

        assert connected.counts.runs_per_record[READY_RECORD] == 1
        assert connected.counts.runs == 3

    def test_a_start_whose_response_is_lost_is_unknown_and_not_sent_again(
        self, batch: BatchTask, connected: Sandbox, kind: Kind
    ) -> None:
        path = RUN_CALLS[kind.generation].removeprefix("POST ")
        batch.run(kind.rows(1), **kind.given(output_path=str(batch.folder / "first")))
        connected.counts.reset()
        connected.fault("cut_after", path=path, times=1)
        batch.ti.run_id = "scheduled__2026-02-01"
        batch.store = type(batch.store)()
        rows = kind.rows()
        batch.run(rows, **kind.given(max_failed_share=1.0, max_concurrency=1))
        assert batch.outcomes == ["unknown", *["succeeded"] * (ROWS - 1)]
        unknown = (batch.folder / "unknown.csv").read_text("utf-8-sig")
        listed = list(csv.DictReader(io.StringIO(unknown), delimiter=";"))
        batch.clear()
        batch.run(rows, **kind.given(max_failed_share=1.0))

        assert limits(connected) == once()
        assert batch.outcomes.count("unknown") == 1
        about = listed[0]["case_id"] or listed[0]["record_id"]
        assert about in connected.counts.runs_per_subject or kind.row is of_nobody

    @pytest.mark.costly(4)
    def test_an_unknown_row_is_submitted_again_only_if_asked_for_and_about_the_same(
        self, batch: BatchTask, connected: Sandbox, kind: Kind
    ) -> None:
        rows = kind.rows()
        batch.run(rows[:1], **kind.given(output_path=str(batch.folder / "first")))
        connected.counts.reset()
        path = RUN_CALLS[kind.generation].removeprefix("POST ")
        connected.fault("cut_before", path=path, times=1)
        batch.ti.run_id = "scheduled__2026-02-01"
        batch.store = type(batch.store)()
        batch.run(rows, **kind.given(max_failed_share=1.0, max_concurrency=1))
        batch.clear()
        batch.run(rows, **kind.given(on_unknown_outcome="resubmit"))

        assert limits(connected) == once()
        assert batch.outcomes == ["succeeded"] * ROWS
        created = connected.counts.cases + connected.counts.records
        assert created == (ROWS if kind.calls & {CASE_CALL, RECORD_CALL} else 0)

    def test_a_run_that_failed_is_submitted_again_for_the_same_record(
        self, batch: BatchTask, connected: Sandbox, kind: Kind
    ) -> None:
        connected.define(batch.definition_id, seconds=0.0, status="FAILED")
        batch.run(kind.rows(), **kind.given(max_failed_share=1.0))
        connected.define(batch.definition_id, seconds=0.0)
        batch.clear()
        batch.run(kind.rows(), **kind.given())

        assert limits(connected) == dict.fromkeys(once(), 2)
        created = connected.counts.cases + connected.counts.records
        assert created == (ROWS if kind.calls & {CASE_CALL, RECORD_CALL} else 0)

    def test_rows_of_records_move_to_generation_3_without_a_second_run(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        kind = KINDS["2: records"]
        connected.fault("forbidden", path="/workflows/run")
        with pytest.raises(Exception, match="403"):
            batch.run(kind.rows(), **kind.given(max_concurrency=1))
        connected.clear_faults()
        batch.ti.try_number += 1
        batch.run(kind.rows(), **kind.given(workflows_conn_id=CONNECTION_IDS[3]))

        assert limits(connected) == once()
        assert connected.counts.records == ROWS

    def test_a_journal_that_is_gone_is_seen(self, batch: BatchTask, connected: Sandbox, kind: Kind) -> None:
        batch.run(kind.rows(), **kind.given())
        for path in batch.state_folders[0].glob("journal-*"):
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[:1]))
        batch.clear()
        with pytest.raises(Exception, match="the journal has cases of"):
            batch.run(kind.rows(), **kind.given())

        assert limits(connected) == once()


@pytest.mark.thorough
class TestOutput:
    @pytest.mark.costly(8)
    @pytest.mark.parametrize("output_format", ["jsonl", "csv", "parquet"])
    def test_it_has_the_id_of_the_record_where_a_row_may_have_one(
        self, batch: BatchTask, connected: Sandbox, kind: Kind, output_format: str
    ) -> None:
        summary = batch.run(kind.rows(), **kind.given(output_format=output_format))

        rows = list(read_output(summary["output"]))
        table = read_output(summary["output"]).to_arrow()
        assert {"record_id" in row for row in rows} == {kind.generation > 1}
        assert ("record_id" in table.column_names) is (kind.generation > 1)
        subjects = [row["case_id"] or row.get("record_id") for row in rows]
        if kind.row is of_nobody:
            assert subjects == [None] * ROWS
        else:
            assert set(subjects) == set(connected.counts.runs_per_subject)

    @pytest.mark.parametrize("output_format", ["jsonl", "csv", "parquet"])
    def test_it_has_the_versions_of_a_run_where_the_service_gives_them(
        self, batch: BatchTask, connected: Sandbox, kind: Kind, output_format: str
    ) -> None:
        connected.define(batch.definition_id, seconds=0.0, revision=7)
        summary = batch.run(kind.rows(), **kind.given(output_format=output_format))

        names = ("revision", "execution_version")
        expected = [{"revision": "7", "execution_version": "1"} if kind.generation == 3 else {}] * ROWS
        rows = list(read_output(summary["output"]))
        table = read_output(summary["output"]).to_arrow().to_pylist()
        assert [{name: row[name] for name in names if name in row} for row in rows] == expected
        assert [{name: row[name] for name in names if name in row} for row in table] == expected

    def test_a_new_run_has_its_own_versions(self, batch: BatchTask, connected: Sandbox) -> None:
        kind = KINDS["3: records"]
        connected.define(batch.definition_id, seconds=0.0, status="FAILED", revision=7)
        with pytest.raises(Exception, match="did not succeed"):
            batch.run(kind.rows(), **kind.given())
        failed = [row["revision"] for row in batch.output]
        connected.define(batch.definition_id, seconds=0.0, revision=8)
        batch.clear()
        batch.run(kind.rows(), **kind.given())

        assert failed == ["7"] * ROWS
        assert [row["revision"] for row in batch.output] == ["8"] * ROWS

    @pytest.mark.parametrize(
        "row", [{"record.personalNumber": NUMBER}, {"parameters": {"personalNumber": NUMBER}}]
    )
    @pytest.mark.parametrize("generation", [2, 3])
    def test_hashes_are_those_of_the_rows_where_results_have_no_number(
        self, batch: BatchTask, connected: Sandbox, monkeypatch: pytest.MonkeyPatch, row: Any, generation: int
    ) -> None:
        conn_id = CONNECTION_IDS[generation]
        name = f"AIRFLOW_CONN_{conn_id.upper()}"
        given = json.loads(connected.environment[name])
        changed = {**given, "extra": {**given["extra"], "hash_secret": "a secret of 32 characters or more"}}
        monkeypatch.setenv(name, json.dumps(changed))
        batch.run([row], hash_personal_numbers=True, workflows_conn_id=conn_id, table_id=TABLE)

        expected = personal_number_hash(NUMBER, "a secret of 32 characters or more")
        assert [row["personal_number_hash"] for row in batch.output] == [expected]

    @pytest.mark.parametrize("name", ["2: records", "3: records"])
    def test_nothing_of_a_record_is_in_the_state_or_in_the_log(
        self, batch: BatchTask, connected: Sandbox, caplog: pytest.LogCaptureFixture, name: str
    ) -> None:
        kind = KINDS[name]
        batch.run(kind.rows(), **kind.given())

        written = b"".join(path.read_bytes() for path in batch.state_folders[0].iterdir())
        assert b"Ada" not in written
        assert "Ada" not in caplog.text
        assert "Ada" not in str(batch.ti.xcoms)


def test_generation_1_sends_what_it_always_sent(batch: BatchTask, connected: Sandbox) -> None:
    batch.run(cases(2), parameters={"limit": 1})

    accepted = {request.headers["accept"] for request in connected.counts.seen if request.method == "POST"}
    assert accepted == {"application/json;version=1"}
    assert [workflow.parameters for workflow in connected.workflows] == [{"limit": 1}] * 2
    assert "record_id" not in batch.output[0]
