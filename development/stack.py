"""``make stack``: Airflow as it runs in production, with the example DAGs and a sandbox of the Workflows API."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from development.terminal import clean_up_when_terminated, coloured, say
from tests.harness.local_airflow import EXAMPLE_DAGS
from tests.harness.ports import next_free_port
from tests.harness.running_airflow import AirflowFailed
from tests.harness.stack.errors import StackUnavailable
from tests.harness.stack.stack import Stack

CONNECTION_ID = "workflows_default"
WORKERS_VARIABLE = "WORKERS"
"""As in docker-compose.yaml."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stack until Ctrl-C.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code
    """
    parser = argparse.ArgumentParser(prog="make stack", description=__doc__.replace("``", "`"))
    parser.add_argument(
        "--port", type=int, default=8080, help="port of Airflow, or the next free one (default: %(default)s)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.environ.get(WORKERS_VARIABLE, "2"),
        help=f"number of Celery workers (default: the variable {WORKERS_VARIABLE}, else 2)",
    )
    options = parser.parse_args(arguments)
    clean_up_when_terminated()
    try:
        _run(options.port, options.workers)
    except KeyboardInterrupt:
        say("\nEverything is stopped and removed.")
    except (StackUnavailable, AirflowFailed, OSError, ValueError) as error:
        say(coloured(f"\nFailed: {error}", "red"))
        return 1
    return 0


def _run(wanted_port: int, workers: int) -> None:
    port = next_free_port(wanted_port)
    if port != wanted_port:
        say(f"Port {wanted_port} is taken, so this will be port {port}.")
    say("Starting PostgreSQL, Redis and Airflow, which takes half a minute to two minutes ...")
    with (
        Sandbox() as sandbox,
        Stack(EXAMPLE_DAGS, workers=workers, port=port) as stack,
    ):
        # In the database, where a person can see and test them.
        for generation, conn_id in CONNECTION_IDS.items():
            stack.running.add_connection(conn_id, sandbox.connection_of(generation))
        say(_greeting(stack, sandbox))
        logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("airflow_provider_workflows.sandbox").setLevel(logging.DEBUG)
        try:
            stack.running.watch()
        finally:
            say("\nStopping everything ...")


def _greeting(stack: Stack, sandbox: Sandbox) -> str:
    running = stack.running
    definitions = [f"     {definition.id}  {definition.summary}" for definition in sandbox.definitions]
    lines = [
        "",
        coloured(f"Airflow: {running.url}   user {running.username}, password {running.password}", "bold"),
        f"Sandbox: {sandbox.url}",
        "",
        "What runs:",
        # As `psql` wants it.
        f"  PostgreSQL     {stack.database.address.replace('+psycopg2', '')}",
        f"  Redis          {stack.broker_url}",
        *(f"  {name:13}  log: {stack.log_file(name)}" for name in stack.topology.components),
        "",
        "What to try:",
        "  1. Trigger the DAG workflows_single_case and open its tasks, their logs and XComs.",
        "  2. Trigger it with another definition:",
        *definitions,
        f"  3. Open the connection {CONNECTION_ID} under Admin, Connections, and test it.",
        "  4. Let the sandbox fail five times, then trigger again:",
        f"""     curl -d '{{"name": "server_error", "times": 5}}' {sandbox.url}/_sandbox/faults""",
        "",
        "Ctrl-C stops and removes everything. The calls that the sandbox sees:",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
