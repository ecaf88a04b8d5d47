"""The people of one worker: batches of messages and passing time, through the core.

The desk knows no Kafka and no Faust: it reads frozen states from a mapping, keeps the people it has
met, and says what is to be told and which states have changed. Making that safe, in the right
order, is the worker's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

import msgspec

from geomon.cloudevent import cloud_event
from geomon.core.episodes import Alert
from geomon.core.judge import next_deadline
from geomon.core.observed import ClockAt, Event
from geomon.core.person import Person, freeze, thaw
from geomon.core.rules import Rules
from geomon.core.step import step
from geomon.intake import Arrival, Intake, Raw, Rejected
from geomon.rejections import rejection_record
from geomon.replay import refusal_of

__all__ = ["Desk", "Verdict", "frozen"]

log = logging.getLogger(__name__)


class Verdict(NamedTuple):
    """What a batch or a moment brought: to be told, in this order, before `changed` is kept."""

    alerts: list[dict[str, Any]]
    rejections: list[dict[str, Any]]
    changed: dict[str, Person]
    partitions: dict[str, int]  # of those changed whom a message came for


class Desk:
    """Judges for the people whose states are in `states`.

    `now_s` gives the time of deciding that alerts carry; None = the person's own clock.
    """

    def __init__(
        self,
        intake: Intake,
        rules: Rules,
        states: Mapping[bytes, bytes],
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self._intake = intake
        self._rules = rules
        self._states = states
        self._now_s = now_s
        self._people: dict[str, Person] = {}
        self._deadlines: list[tuple[int, str]] = []

    def judge(self, batch: Sequence[Raw]) -> Verdict:
        """Take a batch of messages in their order of arrival."""
        verdict = Verdict([], [], {}, {})
        arrivals, rejected = self._take(batch)
        verdict.rejections.extend(rejection_record(refusal) for refusal in rejected)
        for arrival in arrivals:
            verdict.partitions[arrival.supervisee_id] = arrival.raw.partition
            self._step(arrival.supervisee_id, arrival.event, arrival.raw, verdict)
        return verdict

    def _take(self, batch: Sequence[Raw]) -> tuple[list[Arrival], list[Rejected]]:
        try:
            return self._intake.take(batch)
        except Exception:
            # A defect of ours; as below, it must cost one message and not the stream.
            if len(batch) == 1:
                log.exception("a message could not be taken in: %s", batch[0].where)
                return [], [Rejected(batch[0], "internal_error", "")]
        arrivals: list[Arrival] = []
        rejected: list[Rejected] = []
        for raw in batch:
            taken, refused = self._take([raw])
            arrivals += taken
            rejected += refused
        return arrivals, rejected

    def let_time_come(self, clock_s: Callable[[str], int]) -> Verdict:
        """Let deadlines fall due. `clock_s(supervisee_id)` says how far that person's time is."""
        verdict = Verdict([], [], {}, {})
        waiting: list[tuple[int, str]] = []
        furthest_s = int(self._now_s()) if self._now_s else 0
        while self._deadlines and self._deadlines[0][0] <= furthest_s:
            due_s, supervisee_id = heappop(self._deadlines)
            if self._person(supervisee_id).due_s != due_s:
                continue  # it has moved since; where it moved to is on the heap as well
            now_s = clock_s(supervisee_id)
            if due_s <= now_s:
                self._step(supervisee_id, ClockAt(now_s), None, verdict)
            else:
                waiting.append((due_s, supervisee_id))
        for deadline in waiting:
            heappush(self._deadlines, deadline)
        return verdict

    def use(self, rules: Rules, keys: Iterable[bytes]) -> None:
        """Judge by other rules from now on, and look at everybody anew.

        What was due later may be due already, so each of these people is due at once.
        """
        self._rules = rules
        self.meet(keys)
        self._deadlines.clear()
        for supervisee_id, person in self._people.items():
            due_s = person.clock_s + 1
            self._people[supervisee_id] = msgspec.structs.replace(person, due_s=due_s)
            heappush(self._deadlines, (due_s, supervisee_id))

    def forget(self) -> None:
        """Forget everybody: partitions have moved, or what was judged could not be made safe."""
        self._people.clear()
        self._deadlines.clear()

    def meet(self, keys: Iterable[bytes]) -> None:
        """Read the states of people anew after recovery, so that their deadlines are known."""
        self.forget()
        for key in keys:
            supervisee_id = key.decode()
            person = self._person(supervisee_id)
            # Kept under other rules perhaps: what these ask for may be due earlier.
            due_s = min(filter(None, (person.due_s, next_deadline(person, self._rules))), default=0)
            if due_s:
                if due_s != person.due_s:
                    person = msgspec.structs.replace(person, due_s=due_s)
                    self._people[supervisee_id] = person
                heappush(self._deadlines, (due_s, supervisee_id))

    def _person(self, supervisee_id: str) -> Person:
        person = self._people.get(supervisee_id)
        if person is None:
            state = self._states.get(supervisee_id.encode())
            person = thaw(state) if state else Person(supervisee_id)
            self._people[supervisee_id] = person
        return person

    def _step(self, supervisee_id: str, event: Event, raw: Raw | None, verdict: Verdict) -> None:
        before = self._person(supervisee_id)
        try:
            person, outcomes = step(before, event, self._rules)
        except Exception:
            # A defect of ours. It must be seen and mended, but not stop the stream for everybody
            # else: the event is kept with its reason, and the person stays as before it.
            log.exception("an event could not be judged: %s", raw.where if raw else "a deadline")
            if raw is not None:
                refusal = Rejected(raw, "internal_error", "", supervisee_id)
                verdict.rejections.append(rejection_record(refusal))
            return
        self._people[supervisee_id] = person
        verdict.changed[supervisee_id] = person
        if person.due_s and person.due_s != before.due_s:
            heappush(self._deadlines, (person.due_s, supervisee_id))
        for outcome in outcomes:
            if isinstance(outcome, Alert):
                verdict.alerts.append(
                    cloud_event(
                        outcome,
                        rules=self._rules.version,
                        zones=self._intake.zones,
                        detected_s=int(self._now_s()) if self._now_s else None,
                    )
                )
            elif raw is not None:
                verdict.rejections.append(rejection_record(refusal_of(outcome, raw, supervisee_id)))


def frozen(changed: Mapping[str, Person]) -> dict[bytes, bytes]:
    """Give the records to keep."""
    return {supervisee_id.encode(): freeze(person) for supervisee_id, person in changed.items()}
