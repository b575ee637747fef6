"""The personal number of the person whom a run is about, where its result does not say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.api.pseudonyms import find_personal_number
from airflow_provider_workflows.api.redaction import values_of_personal_fields
from airflow_provider_workflows.operators.redaction import mask_in_logs

if TYPE_CHECKING:
    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.models import KeptBody, Workflow


class RunInput:
    """What a run was started with, as far as the service gives it out.

    :param client: asks the service
    :param workflow: the run
    :param result: its result
    :param record_id: id of the record that it is about; None for the one that the service names
    :param table_id: id of that record's table; None if it is not known
    :param log: the task's log
    """

    def __init__(
        self,
        client: WorkflowsClient,
        workflow: Workflow,
        result: Mapping[str, Any],
        *,
        record_id: str | None,
        table_id: str | None,
        log: Any,
    ) -> None:
        self._client = client
        self._workflow = workflow
        self._case_id = _id_in(workflow.case_id, result.get("caseId"))
        self._record_id = record_id or _id_in(workflow.record_id, result.get("recordId"))
        self._table_id = table_id
        self._log = log

    def personal_number(self) -> str | int | None:
        """Return the personal number in the case, in the record or in the parameters; None without one.

        A batch's rows have the same order. Parameters beside a case are left out: they may be about others.

        :raises WorkflowsError: if the service cannot be asked now, so that a retry may find the number
        """
        number = None
        if (case_id := self._case_id) is not None:
            number = self._read("case", lambda: self._client.read_case(case_id))
        table_id, record_id = self._table_id, self._record_id
        if number is None and table_id is not None and record_id is not None:
            number = self._read("record", lambda: self._client.read_record(table_id, record_id))
        if number is None and case_id is None:
            number = self._find((self._workflow.model_extra or {}).get("parameters"))
        return number

    def _read(self, noun: str, read: Callable[[], KeptBody]) -> str | int | None:
        try:
            found = read().json_object()
        except WorkflowsError as error:
            if error.is_retryable():
                raise
            self._log.warning(
                "The %s of workflow %s cannot be read, so no personal number is taken from there: %s",
                noun,
                self._workflow.id,
                error,
            )
            return None
        return self._find(found)

    def _find(self, given: Any) -> str | int | None:
        mask_in_logs(values_of_personal_fields(given, self._client.settings.all_personal_fields))
        return find_personal_number(given)


def _id_in(*named: object) -> str | None:
    """Return the first that is an id."""
    return next((each for each in named if isinstance(each, str) and is_id(each)), None)
