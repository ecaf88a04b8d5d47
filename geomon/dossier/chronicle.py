"""Recorded events through the core, with a look at one person before and after each.

A replay in everything that is judged: the same steps, so the same alerts with the same ids. Only
the deadlines are walked to one at a time, as a worker's clock does, or a week of silence would be a
single step and the check-in windows missed in it would not be seen one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from geomon.core.observed import ClockAt, Event
from geomon.core.person import Person
from geomon.core.rules import Rules
from geomon.core.step import Outcome
from geomon.intake import Arrival, Intake, Raw, Rejected
from geomon.replay import Replay

__all__ = ["Chronicle", "Note", "Seen"]


class Seen(NamedTuple):
    """One step: the person before, what came, and the person and what there was to tell after."""

    before: Person
    event: Event
    after: Person
    outcomes: list[Outcome]
    raw: Raw | None  # None: nothing came, time did


class Note(Protocol):
    """Takes note of steps."""

    def see(self, seen: Seen) -> None:
        """Look at one step."""


class _Tap(Intake):
    """An intake that keeps what it has let in, until it is stepped through."""

    def __init__(self, intake: Intake) -> None:
        super().__init__(intake.zones)
        self.waiting: deque[Arrival] = deque()

    def take(self, batch: Sequence[Raw]) -> tuple[list[Arrival], list[Rejected]]:
        arrivals, rejected = super().take(batch)
        self.waiting.extend(arrivals)
        return arrivals, rejected


class Chronicle(Replay):
    """Replays the events of one person (others are passed over), and shows each step to notes.

    `until_s`: what arrived later is not taken, as if the recording had been cut there; 0 = all is.
    """

    def __init__(
        self,
        supervisee_id: str,
        intake: Intake,
        rules: Rules,
        notes: Sequence[Note],
        until_s: int = 0,
    ) -> None:
        self._tap = _Tap(intake)
        super().__init__(self._tap, rules)
        self.taken = 0  # events of the person, passing time left out
        self._whose = supervisee_id
        self._notes = notes
        self._until_s = until_s

    def alerts_of(self, lines: Iterable[Raw]) -> list[dict[str, Any]]:
        """Replay to the end; give the alerts."""
        return [*self.feed(lines), *self.finish(self._until_s)]

    @property
    def person(self) -> Person | None:
        """The person as they stand; None before anything was heard of them."""
        return self.people.get(self._whose)

    def _step(self, supervisee_id: str, event: Event) -> list[Outcome]:
        raw = None
        if self._tap.waiting:  # else it is the end, where time comes and nothing else
            arrival = self._tap.waiting.popleft()
            assert arrival.event is event, "a replay steps through all arrivals in order"  # noqa: S101
            raw = arrival.raw
        if supervisee_id != self._whose:
            return []
        if self._until_s and event.at_s > self._until_s:
            if raw is not None:
                return []
            event = ClockAt(self._until_s)
        outcomes: list[Outcome] = []
        while (person := self.person) and 0 < person.due_s <= event.at_s:
            outcomes += self._look(ClockAt(person.due_s), None)
        return outcomes + self._look(event, raw)

    def _look(self, event: Event, raw: Raw | None) -> list[Outcome]:
        self.taken += raw is not None and not isinstance(event, ClockAt)
        before = self.person or Person(self._whose)
        outcomes = super()._step(self._whose, event)
        seen = Seen(before, event, self.people[self._whose], outcomes, raw)
        for note in self._notes:
            note.see(seen)
        return outcomes
