"""Where Airflow has no task state store, files in ``[workflows] state_folder`` take its place, or none."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.task_state import CLEAR_OF_STATE, TASK_STATE_STORE
from airflow_provider_workflows.api.errors import InvalidInput, OutcomeUnknown, WorkflowFailed
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.file_store import MAX_NAME_CHARACTERS, FileStore, name_of
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.state_store import FirstOfTwo, a_clear_forgets, state_store
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sensors.outage import failing_since
from tests.unit.batch_task import RUN_CALL, BatchTask, Service, cases
from tests.unit.operators.test_run_modes import OFTEN, drive

TASK = ("nightly", "manual__2026-01-31T00:00:00+00:00", "check", -1)
OPTION = "AIRFLOW__WORKFLOWS__STATE_FOLDER"


@pytest.fixture(autouse=True)
def older_airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have Airflow no task state store, as below 3.3."""

    def find() -> None:
        raise ImportError("cannot import name 'NEVER_EXPIRE'")

    monkeypatch.setattr(TASK_STATE_STORE, "find", find)
    TASK_STATE_STORE.forget()
    yield
    TASK_STATE_STORE.forget()


@pytest.fixture
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(OPTION, str(tmp_path / "states"))
    return tmp_path / "states"


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, remote: MemoryFileSystem) -> ObjectStoragePath:
    return ObjectStoragePath("memory://states" if request.param == "remote" else str(tmp_path))


class TestFiles:
    @pytest.mark.parametrize("folder", ["local", "remote"], indirect=True)
    def test_a_value_is_there_for_the_next_try_until_it_is_deleted(self, folder: ObjectStoragePath) -> None:
        FileStore(folder, TASK).set("run", {"phase": "submitting"}, retention=object())
        FileStore(folder, TASK).set("run", {"phase": "submitted"})
        found = FileStore(folder, TASK).get("run")

        FileStore(folder, TASK).delete("run")

        assert found == {"phase": "submitted"}
        assert FileStore(folder, TASK).get("run") is None
        FileStore(folder, TASK).delete("run")

    @pytest.mark.parametrize("folder", ["local"], indirect=True)
    def test_each_task_instance_and_each_key_has_a_value_of_its_own(self, folder: ObjectStoragePath) -> None:
        stores = [
            FileStore(folder, task)
            for task in (TASK, ("other", *TASK[1:]), (*TASK[:2], "other", -1), (*TASK[:3], 0))
        ]

        for number, store in enumerate(stores):
            store.set("a", number)
            store.set("b", -number)

        assert [store.get("a") for store in stores] == [0, 1, 2, 3]
        assert [store.get("b") for store in stores] == [0, -1, -2, -3]

    @pytest.mark.parametrize("folder", ["local"], indirect=True)
    def test_a_file_is_for_its_owner_alone(self, folder: ObjectStoragePath) -> None:
        store = FileStore(folder, TASK)

        store.set("run", 1)

        (file,) = Path(store.folder.path).iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    @pytest.mark.parametrize("folder", ["local", "remote"], indirect=True)
    def test_a_damaged_file_is_not_taken_for_nothing(self, folder: ObjectStoragePath) -> None:
        store = FileStore(folder, TASK)
        store.set("run", {"phase": "submitted"})
        file = store.folder / "run.json"
        file.fs.pipe_file(file.path, b'{"phase": "sub')

        with pytest.raises(OutcomeUnknown, match=r"run\.json is no JSON"):
            store.get("run")

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("manual__2026-01-31T00:00:00+00:00", "manual__2026-01-31T00%3A00%3A00%2B00%3A00"),
            ("a/../b", "a%2F..%2Fb"),
            ("..", "%2E%2E"),
            ("-1", "-1"),
            ("día[1]", "d%C3%ADa%5B1%5D"),
        ],
    )
    def test_an_id_of_any_characters_is_the_name_of_one_folder(self, text: str, name: str) -> None:
        assert name_of(text) == name

    def test_long_ids_have_short_names_that_differ(self) -> None:
        names = {name_of("á" * 200 + end) for end in ("", "b", "c")}

        assert len(names) == 3
        assert all(len(name) <= MAX_NAME_CHARACTERS for name in names)


class TestUpgrades:
    """What an Airflow with a task state store does where the option is set as well."""

    @pytest.fixture
    def newer_airflow(self, older_airflow: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(TASK_STATE_STORE, "find", object)
        TASK_STATE_STORE.forget()

    @pytest.fixture
    def discards(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
        monkeypatch.setattr(CLEAR_OF_STATE, "find", lambda: (request.param,))
        CLEAR_OF_STATE.forget()
        yield request.param
        CLEAR_OF_STATE.forget()

    @pytest.mark.usefixtures("newer_airflow", "state_folder")
    @pytest.mark.parametrize("discards", [True, False], indirect=True)
    def test_a_record_is_where_no_clear_discards_it(self, context: dict[str, Any], discards: bool) -> None:
        store = state_store(context)  # type: ignore[arg-type]

        store.set("run", {"phase": "submitted"}, retention=None)
        kept = FirstOfTwo(store, store).get("run")

        # What Airflow 3.4 does at a clear.
        was_in_airflow = "run" in context["task_state_store"].stored
        assert was_in_airflow is not discards
        assert kept == {"phase": "submitted"}

    @pytest.mark.usefixtures("newer_airflow", "state_folder")
    @pytest.mark.parametrize("discards", [True, False], indirect=True)
    def test_what_the_api_server_writes_is_read_from_its_own_store(
        self, context: dict[str, Any], discards: bool
    ) -> None:
        context["task_state_store"].set("instruction", {"action": "stop"})

        store = state_store(context, outlasts_clear=False)  # type: ignore[arg-type]

        assert store.get("instruction") == {"action": "stop"}
        store.delete("instruction")
        assert context["task_state_store"].stored == {}

    @pytest.mark.usefixtures("newer_airflow")
    @pytest.mark.parametrize("discards", [True, False], indirect=True)
    def test_what_was_kept_before_an_upgrade_is_found(
        self, context: dict[str, Any], state_folder: Path, discards: bool
    ) -> None:
        ti = context["ti"]
        files = FileStore(ObjectStoragePath(str(state_folder)), (ti.dag_id, ti.run_id, ti.task_id, -1))
        files.set("from_3.2", 1)
        context["task_state_store"].set("from_3.3", 2)

        store = state_store(context)  # type: ignore[arg-type]

        assert [store.get(key) for key in ("from_3.2", "from_3.3", "never")] == [1, 2, None]

    @pytest.mark.parametrize("discards", [True, False], indirect=True)
    @pytest.mark.parametrize(("option", "forgets"), [("", True), ("/states", False), ("no place", False)])
    def test_a_clear_forgets_where_airflow_discards_what_it_keeps_and_there_is_no_folder(
        self, monkeypatch: pytest.MonkeyPatch, discards: bool, option: str, forgets: bool
    ) -> None:
        monkeypatch.setenv(OPTION, option)

        assert a_clear_forgets() is (discards and forgets)

    @pytest.mark.usefixtures("newer_airflow")
    @pytest.mark.parametrize("discards", [True, False], indirect=True)
    def test_without_the_option_all_is_in_airflows_store(
        self, context: dict[str, Any], discards: bool
    ) -> None:
        state_store(context).set("run", 1, retention=None)  # type: ignore[arg-type]

        assert context["task_state_store"].stored == {"run": "1"}


class TestRun:
    @pytest.fixture
    def ids(self, connected: Sandbox, short_pauses: None) -> dict[str, str]:
        with connected.client() as client:
            case_id = client.create_case().case_id
        return {"workflow_definition_id": connected.define(seconds=0.0), "case_id": case_id}

    @pytest.fixture
    def context(self, context: dict[str, Any]) -> dict[str, Any]:
        del context["task_state_store"]
        return context

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_a_retry_and_a_clear_go_on_with_the_run_that_the_folder_has(
        self,
        connected: Sandbox,
        context: dict[str, Any],
        ids: dict[str, str],
        state_folder: Path,
        deferrable: bool,
    ) -> None:
        def run() -> Any:
            return drive(
                lambda: RunWorkflowOperator(
                    task_id="run", wait_for_completion=True, deferrable=deferrable, **OFTEN, **ids
                ),
                context,
            )

        first = run()
        context["ti"].try_number += 1
        retried = run()
        context["ti"].clear()
        cleared = run()

        assert first == retried == cleared
        assert connected.counts.requests[RUN_CALL] == 1
        assert [path.name for path in state_folder.rglob("*.json")] == ["workflow_run.json"]

    @pytest.mark.usefixtures("state_folder")
    def test_that_fails_says_what_can_be_done_where_no_button_can_be_pressed(
        self,
        connected: Sandbox,
        context: dict[str, Any],
        ids: dict[str, str],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        ids["workflow_definition_id"] = connected.define(seconds=0.0, status="FAILED")

        with pytest.raises(WorkflowFailed):
            RunWorkflowOperator(
                task_id="run", wait_for_completion=True, deferrable=False, **OFTEN, **ids
            ).execute(
                context  # type: ignore[arg-type]
            )

        said = capsys.readouterr().out
        assert "A repair (clear the task): 1 run billed" in said
        assert 'Starting over (set on_clear="start_over" and clear the task): 1 run billed' in said
        assert "press" not in said

    @pytest.mark.usefixtures("state_folder")
    def test_a_run_that_nobody_knows_of_is_not_submitted_again(
        self, connected: Sandbox, context: dict[str, Any], ids: dict[str, str]
    ) -> None:
        connected.fault("cut_after", path="/workflows/run")

        for _ in range(2):
            with pytest.raises(AirflowFailException, match=r"nobody knows|may or may not"):
                RunWorkflowOperator(task_id="run", **ids).execute(context)
            context["ti"].try_number += 1

        assert connected.counts.requests[RUN_CALL] == 1

    def test_without_a_folder_nothing_is_sent_and_the_words_say_what_to_set(
        self, connected: Sandbox, context: dict[str, Any], ids: dict[str, str]
    ) -> None:
        with pytest.raises(
            AirflowFailException, match=rf"(?s)Nothing was submitted.*{OPTION}.*durable=False"
        ):
            RunWorkflowOperator(task_id="run", **ids).execute(context)

        assert connected.counts.requests[RUN_CALL] == 0

    def test_without_a_folder_a_run_that_is_not_durable_is_submitted(
        self, connected: Sandbox, context: dict[str, Any], ids: dict[str, str]
    ) -> None:
        RunWorkflowOperator(task_id="run", durable=False, **ids).execute(context)

        assert connected.counts.requests[RUN_CALL] == 1

    def test_without_a_folder_a_case_is_created(self, connected: Sandbox, context: dict[str, Any]) -> None:
        assert CreateCaseOperator(task_id="case").execute(context)

    def test_a_folder_that_cannot_be_reached_is_named_before_anything_is_sent(
        self,
        connected: Sandbox,
        context: dict[str, Any],
        ids: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv(OPTION, "nowhere://states")

        with pytest.raises(
            InvalidInput, match=r"\[workflows\] state_folder: nothing here can reach nowhere://"
        ):
            RunWorkflowOperator(task_id="run", **ids).execute(context)

        assert connected.counts.requests[RUN_CALL] == 0

    def test_without_a_folder_a_rescheduled_sensor_counts_an_outage_from_each_poll(
        self, context: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        log = logging.getLogger(__name__)

        assert [failing_since(context, now, 60.0, log) for now in (7.0, 9.0)] == [7.0, 9.0]  # type: ignore[arg-type]
        assert caplog.records == []


class TestBatch:
    @pytest.fixture
    def context(self, batch: BatchTask, monkeypatch: pytest.MonkeyPatch) -> None:
        context = {"ti": batch.ti, "outlet_events": batch.outlet_events}
        monkeypatch.setattr(BatchTask, "context", property(lambda _: context))

    @pytest.mark.thorough
    @pytest.mark.usefixtures("context", "state_folder")
    def test_a_retry_and_a_clear_go_on_with_the_rows_that_the_folder_leads_to(
        self, batch: BatchTask, connected: Sandbox, service: Service
    ) -> None:
        batch.run(cases(3))
        batch.ti.try_number += 1
        batch.run(cases(3))
        batch.clear()
        batch.run(cases(3))

        assert connected.counts.requests[RUN_CALL] == 3
        assert batch.outcomes == ["succeeded"] * 3

    @pytest.mark.thorough
    @pytest.mark.usefixtures("context", "state_folder")
    def test_says_in_the_end_what_can_be_done_where_no_button_can_be_pressed(
        self, batch: BatchTask, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(cases(3), on_clear="start_over")

        said = capsys.readouterr().out
        assert 'A repair (set on_clear="repair" and clear the task): no run billed' in said
        assert "Starting over (clear the task) submits all 3 rows: 3 runs billed" in said
        assert "press" not in said

    @pytest.mark.usefixtures("context")
    def test_without_a_folder_a_batch_sends_nothing(self, batch: BatchTask, connected: Sandbox) -> None:
        with pytest.raises(AirflowFailException, match="state_folder"):
            batch.run(cases(3))

        assert sum(connected.counts.requests.values()) == 0
