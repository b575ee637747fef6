"""What a trigger says while it waits: a line now and then, and a report, without blocking the event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows import run_report as run_report_module
from airflow_provider_workflows.airflow_internals import xcom
from airflow_provider_workflows.api.retry import RateLimiter
from airflow_provider_workflows.batch import progress as progress_module
from airflow_provider_workflows.batch import report as report_module
from airflow_provider_workflows.batch import watched_rows as watched_rows_module
from airflow_provider_workflows.batch.problem_rows import Places, ProblemsOnTheWay
from airflow_provider_workflows.batch.reasons import Reasons
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.run_report import RunReport
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.triggers import workflow_status as workflow_status_module
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.unit.batch_task import BatchTask, cases
from tests.unit.clocks import until
from tests.unit.tasks import stored_trigger

TASK = SimpleNamespace(dag_id="checks", run_id="r1", task_id="check", map_index=-1, try_number=1)


class Xcoms:
    """The XComs of a trigger's task."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.written: list[Any] = []

    async def read(self, key: str, _: Any) -> Any:
        return self.values.get(key)

    async def write(self, key: str, value: Any, _: Any) -> None:
        self.values[key] = value
        self.written.append(value)


@pytest.fixture
def xcoms(monkeypatch: pytest.MonkeyPatch) -> Xcoms:
    xcoms = Xcoms()
    monkeypatch.setattr(xcom, "read_in_trigger", xcoms.read)
    monkeypatch.setattr(xcom, "write_in_trigger", xcoms.write)
    return xcoms


class TestSingleRun:
    @pytest.fixture
    def often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Report after each poll."""
        monkeypatch.setattr(run_report_module, "MIN_REPORT_SECONDS", 0.0)
        monkeypatch.setattr(run_report_module, "MAX_REPORT_SECONDS", 0.0)
        monkeypatch.setattr(workflow_status_module, "_reports", RateLimiter())

    @pytest.fixture
    def trigger(self, connected: Sandbox, short_pauses: None, xcoms: Xcoms) -> WorkflowStatusTrigger:
        """A trigger that waits for a long run, of which its task has reported two polls."""
        with connected.client() as client:
            definition_id = connected.define(seconds=600)
            workflow_id = client.run_workflow(definition_id, client.create_case().case_id).id
        begun = RunReport("workflows_default", time.time(), definition_id, workflow_id, "case", polls=2)
        xcoms.values[REPORT_KEY] = begun.to_json()
        trigger = WorkflowStatusTrigger(
            workflow_id=workflow_id, poll_interval=0.02, max_poll_interval=0.02, polls=2
        )
        trigger.task_instance = TASK  # type: ignore[assignment]
        return trigger

    @pytest.fixture
    async def wait_until(
        self, trigger: WorkflowStatusTrigger
    ) -> AsyncIterator[Callable[[Callable[[], Any]], Awaitable[None]]]:
        """Let the trigger wait until something is so."""
        waiting = list[asyncio.Future[Any]]()

        async def wait(is_so: Callable[[], Any]) -> None:
            waiting.append(asyncio.create_task(anext(trigger.run())))  # type: ignore[arg-type]
            await until(is_so)
            waiting[0].cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        yield wait
        assert waiting

    @pytest.mark.thorough
    async def test_reports_the_versions_of_a_run_that_its_polls_say(
        self,
        often: None,
        trigger: WorkflowStatusTrigger,
        xcoms: Xcoms,
        wait_until: Any,
        connected: Sandbox,
    ) -> None:
        with connected.client(api_generation=3) as client:
            definition_id = connected.define(seconds=600, revision=7)
            trigger.workflow_id = client.run_workflow(definition_id, parameters={"limit": 5}).id

        await wait_until(lambda: xcoms.written)

        report = RunReport.from_json(xcoms.values[REPORT_KEY])
        assert (report.revision, report.execution_version) == (7, 1)

    def _polls(self, sandbox: Sandbox) -> int:
        return sandbox.counts.requests["GET /workflows/{workflowId}"]

    @pytest.mark.thorough
    async def test_reports_its_polls_and_the_next_one(
        self, often: None, trigger: WorkflowStatusTrigger, xcoms: Xcoms, wait_until: Any
    ) -> None:
        await wait_until(lambda: len(xcoms.written) >= 3)
        written = len(xcoms.written)
        await asyncio.sleep(0.1)

        reports = [RunReport.from_json(report) for report in xcoms.written]
        assert [report.polls for report in reports[:3]] == [3, 4, 5]
        for report in reports:
            assert report.case_id == "case"
            assert report.status not in (None, "COMPLETED")
            assert report.last_poll_at is not None
            assert report.next_poll_at is not None
            assert report.next_poll_at > report.last_poll_at
        # One may have been under way.
        assert len(xcoms.written) <= written + 1

    async def test_logs_now_and_then_that_it_goes_on(
        self,
        trigger: WorkflowStatusTrigger,
        wait_until: Any,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(workflow_status_module, "LINE_SECONDS", 0.05)
        said: list[str] = []

        def has_said() -> bool:
            said.append(capsys.readouterr().out)
            return "Last poll: 20" in "".join(said)

        await wait_until(has_said)

        assert "polls. Last poll: 20" in "".join(said)

    async def test_reports_no_more_often_than_once_in_ten_seconds(
        self, trigger: WorkflowStatusTrigger, connected: Sandbox, xcoms: Xcoms, wait_until: Any
    ) -> None:
        await wait_until(lambda: self._polls(connected) >= 5)

        assert xcoms.written == []

    async def test_reports_its_first_poll_where_a_webhook_is_awaited(
        self, trigger: WorkflowStatusTrigger, xcoms: Xcoms, wait_until: Any
    ) -> None:
        trigger.webhooks, trigger.max_poll_interval = True, 300.0

        await wait_until(lambda: xcoms.written)

        report = RunReport.from_json(xcoms.written[0])
        assert (report.polls, report.webhooks) == (3, True)
        assert report.next_poll_at == pytest.approx(time.time() + 300, abs=60)

    async def test_all_that_wait_report_only_so_often_in_a_second(
        self,
        often: None,
        trigger: WorkflowStatusTrigger,
        connected: Sandbox,
        xcoms: Xcoms,
        wait_until: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(workflow_status_module, "_reports", RateLimiter(0.01))

        await wait_until(lambda: self._polls(connected) >= 5)

        assert len(xcoms.written) == 1

    async def test_a_report_waits_for_its_turn(
        self,
        often: None,
        trigger: WorkflowStatusTrigger,
        xcoms: Xcoms,
        wait_until: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        limiter = RateLimiter(10.0)
        monkeypatch.setattr(workflow_status_module, "_reports", limiter)
        begun = asyncio.get_running_loop().time()
        limiter.take_slot(begun)

        await wait_until(lambda: xcoms.written)

        assert asyncio.get_running_loop().time() >= begun + 0.1

    async def test_counts_the_polls_of_a_triggerer_that_has_ended(
        self, often: None, trigger: WorkflowStatusTrigger, xcoms: Xcoms, wait_until: Any
    ) -> None:
        xcoms.values[REPORT_KEY]["polls"] = 12

        await wait_until(lambda: xcoms.written)

        assert xcoms.written[0]["polls"] == 13

    async def test_leaves_the_end_that_the_task_has_reported_meanwhile(
        self,
        often: None,
        trigger: WorkflowStatusTrigger,
        connected: Sandbox,
        xcoms: Xcoms,
        wait_until: Any,
    ) -> None:
        xcoms.values[REPORT_KEY]["outcome"] = "succeeded"

        await wait_until(lambda: self._polls(connected) >= 3)

        assert xcoms.written == []


def _note_thread(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, threads: set[int]) -> None:
    called = getattr(owner, name)

    def noting(*given: Any, **named: Any) -> Any:
        threads.add(threading.get_ident())
        return called(*given, **named)

    monkeypatch.setattr(owner, name, staticmethod(noting) if inspect.ismethod(called) else noting)


class TestBatch:
    @pytest.fixture
    def deferred(self, batch: BatchTask, connected: Sandbox) -> Callable[..., BatchStatusTrigger]:
        """Submit a batch, and return its trigger."""

        def submit(rows: int, **definition: Any) -> BatchStatusTrigger:
            batch.definition_id = connected.define(**definition)
            operator = batch.operator(cases(rows))
            with pytest.raises(TaskDeferred) as deferred:
                operator.execute(batch.context)
            trigger: BatchStatusTrigger = stored_trigger(deferred.value)
            trigger.task_instance = TASK  # type: ignore[assignment]
            # Its event is not held back, which takes ten seconds.
            trigger.not_before = None
            return trigger

        return submit

    @pytest.mark.thorough
    def test_reports_what_the_worker_has_said_with_what_has_ended_since(
        self,
        deferred: Callable[..., BatchStatusTrigger],
        batch: BatchTask,
        xcoms: Xcoms,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.02)
        trigger = deferred(6, seconds=0.1, status="EXPIRED")
        said = BatchReport.from_json(batch.ti.xcoms[REPORT_KEY])

        async def wait() -> None:
            await anext(trigger.run())

        asyncio.run(wait())

        reports = [BatchReport.from_json(report) for report in xcoms.written]
        assert said.outcomes == {"running": 6}
        assert {report.phase for report in reports} == {report_module.ReportPhase.WAITING}
        assert all(sum(report.outcomes.values()) == 6 for report in reports)
        assert reports[-1].output == said.output == str(batch.folder / "results.jsonl")
        assert reports[-1].owner == said.owner
        assert reports[-1].workflow_definition_id == batch.definition_id
        assert reports[-1].repair.submits == reports[-1].outcomes["failed"]
        assert all(one.has_changed_since(other) for one, other in zip(reports[1:], reports, strict=False))

    @pytest.mark.thorough
    def test_does_what_takes_long_in_other_threads_than_the_event_loop_s(
        self,
        deferred: Callable[..., BatchStatusTrigger],
        xcoms: Xcoms,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.02)
        trigger = deferred(6, seconds=0.1, status="EXPIRED")
        threads: dict[str, set[int]] = {}
        for owner, name in (
            (Reasons, "folded"),
            (Places, "read"),
            (ProblemsOnTheWay, "take"),
            (BatchReport, "read"),
            (watched_rows_module, "states"),
        ):
            _note_thread(monkeypatch, owner, name, threads.setdefault(name, set()))

        async def wait() -> int:
            await anext(trigger.run())
            return threading.get_ident()

        of_the_loop = asyncio.run(wait())

        assert all(threads.values())
        assert of_the_loop not in set().union(*threads.values())

    @pytest.mark.thorough
    def test_waits_without_a_report_of_the_worker(
        self,
        deferred: Callable[..., BatchStatusTrigger],
        xcoms: Xcoms,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.02)
        trigger = deferred(3, seconds=0.1)
        (Path(trigger.folder) / "report.json").unlink()

        async def wait() -> Any:
            return (await anext(trigger.run())).payload

        assert asyncio.run(wait())["ended"] == 3
