"""Which version of the API a request asks for, by its ``Accept`` header."""

from __future__ import annotations

from airflow_provider_workflows.sandbox.responses import Refusal

FIRST_VERSION = 1
VERSIONS = (FIRST_VERSION, 2)
_MEDIA_TYPES = frozenset({"application/json", "application/*", "*/*"})


def requested_version(accept: str | None) -> int:
    """Return the version that a request asks for.

    :param accept: the ``Accept`` header, such as ``application/json;version=2``; without a version, or without the
        header, the first version is meant
    :raises Refusal: 406 if each version that it names is unknown
    """
    if accept is None or "version" not in accept.lower():
        return FIRST_VERSION
    named = [version for media_type in accept.split(",") for version in _versions(media_type)]
    for version in named:
        if version in map(str, VERSIONS):
            return int(version)
    if not named:
        return FIRST_VERSION
    known_versions = " and ".join(map(str, VERSIONS))
    raise Refusal(
        406,
        "VERSION_NOT_SUPPORTED",
        f"The Accept header names an unknown version; there are {known_versions}.",
    )


def _versions(media_type: str) -> list[str]:
    name, *parameters = (part.strip() for part in media_type.split(";"))
    if name.lower() not in _MEDIA_TYPES:
        return []
    pairs = (parameter.partition("=") for parameter in parameters)
    return [value.strip().strip('"') for key, _, value in pairs if key.strip().lower() == "version"]
