"""Spare the garbage collector what lives for the whole process: Airflow and its libraries, some 300,000 objects."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Iterator

#: Objects more before the collector visits the youngest: a burst of requests allocates 1,000, and frees them.
YOUNGEST_OBJECTS = 10_000


@functools.cache
def others_have_frozen() -> bool:
    """Return whether something else in this process has frozen objects; asked once.

    Python counts the frozen objects one by one: 36 ms for those of Airflow and its tests.
    """
    return gc.get_freeze_count() > 0


@contextlib.contextmanager
def long_lived_objects_frozen() -> Iterator[None]:
    """Have the garbage collector leave alone, in the block, what there was before it.

    A full collection visits all of Airflow, for 0.12 s in which no response is read, and a batch of 20,000 rows has
    half a dozen of them: a tenth of the CPU that fetching its results takes.
    """
    keep_frozen = others_have_frozen()
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(max(thresholds[0], YOUNGEST_OBJECTS), *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if not keep_frozen:
            gc.unfreeze()
