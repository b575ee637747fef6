"""Connections are read when they are due, and no oftener; a failed lookup keeps what was found before."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_workflows.hooks.connection_cache import ConnectionCache

FOUND, NOT_FOUND, FAILED = 300.0, 5.0, 2.0


class Connections:
    """Connections to be read, and a clock that is moved on by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lookups: list[str] = []
        self.says: dict[str, str] = {}
        self.failure: Exception | None = None
        self.going = asyncio.Event()
        self.going.set()

    async def lookup(self, conn_id: str) -> str | None:
        self.lookups.append(conn_id)
        await self.going.wait()
        if self.failure is not None:
            raise self.failure
        return self.says.get(conn_id)

    def cache(
        self, *, failed: float = FAILED, max_not_found: int = 100, max_lookups: int = 1
    ) -> ConnectionCache[str]:
        return ConnectionCache(
            self.lookup,
            found_seconds=FOUND,
            not_found_seconds=NOT_FOUND,
            failed_seconds=failed,
            max_not_found=max_not_found,
            clock=lambda: self.now,
        )


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.mark.parametrize(
    ("says", "failure", "seconds"),
    [("settings", None, FOUND), (None, None, NOT_FOUND), (None, OSError("away"), FAILED)],
    ids=["found", "not found", "failed"],
)
async def test_a_connection_is_read_again_once_it_is_due(
    connections: Connections, says: str | None, failure: Exception | None, seconds: float
) -> None:
    connections.says = {"one": says} if says else {}
    connections.failure = failure
    cache = connections.cache()
    lookups = []

    for now in (0.0, seconds - 0.001, seconds):
        connections.now = now
        await asyncio.gather(cache.get("one"), return_exceptions=True)
        lookups.append(len(connections.lookups))

    assert lookups == [1, 1, 2]


async def test_a_failure_is_raised_until_the_next_lookup_as_a_copy_each_time(
    connections: Connections,
) -> None:
    connections.failure = OSError("away")
    cache = connections.cache()

    raised = await asyncio.gather(cache.get("one"), cache.get("one"), return_exceptions=True)

    assert [str(error) for error in raised] == ["away", "away"]
    assert raised[0] is not raised[1]
    assert connections.lookups == ["one"]


async def test_a_failure_that_is_not_kept_is_raised_and_read_again(connections: Connections) -> None:
    connections.failure = OSError("away")
    cache = connections.cache(failed=0.0)

    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await cache.get("one")

    assert connections.lookups == ["one", "one"]


async def test_what_was_found_is_used_on_while_lookups_fail(connections: Connections) -> None:
    connections.says = {"one": "before"}
    cache = connections.cache()
    await cache.get("one")
    connections.failure = OSError("away")
    connections.now = FOUND

    assert await cache.get("one") == "before"
    assert not cache.is_due("one")

    connections.now += FAILED
    assert cache.is_due("one")


async def test_a_connection_can_be_made_due_earlier_and_never_later(connections: Connections) -> None:
    connections.says = {"one": "settings"}
    cache = connections.cache()
    await cache.get("one")

    cache.expire("one", 30.0)
    cache.expire("one", 60.0)

    connections.now = 29.9
    assert not cache.is_due("one")
    connections.now = 30.0
    assert cache.is_due("one")


async def test_those_who_ask_at_once_share_one_lookup(connections: Connections) -> None:
    connections.says = {"one": "settings"}
    connections.going.clear()
    cache = connections.cache()
    asking = [asyncio.create_task(cache.get("one")) for _ in range(10)]
    await asyncio.sleep(0)

    connections.going.set()

    assert await asyncio.gather(*asking) == ["settings"] * 10
    assert connections.lookups == ["one"]


async def test_what_was_found_is_used_on_while_one_reads_it_again(connections: Connections) -> None:
    connections.says = {"one": "before"}
    cache = connections.cache()
    await cache.get("one")
    connections.now = FOUND
    connections.says = {"one": "after"}
    connections.going.clear()
    reading_again = asyncio.create_task(cache.get("one"))
    await asyncio.sleep(0)

    assert await cache.get("one") == "before"

    connections.going.set()
    assert await reading_again == "after"


async def test_ids_that_are_invented_are_dropped_and_those_that_are_found_are_not(
    connections: Connections,
) -> None:
    connections.says = {"one": "settings"}
    cache = connections.cache(max_not_found=5)
    await cache.get("one")

    for number in range(20):
        await cache.get(f"invented_{number}")

    assert len(cache) == 5
    assert "one" in cache
    assert cache.latest("one") == "settings"
