"""How the items of a batch are read, as the operator's arguments say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.arguments import true_or_false
from airflow_provider_workflows.batch.input.columns import fields_of
from airflow_provider_workflows.batch.input.delimiters import require_delimiter
from airflow_provider_workflows.batch.input.encodings import require_encoding
from airflow_provider_workflows.batch.input.number_checks import require_checks
from airflow_provider_workflows.batch.input.phones import require_country_code
from airflow_provider_workflows.batch.input.row_functions import (
    RowFunctions,
    Transform,
    Where,
    require_function,
)
from airflow_provider_workflows.batch.input.sheet_names import require_sheet
from airflow_provider_workflows.batch.input.value_rules import require_defaults, require_types_of_record
from airflow_provider_workflows.batch.input.zero_pad import require_zero_pad

if TYPE_CHECKING:
    from airflow_provider_workflows.api.field_types import FieldType


@dataclass(frozen=True)
class InputOptions:
    """How the items of a batch are read.

    :param columns: the field of each column that is named otherwise, None to leave a column out
    :param zero_pad: number of digits to which numbers in ``personal_number``, ``company_number`` and fields of
        records (``record.NAME``) are padded
    :param encoding: of a text file; None for what its first bytes say, or else UTF-8
    :param delimiter: what is between the cells of a CSV; None to find it
    :param sheet: name of a workbook's sheet; None for the only one with rows
    :param default_country_code: the calling code of phones that have none, such as ``"48"``
    :param checks: the format, or several of which one has to fit, of ``personal_number``, ``company_number``,
        ``email`` and fields of records
    :param where: returns whether a row, by the names of its columns, is of the batch
    :param transform: returns the row to check and to send
    :param defaults: the values of fields that a row does not have
    :param field_types: types by the names of the fields of records, as far as they are checked before they are sent
    :param bad_row_values: whether the list of bad rows has their values
    """

    columns: Mapping[str, str | None] | None = None
    zero_pad: Mapping[str, int] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    default_country_code: str | None = None
    checks: Mapping[str, str | Sequence[str]] | None = None
    where: Where | None = None
    transform: Transform | None = None
    defaults: Mapping[str, Any] | None = field(default=None, repr=False)
    field_types: Mapping[str, FieldType] | None = None
    bad_row_values: bool = False

    @property
    def functions(self) -> RowFunctions:
        """The functions that choose and change rows."""
        return RowFunctions(self.where, self.transform)


AS_IT_IS = InputOptions()
"""Items are read without a change."""

OPTION_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "columns": fields_of,
    "zero_pad": require_zero_pad,
    "encoding": require_encoding,
    "delimiter": require_delimiter,
    "sheet": require_sheet,
    "default_country_code": require_country_code,
    "checks": require_checks,
    "where": partial(require_function, "where"),
    "transform": partial(require_function, "transform"),
    "defaults": require_defaults,
    "field_types": require_types_of_record,
    "bad_row_values": partial(true_or_false, "bad_row_values"),
}
"""By the name of each option, what raises ``InvalidInput`` for a value that cannot be right."""
