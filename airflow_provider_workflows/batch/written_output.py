"""What tells the output of a batch that was written, and all that it was made of, from another."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.pseudonyms import secret_fingerprint
from airflow_provider_workflows.batch.input.files import file_version
from airflow_provider_workflows.batch.manifest import read_salt

if TYPE_CHECKING:
    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.batch.row_state import RowState
    from airflow_provider_workflows.storage import ObjectStoragePath

_DIGEST_BYTES = 16


def digest_of(
    output: ObjectStoragePath,
    states: Mapping[int, RowState],
    *,
    options: OutputOptions,
    statuses: Statuses,
    state_folder: ObjectStoragePath,
    hash_secret: str | None,
) -> str:
    """Return the digest of an output, as it is there, and of all that it was made of.

    :param output: the path of the output
    :param states: the state of each row that has one, by row number
    :param options: how it is written
    :param statuses: which status means what
    :param state_folder: where the batch keeps its state
    :param hash_secret: keys the hashes of personal numbers; None without such hashes
    :raises InvalidInput: if there is no such output
    :raises Exception: if it, or the manifest, cannot be read
    """
    salt = read_salt(state_folder)
    made_of = [
        str(output),
        file_version(output),
        dataclasses.asdict(options),
        sorted(statuses.success),
        sorted(statuses.failure),
        str(state_folder),
        None if hash_secret is None else secret_fingerprint(hash_secret, salt),
    ]
    digest = hashlib.blake2b(json.dumps(made_of).encode(), digest_size=_DIGEST_BYTES)
    for number in sorted(states):
        digest.update(f"\n{number} {states[number]}".encode())
    return digest.hexdigest()
