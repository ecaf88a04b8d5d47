"""When to look at whom again though nothing arrives."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

__all__ = ["Deadlines"]


class Deadlines:
    """Times to look at people, at most one for each of them.

    Nearly every upload moves its person's next deadline further away. To note each move would keep
    millions of times that mean nothing any more, so only an *earlier* one is noted: when the noted
    time comes, the caller looks, and notes the time at which there really is something to see.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._noted: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._noted)

    def note(self, whose: str, due_s: int) -> None:
        """Look at somebody at `due_s` at the latest; 0 = there is no need."""
        if due_s:
            noted = self._noted.get(whose)
            if noted is None or due_s < noted:
                self._noted[whose] = due_s
                heappush(self._heap, (due_s, whose))

    def due(self, until_s: int, most: int) -> Iterator[str]:
        """Give, and forget, those whose time has come: the earliest first, at most `most`."""
        while most > 0 and self._heap and self._heap[0][0] <= until_s:
            due_s, whose = heappop(self._heap)
            if self._noted.get(whose) == due_s:
                del self._noted[whose]
                most -= 1
                yield whose
