"""Long JT/T 808 messages, which come in parts: put together, in bounded memory, for a bounded time.

A part is acknowledged only together with the whole, for no message counts as had before Kafka has
it. A terminal that sends a part again waits for that answer before it goes on: then, and only then,
it gets it at once. Parts that stay away are asked for (0x8003) a few times, then all are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from geomon.gateway.jt808.frames import Frame

__all__ = ["Parts", "Pile"]

#: A batch of 1,000 positions with all their items is about 60 kB.
_MOST_PARTS, _MOST_PILES, _MOST_BYTES = 128, 2, 256 << 10
_ASK_AFTER_S, _MOST_ASKED = 5.0, 3


@dataclass(slots=True)
class Pile:
    """The parts of one message that have come so far."""

    first: Frame  # whichever came first; its serial less its place is that of part 1
    due_s: float
    asked: int = 0
    parts: dict[int, Frame] = field(default_factory=dict)

    @property
    def first_serial(self) -> int:
        """The serial number of part 1, by which a terminal knows the message."""
        return (self.first.serial - self.first.part + 1) & 0xFFFF

    @property
    def missing(self) -> list[int]:
        """The places of the parts that are still missing."""
        return [n for n in range(1, self.first.parts + 1) if n not in self.parts]

    def whole(self) -> bytes:
        """The body of the whole message."""
        return b"".join(self.parts[n].body for n in range(1, self.first.parts + 1))


class Parts:
    """The messages of one terminal that are not whole yet."""

    __slots__ = ("_piles", "due_s")

    def __init__(self) -> None:
        self._piles: dict[tuple[int, int, int], Pile] = {}
        self.due_s = inf

    def add(self, frame: Frame, now_s: float) -> tuple[Pile | None, bool]:
        """Take a part; give the pile if it is whole now, and whether the part had come before.

        Raises `ValueError` for a part that cannot be one, or of too much.
        """
        if not 0 < frame.part <= frame.parts <= _MOST_PARTS:
            raise ValueError(f"part {frame.part} of {frame.parts}")
        key = (frame.message_id, frame.parts, (frame.serial - frame.part) & 0xFFFF)
        pile = self._piles.get(key)
        if pile is None:
            while len(self._piles) >= _MOST_PILES:
                del self._piles[next(iter(self._piles))]
            pile = self._piles[key] = Pile(frame, inf)
        pile.due_s = now_s + _ASK_AFTER_S
        before = frame.part in pile.parts
        pile.parts[frame.part] = frame
        is_whole = len(pile.parts) == frame.parts
        if is_whole:
            del self._piles[key]
        elif self._bytes() > _MOST_BYTES:
            del self._piles[key]
            self._look()
            raise ValueError(f"more than {_MOST_BYTES} bytes in parts")
        self._look()
        return (pile if is_whole else None), before

    def overdue(self, now_s: float) -> tuple[list[Pile], list[Pile]]:
        """Give the piles whose missing parts are to be asked for, and those given up."""
        late = [(key, pile) for key, pile in self._piles.items() if pile.due_s <= now_s]
        ask, dropped = [], []
        for key, pile in late:
            if pile.asked >= _MOST_ASKED:
                dropped.append(self._piles.pop(key))
            else:
                pile.asked += 1
                pile.due_s = now_s + _ASK_AFTER_S
                ask.append(pile)
        self._look()
        return ask, dropped

    def _bytes(self) -> int:
        return sum(len(frame.raw) for pile in self._piles.values() for frame in pile.parts.values())

    def _look(self) -> None:
        self.due_s = min((pile.due_s for pile in self._piles.values()), default=inf)
