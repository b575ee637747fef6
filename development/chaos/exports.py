"""New exports of the batch's table."""

from __future__ import annotations

from development.chaos.actor import Actor
from development.chaos.system import BATCH

#: The share of the rows that an export corrects.
SHARE_OF_CORRECTIONS = 0.2


class Exports(Actor):
    """Exports the batch's table again."""

    def export_in_another_order(self, state: str) -> None:
        """Export the batch's table in another order; clear the batch if it has ended."""
        self.require_batch(state)
        self.system.tables[BATCH].export_in_another_order(self.chance)
        if state == "success":
            self.system.clear(BATCH)

    def correct_rows(self) -> None:
        """Export the batch's table with rows corrected, and clear the batch, which has ended."""
        self.require_batch("success")
        self.system.tables[BATCH].correct(self.chance, SHARE_OF_CORRECTIONS)
        self.system.clear(BATCH)
