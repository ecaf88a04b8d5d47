"""What one device sent, and what it felt like: input for check-ins and for the truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .lines import Line
from .script import Fact, Spell

__all__ = ["Heard", "delays", "low_battery", "sent", "within"]


@dataclass
class Heard:
    """Of one device. `fix_heard_s` are the arrivals of uploads that hold a position."""

    device: str
    device_id: str
    lines: list[Line]
    heard_s: NDArray[np.int64]
    fix_heard_s: NDArray[np.int64]
    silent: list[Spell] = field(default_factory=list)  # cannot send, and why
    facts: list[Fact] = field(default_factory=list)

    def reachable(self, time_s: float) -> bool:
        """Whether its owner can make it send: opening the app revives one that was killed."""
        return not any(s.from_s <= time_s < s.until_s and s.what != "killed" for s in self.silent)


def within(times: NDArray[np.int64], spells: list[Spell]) -> NDArray[np.bool_]:
    """Which times lie in any of the spells."""
    found = np.zeros(len(times), dtype=bool)
    for spell in spells:
        found |= (times >= spell.from_s) & (times < spell.until_s)
    return found


def delays(rng: np.random.Generator, n: int, slow: float, slowest: float) -> NDArray[np.int64]:
    """Seconds from measuring to arriving: 1-5, for some up to 60, for a few up to 300."""
    u, v = rng.random(n), rng.random(n)
    out = 1 + 4 * v
    out = np.where(u < slow + slowest, 5 + 55 * v, out)
    whole: NDArray[np.int64] = np.where(u < slowest, 60 + 240 * v, out).round().astype(np.int64)
    return whole


def sent(
    rng: np.random.Generator, received: NDArray[np.int64], silent: list[Spell]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Uploads with their repetitions: numbers of uploads, their arrivals, how many are first ones.

    One upload in a hundred is sent again because its receipt was lost: mostly within 40 s, one in
    five of these after hours, if the device can send then. `received` is below 0 where an upload
    is not sent at all.
    """
    n = len(received)
    again = np.flatnonzero(rng.random(n) < 0.01)
    long_after = rng.random(len(again)) < 0.2
    later = rng.uniform(2, 40, len(again))
    later = np.where(long_after, rng.uniform(3600, 3 * 3600, len(again)), later)
    arrivals: NDArray[np.int64] = received[again] + later.astype(np.int64)
    kept = (received[again] >= 0) & ~within(arrivals, silent)
    first = np.flatnonzero(received >= 0)
    return (
        np.concatenate([first, again[kept]]),
        np.concatenate([received[first], arrivals[kept]]),
        len(first),
    )


def low_battery(
    device: str,
    heard_s: NDArray[np.int64],
    pct: NDArray[np.int64],
    charging: NDArray[np.bool_],
    below_pct: int,
) -> list[Fact]:
    """When the level that is told lies below a threshold, until told to charge or to be above."""
    low = (pct < below_pct) & ~charging
    edges = np.flatnonzero(np.diff(low.astype(np.int8), prepend=0, append=0))
    facts = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        until = int(heard_s[end]) if end < len(heard_s) else None
        facts.append(Fact("low_battery", int(heard_s[begin]), until, device))
    return facts
