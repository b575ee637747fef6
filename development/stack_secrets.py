"""``make secrets``: secrets of your own for docker-compose.yaml, one file for each."""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_bytes, token_hex, token_urlsafe

from development.terminal import coloured, say

TOKEN = "workflows_secret"  # noqa: S105  (the name of its file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the secrets that are missing in a folder.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code
    """
    parser = argparse.ArgumentParser(prog="make secrets", description=__doc__.replace("``", "`"))
    parser.add_argument(
        "--folder", type=Path, default=Path("secrets"), help="where to (default: %(default)s)"
    )
    folder = parser.parse_args(arguments).folder
    try:
        written = write_secrets(folder)
    except OSError as error:
        say(coloured(f"Failed: {error}", "red"))
        return 1
    say(f"Written into {folder}: {', '.join(written) or 'nothing, for all are there'}.")
    if not (folder / TOKEN).exists():
        say(f"To do: write a token of the Workflows API (tot_...) into {folder / TOKEN}.")
    say("Then, with the service in place of the sandbox:")
    say(
        f"  export SECRETS={folder.resolve()} WORKFLOWS_URL=https://api.transactionlink.io WORKFLOWS_PORT=443"
    )
    say("  docker compose up")
    return 0


def write_secrets(folder: Path) -> list[str]:
    """Write the secrets that are missing, and return their names; one that is there stays as it is.

    The token of the Workflows API is left to the user: nobody else can make one.

    :param folder: for them alone; it is made for its owner only
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Others get no further than the folder. A container's user is not the owner, and has to read the files.
    folder.chmod(0o700)
    made = {
        # Letters and digits alone, because it becomes part of a URL.
        "postgres_password": token_hex(24),
        "fernet_key": base64.urlsafe_b64encode(token_bytes(32)).decode(),
        "jwt_secret": token_urlsafe(48),
        "api_secret_key": token_urlsafe(48),
        "admin_password": token_urlsafe(12),
    }
    missing = {name: value for name, value in made.items() if not (folder / name).exists()}
    for name, value in missing.items():
        path = folder / name
        path.write_text(f"{value}\n")
        path.chmod(0o644)
    return list(missing)


if __name__ == "__main__":
    sys.exit(main())
