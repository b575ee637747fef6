"""Storage that can be made to fail: the scheme ``chaos``, whose files are those of the local file system.

Airflow finds it as it finds the storage of each provider, in workers and triggerers alike: by the entry point of an
installed package. ``install`` makes that package, in a folder for ``PYTHONPATH``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

SCHEME = "chaos"
#: Airflow asks for these two names.
schemes = (SCHEME,)

FLAG_VARIABLE = "CHAOS_STORAGE_FLAG"
"""The environment variable with the path of the flag: while that file is there, all storage fails."""

_PACKAGE = "chaos-storage"


class StorageFault(Exception):
    """Storage is out of reach; not an OSError, as the errors of Azure's and Google's file systems are not."""


def _require_reachable() -> None:
    if os.path.exists(os.environ[FLAG_VARIABLE]):  # noqa: PTH110  (a path object for each call is not for nothing)
        raise StorageFault("503 Service Unavailable")


class FailingFileSystem(LocalFileSystem):  # type: ignore[misc]
    """The local file system, which fails while the flag is there."""

    protocol = SCHEME

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        text = os.fspath(path) if not isinstance(path, list) else path
        if isinstance(text, str):
            text = text.removeprefix(f"{SCHEME}://")
        return super()._strip_protocol(text)

    def unstrip_protocol(self, name: Any) -> str:
        """Return a path with the scheme."""
        return f"{SCHEME}://{self._strip_protocol(name)}"

    def _open(self, *arguments: Any, **options: Any) -> Any:
        _require_reachable()
        return super()._open(*arguments, **options)

    def ls(self, *arguments: Any, **options: Any) -> Any:
        """List a folder."""
        _require_reachable()
        return super().ls(*arguments, **options)

    def info(self, *arguments: Any, **options: Any) -> Any:
        """Return what is to be said of a file."""
        _require_reachable()
        return super().info(*arguments, **options)

    def makedirs(self, *arguments: Any, **options: Any) -> Any:
        """Make a folder and those above it."""
        _require_reachable()
        return super().makedirs(*arguments, **options)

    def mv(self, *arguments: Any, **options: Any) -> Any:
        """Move a file."""
        _require_reachable()
        return super().mv(*arguments, **options)

    def rm_file(self, *arguments: Any, **options: Any) -> Any:
        """Remove a file."""
        _require_reachable()
        return super().rm_file(*arguments, **options)


def get_fs(_: str | None) -> FailingFileSystem:
    """Return the file system, as Airflow asks for it."""
    return FailingFileSystem(auto_mkdir=True)


def provider_info() -> dict[str, Any]:
    """Return what Airflow asks of a provider."""
    return {
        "package-name": _PACKAGE,
        "name": "Chaos",
        "description": "Storage that can be made to fail.",
        "versions": ["1.0"],
        "filesystems": [__name__],
    }


def install(folder: Path) -> None:
    """Make the package by which Airflow finds the file system.

    :param folder: a folder that is in ``PYTHONPATH``, beside that of this checkout
    """
    metadata = folder / f"{_PACKAGE.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_PACKAGE}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[apache_airflow_provider]\nprovider_info = {__name__}:{provider_info.__name__}\n"
        f"[fsspec.specs]\n{SCHEME} = {__name__}:{FailingFileSystem.__name__}\n"
    )
