"""The sandbox from the command line."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_workflows.command_line.arguments import SANDBOX_ARGUMENTS
from airflow_provider_workflows.sandbox.control import CONTROL_PREFIX, OPENAPI_PATH
from airflow_provider_workflows.sandbox.server import Sandbox

PROGRAM = "workflows-sandbox"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code: 0, or 2 if the sandbox could not start
    """
    return serve(_parser().parse_args(arguments))


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM.

    :param options: the values of ``SANDBOX_ARGUMENTS``
    :returns: the exit code: 0, or 2 if the sandbox could not start
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        sandbox = Sandbox(
            host=options.host,
            port=options.port,
            tls=options.tls,
            token_seconds=options.token_seconds,
            allow_remote=options.allow_remote,
            webhook_url=options.webhook_url,
        )
        sandbox.start()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"{PROGRAM}: error: {reason}\n")
        return 2
    try:
        if not options.quiet:
            _log_requests()
        sys.stdout.write(_greeting(sandbox))
        sys.stdout.flush()
        ended.wait()
    finally:
        sandbox.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="TransactionLink's Workflows API for trials and tests; what it stores, it keeps in memory.",
    )
    for argument in SANDBOX_ARGUMENTS:
        argument.add_to(parser)
    return parser


def _greeting(sandbox: Sandbox) -> str:
    lines = [
        f"The sandbox of the Workflows API listens on {sandbox.url} (Ctrl+C ends it).",
        "",
        f"  organization token  {sandbox.organization_token}",
        f"  key                 {sandbox.key}",
        f"  secret              {sandbox.secret}",
        "                      (key and secret work too, though the service has deprecated them)",
        *([f"  CA file             {sandbox.ca_file}"] if sandbox.ca_file else []),
        "",
        "Workflow definitions:",
        *(f"  {definition.id}  {definition.summary}" for definition in sandbox.definitions),
        "",
        "Tables:",
        *(f"  {table.id}  {table.summary}" for table in sandbox.tables),
        "",
        "For Airflow, a connection for each generation of the API:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in sandbox.environment.items()),
        "",
        f"OpenAPI document: {sandbox.url}{OPENAPI_PATH}",
        "Control endpoints:",
        f"  GET, POST, DELETE  {sandbox.url}{CONTROL_PREFIX}faults",
        f"  GET, DELETE        {sandbox.url}{CONTROL_PREFIX}counts",
        f"  GET, POST          {sandbox.url}{CONTROL_PREFIX}definitions",
        f"  GET, POST          {sandbox.url}{CONTROL_PREFIX}webhooks",
        f"  POST               {sandbox.url}{CONTROL_PREFIX}webhooks/faults",
        f"  POST               {sandbox.url}{CONTROL_PREFIX}webhooks/key",
        f"  POST               {sandbox.url}{CONTROL_PREFIX}secret",
        f"  GET, POST          {sandbox.url}{CONTROL_PREFIX}tables",
        f"  GET                {sandbox.url}{CONTROL_PREFIX}files",
        f"  POST               {sandbox.url}{CONTROL_PREFIX}workflows/expire",
        f"  POST               {sandbox.url}{CONTROL_PREFIX}tokens",
        f"  POST               {sandbox.url}{CONTROL_PREFIX}tokens/rotate",
        f"  POST               {sandbox.url}{CONTROL_PREFIX}tokens/expire",
        "",
        "",
    ]
    return "\n".join(lines)


def _log_requests() -> None:
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("airflow_provider_workflows.sandbox").setLevel(logging.DEBUG)


if __name__ == "__main__":
    sys.exit(main())
