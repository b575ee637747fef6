"""The input of a batch: checked before the first call, and compared with what a later try is given."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.run_details import require_expiry
from airflow_provider_workflows.batch.bad_row_list import BadRowList
from airflow_provider_workflows.batch.document_check import DocumentFiles
from airflow_provider_workflows.batch.input.items import sharding_of, version_of
from airflow_provider_workflows.batch.input_check import recheck, rewrite_manifest, write_manifest
from airflow_provider_workflows.batch.manifest import Manifest, has_hashes_of, read_common, read_salt
from airflow_provider_workflows.batch.repair import begin_journal
from airflow_provider_workflows.batch.row_digests import RowDigests
from airflow_provider_workflows.batch.row_generations import require_generation
from airflow_provider_workflows.batch.state_files import state_is_gone
from airflow_provider_workflows.storage import remove_folder
from airflow_provider_workflows.whole_files import require_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_workflows.api import Settings
    from airflow_provider_workflows.batch.input.items import Items
    from airflow_provider_workflows.batch.options import BatchOptions
    from airflow_provider_workflows.batch.place import BatchPlace
    from airflow_provider_workflows.storage import ObjectStoragePath

log = logging.getLogger(__name__)


def check_input(
    settings: Settings,
    options: BatchOptions,
    place: BatchPlace,
    items: Items,
    *,
    salt: str | None = None,
    is_new: bool = True,
) -> Manifest:
    """Check the output and the whole input before the first call, and return the manifest.

    The manifest's rows are written to the state folder, and the journal is begun there.

    :param settings: how to reach the service
    :param options: what to do
    :param place: where the output and the batch's state are
    :param items: the rows, as ``read_items`` takes them
    :param salt: of the rows' digests, to compare them with those of another manifest; a new one if None
    :param is_new: whether to begin the journal
    :raises InvalidInput: naming what is wrong with which rows, or that the output cannot be written
    """
    require_possible(options)
    options.output.path_in(place.folder)
    require_writable("output_path", place.folder, options.output.mode)
    # A try that was killed before it was recorded may have left half a state here.
    remove_folder(place.state_folder)
    version = version_of(items)
    bad_rows = _bad_rows(options, place.folder)
    files = DocumentFiles()
    with bad_rows.written():
        manifest = write_manifest(
            place.state_folder,
            files.taken(bad_rows.taken(options.rows(items, note=log.info, warn=log.warning))),
            common=options.common,
            skip_bad_rows=options.skip_bad_rows,
            hash_secret=options.hash_secret(settings),
            salt=salt,
        )
    if is_new:
        if not options.skip_bad_rows:
            files.require()
        begin_journal(place.state_folder)
    require_version(items, version)
    return dataclasses.replace(manifest, version=version, sharding=sharding_of(items))


def require_possible(options: BatchOptions) -> None:
    """Return if runs can be started now with what the batch has for all of them.

    :param options: what to do
    :raises InvalidInput: naming what the connection's generation does not have, or that cannot be right now
    """
    require_generation(
        options.generation,
        table_id=options.table_id,
        locale=options.locale,
        expires_at=options.expires_at,
    )
    if options.expires_at is not None:
        require_expiry(options.expires_at, datetime.now(timezone.utc))


def _bad_rows(options: BatchOptions, folder: ObjectStoragePath) -> BadRowList:
    return BadRowList(folder, options.output, values=options.input.bad_row_values)


def recheck_input(
    options: BatchOptions, place: BatchPlace, manifest: Manifest, items: Items
) -> Manifest | None:
    """Return the manifest of the input as it is now, or None if its rows are not those that were checked.

    It is read again, and may be another file with the same rows.

    :param options: what to do
    :param place: where the output and the batch's state are
    :param manifest: what was checked
    :param items: the rows, as ``read_items`` takes them
    :raises InvalidInput: if they cannot be run
    :raises OutcomeUnknown: if the batch's state is gone
    """
    with require_state(place.state_folder):
        version = version_of(items)
        bad_rows = _bad_rows(options, place.folder)
        with bad_rows.written():
            found = recheck(
                place.state_folder,
                bad_rows.taken(options.rows(items)),
                common=options.common,
                skip_bad_rows=options.skip_bad_rows,
            )
        require_version(items, version)
    if found != dataclasses.replace(manifest, version=None, sharding=None):
        return None
    return dataclasses.replace(found, version=version, sharding=sharding_of(items))


def require_hashes(
    options: BatchOptions,
    place: BatchPlace,
    manifest: Manifest,
    items: Callable[[], Items],
    hash_secret: str | None,
) -> None:
    """Return once the manifest has the hashes of personal numbers that the output is to have.

    They were left out, or keyed with another secret, where ``hash_personal_numbers`` or the connection's
    ``hash_secret`` has changed since the input was checked: then it is read again.

    :param options: what to do
    :param place: where the output and the batch's state are
    :param manifest: what was checked
    :param items: returns the rows, as ``read_items`` takes them
    :param hash_secret: keys the hashes; None if they are not asked for
    :raises InvalidInput: if the input cannot be read any more, or has changed
    :raises OutcomeUnknown: if the batch's state is gone
    """
    state_folder = place.state_folder
    with require_state(state_folder):
        if hash_secret is None or has_hashes_of(state_folder, hash_secret):
            return
        given = items()
        try:
            is_same = recheck_input(options, place, manifest, given) is not None
        except InvalidInput as error:
            raise _hashes_are_missing(str(error)) from error
        if not is_same:
            raise _hashes_are_missing("its rows have changed")
        rewrite_manifest(
            state_folder, options.rows(given), manifest, common=options.common, hash_secret=hash_secret
        )


def _hashes_are_missing(reason: str) -> InvalidInput:
    return InvalidInput(
        "hash_personal_numbers, or the connection's hash_secret, has changed since items was checked, and the "
        f"hashes can only be made of the same items: {reason}. No run is lost. Clear the task, with items as "
        "it was or with a key in each row, or set both as they were"
    )


def has_common(options: BatchOptions, state_folder: ObjectStoragePath) -> bool:
    """Return whether what is sent for all rows is the same as when the input was checked.

    :param options: what to do
    :param state_folder: where the batch keeps its state
    """
    return read_common(state_folder) == RowDigests(read_salt(state_folder), options.common).of_common()


@contextlib.contextmanager
def require_state(state_folder: ObjectStoragePath) -> Iterator[None]:
    """Enter the block if a batch's manifest is there.

    :param state_folder: where the batch keeps its state
    :raises OutcomeUnknown: if it is gone, or cannot be read
    """
    try:
        read_salt(state_folder)
    except FileNotFoundError:
        raise state_is_gone(state_folder, "there is no manifest") from None
    except (LookupError, TypeError, ValueError):
        raise state_is_gone(state_folder, "the manifest cannot be read") from None
    yield


def require_version(items: Items, version: str | None) -> None:
    """Raise if the items' file is not the one that was checked.

    :param items: the rows, as ``read_items`` takes them
    :param version: what ``version_of`` returned when they were checked
    :raises InvalidInput: saying that it has changed
    """
    if version_of(items) != version:
        raise InvalidInput(
            "items: the file has changed since its rows were checked, so nothing more was sent. Let the export end "
            "before the task begins, and run the task again: rows that were sent before keep their runs"
        )
