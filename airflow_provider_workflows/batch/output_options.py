"""How the output of a batch is written: its format, its files and who may read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_workflows.arguments import choice, file_mode, require_pyarrow, whole_number
from airflow_provider_workflows.local_files import OWNER_ONLY

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

OUTPUT_FORMATS = ("jsonl", "parquet", "csv")
#: What may stand between two cells of CSV; the first is what Excel takes in most of Europe.
OUTPUT_DELIMITERS = (";", ",", "\t", "|")
#: The name of the output without its suffix, and of the folder of its parts.
OUTPUT_NAME = "results"


@dataclass(frozen=True)
class OutputOptions:
    """How the output of a batch is written, and the lists beside it.

    :param format: one of ``OUTPUT_FORMATS``
    :param delimiter: what stands between two cells of CSV; the lists are CSV whatever the format
    :param rows_per_file: the largest number of rows of a file, where the output is a folder of parts; None for one
        file
    :param mode: of the files and of folders that are missing, where they are local
    :param further_columns: the columns that it has beside those of each output
    """

    format: str = "jsonl"
    delimiter: str = OUTPUT_DELIMITERS[0]
    rows_per_file: int | None = None
    mode: int = OWNER_ONLY
    further_columns: tuple[str, ...] = ()

    @classmethod
    def of_arguments(
        cls,
        output_format: object,
        output_delimiter: object,
        output_rows_per_file: object,
        output_mode: object,
    ) -> OutputOptions:
        """Return the options that the operator's arguments make, each of which has its parameter's name.

        :raises InvalidInput: naming the argument that cannot be right
        """
        delimiter: object = OUTPUT_DELIMITERS[0]
        if output_delimiter is not None:
            delimiter = choice("output_delimiter", output_delimiter, OUTPUT_DELIMITERS)
        return cls(
            str(choice("output_format", output_format, OUTPUT_FORMATS)),
            str(delimiter),
            None
            if output_rows_per_file is None
            else whole_number("output_rows_per_file", output_rows_per_file, at_least=1),
            file_mode("output_mode", output_mode),
        )

    def path_in(self, folder: ObjectStoragePath) -> ObjectStoragePath:
        """Return the path of the output: ``results.jsonl`` or so, or the folder ``results`` of its parts.

        :param folder: the folder of the output
        :raises InvalidInput: if it is Parquet, and pyarrow is missing
        """
        if self.format == "parquet":
            require_pyarrow("output_format")
        return folder / (OUTPUT_NAME if self.rows_per_file is not None else f"{OUTPUT_NAME}.{self.format}")


DEFAULT_OUTPUT = OutputOptions()
