"""The group of commands that this package adds to Airflow's command line, and what they may read."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_parameters,
)

_PROCESS_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def _find_commands() -> Any:
    from airflow.cli import cli_config  # noqa: PLC0415

    require_parameters(
        cli_config.Arg.__init__, "flags", "help", "action", "default", "type", "choices", "metavar"
    )
    for kind, fields in (
        (cli_config.ActionCommand, ("name", "help", "func", "args", "epilog")),
        (cli_config.GroupCommand, ("name", "help", "subcommands")),
    ):
        require_parameters(kind, *fields)
    return cli_config


COMMANDS: Feature[Any] = Feature(
    "airflow.cli.cli_config: Arg(flags, ...), ActionCommand(name, help, func, args, epilog), "
    "GroupCommand(name, help, subcommands)",
    purpose="add commands to Airflow's command line",
    without="`python -m airflow_provider_workflows.command_line` has the commands of `airflow workflows`",
    find=_find_commands,
)


def group_of_commands(name: str, text: str, commands: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return a group of commands as Airflow takes it of a provider; an empty list where it takes none.

    :param name: the group's name
    :param text: its help
    :param commands: of each its ``name``, ``help``, ``func``, ``epilog`` and ``arguments``: flags, with what
        ``argparse`` takes beside them
    """
    kinds = COMMANDS.get()
    if kinds is None:
        return []
    made = [
        kinds.ActionCommand(
            name=command["name"],
            help=command["help"],
            func=command["func"],
            args=tuple(kinds.Arg(flags, **options) for flags, options in command["arguments"]),
            epilog=command["epilog"],
        )
        for command in commands
    ]
    return [kinds.GroupCommand(name=name, help=text, subcommands=made)]


def _find_process_context() -> bool:
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded  # noqa: PLC0415

    if f'("{_PROCESS_CONTEXT}") == "server"' not in inspect.getsource(ensure_secrets_backend_loaded):
        raise FeatureChangedError(f"ensure_secrets_backend_loaded does not ask for {_PROCESS_CONTEXT}")
    return True


PROCESS_CONTEXT = Feature(
    f"{_PROCESS_CONTEXT}=server, read by airflow.sdk.execution_time.supervisor.ensure_secrets_backend_loaded()",
    purpose="find connections in Airflow's database on the command line",
    without="Commands find those of environment variables and secrets backends",
    find=_find_process_context,
)


def find_connections_in_database() -> None:
    """Have this process, which runs a command, find connections in Airflow's database too.

    It is for the life of the process, as with Airflow's own ``airflow connections test``.
    """
    if PROCESS_CONTEXT.is_available():
        os.environ.setdefault(_PROCESS_CONTEXT, "server")
