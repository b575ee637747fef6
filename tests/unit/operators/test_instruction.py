"""The instruction that a person leaves for a task: what is stored, and which is followed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.operators.instruction import (
    INSTRUCTION_KEY,
    INSTRUCTION_VALID_SECONDS,
    Action,
    Instruction,
    Instructions,
    instructions_of,
)

ASKED_AT = 1_769_846_400.0
STORED: dict[str, Any] = {
    "format": 1,
    "id": "5b0a",
    "action": "repair",
    "rows": None,
    "outcome": None,
    "asked_at": ASKED_AT,
    "asked_by": "ada",
}
LOG = logging.getLogger("task")


class Store:
    """Keeps what a page has stored."""

    was_cleared = False

    def __init__(self, stored: Mapping[str, Any] | None) -> None:
        self.stored = stored

    def read(self) -> Mapping[str, Any] | None:
        return self.stored

    def write(self, fields: Mapping[str, Any]) -> None:
        self.stored = fields

    def delete(self) -> None:
        self.stored = None


def instructions(stored: Mapping[str, Any] | None, *, now: float = ASKED_AT + 1.0) -> Instructions:
    return Instructions(Store(stored), log=LOG, now=lambda: now)


@pytest.mark.parametrize(
    "instruction",
    [
        Instruction("1", Action.REPAIR, ASKED_AT, "ada"),
        Instruction("2", Action.START_OVER, ASKED_AT, "ada"),
        Instruction("3", Action.RESUBMIT, ASKED_AT, "ada", rows="1-50,61"),
        Instruction("4", Action.RESUBMIT, ASKED_AT, "ada", outcome=RowOutcome.FAILED),
        Instruction("5", Action.STOP, ASKED_AT, "ada"),
    ],
    ids=str,
)
def test_an_instruction_is_read_as_it_was_written(instruction: Instruction) -> None:
    assert Instruction.from_json(instruction.to_json()) == instruction


def test_a_page_stores_it_in_the_task_state_store(context: dict[str, Any]) -> None:
    context["task_state_store"].set(INSTRUCTION_KEY, STORED | {"asked_at": 9e9})

    instruction = instructions_of(context, LOG).read()

    assert instruction == Instruction("5b0a", Action.REPAIR, 9e9, "ada")


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"format": None},
        {"id": ""},
        {"id": None},
        {"action": "cancel"},
        {"action": None},
        {"asked_at": "yesterday"},
        {"asked_at": None},
        {"action": "resubmit"},
        {"action": "resubmit", "rows": "1", "outcome": "failed"},
        {"action": "resubmit", "outcome": "lost"},
    ],
    ids=str,
)
def test_one_that_cannot_be_read_is_not_followed_and_logged_once(
    changed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    of_task = instructions(STORED | changed)

    assert (of_task.read(), of_task.read(), of_task.stop_asked_by()) == (None, None, None)
    assert caplog.text.count("which is not followed: it cannot be read") == 1


def test_one_without_an_id_is_not_followed(caplog: pytest.LogCaptureFixture) -> None:
    assert instructions({name: value for name, value in STORED.items() if name != "id"}).read() is None
    assert "which is not followed" in caplog.text


@pytest.mark.parametrize(("age", "is_followed"), [(0.0, True), (1.0, True), (-1.0, False)])
def test_one_that_is_older_than_a_day_is_not_followed_and_logged(
    age: float, is_followed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    of_task = instructions(STORED, now=ASKED_AT + INSTRUCTION_VALID_SECONDS - age)

    assert (of_task.read() is not None) is is_followed
    assert ("older than a day: repair, for which ada has asked" in caplog.text) is not is_followed


@pytest.mark.parametrize(("action", "asked_by"), [("stop", "ada"), ("repair", None)])
def test_who_has_asked_to_stop_is_told(action: str, asked_by: str | None) -> None:
    assert instructions(STORED | {"action": action}).stop_asked_by() == asked_by


def test_only_the_one_that_was_followed_is_removed() -> None:
    of_task = instructions(STORED)
    followed = of_task.read()
    assert followed is not None

    of_task._store.write(STORED | {"id": "later", "action": "stop"})
    of_task.delete(followed)
    assert of_task.stop_asked_by() == "ada"

    of_task._store.write(STORED)
    of_task.delete(followed)
    assert of_task.read() is None


def test_a_name_makes_no_line_of_its_own_in_the_log() -> None:
    instruction = Instruction("1", Action.REPAIR, ASKED_AT, "ada\n[ERROR] gone\x1b[31m" + "x" * 500)

    assert str(instruction).startswith("repair, for which ada[ERROR] gone[31mxx")
    assert str(instruction).isprintable()
    assert len(instruction.asked_by) == 200


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"rows": "1-50,61"}, "resubmit of rows 1-50,61, for which ada"),
        ({"rows": "1," * 100}, "resubmit of rows " + "1," * 30 + "..., for which ada"),
        ({"outcome": "failed"}, "resubmit of all rows that are failed, for which ada"),
    ],
    ids=["rows", "many rows", "outcome"],
)
def test_the_log_names_what_was_asked_for(chosen: dict[str, str], words: str) -> None:
    instruction = Instruction.from_json(STORED | {"action": "resubmit"} | chosen)

    assert str(instruction).startswith(words)
    assert str(instruction).endswith("has asked at 2026-01-31 08:00:00 UTC")
