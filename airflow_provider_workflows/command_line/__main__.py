"""The commands of ``airflow workflows`` by themselves, where Airflow takes no commands of providers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_workflows.command_line.arguments import COMMANDS
from airflow_provider_workflows.command_line.definition import on_call


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command, and end the process with its exit code.

    :param arguments: of the command line; None for those of this process
    """
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_workflows.command_line")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = commands.add_parser(
            command.name, help=command.help, description=command.help, epilog=command.epilog
        )
        for argument in command.arguments:
            argument.add_to(one)
        one.set_defaults(func=on_call(command.function))
    options = parser.parse_args(arguments)
    options.func(options)


if __name__ == "__main__":
    main(sys.argv[1:])
