"""Messages between the consumer, which fetches them, and the desk, which judges them."""

from __future__ import annotations

import asyncio
from collections import deque

from geomon.intake import Raw

__all__ = ["Inbox"]


class Inbox:
    """Fetched messages, in order; holds about `room` of them.

    A full inbox makes the consumer wait, so memory stays bounded however far behind the worker is.

    When partitions move, what is under way between consumer and desk has to be thrown away: it will
    be fetched again, from the committed offset on, and judged after what comes before it. So the
    inbox counts how often it was cleared (`epoch`), and what belongs to an earlier epoch is void.
    """

    def __init__(self, room: int) -> None:
        self.epoch = 0
        self._room = room
        self._batches: deque[list[Raw]] = deque()
        self._size = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return self._size

    async def put(self, messages: list[Raw]) -> bool:
        """Put in messages of one partition when there is room; False = cleared meanwhile."""
        epoch = self.epoch
        async with self._changed:
            await self._changed.wait_for(lambda: self._size < self._room or epoch < self.epoch)
            if epoch < self.epoch:
                return False
            self._batches.append(messages)
            self._size += len(messages)
            self._changed.notify_all()
            return True

    async def take(self, most: int) -> tuple[int, list[Raw]]:
        """Wait for messages and take them out, at most so many; give the epoch they are of."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._size > 0)
            taken: list[Raw] = []
            while self._batches and len(taken) < most:
                messages = self._batches.popleft()
                left = most - len(taken)
                if len(messages) > left:
                    self._batches.appendleft(messages[left:])
                    messages = messages[:left]
                taken += messages
            self._size -= len(taken)
            self._changed.notify_all()
            return self.epoch, taken

    async def clear(self) -> None:
        """Throw away what is in it, and what is on its way into it or out of it."""
        self.epoch += 1
        async with self._changed:
            self._batches.clear()
            self._size = 0
            self._changed.notify_all()
