"""A batch whose state was edited or garbled: no result is under a wrong key, and no row runs twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import RUN_CALL, BatchTask
from tests.unit.operators.test_batch_repair import keyed

ROWS = keyed("K1=Ada", "K2=Bea", "K3=Cleo")
Edit = Callable[[list[str]], list[str]]

IN_THE_MANIFEST: dict[str, Edit] = {
    "two keys swapped": lambda lines: [
        line.replace("K1", "K0").replace("K2", "K1").replace("K0", "K2") for line in lines
    ],
    "two lines swapped": lambda lines: [lines[0], lines[2], lines[1], lines[3]],
    "a line too few": lambda lines: lines[:-1],
    "a line twice": lambda lines: [*lines, lines[-1]],
    "another digest": lambda lines: [*lines[:-1], lines[-1].replace('"digest":"', '"digest":"00')],
    "no JSON": lambda lines: [lines[0], "garbage", *lines[2:]],
    "half a line": lambda lines: [*lines[:-1], lines[-1][:9]],
    "no object": lambda lines: [lines[0], "5", *lines[2:]],
    "an empty file": lambda lines: [],
}
IN_THE_JOURNAL: dict[str, Edit] = {
    "no JSON": lambda lines: [lines[0], "garbage", *lines[1:]],
    "no object": lambda lines: [*lines, "5"],
    "another field": lambda lines: [*lines, '{"row":1,"bogus":1}'],
    "no row": lambda lines: [*lines, '{"case_id":"x"}'],
    "half of its lines": lambda lines: lines[: len(lines) // 2],
    "an empty file": lambda lines: [],
}


def edit(path: Path, change: Edit) -> None:
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))


def of_the_state(batch: BatchTask, name: str) -> Path:
    (path,) = batch.state_folders[-1].glob(name)
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("items", [ROWS, [*ROWS[:2], {"key": "K3", "first_name": "Corrected"}]])
@pytest.mark.parametrize("change", IN_THE_MANIFEST.values(), ids=IN_THE_MANIFEST)
def test_a_manifest_that_is_not_what_was_written_is_refused_and_the_output_stays(
    batch: BatchTask, connected: Sandbox, change: Edit, items: Any
) -> None:
    batch.run(ROWS)
    before = batch.output
    edit(of_the_state(batch, "manifest.jsonl"), change)
    batch.clear()

    with pytest.raises(AirflowFailException, match=r"manifest|a part of it"):
        batch.run(items)

    assert (batch.output, connected.counts.requests[RUN_CALL]) == (before, 3)


@pytest.mark.thorough
@pytest.mark.parametrize("change", IN_THE_JOURNAL.values(), ids=IN_THE_JOURNAL)
def test_a_journal_that_cannot_be_right_is_refused(
    batch: BatchTask, connected: Sandbox, change: Edit
) -> None:
    batch.run(ROWS, deferrable=False)
    before = batch.output
    first, *others = sorted(batch.state_folders[-1].glob("journal-*"))
    for path in others:
        edit(path, change if path == others[0] else lambda _: [])
    batch.clear()

    with pytest.raises(AirflowFailException, match="state is gone"):
        batch.run(ROWS, deferrable=False)

    assert first
    assert (batch.output, connected.counts.requests[RUN_CALL]) == (before, 3)


@pytest.mark.thorough
def test_a_list_of_rows_left_out_that_cannot_be_read_is_refused(batch: BatchTask, connected: Sandbox) -> None:
    batch.run(ROWS)
    batch.clear()
    batch.run(ROWS[:2])
    edit(of_the_state(batch, "left_out.jsonl"), lambda lines: ["garbage", *lines])
    batch.clear()

    with pytest.raises(AirflowFailException, match=r"left_out.jsonl cannot be read"):
        batch.run(ROWS)

    assert connected.counts.requests[RUN_CALL] == 3
