"""The batch operator over files as people have them: one batch, and a word in the log on what is left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.unit.batch_task import BatchTask


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A folder of three part files in an old encoding, the last with an empty row at its end."""
    folder = tmp_path / "due"
    folder.mkdir()
    for number, rows in enumerate(["1;Łucja\r\n2;Józef\r\n", "3;Zoë\r\n", "4;Ewa\r\n;\r\n"]):
        (folder / f"part-{number}.csv").write_bytes(f"Nr klienta;Imię\r\n{rows}".encode("cp1250"))
    (folder / "_SUCCESS").touch()
    return folder


OPTIONS = {"columns": {"nr_klienta": "key", "imie": "first_name"}, "encoding": "cp1250"}


@pytest.mark.thorough
def test_a_folder_is_one_batch_in_the_order_of_its_files(batch: BatchTask, parts: Path) -> None:
    summary = batch.run(str(parts), **OPTIONS)

    lines = (batch.folder / "results.jsonl").read_text().splitlines()
    assert summary["outcomes"] == {"succeeded": 4}
    assert [json.loads(line)["key"] for line in lines] == ["1", "2", "3", "4"]


@pytest.mark.thorough
def test_what_is_left_out_is_said_in_the_log_once(
    batch: BatchTask, parts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        batch.run(str(parts), **OPTIONS)

    assert caplog.messages.count("items: 1 empty row at the end of the table left out: part-2.csv") == 1
