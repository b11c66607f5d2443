"""Reads the counters of a period from Redis, a bounded part at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.stats.period import Period

#: Hours whose sizes are asked for in one round trip: ten days.
_HOURS_PER_TRIP: Final = 240
#: Fields that are read in one round trip; they are handled within a few ms.
_FIELDS_PER_TRIP: Final = 4_000

#: The fields of some hours with their counts, as Redis has them.
Fields = Mapping[bytes, bytes]


class StatsReader:
    """Reads counters.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client
        #: Held while a period is read: however many are asked for, a process reads one at a time,
        #: so that what else it serves waits for one part of one period at most.
        self.turn: Final = asyncio.Lock()

    async def now_ms(self) -> int:
        """The time of the store, by which everything is counted: Unix milliseconds."""
        seconds, micros = await self._client.time()
        return seconds * 1000 + micros // 1000

    async def hours(self, period: Period) -> AsyncIterator[tuple[int, Fields]]:
        """The counters of each hour that has some, in order.

        The fields of an hour may come in several parts.
        """
        for first in range(period.first, period.end, _HOURS_PER_TRIP):
            sizes = await self._sizes(range(first, min(first + _HOURS_PER_TRIP, period.end)))
            for batch in _batches(sizes):
                if sizes[batch[0]] > _FIELDS_PER_TRIP:
                    async for fields in self._parts(batch[0]):
                        yield batch[0], fields
                    continue
                for hour, fields in zip(batch, await self._whole(batch), strict=True):
                    yield hour, fields

    async def _sizes(self, hours: Sequence[int]) -> dict[int, int]:
        async with self._client.pipeline(transaction=False) as pipe:
            for hour in hours:
                pipe.hlen(_key(hour))
            sizes = await cast("Awaitable[list[int]]", pipe.execute())
        return {hour: size for hour, size in zip(hours, sizes, strict=True) if size}

    async def _whole(self, hours: Sequence[int]) -> list[Fields]:
        async with self._client.pipeline(transaction=False) as pipe:
            for hour in hours:
                pipe.hgetall(_key(hour))
            return await cast("Awaitable[list[Fields]]", pipe.execute())

    async def _parts(self, hour: int) -> AsyncIterator[Fields]:
        """The fields of an hour that has many. A scan may return a field twice."""
        seen: set[bytes] = set()
        cursor = -1
        while cursor:
            reply: Any = await self._client.hscan(
                _key(hour), max(cursor, 0), count=_FIELDS_PER_TRIP
            )
            cursor, found = reply
            yield {field: count for field, count in found.items() if field not in seen}
            seen.update(found)


def _batches(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Split hours into groups that have few enough fields together."""
    batch: list[int] = []
    fields = 0
    for hour, size in sizes.items():
        if batch and fields + size > _FIELDS_PER_TRIP:
            yield batch
            batch, fields = [], 0
        batch.append(hour)
        fields += size
    if batch:
        yield batch


def _key(hour: int) -> str:
    return f"hg:stats:{hour}"
