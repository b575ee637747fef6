"""What a person has asked a task for by a button of its page: its instruction, in the task state store."""

from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.log_throttle import utc_time
from airflow_provider_workflows.operators.records import TaskStateRecordStore, best_effort, without_none

if TYPE_CHECKING:
    from airflow.sdk import Context
    from typing_extensions import Self

    from airflow_provider_workflows.operators.records import RecordStore

#: The key of the instruction in the task's state store.
INSTRUCTION_KEY = "workflow_instruction"
#: The format of what is stored. Another number is another version's, which this one must not guess at.
INSTRUCTION_FORMAT = 1
#: An instruction that is older, in seconds, is not followed: nobody expects it any more.
INSTRUCTION_VALID_SECONDS = 24 * 3600.0
_LONGEST_NAME = 200
#: A log line repeats this many characters of the rows that were chosen.
_SHOWN_ROWS = 60


class Action(str, enum.Enum):
    """What a person may ask for."""

    REPAIR = "repair"
    """What a clear does with ``on_clear="repair"``, whatever the DAG says."""
    START_OVER = "start_over"
    """What a clear does with ``on_clear="start_over"``, whatever the DAG says."""
    RESUBMIT = "resubmit"
    """Submit certain rows, and no other."""
    STOP = "stop"
    """Submit nothing more, until the next clear."""


@dataclass(frozen=True)
class Instruction:
    """What a person has asked for.

    :param id: names it: it is followed once
    :param action: what to do
    :param asked_at: when it was asked for, in seconds since the epoch
    :param asked_by: the name of the person, as Airflow has it
    :param rows: the rows to submit, such as ``"1-50,61"``; None for those of an outcome
    :param outcome: the outcome of the rows to submit; None for those of ``rows``
    """

    id: str
    action: Action
    asked_at: float
    asked_by: str
    rows: str | None = None
    outcome: RowOutcome | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.id, str) and self.id):
            raise ValueError("an instruction has an id")
        if self.action is Action.RESUBMIT and (self.rows is None) is (self.outcome is None):
            raise ValueError("resubmit names rows or an outcome")
        # The name of a user is data: it must not make another line of the log.
        name = "".join(character for character in str(self.asked_by) if character.isprintable())
        object.__setattr__(self, "asked_by", name.strip()[:_LONGEST_NAME] or "somebody")

    def __str__(self) -> str:
        """Return the words of a log line."""
        of = ""
        if self.outcome is not None:
            of = f" of all rows that are {self.outcome.value}"
        elif self.rows is not None:
            of = f" of rows {self.rows[:_SHOWN_ROWS]}" + ("..." if len(self.rows) > _SHOWN_ROWS else "")
        return f"{self.action.value}{of}, for which {self.asked_by} has asked at {utc_time(self.asked_at)}"

    def to_json(self) -> dict[str, Any]:
        """Return the instruction as JSON."""
        fields = dataclasses.asdict(self) | {
            "action": self.action.value,
            "outcome": None if self.outcome is None else self.outcome.value,
        }
        return {"format": INSTRUCTION_FORMAT, **without_none(fields)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the instruction that ``to_json`` made JSON of.

        :raises LookupError: if a field is missing
        :raises TypeError: if a value cannot be right
        :raises ValueError: if it has another format, or a value cannot be right
        """
        if fields["format"] != INSTRUCTION_FORMAT:
            raise ValueError(f"format {fields['format']!r} is another version's")
        outcome, rows = fields.get("outcome"), fields.get("rows")
        return cls(
            fields["id"],
            Action(fields["action"]),
            float(fields["asked_at"]),
            fields["asked_by"],
            None if rows is None else str(rows),
            None if outcome is None else RowOutcome(outcome),
        )


@dataclass(frozen=True)
class Taken:
    """What one try does by the instruction that it has found.

    :param instruction: the instruction; None if it has found none
    :param action: what to do by it; None to do what the DAG says
    """

    instruction: Instruction | None = None
    action: Action | None = None

    @property
    def to_delete(self) -> Instruction | None:
        """The instruction that is over once this try has stored its record; a stop holds until the next clear."""
        return None if self.action is Action.STOP else self.instruction

    def starts_over(self, on_clear: bool) -> bool:
        """Return whether everything is submitted anew.

        :param on_clear: whether the DAG says so
        """
        return on_clear if self.action is None else self.action is Action.START_OVER

    def cleared(self, on_clear: bool) -> str:
        """Return the words for a clear, with which a log line begins.

        :param on_clear: whether the DAG says that everything is submitted anew
        """
        if self.action is not None:
            return f"Cleared ({self.instruction})"
        return 'Cleared, with on_clear="start_over"' if on_clear else "Cleared"


class Instructions:
    """The instruction that a person has left for a task.

    :param store: keeps it
    :param log: the task's log
    :param now: seconds since the epoch
    """

    def __init__(self, store: RecordStore, *, log: Any, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._log = log
        self._now = now
        #: What was logged as not followed: it is read every few seconds.
        self._left_alone: list[Mapping[str, Any]] = []
        #: The ids of those that were followed, of which one may still be stored.
        self._over: set[str] = set()

    def read(self) -> Instruction | None:
        """Return the instruction; None without one that may be followed, and the log says why."""
        stored = self._store.read()
        if stored is None:
            return None
        try:
            instruction = Instruction.from_json(stored)
        except (LookupError, TypeError, ValueError) as error:
            # Which value is wrong, and not the value.
            self._leave_alone(stored, f"it cannot be read ({type(error).__name__}), or is another version's")
            return None
        if self._now() - instruction.asked_at > INSTRUCTION_VALID_SECONDS:
            self._leave_alone(stored, f"it is older than a day: {instruction}")
            return None
        return None if instruction.id in self._over else instruction

    def take(self, *, followed: str | None, was_cleared: bool, begun_at: float) -> Taken:
        """Return what this try does by the instruction that is there.

        A stop holds until the next clear. Any other is written before a clear, and followed by the try after it.

        :param followed: id of the instruction that an earlier try has followed
        :param was_cleared: whether the task was cleared since the latest try that has come to submit
        :param begun_at: when this try began, in seconds since the epoch
        """
        instruction = self.read()
        if instruction is None:
            return Taken()
        if instruction.id == followed:
            # The try that has followed it was killed before it could remove it.
            self.delete(instruction)
            return Taken()
        if instruction.action is Action.STOP:
            is_lifted = was_cleared and instruction.asked_at < begun_at
            if is_lifted:
                self._over.add(instruction.id)
                self._log.warning("The task was cleared, which ends an instruction: %s.", instruction)
            return Taken(instruction, None if is_lifted else Action.STOP)
        return Taken(instruction, instruction.action) if was_cleared else Taken()

    def refuse(self, instruction: Instruction) -> bool:
        """Remove an instruction that cannot be followed, and return whether it was not over before.

        Another clear must not follow it unasked: the person sees the task fail, and may press the button again.
        """
        if instruction.id in self._over:
            return False
        self._log.warning("An instruction cannot be followed, and is over: %s.", instruction)
        self.delete(instruction)
        return True

    def delete(self, instruction: Instruction) -> None:
        """Remove an instruction that was followed, unless another has taken its place; and nothing of a failure."""
        self._over.add(instruction.id)
        with best_effort(self._log):
            stored = self._store.read()
            if stored is not None and stored.get("id") == instruction.id:
                self._store.delete()

    def stop_asked_by(self) -> str | None:
        """Return the name of the person who has asked to stop submitting; None if nobody has."""
        instruction = self.read()
        return instruction.asked_by if instruction is not None and instruction.action is Action.STOP else None

    def _leave_alone(self, stored: Mapping[str, Any], why: str) -> None:
        if stored not in self._left_alone:
            self._left_alone.append(stored)
            self._log.warning("The task has an instruction of a person, which is not followed: %s.", why)


def instructions_of(context: Context, log: Any) -> Instructions:
    """Return the instruction of a task.

    :param context: the task's context
    :param log: the task's log
    """
    return Instructions(TaskStateRecordStore(context, INSTRUCTION_KEY, outlasts_clear=False), log=log)
