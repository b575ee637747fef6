"""``make airflow``: Airflow with the example DAGs and a sandbox of the Workflows API, to click around in."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from development.alert_channel import AlertChannel
from development.terminal import clean_up_when_terminated, coloured, say
from tests.harness.local_airflow import EXAMPLE_DAGS, HOST, AirflowFailed, LocalAirflow, RunningAirflow
from tests.harness.ports import next_free_port

CONNECTION_ID = "workflows_default"
ALERT_CONNECTION_ID = "workflows_alerts"
RECORDS_GENERATION = 3
RECORDS_CONNECTION_ID = CONNECTION_IDS[RECORDS_GENERATION]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Airflow until Ctrl-C.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code
    """
    parser = argparse.ArgumentParser(prog="make airflow", description=__doc__.replace("``", "`"))
    parser.add_argument(
        "--port", type=int, default=8080, help="port, or the next free one (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    clean_up_when_terminated()
    try:
        _run(options.port)
    except KeyboardInterrupt:
        say("\nEverything is stopped and removed.")
    except (AirflowFailed, OSError) as error:
        say(coloured(f"\nFailed: {error}", "red"))
        return 1
    return 0


def _run(wanted_port: int) -> None:
    port = next_free_port(wanted_port)
    if port != wanted_port:
        say(f"Port {wanted_port} is taken, so this will be port {port}.")
    with tour(port) as running:
        say(_greeting(running))
        logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("airflow_provider_workflows.sandbox").setLevel(logging.DEBUG)
        try:
            running.airflow.watch()
        finally:
            say("\nStopping Airflow, which takes a few seconds ...")


@dataclass(frozen=True)
class Tour:
    """What runs, to click around in.

    :param airflow: Airflow with the example DAGs, the connection to the sandbox and that of the alerts
    :param sandbox: the service, which sends its webhooks to Airflow
    :param results: the folder where the examples write to, which is removed at the end
    """

    airflow: RunningAirflow
    sandbox: Sandbox
    results: Path


@contextlib.contextmanager
def tour(port: int, show_alert: Callable[[str], None] | None = None) -> Iterator[Tour]:
    """Run all that the tour needs, and remove it afterwards.

    :param port: port of Airflow
    :param show_alert: is called with the text of each alert; None to print it
    :raises AirflowFailed: if Airflow does not start, with the end of its log
    """
    address = f"http://{HOST}:{port}/workflows/webhooks/{CONNECTION_ID}"
    with Sandbox(webhook_url=address) as sandbox, AlertChannel(show_alert) as channel:
        environment = {
            # Somebody who clicks around may also change a DAG.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            # For the asset of what has completed there.
            "WORKFLOWS_HOST": sandbox.url,
        }
        with LocalAirflow(EXAMPLE_DAGS, environment, port=port) as airflow:
            say("Preparing Airflow with SQLite in a temporary folder ...")
            airflow.migrate()
            say("Starting Airflow, which takes 20 seconds to a minute ...")
            with airflow.standalone() as running:
                # In the database, where a person can see and test them.
                extra = sandbox.connection["extra"] | {"webhooks": True}
                running.add_connection(CONNECTION_ID, sandbox.connection | {"extra": extra})
                running.add_connection(RECORDS_CONNECTION_ID, sandbox.connection_of(RECORDS_GENERATION))
                running.add_connection(ALERT_CONNECTION_ID, channel.connection)
                yield Tour(running, sandbox, airflow.temporary_folder)


def _greeting(tour: Tour) -> str:
    running, sandbox = tour.airflow, tour.sandbox
    definitions = [f"       {definition.id}  {definition.summary}" for definition in sandbox.definitions]
    lines = [
        "",
        coloured(f"Airflow: {running.url}   user {running.username}, password {running.password}", "bold"),
        f"Sandbox: {sandbox.url}",
        f"Results: {tour.results}/workflows_..., for as long as this runs",
        "",
        "Airflow keeps all in SQLite here, which takes one click at a time: wait for each before the next.",
        "A tour; each DAG is green with its form as it opens:",
        f"  1. Connection: under Admin, Connections, press Test Connection in the row of {CONNECTION_ID}.",
        "  2. Single case: trigger workflows_single_case. Its task wait_for_workflow has a tab, Workflow.",
        "     With the slow definition it waits for an hour. The definitions:",
        *definitions,
        "  3. Record: trigger workflows_record, which does the same with a record in place of the case, on",
        f"     generation 3 of the API: its connection {RECORDS_CONNECTION_ID} says so.",
        "     workflows_record_batch does it for a table.",
        "  4. Batch: trigger workflows_nightly_batch. The rows of its second definition fail, on purpose.",
        "  5. Page: open the tab Workflow of run_batch [1], or Workflows in the navigation, where all runs are.",
        "  6. Repair: press the button Repair on that tab. Only the rows that have failed run again.",
        "  7. Assets: the batch has started a run of workflows_downstream; workflows_daily_batch starts one of",
        "     workflows_daily_report, for its day.",
        "  8. TaskFlow: trigger workflows_taskflow. Functions say what its batch and its two single runs check.",
        "  9. Webhook: unpause workflows_on_completion, then trigger workflows_single_case: the end of its",
        "     workflow starts a run. Pause it again before a batch: each row would start one.",
        " 10. Alert: trigger workflows_fails_on_purpose, the only one that ends red. The alert appears below.",
        " 11. Trouble: let the sandbox fail five times, then trigger anything:",
        f"     curl -H 'Content-Type: application/json' {sandbox.url}/_sandbox/faults \\",
        """       -d '{"name": "server_error", "times": 5}'""",
        "",
        "Ctrl-C stops and removes everything, the results too. Alerts, and the calls that the sandbox sees:",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
