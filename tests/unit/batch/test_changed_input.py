"""An input that changes between its check and the submission: no row is sent that was not checked."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.batch import Batch
from airflow_provider_workflows.batch.checked_input import check_input
from airflow_provider_workflows.batch.options import BatchOptions
from airflow_provider_workflows.batch.place import BatchPlace
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import CASE_CALL, RUN_CALL

LOG = logging.getLogger(__name__)
NAMES = ["Ada", "Bob", "Eve", "Zoe", "Max"]


async def publish(_: BatchReport) -> None:
    """Take progress."""


class Checked:
    """A batch whose input was checked, and may change before it is submitted."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        definition = sandbox.define(seconds=0.0)
        self.options = BatchOptions(definition, None, True, 4, None, 1.0)
        self.place = BatchPlace.named(ObjectStoragePath(str(folder)), "state")
        self.settings = WorkflowsHook().settings
        self.batch: Batch | None = None

    def check(self, items: Any) -> None:
        manifest = check_input(self.settings, self.options, self.place, items)
        self.batch = Batch(self.settings, self.options, self.place, manifest)

    def submit(self, items: Any) -> None:
        assert self.batch is not None
        asyncio.run(self.batch.submit(items, publish, LOG))


@pytest.fixture
def checked(connected: Sandbox, short_pauses: None, tmp_path: Path) -> Checked:
    return Checked(connected, tmp_path / "output")


def rows(names: list[str], *, keyed: bool = True) -> list[dict[str, Any]]:
    return [
        {"first_name": name} | ({"key": f"K{number}"} if keyed else {}) for number, name in enumerate(names)
    ]


@pytest.mark.parametrize("keyed", [True, False], ids=["keys", "no keys"])
@pytest.mark.parametrize(
    ("names", "number"),
    [
        ([*NAMES[:2], "Jan", *NAMES[3:]], 3),
        ([*NAMES[:3], NAMES[4], NAMES[3]], 4),
        ([*NAMES, "New"], 6),
    ],
    ids=["changed", "another order", "longer"],
)
def test_a_row_that_was_not_checked_is_not_sent_and_the_try_fails_with_its_number(
    checked: Checked, connected: Sandbox, keyed: bool, names: list[str], number: int
) -> None:
    checked.check(rows(NAMES, keyed=keyed))

    with pytest.raises(InvalidInput, match=f"^row {number} of items has changed since the input was checked"):
        checked.submit(rows(names, keyed=keyed))

    assert connected.counts.requests[RUN_CALL] <= number - 1
    assert max(connected.counts.runs_per_case.values()) == 1


def test_an_input_that_ends_early_fails_the_try(checked: Checked, connected: Sandbox) -> None:
    checked.check(rows(NAMES))

    with pytest.raises(InvalidInput, match=r"^items ends with row 3 now, and ended with row 5 when"):
        checked.submit(rows(NAMES[:3]))

    assert connected.counts.requests[RUN_CALL] == 3


def test_a_bad_row_that_is_good_now_is_not_sent(checked: Checked, connected: Sandbox) -> None:
    checked.check([{"first_name": "Ada"}, {"first_name": 7}, {"first_name": "Eve"}])

    with pytest.raises(InvalidInput, match=r"^row 2 of items has changed"):
        checked.submit([{"first_name": "Ada"}, {"first_name": "Bob"}, {"first_name": "Eve"}])

    assert connected.counts.requests[CASE_CALL] <= 1


def test_a_good_row_that_is_bad_now_fails_the_try(checked: Checked, connected: Sandbox) -> None:
    checked.check([{"first_name": "Ada"}, {"first_name": "Bob"}])

    with pytest.raises(InvalidInput, match=r"^row 2 of items has changed"):
        checked.submit([{"first_name": "Ada"}, {"first_name": 7}])

    assert connected.counts.requests[CASE_CALL] <= 1


class TestFile:
    def test_that_was_written_anew_is_not_opened_for_the_submission(
        self, checked: Checked, connected: Sandbox, tmp_path: Path
    ) -> None:
        file = tmp_path / "people.csv"
        file.write_text("first_name\n" + "\n".join(NAMES))
        checked.check(str(file))
        file.write_text("first_name\n" + "\n".join([*NAMES, "New"]))

        with pytest.raises(InvalidInput, match=r"^items: the file has changed since its rows were checked"):
            checked.submit(str(file))

        assert connected.counts.total_requests == 0

    def test_that_has_the_size_and_the_time_of_before_has_its_rows_compared(
        self, checked: Checked, connected: Sandbox, tmp_path: Path
    ) -> None:
        file = tmp_path / "people.csv"
        file.write_text("first_name\n" + "\n".join(NAMES))
        checked.check(str(file))
        times = file.stat()
        with file.open("r+") as opened:
            opened.write("first_name\n" + "\n".join(reversed(NAMES)))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

        with pytest.raises(InvalidInput, match=r"^row 1 \(line 2 of the file\) of items has changed"):
            checked.submit(str(file))

        assert connected.counts.total_requests == 0

    def test_that_was_written_anew_with_the_same_rows_is_taken_by_a_retry(
        self, checked: Checked, connected: Sandbox, tmp_path: Path
    ) -> None:
        file = tmp_path / "people.csv"
        file.write_text("first_name\n" + "\n".join(NAMES))
        checked.check(str(file))
        os.utime(file, ns=(0, 0))

        assert checked.batch is not None
        assert checked.batch.has_same_input(str(file))
        checked.submit(str(file))

        assert connected.counts.requests[RUN_CALL] == len(NAMES)

    def test_that_changes_while_it_is_checked_is_refused(
        self, checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "people.csv"
        file.write_text("first_name\n" + "\n".join(NAMES))
        read_rows = BatchOptions.rows

        def rows_while_it_is_written(options: BatchOptions, items: Any, **arguments: Any) -> Any:
            yield from read_rows(options, items, **arguments)
            file.write_text("first_name\n" + "\n".join([*NAMES, "New"]))

        monkeypatch.setattr(BatchOptions, "rows", rows_while_it_is_written)

        with pytest.raises(InvalidInput, match=r"^items: the file has changed since its rows were checked"):
            checked.check(str(file))
