"""Runs the DAGs of the documentation in one process of Airflow's, and prints how each has ended.

``python -m tests.integration.run_dag_snippets`` runs the DAGs of Airflow's DAGs folder, one after the other, by
``dag.test()``, with a store in memory at ``s3://aws_default@bucket`` and ``s3://documents@incoming``. Its last line
is JSON: the state of the run of each DAG, the files that are in the store then, and what could not be imported.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.sdk import conf
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow.parquet import write_table

_PEOPLE = [
    ("C-1", "Johanna", "90010112345"),
    ("C-2", "Piotr", "85051554321"),
    ("C-3", "Zofia", "79071212345"),
]


class Bucket(MemoryFileSystem):
    """An object store in memory."""

    protocol = ("s3",)
    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012


def main() -> int:
    """Run the DAGs, and print how they have ended."""
    files = Bucket()
    for conn_id in ("aws_default", "documents"):
        attach("s3", conn_id=conn_id, fs=files)
    _provide_inputs(files)
    DagBundlesManager().sync_bundles_to_db()
    folder = conf.get("core", "dags_folder")
    bag = BundleDagBag(dag_folder=folder, bundle_path=Path(folder), bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)
    states = {}
    for dag_id, dag in sorted(bag.dags.items()):
        # Airflow 3.3 does not find the deadline of a DAG that runs in one process; it is imported and stored above.
        dag.deadline = None
        states[dag_id] = str(dag.test().state)
    report = {"states": states, "files": sorted(files.store), "import_errors": bag.import_errors}
    sys.stdout.write(f"\n{json.dumps(report)}\n")
    return 0


def _provide_inputs(files: Bucket) -> None:
    with files.open("/bucket/cases.csv", "w") as file:
        file.write("customer_no,first_name,PESEL,note\n")
        file.writelines(f"{key},{name},{number},\n" for key, name, number in _PEOPLE)
    with files.open("/bucket/customers.csv", "w") as file:
        file.write("customer_no,first_name,last_name,PESEL,checked_at\n")
        file.writelines(f"{key},{name},Nowak,{number},\n" for key, name, number in _PEOPLE)
    with files.open("/bucket/people.csv", "w") as file:
        file.write("key,first_name,personal_number\n")
        file.writelines(f"{key},{name},{number}\n" for key, name, number in _PEOPLE)
    with files.open("/bucket/export.csv", "w") as file:
        file.write("key,Name,Number,note\n")
        file.writelines(f"{key},{name},{number},\n" for key, name, number in _PEOPLE)
    with files.open("/bucket/klienci.csv", "w", encoding="cp1250") as file:
        file.write("Nr klienta;Imię;Nazwisko;PESEL;Uwagi\n")
        file.writelines(f"{key};{name};Wójcik;{number};\n" for key, name, number in _PEOPLE)
    # The run of a DAG is for the moment at which it is tested.
    today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    files.cp_file("/bucket/people.csv", f"/bucket/cases/{today}.csv")
    files.cp_file("/bucket/people.csv", f"/bucket/due/{today}/part-00000.csv")
    for name in (f"{today}/passport.pdf", f"{today}/contract.pdf", "scan.pdf"):
        files.pipe_file(f"/incoming/{name}", b"%PDF-1.7\n")
    Path("data").mkdir()
    files.get_file("/bucket/people.csv", "data/people.csv")
    names = ("key", "first_name", "personal_number")
    with files.open("/bucket/people.parquet", "wb") as file:
        write_table(pa.table(dict(zip(names, zip(*_PEOPLE, strict=True), strict=True))), file)
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = f"sqlite://{Path('warehouse.db').resolve()}"
    with sqlite3.connect("warehouse.db") as database:
        database.execute("CREATE TABLE due_for_check (customer_no, first_name, last_name, personal_number)")
        database.executemany("INSERT INTO due_for_check VALUES (?, ?, 'Nowak', ?)", _PEOPLE)


if __name__ == "__main__":
    sys.exit(main())
