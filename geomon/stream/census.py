"""How many episodes are open, by kind, among the people of a worker.

Counted anew again and again, a slice at a time between two batches, instead of being kept up to
date by every alert: a recount cannot go wrong for long, and it costs the judging nothing. Of a
state that lies here as the changelog had it only the part with the episodes is read.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from geomon.core.person import Episode, Person
from geomon.stream.record import state_of
from geomon.stream.roll import Roll

__all__ = ["count_open", "open_kinds"]

#: People counted in one go: half a millisecond.
_SLICE = 500

_names = [field.name for field in msgspec.structs.fields(Person)]
_Head = msgspec.defstruct(
    "_Head",
    [
        *((name, msgspec.Raw) for name in _names[: _names.index("episodes")]),
        ("episodes", tuple[Episode, ...]),
    ],
    array_like=True,
)
_Frozen = msgspec.defstruct(
    "_Frozen",
    [("layout", int), ("inside", msgspec.Raw), ("person", _Head)],
    array_like=True,
)
_decoder: Any = msgspec.msgpack.Decoder(_Frozen)


def open_kinds(person: Person | bytes) -> list[str]:
    """Give the kinds of somebody's open episodes; of a state or of its record."""
    head: Any = person
    if isinstance(person, bytes):
        head = _decoder.decode(state_of(person)).person
    return [episode.kind for episode in head.episodes if not episode.until_s]


async def count_open(rolls: Mapping[int, Roll]) -> tuple[Counter[str], float]:
    """Count open episodes by kind, giving way to others; give also the seconds it took itself."""
    found: Counter[str] = Counter()
    spent_s = 0.0
    for roll in list(rolls.values()):
        names = list(roll.everybody())
        for begin in range(0, len(names), _SLICE):
            begun_s = time.perf_counter()
            for whose in names[begin : begin + _SLICE]:
                person = roll.people.get(whose)
                if person is not None:
                    found.update(open_kinds(person))
            spent_s += time.perf_counter() - begun_s
            await asyncio.sleep(0)
    return found, spent_s
