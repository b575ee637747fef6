"""The arguments that say how a batch writes its output: checked when the DAG is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.batch.output_options import OutputOptions
from airflow_provider_workflows.batch.sql_table import SqlTable
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.operators.input_arguments import InputArguments

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from airflow_provider_workflows.operators.task_arguments import InputOperatorArguments


class OutputArguments(InputArguments):
    """The arguments of ``RunWorkflowBatchOperator``, which documents them, that say how its output is written.

    Another one is to be added here, to ``OutputOptions``, to ``OutputTypes`` and to the operator's documentation.
    """

    def __init__(
        self,
        *,
        output_format: Literal["jsonl", "parquet", "csv"] = "jsonl",
        output_delimiter: Literal[";", ",", "\t", "|"] | None = None,
        output_rows_per_file: int | None = None,
        output_mode: int = OWNER_ONLY,
        result_table: SqlTable | None = None,
        **kwargs: Unpack[InputOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self._output_options = OutputOptions.of_arguments(
            output_format, output_delimiter, output_rows_per_file, output_mode
        )
        self.output_format = output_format
        self.output_delimiter = output_delimiter
        self.output_rows_per_file = output_rows_per_file
        self.output_mode = output_mode
        if not isinstance(result_table, SqlTable | None):
            refuse("result_table", "a SqlTable", result_table)
        self.result_table = result_table
