"""What of one partition has been judged, whose states are not written yet, and what is safe.

A state is not written with every message: that would double the cost of a message. It is written
some time after its first unwritten change (`checkpoint_s`), and at once when something was told.
Until then the messages it is made of are not acknowledged, so after a crash they are read again:

    offset    100 … 140 … 180 … 220
                │     │           └ done: judged up to here
                │     └ first message that B's written state lacks
                └ first message that A's written state lacks: read on from here after a crash

Only what is safe may be committed: the message before the first one that some written state lacks.
Were more committed, a crash would lose what those people's messages had changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from geomon.stream.record import Stamp

__all__ = ["Ledger"]

#: States written at once, together; more of them would hold up judging.
_MOST_URGENT = 4_000


class Ledger:
    """Offsets of one partition of the events, while this worker holds it."""

    def __init__(self) -> None:
        self.done = -1
        """Offset of the last message judged here; -1 = none yet."""
        self.newest_s = 0
        """Newest arrival at the broker among them."""
        self.safe = 0
        """Offset up to which, itself left out, everything is written; 0 = nothing yet."""
        self.kept = 0
        """How many people have a state in the changelog."""
        self._unwritten: dict[str, int] = {}  # whose -> first message not in the written state
        self._fresh: set[str] = set()  # those who have no written state at all
        self._urgent: set[str] = set()
        self._reached: deque[tuple[float, int]] = deque()  # (when, next): how old changes are
        self._old = -1  # changes noted up to here are old enough to be written

    def has_judged(self, offset: int, arrived_s: int) -> bool:
        """Say whether a message has been judged here since this worker holds the partition."""
        return offset <= self.done and arrived_s <= self.newest_s

    def take(self, offset: int, arrived_s: int) -> None:
        """Note that a message has been dealt with."""
        self.done = offset
        self.newest_s = max(self.newest_s, arrived_s)

    def change(self, whose: str, offset: int, *, fresh: bool = False, urgent: bool = False) -> None:
        """Note that somebody's state has changed with the message at `offset`."""
        self._unwritten.setdefault(whose, offset)
        if fresh:
            self._fresh.add(whose)
        if urgent:
            self._urgent.add(whose)

    def found(self, whose: str) -> None:
        """Note that somebody has a state in the changelog."""
        self._fresh.discard(whose)

    @property
    def fresh(self) -> int:
        """How many people have no state in the changelog yet."""
        return len(self._fresh)

    @property
    def stamp(self) -> Stamp:
        """How far states go that are written now."""
        return Stamp(self.newest_s, self.done)

    @property
    def is_urgent(self) -> bool:
        """Whether somebody's state must be written at once."""
        return bool(self._urgent)

    @property
    def waiting(self) -> int:
        """How many people's states have changed since they were written."""
        return len(self._unwritten)

    def due(self, now_s: float, after_s: float, most: int) -> list[str]:
        """Give whose states are to be written: first the urgent, then what has waited `after_s`.

        `now_s` is of any clock that does not go back. Of those that have waited at most `most`; who
        is left is due still.
        """
        # What time changes is noted at the message that is next.
        if not self._reached or self._reached[-1][1] != self.done + 1:
            self._reached.append((now_s, self.done + 1))
        while self._reached and self._reached[0][0] <= now_s - after_s:
            self._old = self._reached.popleft()[1]
        waited: list[str] = []
        for whose, first in self._unwritten.items():
            if first > self._old or len(waited) >= most:
                break
            if whose not in self._urgent:
                waited.append(whose)
        return [*islice(self._urgent, _MOST_URGENT), *waited]

    def all_due(self) -> list[str]:
        """Give everybody whose state has changed since it was written."""
        return list(self._unwritten)

    def begin(self, people: Iterable[str]) -> dict[str, int]:
        """Begin to write these people's states; what changes from now on is for the next time.

        Gives what `end` or `fail` wants to have back.
        """
        begun = {}
        for whose in people:
            begun[whose] = self._unwritten.pop(whose)
            self._urgent.discard(whose)
        return begun

    def kept_after(self, begun: Iterable[str]) -> int:
        """Count the people who have a state once these are written."""
        return self.kept + sum(whose in self._fresh for whose in begun)

    def next_offset(self) -> int:
        """Give the first message that a written state lacks, taking what was begun as written."""
        first = next(iter(self._unwritten.values()), self.done + 1)
        return min(first, self.done + 1)

    def fail(self, begun: dict[str, int]) -> None:
        """Note that states could not be written after all: they are urgent now."""
        self._urgent.update(begun)
        self._unwritten = {**self._unwritten, **begun}
        self._unwritten = dict(sorted(self._unwritten.items(), key=lambda item: item[1]))

    def end(self, begun: Iterable[str], next_offset: int) -> None:
        """Note that states are safe, and with them all messages before `next_offset`."""
        self.kept = self.kept_after(begun)
        self._fresh.difference_update(begun)
        self.safe = max(self.safe, next_offset)
