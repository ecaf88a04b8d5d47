"""Messages between the consumer, which fetches them, and the desk, which judges them."""

from __future__ import annotations

import asyncio
from collections import deque

from geomon.intake import Raw

__all__ = ["Inbox"]

#: Bytes judged together. A message may hold a thousand fixes: 2,000 of those, wristbands after an
#: outage, took 35 s without a pause and 865 MB. Small messages (2 kB) are counted, as they were.
BATCH_BYTES = 4 << 20
_ROOM_BYTES = 4 * BATCH_BYTES


class Inbox:
    """Fetched messages, in order; holds about `room` of them, and about `room_bytes`.

    A full inbox makes the consumer wait, so memory stays bounded however far behind the worker is
    and however large the messages are. One fetch more is let in: it cannot be given back.

    When partitions move, what is under way between consumer and desk has to be thrown away: it will
    be fetched again, from the committed offset on, and judged after what comes before it. So the
    inbox counts how often it was cleared (`epoch`), and what belongs to an earlier epoch is void.
    """

    def __init__(self, room: int, room_bytes: int = _ROOM_BYTES) -> None:
        self.epoch = 0
        self._room, self._room_bytes = room, room_bytes
        self._batches: deque[tuple[list[Raw], int]] = deque()  # with their bytes
        self._size = self._bytes = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return self._size

    async def put(self, messages: list[Raw]) -> bool:
        """Put in messages of one partition when there is room; False = cleared meanwhile."""
        epoch = self.epoch
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room() or epoch < self.epoch)
            if epoch < self.epoch:
                return False
            size_bytes = _bytes_of(messages)
            self._batches.append((messages, size_bytes))
            self._size += len(messages)
            self._bytes += size_bytes
            self._changed.notify_all()
            return True

    async def take(self, most: int, most_bytes: int = BATCH_BYTES) -> tuple[int, list[Raw]]:
        """Wait for messages and take them out; give the epoch they are of.

        At most so many, and none more when they have so many bytes.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._size > 0)
            taken: list[Raw] = []
            left_bytes = most_bytes
            while self._batches and len(taken) < most and left_bytes > 0:
                messages, size_bytes = self._batches.popleft()
                left = most - len(taken)
                if len(messages) > left or size_bytes >= left_bytes:
                    cut = _cut(messages, left, left_bytes)
                    messages, rest = messages[:cut], messages[cut:]
                    if rest:
                        self._batches.appendleft((rest, _bytes_of(rest)))
                    size_bytes = _bytes_of(messages)
                taken += messages
                left_bytes -= size_bytes
            self._size -= len(taken)
            self._bytes -= most_bytes - left_bytes
            self._changed.notify_all()
            return self.epoch, taken

    async def clear(self) -> None:
        """Throw away what is in it, and what is on its way into it or out of it."""
        self.epoch += 1
        async with self._changed:
            self._batches.clear()
            self._size = self._bytes = 0
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._size < self._room and self._bytes < self._room_bytes


def _bytes_of(messages: list[Raw]) -> int:
    return sum(len(message.data) for message in messages)


def _cut(messages: list[Raw], most: int, most_bytes: int) -> int:
    """Give how many messages there are up to the one with which it is enough."""
    for number, message in enumerate(messages, 1):
        most_bytes -= len(message.data)
        if number == most or most_bytes <= 0:
            return number
    return len(messages)
