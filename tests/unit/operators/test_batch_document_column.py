"""The column that names files to upload: it is read only where the DAG's author says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask


@pytest.mark.parametrize("column", ["document_files", "Document Files", "documentFiles"])
@pytest.mark.parametrize("is_table", [False, True], ids=["list", "file"])
def test_a_column_of_files_that_columns_does_not_name_is_not_read(
    batch: BatchTask, connected: Sandbox, tmp_path: Path, column: str, is_table: bool
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"first_name,{column}\nAda,/run/secrets/key.pem\n", encoding="utf-8")
    rows = [{"first_name": "Ada", column: "/run/secrets/key.pem"}]

    with pytest.raises(InvalidInput, match=r'say so with columns=\{"document_files"'):
        batch.run(str(path) if is_table else rows)

    assert not connected.counts.requests
