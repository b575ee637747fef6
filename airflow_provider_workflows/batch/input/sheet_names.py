"""The argument ``sheet``: the name of a workbook's sheet."""

from __future__ import annotations

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import refuse


def require_sheet(sheet: object) -> str | None:
    """Return the name of a workbook's sheet.

    :param sheet: the name; None for the only sheet that has rows
    :raises InvalidInput: if it is no name
    """
    if sheet is None:
        return None
    if not isinstance(sheet, str):
        refuse("sheet", "the name of a sheet", sheet)
    if not sheet.strip():
        raise InvalidInput("sheet must be the name of a sheet, and is empty")
    return sheet
