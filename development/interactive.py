"""``make airflow``: Airflow with the example DAGs and a sandbox of the Workflows API, to click around in."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_workflows.sandbox import Sandbox
from development.terminal import clean_up_when_terminated, coloured, say
from tests.harness.local_airflow import AirflowFailed, LocalAirflow, RunningAirflow
from tests.harness.ports import next_free_port

CHECKOUT = Path(__file__).resolve().parent.parent
CONNECTION_ID = "workflows_default"


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
    # Somebody who clicks around may also change a DAG.
    environment = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5"}
    with Sandbox() as sandbox, LocalAirflow(CHECKOUT / "dags", environment, port=port) as airflow:
        say("Preparing Airflow with SQLite in a temporary folder ...")
        airflow.migrate()
        airflow.command("connections", "add", CONNECTION_ID, "--conn-json", sandbox.connection_json)
        say("Starting Airflow, which takes 20 seconds to a minute ...")
        with airflow.standalone() as running:
            say(_greeting(running, sandbox))
            logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
            logging.getLogger("airflow_provider_workflows.sandbox").setLevel(logging.DEBUG)
            try:
                running.watch()
            finally:
                say("\nStopping Airflow, which takes a few seconds ...")


def _greeting(running: RunningAirflow, sandbox: Sandbox) -> str:
    definitions = [f"     {definition.id}  {definition.summary}" for definition in sandbox.definitions]
    lines = [
        "",
        coloured(f"Airflow: {running.url}   user {running.username}, password {running.password}", "bold"),
        f"Sandbox: {sandbox.url}",
        "",
        "What to try:",
        "  1. Trigger the DAG workflows_single_case and open its tasks, their logs and XComs.",
        "  2. Trigger it with another definition:",
        *definitions,
        f"  3. Open the connection {CONNECTION_ID} under Admin, Connections, and test it.",
        "  4. Let the sandbox fail five times, then trigger again:",
        f"     curl -H 'Content-Type: application/json' {sandbox.url}/_sandbox/faults \\",
        """       -d '{"name": "server_error", "times": 5}'""",
        "",
        "Ctrl-C stops and removes everything. The calls that the sandbox sees:",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
