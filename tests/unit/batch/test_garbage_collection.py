from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from airflow_provider_workflows.batch.garbage_collection import (
    YOUNGEST_OBJECTS,
    long_lived_objects_frozen,
    others_have_frozen,
)


@pytest.fixture(autouse=True)
def nothing_is_frozen() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.unfreeze()
    others_have_frozen.cache_clear()
    yield
    gc.unfreeze()
    others_have_frozen.cache_clear()
    gc.set_threshold(*thresholds)


def test_what_there_was_before_is_not_visited() -> None:
    older: list[object] = [[] for _ in range(1_000)]

    with long_lived_objects_frozen():
        visited = {id(each) for each in gc.get_objects()}

    assert not visited & set(map(id, older))


def test_objects_of_the_block_are_collected() -> None:
    collected: list[str] = []

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            collected.append("a cycle")

    with long_lived_objects_frozen():
        Cycle()
        gc.collect()

    assert collected == ["a cycle"]


def test_a_burst_of_requests_does_not_start_the_collector() -> None:
    with long_lived_objects_frozen():
        threshold = gc.get_threshold()[0]

    assert threshold == YOUNGEST_OBJECTS


@pytest.mark.parametrize("error", [None, ValueError])
def test_the_collector_is_as_it_was_after_the_block(error: type[Exception] | None) -> None:
    before = gc.get_threshold()

    try:
        with long_lived_objects_frozen():
            if error is not None:
                raise error
    except ValueError:
        pass

    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_higher_threshold_is_kept() -> None:
    gc.set_threshold(50_000, 20, 20)

    with long_lived_objects_frozen():
        within = gc.get_threshold()

    assert within == (50_000, 20, 20)


@pytest.mark.thorough
def test_what_others_have_frozen_stays_frozen() -> None:
    gc.freeze()

    for _ in range(2):
        with long_lived_objects_frozen():
            pass

    assert gc.get_freeze_count() > 0
