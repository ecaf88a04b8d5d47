"""A person's record in the changelog: the state, stamped with how far it goes.

    form (1 byte) | newest_s | offset | due_s | rules | state
                    └──── the stamp ───┘

The stamp says which messages the state has in it: those of its partition up to `offset`, none of
them newer than `newest_s`. Two faults make it needed:

- After a crash some messages are read again, by a state that has them already. Some kinds of alert
  depend on the order of arrival, so to judge them again could tell something else than before: they
  are passed over.
- A worker that was frozen for longer than its session (a paused virtual machine) wakes up and
  writes states that were true then, behind those of the worker that took over. Whoever reads the
  changelog takes the state that goes furthest, not the one that was written last.

The time stands before the offset because a topic that was made anew counts its offsets from 0.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import msgspec

from geomon.core.person import Person, check_freezes, freeze, thaw
from geomon.errors import StateError

__all__ = [
    "MARKER",
    "REMEDY",
    "Marker",
    "Stamp",
    "check_seals",
    "due_of",
    "open_record",
    "rules_mark",
    "seal",
    "stamp_of",
    "state_of",
]

#: The key of a partition's marker: no person has it, as ids are not empty.
MARKER = b"\x00marker"

#: What to do about states that cannot be used: nothing of them is guessed at.
REMEDY = "give the worker another app_id: it then judges anew all events that Kafka still has"

_FORM = 4  # never what a record without a stamp begins with (MessagePack: 0x9...)
_HEAD = struct.Struct(">BqqqI")
_DUE = struct.Struct(">q")


class Stamp(NamedTuple):
    """How far a state goes; the greater goes further."""

    newest_s: int  # no message in it arrived later at the broker
    offset: int  # of the last message of the partition when it was written

    def and_(self, other: Stamp) -> Stamp:
        """Give the stamp of a state that has in it what states with both stamps have."""
        return Stamp(max(self.newest_s, other.newest_s), max(self.offset, other.offset))


class Marker(msgspec.Struct, frozen=True, gc=False):
    """What a partition of the changelog must hold: written behind every round of states."""

    people: int  # that have a state here
    next_offset: int  # of the events, from where a worker that takes over reads on
    newest_s: int  # no message before that arrived later at the broker


def rules_mark(version: str) -> int:
    """Give a number that stands for the version of the rules in a record."""
    return zlib.crc32(version.encode())


def seal(person: Person, stamp: Stamp, rules: int) -> bytes:
    """Give the record of a person's state."""
    return _HEAD.pack(_FORM, *stamp, person.due_s, rules) + freeze(person)


def check_seals(person: Person) -> None:
    """Raise what `seal` would raise, when it is too late to do anything about it."""
    _DUE.pack(person.due_s)
    check_freezes(person)


def stamp_of(record: bytes) -> Stamp:
    """Read a record's stamp. Raises `StateError` when it is of another form."""
    _, newest_s, offset, _, _ = _head(record)
    return Stamp(newest_s, offset)


def due_of(record: bytes) -> tuple[int, int]:
    """Read when a person is to be looked at again, and the mark of the rules that say so."""
    _, _, _, due_s, rules = _head(record)
    return due_s, rules


def state_of(record: bytes) -> memoryview:
    """Give the state in a record, as `freeze` made it."""
    return memoryview(record)[_HEAD.size :]


def open_record(record: bytes) -> tuple[Person, Stamp]:
    """Give the state and its stamp. Raises `StateError` when they are of another form."""
    stamp = stamp_of(record)
    try:
        return thaw(record[_HEAD.size :]), stamp
    except msgspec.DecodeError as error:
        raise StateError(f"a kept state cannot be read ({error}); {REMEDY}") from None


def _head(record: bytes) -> tuple[int, int, int, int, int]:
    if len(record) <= _HEAD.size or record[0] != _FORM:
        raise StateError(f"the kept states are of another form; {REMEDY}")
    head: tuple[int, int, int, int, int] = _HEAD.unpack_from(record)
    return head
