"""What is done in a chaos run: each action, and how often it is."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from development.chaos.clicks import Clicks
from development.chaos.exports import Exports
from development.chaos.outages import Outages
from development.chaos.signals import Signals


@dataclass(frozen=True)
class Action:
    """Something that happens.

    :param name: what it is, in the words of the table
    :param times: how often it is done in the long form
    :param times_in_short: how often in the short form
    :param do: does it, or raises ``NotNow``
    """

    name: str
    times: int
    times_in_short: int
    do: Callable[[Chaos], None]


class Chaos(Signals, Clicks, Exports, Outages):
    """Does everything that there is to do."""


def _actions() -> Sequence[Action]:
    def action(
        name: str, times: int, times_in_short: int, do: Callable[..., None], *arguments: object
    ) -> Action:
        return Action(name, times, times_in_short, lambda chaos: do(chaos, *arguments))

    kill, terminate = signal.SIGKILL, signal.SIGTERM
    return (
        action("batch submits: SIGKILL to its supervisor", 3, 1, Chaos.end_supervisor_of_batch, kill),
        action("batch submits: SIGTERM to its supervisor", 2, 0, Chaos.end_supervisor_of_batch, terminate),
        action("batch submits: SIGKILL to its process", 2, 0, Chaos.end_process_of_batch, kill),
        action("batch submits: SIGTERM to its process", 2, 0, Chaos.end_process_of_batch, terminate),
        action("batch submits: SIGKILL to its worker", 2, 1, Chaos.end_worker_of_batch, kill),
        action("batch submits: SIGTERM to its worker", 1, 0, Chaos.end_worker_of_batch, terminate),
        action("batch submits: clear", 3, 1, Chaos.clear_batch, "running"),
        action("batch submits: mark failed, then clear", 3, 1, Chaos.mark_batch_failed, "running"),
        action("batch submits: export in another order", 1, 0, Chaos.export_in_another_order, "running"),
        action("batch submits: its runs fail for 10 s", 1, 0, Chaos.fail_runs),
        action("batch submits: storage fails for 30 s", 1, 0, Chaos.fail_storage, "running"),
        action("batch submits: service down for 60 s", 1, 0, Chaos.stop_service, "running"),
        action("batch waits: clear", 2, 1, Chaos.clear_batch, "deferred"),
        action("batch waits: mark failed, then clear", 1, 0, Chaos.mark_batch_failed, "deferred"),
        action("batch waits: storage fails for 30 s", 1, 0, Chaos.fail_storage, "deferred"),
        action("batch succeeded: clear", 1, 1, Chaos.clear_batch, "success"),
        action(
            "batch succeeded: export in another order, clear", 1, 1, Chaos.export_in_another_order, "success"
        ),
        action("batch succeeded: rows corrected, clear", 2, 1, Chaos.correct_rows),
        action("batch that starts over: clear", 1, 0, Chaos.start_over),
        action("single run: clear while it runs", 8, 1, Chaos.clear_single_run, "running"),
        action("single run: clear while it waits", 8, 1, Chaos.clear_single_run, "deferred"),
        action("single run: clear after its success", 8, 1, Chaos.clear_single_run, "success"),
        action(
            "single run: mark failed while it runs, then clear", 4, 0, Chaos.mark_single_run_failed, "running"
        ),
        action(
            "single run: mark failed while it waits, then clear",
            4,
            1,
            Chaos.mark_single_run_failed,
            "deferred",
        ),
        action("single run: SIGKILL to its supervisor", 4, 0, Chaos.end_process_of_single_run, True, kill),
        action(
            "single run: SIGTERM to its supervisor", 2, 0, Chaos.end_process_of_single_run, True, terminate
        ),
        action("single run: SIGKILL to its process", 4, 0, Chaos.end_process_of_single_run, False, kill),
        action("single run: SIGTERM to its process", 4, 0, Chaos.end_process_of_single_run, False, terminate),
        action("triggerer: SIGKILL", 2, 0, Chaos.end_component, "triggerer", kill),
        action("triggerer: SIGTERM", 2, 0, Chaos.end_component, "triggerer", terminate),
        action("scheduler: SIGKILL", 1, 0, Chaos.end_component, "scheduler", kill),
        action("scheduler: SIGTERM", 1, 0, Chaos.end_component, "scheduler", terminate),
        action("API server: SIGKILL", 1, 0, Chaos.end_component, "api-server", kill),
        action("API server: SIGTERM", 1, 0, Chaos.end_component, "api-server", terminate),
        action("worker: SIGTERM", 1, 0, Chaos.end_component, "worker", terminate),
        action("token replaced, then in the connection", 2, 0, Chaos.rotate_token),
    )


ACTIONS = _actions()
CORRECTION = next(action for action in ACTIONS if action.name == "batch succeeded: rows corrected, clear")
"""What gives a batch that has ended something to submit again."""
