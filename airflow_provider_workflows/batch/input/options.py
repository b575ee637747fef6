"""How the items of a batch are read, as the operator's arguments say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.batch.input.columns import fields_of
from airflow_provider_workflows.batch.input.delimiters import require_delimiter
from airflow_provider_workflows.batch.input.encodings import require_encoding
from airflow_provider_workflows.batch.input.zero_pad import require_zero_pad


@dataclass(frozen=True)
class InputOptions:
    """How the items of a batch are read.

    :param columns: the field of each column that is named otherwise, None to leave a column out
    :param zero_pad: number of digits to which numbers in ``personal_number`` and ``company_number`` are padded
    :param encoding: of a text file; None for what its first bytes say, or else UTF-8
    :param delimiter: what is between the cells of a CSV; None to find it
    """

    columns: Mapping[str, str | None] | None = None
    zero_pad: Mapping[str, int] | None = None
    encoding: str | None = None
    delimiter: str | None = None


AS_IT_IS = InputOptions()
"""Items are read without a change."""

OPTION_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "columns": fields_of,
    "zero_pad": require_zero_pad,
    "encoding": require_encoding,
    "delimiter": require_delimiter,
}
"""By the name of each option, what raises ``InvalidInput`` for a value that cannot be right."""
