"""Which arguments of a mapped task come from other tasks, and which its DAG's author has written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial as OperatorPartial  # noqa: PLC0414

#: Of an operator: whether Airflow has made it of a mapped one, with the arguments of one map index.
_FROM_MAPPED = "_BaseOperator__from_mapped"


def _find_expand_input() -> bool:
    from airflow.sdk.definitions._internal.expandinput import (  # noqa: PLC0415
        DictOfListsExpandInput,
        ListOfDictsExpandInput,
    )
    from airflow.sdk.definitions.mappedoperator import MappedOperator  # noqa: PLC0415

    require_attributes(BaseOperator, _FROM_MAPPED)
    require_attributes(MappedOperator, "_get_specified_expand_input")
    for kind in (DictOfListsExpandInput, ListOfDictsExpandInput):
        if [field.name for field in kind.__attrs_attrs__] != ["value"]:
            raise FeatureChangedError(f"{kind.__name__} has other fields than value")
        require_parameters(kind.resolve, "context")
    return True


EXPAND_INPUT = Feature(
    "BaseOperator.__from_mapped, MappedOperator._get_specified_expand_input() with value and resolve(context)",
    purpose="tell what comes from other tasks from what a DAG's author has written, in a mapped task",
    without="Tasks that are mapped, or in a mapped task group, fail before they send anything",
    find=_find_expand_input,
)


def is_of_mapped_task(operator: BaseOperator) -> bool:
    """Return whether Airflow has made an operator of a mapped one."""
    return bool(getattr(operator, _FROM_MAPPED, False))


def arguments_of_other_tasks(operator: BaseOperator, context: Context) -> Collection[str]:
    """Return the names of the arguments that ``expand`` or ``expand_kwargs`` has taken from other tasks.

    A literal list in the DAG file is its author's, and so is what stands in ``partial``. What Airflow itself notes
    of this are the ids of some values (``seen_oids``): with ``expand_kwargs`` of none, and never of what stands in
    a dict that was made anew. So the input of the mapping says it.

    :param operator: the operator whose templates are about to be rendered
    :param context: the context of its task
    :raises AirflowFailException: if this Airflow cannot tell
    """
    if not EXPAND_INPUT.is_available():
        if not is_of_mapped_task(operator) and not _has_map_index(context):
            return ()
        raise AirflowFailException(
            "Nothing was sent: in this version of Airflow, the values that a mapped task gets from other tasks "
            "cannot be told from templates, which would be evaluated. Install a newer "
            "airflow-provider-workflows, or an Airflow that it was tested with."
        )
    if not is_of_mapped_task(operator):
        return ()
    mapped: Any = operator.dag.get_task(operator.task_id)
    expand_input = mapped._get_specified_expand_input()  # noqa: SLF001
    mapping: Any = expand_input.value
    if isinstance(mapping, Mapping):  # of expand(): the values of each argument by its name
        return {name for name, values in mapping.items() if not isinstance(values, (Mapping, Sequence))}
    if isinstance(mapping, Sequence):
        task_instance: Any = context["ti"]
        if isinstance(mapping[task_instance.map_index], Mapping):
            return ()
    # Of expand_kwargs(): the names are data too. The upstream XCom is read a second time for them.
    arguments, _ = expand_input.resolve(context)
    return set(arguments)


def _has_map_index(context: Context) -> bool:
    map_index: int | None = getattr(context.get("ti"), "map_index", None)
    return map_index is not None and map_index >= 0
