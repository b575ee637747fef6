"""``make image-digests``: pin the images of the Dockerfile and of docker-compose.yaml by their digests.

A tag, such as ``postgres:17``, is moved to another image with each update; a digest names one image for ever.
Dependabot keeps a digest up to date that is there.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from development.terminal import coloured, say

CHECKOUT = Path(__file__).resolve().parent.parent
FILES = ("Dockerfile", "docker-compose.yaml")
LOCAL_TAG = "local"
"""That of the image that is built here, which no registry knows."""
IMAGE = re.compile(
    r"(?m)^(?P<before>\s*image: |ARG \w+_IMAGE=)(?P<name>[\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?$"
)
ASK_SECONDS = 60.0


class DigestUnknown(Exception):
    """The registry does not say which image a tag is at present; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Pin all images, or none if one digest cannot be had.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code
    """
    summary = __doc__.partition("\n")[0].replace("``", "`")
    argparse.ArgumentParser(prog="make image-digests", description=summary).parse_args(arguments)
    try:
        pinned = {name: pin((CHECKOUT / name).read_text(), digest_of) for name in FILES}
    except (DigestUnknown, OSError) as error:
        say(coloured(f"Failed, and changed nothing: {error}", "red"))
        return 1
    for name, text in pinned.items():
        (CHECKOUT / name).write_text(text)
        for image in images(text):
            say(f"{name}: {image}")
    return 0


def images(text: str) -> list[str]:
    """Return the images of a file as they stand there, without the one that is built here."""
    found = [match[0].removeprefix(match["before"]) for match in IMAGE.finditer(text)]
    return [image for image in found if not image.endswith(f":{LOCAL_TAG}")]


def pin(text: str, digest: Callable[[str], str]) -> str:
    """Return the text of a file with the digest behind each of its images.

    :param text: of a Dockerfile or of a compose file
    :param digest: returns the digest of an image by its name and tag: ``sha256:6f1a...``
    :raises DigestUnknown: if ``digest`` does
    """

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name.endswith(f":{LOCAL_TAG}") else f"{match['before']}{name}@{digest(name)}"

    return IMAGE.sub(replaced, text)


def digest_of(image: str) -> str:
    """Ask the registry of an image for its digest.

    :param image: name and tag: ``postgres:17``
    :returns: the digest of the image for all platforms: ``sha256:6f1a...``
    :raises DigestUnknown: if Docker's buildx is missing, or the registry cannot be asked
    """
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image]
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DigestUnknown(f"`{' '.join(command[:4])}` does not work: {error}") from error
    digest = done.stdout.strip()
    reason = done.stderr.strip() or digest or "nothing was said"
    if done.returncode != 0 or not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise DigestUnknown(f"the digest of {image} cannot be had: {reason}")
    return digest


if __name__ == "__main__":
    sys.exit(main())
