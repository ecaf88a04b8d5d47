"""The people of one partition: their states, when to look at whom, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from geomon.core.judge import next_deadline
from geomon.core.person import Person
from geomon.core.rules import Rules
from geomon.errors import StateError
from geomon.stream.deadlines import Deadlines
from geomon.stream.ledger import Ledger
from geomon.stream.record import (
    MARKER,
    REMEDY,
    Marker,
    Stamp,
    due_of,
    open_record,
    rules_mark,
    seal,
    stamp_of,
)

__all__ = ["Roll"]

_marker = msgspec.json.Decoder(Marker)
_NO_STAMP = Stamp(0, -1)


class Roll:
    """Everybody whose events come by one partition.

    A state lies here as the changelog had it until its person is met, and as a `Person` from then
    on: one form at a time, because a million of them have to fit.
    """

    def __init__(self) -> None:
        self.people: dict[str, Person | bytes] = {}
        self.ledger = Ledger()
        self.deadlines = Deadlines()
        self.marker: Marker | None = None
        self.is_admitted = False
        """Whether what was recovered has been compared with what there must be."""
        self.follows: int | None = None
        """Offset of the message that must come first, until it has come; None = it has."""
        self._stamps: dict[str, Stamp] = {}  # of people met whose state was ahead of the ledger
        self._furthest = -1  # greatest offset of any stamp that was recovered
        self._new: list[str] = []  # recovered since `meet` was last called

    def recover(self, key: bytes, record: bytes | None) -> None:
        """Take in a record of the changelog, in the order in which they stand there.

        Raises `StateError` for a record of another form.
        """
        if key == MARKER:
            if record is not None:
                marker = _marker_in(record)
                # People never get fewer, unless it is a marker that came too late.
                people = max(marker.people, self.marker.people if self.marker else 0)
                self.marker = msgspec.structs.replace(marker, people=people)
                # Else states written from here on might seem to go less far than those of the
                # worker before, where arrival times do not only grow.
                self.ledger.newest_s = max(self.ledger.newest_s, marker.newest_s)
            return
        whose = key.decode()
        if record is None:
            self.people.pop(whose, None)
            return
        self.ledger.found(whose)
        stamp = stamp_of(record)
        before = self._stamp(whose)
        if before is not None and before > stamp:
            # Written by a worker that did not know that it had been replaced. To be sure that no
            # cleaning of the topic ever leaves only this one, the better state is written again.
            self.ledger.change(whose, self.ledger.done + 1, urgent=True)
            return
        self.people[whose] = record
        self._stamps.pop(whose, None)
        self._furthest = max(self._furthest, stamp.offset)
        self.ledger.newest_s = max(self.ledger.newest_s, stamp.newest_s)
        self._new.append(whose)

    def meet(self, rules: Rules, most: int) -> bool:
        """Note the deadlines of people who were recovered, of at most so many; False = of all."""
        new = self._new[-most:]
        del self._new[-most:]
        mark = rules_mark(rules.version)
        for whose in new:
            self.deadlines.note(whose, self._due(whose, rules, mark))
        if not self._new:
            self.ledger.kept = len(self.people) - self.ledger.fresh
        return bool(self._new)

    def _due(self, whose: str, rules: Rules, mark: int) -> int:
        record = self.people.get(whose)
        if not isinstance(record, bytes):
            return 0
        due_s, by = due_of(record)
        # Kept under other rules perhaps: what these ask for may be due earlier.
        return due_s if by == mark else self.person(whose, rules).due_s

    def person(self, whose: str, rules: Rules) -> Person:
        """Give somebody's state; of somebody never heard of, an empty one."""
        found = self.people.get(whose)
        if found is None:
            return Person(whose)
        if isinstance(found, Person):
            return found
        person, stamp = open_record(found)
        if due_of(found)[1] != rules_mark(rules.version):
            due_s = min(filter(None, (person.due_s, next_deadline(person, rules))), default=0)
            person.due_s = due_s
        self.people[whose] = person
        if stamp.offset > self.ledger.done:
            self._stamps[whose] = stamp
        return person

    def everybody(self) -> Iterator[str]:
        """Give the names of all who are here."""
        return iter(list(self.people))

    def knows(self, whose: str, offset: int, arrived_s: int) -> bool:
        """Say whether a message is in the person's state already."""
        if self.ledger.has_judged(offset, arrived_s):
            return True
        if offset > self._furthest:
            if self._stamps:
                self._stamps.clear()
            return False
        stamp = self._stamp(whose)
        return stamp is not None and offset <= stamp.offset and arrived_s <= stamp.newest_s

    def keep(
        self, whose: str, person: Person, offset: int, *, urgent: bool, message: bool = True
    ) -> None:
        """Keep a state that has changed with the message at `offset`, or with time before it."""
        if message and self._stamps and offset <= self._stamps.get(whose, _NO_STAMP).offset:
            del self._stamps[whose]  # the topic was made anew: its offsets mean other messages
        self.ledger.change(whose, offset, fresh=whose not in self.people, urgent=urgent)
        self.people[whose] = person
        self.deadlines.note(whose, person.due_s)

    def records(self, whose: list[str], rules: Rules) -> list[tuple[bytes, bytes]]:
        """Give the records of people, and behind them the marker that counts them in."""
        mark = rules_mark(rules.version)
        now = self.ledger.stamp
        records = []
        for name in whose:
            found = self.people[name]
            if isinstance(found, Person):
                # A state that was ahead when it was recovered stays ahead.
                found = seal(found, now.and_(self._stamps.get(name, now)), mark)
            records.append((name.encode(), found))
        ledger = self.ledger
        marker = Marker(ledger.kept_after(whose), ledger.next_offset(), ledger.newest_s)
        records.append((MARKER, msgspec.json.encode(marker)))
        return records

    def repeat_all(self) -> None:
        """Have everybody's state written again, whether it has changed or not."""
        for whose in self.people:
            self.ledger.change(whose, self.ledger.done + 1)

    def note_marker(self, next_offset: int) -> None:
        """Note that the marker of a round stands in the changelog; it is not read again here."""
        self.marker = Marker(self.ledger.kept, next_offset, self.ledger.newest_s)

    def _stamp(self, whose: str) -> Stamp | None:
        found = self.people.get(whose)
        if found is None:
            return None
        if isinstance(found, bytes):
            return stamp_of(found)
        return self.ledger.stamp.and_(self._stamps.get(whose, self.ledger.stamp))


def _marker_in(record: bytes) -> Marker:
    try:
        return _marker.decode(record)
    except msgspec.DecodeError as error:
        raise StateError(f"a marker that cannot be read ({error}); {REMEDY}") from None
