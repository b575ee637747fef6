"""pyarrow, which reads and writes Parquet: an extra, 40 MB that JSON Lines and CSV do not need."""

from __future__ import annotations

from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput


def require_pyarrow(argument: str) -> Any:
    """Return the module ``pyarrow`` with ``pyarrow.parquet`` loaded.

    :param argument: the argument that asks for Parquet, for the error
    :raises InvalidInput: saying what to install, if pyarrow is missing
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InvalidInput(
            f"{argument} asks for Parquet, which needs pyarrow: "
            "pip install 'airflow-provider-workflows[parquet]'"
        ) from None
    return pyarrow
