"""The group ``airflow workflows``, as Airflow asks for it; Airflow reads it at each start of its command line."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.command_line import (
    find_connections_in_database,
    group_of_commands,
)
from airflow_provider_workflows.command_line.arguments import COMMANDS, PROGRAM

if TYPE_CHECKING:
    import argparse


def get_provider_cli_commands() -> list[Any]:
    """Return the group of commands; nothing where this Airflow takes none of providers."""
    return group_of_commands(
        PROGRAM,
        "Inspect batches and connections of TransactionLink's Workflows API",
        [
            {
                "name": command.name,
                "help": command.help,
                "func": on_call(command.function),
                "arguments": [(argument.flags, dict(argument.options)) for argument in command.arguments],
                "epilog": command.epilog or None,
            }
            for command in COMMANDS
        ],
    )


def on_call(function: str) -> Callable[[argparse.Namespace], None]:
    """Return what runs a command and ends the process with its exit code; what it needs is imported only then.

    :param function: the name of a function of ``command_line.commands``
    """

    def call(options: argparse.Namespace) -> None:
        find_connections_in_database()
        commands = importlib.import_module("airflow_provider_workflows.command_line.commands")
        raise SystemExit(getattr(commands, function)(options))

    return call
