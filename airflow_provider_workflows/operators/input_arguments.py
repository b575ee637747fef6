"""The arguments that say how a batch reads its items: checked when the DAG is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_workflows.arguments import choice, true_or_false
from airflow_provider_workflows.batch.input.columns import fields_of
from airflow_provider_workflows.batch.input.delimiters import require_delimiter
from airflow_provider_workflows.batch.input.encodings import require_encoding
from airflow_provider_workflows.batch.input.number_checks import require_checks
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.phones import require_country_code
from airflow_provider_workflows.batch.input.row_functions import require_function
from airflow_provider_workflows.batch.input.sheet_names import require_sheet
from airflow_provider_workflows.batch.input.value_rules import require_defaults, require_types_of_record
from airflow_provider_workflows.batch.input.zero_pad import require_zero_pad
from airflow_provider_workflows.operators.base import WorkflowsOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

    from airflow_provider_workflows.api.field_types import FieldType
    from airflow_provider_workflows.batch.input.row_functions import Transform, Where
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments


class InputArguments(WorkflowsOperator):
    """The arguments of ``RunWorkflowBatchOperator``, which documents them, that say how its items are read.

    ``shard`` takes the same ones, so that a shard reads as its batch does. A new one is added here, to
    ``InputOptions``, to ``InputTypes``, to ``shard`` and to the documentation of the operator.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str | None] | None = None,
        zero_pad: Mapping[str, int] | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | None = None,
        default_country_code: str | None = None,
        checks: Mapping[str, str | Sequence[str]] | None = None,
        where: Where | None = None,
        transform: Transform | None = None,
        defaults: Mapping[str, Any] | None = None,
        field_types: Mapping[str, FieldType] | None = None,
        bad_row_values: bool = False,
        on_bad_row: Literal["fail", "skip"] = "fail",
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        fields_of(columns)
        self.columns = columns
        self.zero_pad = require_zero_pad(zero_pad)
        self.encoding = require_encoding(encoding)
        self.delimiter = require_delimiter(delimiter)
        self.sheet = require_sheet(sheet)
        self.default_country_code = require_country_code(default_country_code)
        self.checks = require_checks(checks)
        self.where = require_function("where", where)
        self.transform = require_function("transform", transform)
        self.defaults = require_defaults(defaults)
        self.field_types = require_types_of_record(field_types)
        self.bad_row_values = true_or_false("bad_row_values", bad_row_values)
        self.on_bad_row = choice("on_bad_row", on_bad_row, ("fail", "skip"))

    @property
    def _input_options(self) -> InputOptions:
        return InputOptions(
            columns=self.columns,
            zero_pad=self.zero_pad,
            encoding=self.encoding,
            delimiter=self.delimiter,
            sheet=self.sheet,
            default_country_code=self.default_country_code,
            checks=self.checks,
            where=self.where,
            transform=self.transform,
            defaults=self.defaults,
            field_types=self.field_types,
            bad_row_values=self.bad_row_values,
        )
