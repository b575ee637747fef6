"""How a person has a task repaired or started over, in words: for the block at the end of a try."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClearChoices:
    """What there is to press and to set where a task is to be cleared.

    :param has_buttons: whether the buttons of the task's page can be pressed, as this Airflow keeps for the task
        what they are pressed for
    :param starts_over: whether a clear starts over, as the DAG's ``on_clear`` says
    :param needs_kept_state: whether a clear discards what a repair goes on from, unless Airflow is asked to keep it
    """

    has_buttons: bool = True
    starts_over: bool = False
    needs_kept_state: bool = False

    @property
    def repair(self) -> str:
        """How to have the task repaired."""
        clear = "clear the task and keep its task state" if self.needs_kept_state else "clear the task"
        if self.starts_over:
            clear = f'set on_clear="repair" and {clear}'
        return f"press Repair, or {clear}" if self.has_buttons else clear

    @property
    def start_over(self) -> str:
        """How to have the task start over."""
        clear = "clear the task" if self.starts_over else 'set on_clear="start_over" and clear the task'
        return f"press Start over, or {clear}" if self.has_buttons else clear
