"""``@task.run_workflow``: run a workflow for the case that a function returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory
from typing_extensions import Required

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.identifiers import require_identifiers_as_text
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.redaction import all_values
from airflow_provider_workflows.api.strict_json import require_json_object
from airflow_provider_workflows.decorators.function_task import FunctionTask
from airflow_provider_workflows.operators.creation import create_case_once, create_parameters_once
from airflow_provider_workflows.operators.mapped_options import require_options
from airflow_provider_workflows.operators.redaction import mask_in_logs
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.task_arguments import DecoratorArguments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import FParams, FReturn, Task
    from typing_extensions import Self, Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.base import Text

#: What the function has returned, as errors name it.
RETURNED = "what the function returned"


@dataclass(frozen=True, repr=False)
class ReturnedCase:
    """What a function says of the case and the parameters of a run.

    :param case_id: id of a case that exists; None for a new one
    :param details: the fields of a new case
    :param parameters_id: id of parameters that exist
    :param parameters: JSON values by name, for new parameters
    """

    case_id: str | None = None
    details: Mapping[str, Any] | None = None
    parameters_id: str | None = None
    parameters: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, returned: object) -> Self:
        """Return what a function's return value says.

        :param returned: the id of a case, or a dict with the fields of a case or its ``case_id``, and with
            ``parameters`` or ``parameters_id``
        :raises InvalidInput: naming what is wrong with it, never a value
        """
        if isinstance(returned, str):
            return cls(case_id=require_id("case_id", returned))
        if not isinstance(returned, Mapping) or not returned:
            kind = "an empty dict" if isinstance(returned, Mapping) else type(returned).__name__
            raise InvalidInput(
                f"{RETURNED} must be the id of a case, or a dict with the fields of a case or its case_id, and "
                f"parameters or parameters_id where the workflow needs some, not {kind}"
            )
        given = {name: value for name, value in returned.items() if value is not None and value != ""}
        case_id, parameters_id = given.pop("case_id", None), given.pop("parameters_id", None)
        parameters = given.pop("parameters", None)
        if case_id is not None and given:
            raise InvalidInput(f"{RETURNED} has a case_id, and fields of a case beside it: give one of both")
        if parameters is not None and parameters_id is not None:
            raise InvalidInput(f"{RETURNED} has parameters and a parameters_id: give one of both")
        require_identifiers_as_text(given, argument=RETURNED)
        details = None
        if case_id is None:
            from airflow_provider_workflows.api.models import require_case_details  # noqa: PLC0415  (not while parsing)

            details = require_case_details(given, argument=RETURNED).model_dump(exclude_none=True)
        return cls(
            None if case_id is None else require_id("case_id", case_id),
            details,
            None if parameters_id is None else require_id("parameters_id", parameters_id),
            None if parameters is None else require_json_object("parameters", parameters),
        )


#: Arguments of ``RunWorkflowOperator`` for runs without a case.
NOT_TAKEN = ("record_id", "parameters", "locale", "expires_at", "push_link", "on_link_callback")

#: What stands for arguments of ``RunWorkflowOperator`` in what the function returns.
RETURNED_IDS = ("case_id", "parameters_id")


class RunWorkflowTask(FunctionTask, RunWorkflowOperator):
    """Run a workflow for the case that a function returns; all else is as with ``RunWorkflowOperator``.

    A case, and parameters, are created once over all tries and clears of the task, as long as the function returns
    the same. The function is called in each try, and not when the task is resumed.

    :param python_callable: the function; it returns what ``ReturnedCase.read`` takes
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        "workflow_definition_id",
        "workflows_conn_id",
    )
    custom_operator_name = "@task.run_workflow"

    def __init__(self, **kwargs: Any) -> None:
        for name in NOT_TAKEN:
            if name in kwargs:
                raise InvalidInput(
                    f"{name} is not an argument of @task.run_workflow, which runs workflows with cases: use "
                    "RunWorkflowOperator"
                )
        for name in RETURNED_IDS:
            if name in kwargs:
                raise InvalidInput(
                    f"{name} is not an argument of @task.run_workflow: its function returns it"
                )
        super().__init__(**kwargs)
        # Which case it is, the function says.
        self.case_id = ""

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its definition. The case is not known before the function was called."""
        return self.workflow_definition_id

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Create the case and the parameters that the function has returned, and run the workflow."""
        require_id("workflow_definition_id", self.workflow_definition_id)
        returned = ReturnedCase.read(self.returned)
        if returned.details is not None:
            mask_in_logs(all_values(returned.details))
        case_id = returned.case_id or create_case_once(context, client, returned.details or {}, self.log)
        parameters_id = returned.parameters_id
        if returned.parameters is not None:
            parameters_id = create_parameters_once(
                context, client, self.workflow_definition_id, returned.parameters, self.log
            )
        self._take(case_id, parameters_id)
        return super().call(client, context)

    def execute_complete(
        self,
        context: Context,
        event: Mapping[str, Any],
        case_id: str = "",
        parameters_id: str | None = None,
        **versions: Any,
    ) -> str:
        """Return the id of the workflow that the trigger saw succeed, or raise what waiting would have raised."""
        self._take(case_id, parameters_id)
        return super().execute_complete(context, event, **versions)

    @property
    def resume_arguments(self) -> dict[str, Any]:
        """What the resumed task is told: the ids of the case and the parameters."""
        return {**super().resume_arguments, "case_id": self.case_id, "parameters_id": self.parameters_id}

    def _take(self, case_id: str, parameters_id: str | None) -> None:
        self.case_id, self.parameters_id = case_id, parameters_id
        names = ("case_id", "parameters_id")
        self._given = frozenset(name for name in names if getattr(self, name) is not None)
        if self._reporting is not None:
            self._reporting.report = dataclasses.replace(
                self._reporting.report, case_id=case_id, parameters_id=parameters_id
            )


class RunTaskArguments(DecoratorArguments, total=False):
    """The arguments of ``RunWorkflowOperator``, which documents them, but ``case_id`` and ``parameters_id``."""

    workflow_definition_id: Required[Text]
    wait_for_completion: bool
    deferrable: bool | None
    durable: bool
    on_clear: Literal["repair", "start_over"]
    on_unknown_outcome: Literal["fail", "resubmit"]
    poll_interval: float | timedelta | None
    max_poll_interval: float | timedelta | None
    max_outage: float | timedelta | None


def run_workflow(
    python_callable: None = None, **arguments: Unpack[RunTaskArguments]
) -> Callable[[Callable[FParams, FReturn]], Task[FParams, FReturn]]:
    """Make a task that runs a workflow of a function that returns the case.

    It is ``@task.run_workflow``, with types. The function may take arguments, values of other tasks, and parts of
    the context. It returns the id of a case, or a dict with the fields of a case or its ``case_id``, and with
    ``parameters`` or ``parameters_id``.

    :param python_callable: nothing: it is there for ``@task.run_workflow`` without arguments, which is refused
    :param arguments: the arguments of ``RunWorkflowOperator`` but ``case_id`` and ``parameters_id``
    :raises InvalidInput: without arguments; if an option of ``[workflows]`` cannot be right that stands for one;
        when the function is called in a DAG, if one cannot be right
    """
    if python_callable is not None:
        raise InvalidInput("@task.run_workflow needs workflow_definition_id")
    require_options(RunWorkflowTask, arguments)
    # What a function's return type says of several outputs is about what it returns, not about what the task does.
    given: dict[str, Any] = {**arguments, "multiple_outputs": False}
    decorator: Any = task_decorator_factory(decorated_operator_class=RunWorkflowTask, **given)
    return cast("Callable[[Callable[FParams, FReturn]], Task[FParams, FReturn]]", decorator)
