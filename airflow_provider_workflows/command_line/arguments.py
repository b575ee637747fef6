"""The commands and their arguments, for Airflow's command line and for that of this package.

This imports nothing heavy: Airflow reads it at each start of its command line.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROGRAM = "workflows"
#: What ``--output`` may be.
TEXT, JSON = "text", "json"


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    :param flags: its name, or its flags
    :param options: what ``argparse`` takes of it beside them
    """

    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add the argument to a parser."""
        parser.add_argument(*self.flags, **self.options)


@dataclass(frozen=True)
class Command:
    """One command.

    :param name: its name
    :param help: what it does, in a line
    :param function: the name of the function in ``command_line.commands`` that does it
    :param arguments: its arguments
    :param epilog: what its help says at the end
    """

    name: str
    help: str
    function: str
    arguments: tuple[Argument, ...]
    epilog: str = ""


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


_URI = Argument(
    ("uri",),
    {
        "metavar": "URI",
        "help": "the output_path of a batch task: a URI such as s3://conn_id@bucket/folder, or a path; also the "
        "folder above the outputs of mapped tasks, a file of results, or a folder of a batch's state",
    },
)
_OUTPUT = Argument(
    ("-o", "--output"),
    {"choices": (TEXT, JSON), "default": TEXT, "help": "what to print: text, or JSON for scripts"},
)
_CONN_ID = Argument(
    ("--conn-id",),
    {
        "metavar": "ID",
        "help": "the connection that says which status means what (default: that of the batch, if it can be read)",
    },
)
_EXIT_CODES = (
    "Exit code: 0 if {nothing}, 3 if runs go on or rows are still to be submitted, 4 if {something}; 1 if the "
    "batch cannot be read, 2 for wrong arguments."
)

SANDBOX_ARGUMENTS = (
    Argument(("--host",), {"default": "127.0.0.1", "help": "address to listen on (default: %(default)s)"}),
    Argument(
        ("--allow-remote",),
        {"action": "store_true", "help": "permit a host that other machines can reach"},
    ),
    Argument(
        ("--port",),
        {
            "type": _port,
            "default": 8099,
            "help": "port to listen on, 0 for a free one (default: %(default)s)",
        },
    ),
    Argument(("--tls",), {"action": "store_true", "help": "serve https with a self-signed certificate"}),
    Argument(
        ("--token-seconds",),
        {
            "type": float,
            "default": 3600.0,
            "help": "life of access tokens, in seconds (default: %(default)s)",
        },
    ),
    Argument(("--webhook-url",), {"help": "send a signed webhook to this URL when a workflow ends"}),
    Argument(("--quiet",), {"action": "store_true", "help": "do not log a line for each request"}),
)

COMMANDS = (
    Command(
        "status",
        "Say what has become of the rows of a batch",
        "status",
        (_URI, _CONN_ID, _OUTPUT),
        _EXIT_CODES.format(nothing="all rows are done", something="rows have something wrong"),
    ),
    Command(
        "unknown",
        "List the rows of a batch of which nobody knows whether they have a run",
        "unknown",
        (_URI, _CONN_ID, _OUTPUT),
        "Exit code: 0 if there are no such rows, 4 if there are; 1 if the batch cannot be read, 2 for wrong "
        "arguments.",
    ),
    Command(
        "repair-plan",
        "Say what a repair of a batch would submit, and what that costs; nothing is sent",
        "repair_plan",
        (
            _URI,
            Argument(
                ("--resubmit-unknown",),
                {
                    "action": "store_true",
                    "help": 'count what on_unknown_outcome="resubmit" would submit as well',
                },
            ),
            _CONN_ID,
            _OUTPUT,
        ),
        _EXIT_CODES.format(
            nothing="it would change nothing", something="it would submit rows, or leave unknown ones alone"
        ),
    ),
    Command(
        "sandbox",
        "Serve a sandbox of the API, for trials and tests, until Ctrl+C",
        "sandbox",
        SANDBOX_ARGUMENTS,
    ),
    Command(
        "check",
        "Test a connection: whether the service accepts its credentials, and what is wrong with its fields",
        "check",
        (
            Argument(
                ("conn_id",),
                {"metavar": "CONNECTION", "help": "id of a connection of the type workflows"},
            ),
            _OUTPUT,
        ),
        "Exit code: 0 if all is well, 1 if not, 2 for wrong arguments.",
    ),
)
