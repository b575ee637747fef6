"""Keep what a task must remember in files, where Airflow has no task state store."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.storage import forget_listing, remove_file, shown
from airflow_provider_workflows.whole_files import write_whole

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

#: File systems take names of 255 bytes: a longer id is cut, and told apart by its digest.
MAX_NAME_CHARACTERS = 200
_DIGEST_CHARACTERS = 32


def name_of(text: str) -> str:
    """Return the name of a file or folder for an id: the same for the same id, and another one for any other.

    :param text: the id; that of a DAG run holds colons and plus signs
    """
    name = quote(text, safe="=")
    if set(name) <= {"."}:
        name = name.replace(".", "%2E")
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: MAX_NAME_CHARACTERS - _DIGEST_CHARACTERS - 1]}~{digest}"


class FileStore:
    """Values of one task instance, by key, each in a file: what Airflow's task state store is from Airflow 3.3 on.

    They outlast the task's tries, and a clear. A file is there as a whole, or as it was before.

    :param folder: the folder of all tasks, which all workers share
    :param task: ids of the DAG, the run and the task, and the map index (-1 for a task that is not mapped)
    """

    def __init__(self, folder: ObjectStoragePath, task: tuple[str, str, str, int]) -> None:
        for part in task:
            folder = folder / name_of(str(part))
        self.folder = folder

    def get(self, key: str) -> Any:
        """Return a value, or None if it is missing.

        :raises OutcomeUnknown: if the file is not what was written
        :raises Exception: if storage cannot be read
        """
        path = self._path(key)
        forget_listing(path)
        if not path.fs.exists(path.path):
            return None
        try:
            return json.loads(path.fs.cat_file(path.path))
        except FileNotFoundError:
            return None
        except ValueError:
            raise OutcomeUnknown(
                f"{shown(path)} is no JSON, so what an earlier try of the task has submitted is not known. Restore "
                "the file; or remove it if nothing was submitted, and clear the task."
            ) from None

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:  # noqa: ARG002  (files stay)
        """Write a value, which must be JSON; it is stored once this returns.

        :raises Exception: if storage cannot be written
        """
        write_whole(self._path(key), json.dumps(value, allow_nan=False).encode())

    def delete(self, key: str) -> None:
        """Remove a value.

        :raises Exception: if storage cannot be written
        """
        remove_file(self._path(key))

    def _path(self, key: str) -> ObjectStoragePath:
        return self.folder / f"{name_of(key)}.json"
