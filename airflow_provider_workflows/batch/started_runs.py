"""What the response to the start of a run changes in its row's state, and whether it can be a run of that row."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.api.ids import is_id, is_same_id
from airflow_provider_workflows.api.versions import versions_of
from airflow_provider_workflows.counted import counted

if TYPE_CHECKING:
    from airflow_provider_workflows.api.models import StartedWorkflow

_CHECK_FIRST = "Check in the service's dashboard whether the row has a run before you submit it again."


class StartedRuns:
    """The runs that one try has started, each of which belongs to one row."""

    def __init__(self) -> None:
        #: The 16 bytes of each id, which take a third of its text's memory.
        self._ids: set[bytes] = set()

    def add(self, run: StartedWorkflow) -> None:
        """Take a run for that of the row which it was started for.

        :param run: the response to its start
        :raises OutcomeUnknown: if it cannot be polled by its id, or is another row's; the error does not repeat an
            id of another form, which may be anything
        """
        if not is_id(run.id):
            raise OutcomeUnknown(
                f"The service gave the run an id of {counted(len(run.id), 'character')}, which is not "
                f"the form of an id, so that it cannot be polled. {_CHECK_FIRST}"
            )
        number = uuid.UUID(run.id).bytes
        if number in self._ids:
            raise OutcomeUnknown(
                f"The service gave workflow {run.id} for this row, which it gave for another row before: it, or "
                f"something between here and the service, mixes responses up. {_CHECK_FIRST}"
            )
        self._ids.add(number)


def changes_of(run: StartedWorkflow, case_id: str | None, record_id: str | None) -> dict[str, Any]:
    """Return what the start of a run changes in the state of its row.

    :param run: the response to its start
    :param case_id: the case that it was started for, if any
    :param record_id: the record that it was started for, if any
    """
    changes: dict[str, Any] = {"begun": None, "workflow_id": run.id, "submitted_at": time.time()}
    changes.update(versions_of(run) or {})
    if case_id is None and record_id is None:
        changes["had_run"] = True
    for name, given_id in (("case_id", case_id), ("record_id", record_id)):
        named = getattr(run, name)
        if given_id is not None and named is not None and not is_same_id(named, given_id):
            # The run's id is kept, for the run is billed. Whose run it is, its polls say.
            changes[f"compared_{name}"] = given_id
    return changes
