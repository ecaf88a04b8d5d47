"""The people of one worker: batches of messages and passing time, through the core.

The desk knows no Kafka and no Faust: it keeps the people of the partitions it is given, and says
what is to be told. Making that safe, in the right order, is the worker's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from geomon.cloudevent import cloud_event
from geomon.commands import command_event
from geomon.core.entries import UnknownEpisode, UnknownPermit
from geomon.core.episodes import Alert
from geomon.core.observed import ClockAt, Event
from geomon.core.requests import Request
from geomon.core.rules import Rules
from geomon.core.step import Outcome, TooLate, step
from geomon.intake import Arrival, Intake, Raw, Rejected
from geomon.rejections import rejection_record
from geomon.replay import refusal_of
from geomon.stream.record import check_seals
from geomon.stream.roll import Roll

__all__ = ["Desk", "Verdict"]

log = logging.getLogger(__name__)


class Verdict(NamedTuple):
    """What a batch or a moment brought: to be told, in this order, before states are written."""

    alerts: list[dict[str, Any]]
    rejections: list[dict[str, Any]]
    arrivals: list[Arrival]
    known: int  # messages passed over: their people's states had them
    commands: list[dict[str, Any]]


class _Told(NamedTuple):
    """What one event brought, in the form in which it leaves, and what is refused of it."""

    alerts: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    others: list[TooLate | UnknownEpisode | UnknownPermit]


class Desk:
    """Judges for the people of the partitions in `rolls`.

    What it gives can be written, and so can the states it keeps: what could not, by a defect of
    ours, is a refused message. Found later, it would end the worker, and each one after it.

    `now_s` gives the time of deciding that alerts carry; None = the person's own clock.
    """

    def __init__(
        self,
        intake: Intake,
        rules: Rules,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self.rolls: dict[int, Roll] = {}
        self.rules = rules
        self._intake = intake
        self._now_s = now_s

    def roll(self, partition: int) -> Roll:
        """Give the people of a partition."""
        roll = self.rolls.get(partition)
        if roll is None:
            roll = self.rolls[partition] = Roll()
        return roll

    def hold(self, partitions: Collection[int]) -> None:
        """Hold these partitions and forget the people of all others."""
        self.rolls = {p: roll for p, roll in self.rolls.items() if p in partitions}
        for partition in partitions:
            self.roll(partition)

    def judge(self, batch: Sequence[Raw]) -> Verdict:
        """Take a batch of messages in their order of arrival."""
        news = []
        for raw in batch:
            ledger = self.rolls[raw.partition].ledger
            if not self._knows(raw):
                news.append(raw)
            if not ledger.has_judged(raw.offset, raw.arrived_s):
                # At once, because a batch may hold a message twice; and before anything is judged,
                # because states that are written from here on go as far as this batch.
                ledger.take(raw.offset, raw.arrived_s)
        verdict = Verdict([], [], [], len(batch) - len(news), [])
        arrivals, rejected = self._take(news)
        for refusal in rejected:
            self._reject(refusal, verdict)
        verdict.arrivals.extend(arrivals)
        for arrival in arrivals:
            self._step(arrival.supervisee_id, arrival.event, arrival.raw, verdict)
        return verdict

    def _knows(self, raw: Raw) -> bool:
        whose = (raw.key or b"").decode("utf-8", "replace")
        return self.rolls[raw.partition].knows(whose, raw.offset, raw.arrived_s)

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

    def let_time_come(self, partitions: Iterable[int], time_s: int, most: int) -> Verdict:
        """Let what fell due before `time_s` happen in these partitions, for at most so many."""
        verdict = Verdict([], [], [], 0, [])
        for partition in partitions:
            roll = self.rolls[partition]
            for whose in roll.deadlines.due(time_s, most):
                most -= 1
                due_s = roll.person(whose, self.rules).due_s
                if 0 < due_s <= time_s:
                    clock = Raw(b"", "a deadline", None, 0, partition, roll.ledger.done + 1)
                    self._step(whose, ClockAt(time_s), clock, verdict)
                else:
                    roll.deadlines.note(whose, due_s)
        return verdict

    def use(self, rules: Rules) -> Iterable[None]:
        """Judge by other rules from now on, and look at everybody anew; pauses now and then.

        What was due later may be due already, so each of these people is due at once.
        """
        self.rules = rules
        for roll in list(self.rolls.values()):
            for number, whose in enumerate(roll.everybody()):
                person = roll.person(whose, rules)
                due_s = person.clock_s + 1
                roll.people[whose] = msgspec.structs.replace(person, due_s=due_s)
                roll.deadlines.note(whose, due_s)
                if number % 1_000 == 0:
                    yield

    def _step(self, whose: str, event: Event, raw: Raw, verdict: Verdict) -> None:
        roll = self.rolls[raw.partition]
        before = roll.person(whose, self.rules)
        try:
            person, outcomes = step(before, event, self.rules)
            told = self._told(outcomes)
            # Written some time later, where nothing can be done any more about one that cannot be.
            check_seals(person)
        except Exception:
            # A defect of ours. It must be seen and mended, but not stop the stream for everybody
            # else: the event is kept with its reason, and the person stays as before it.
            log.exception("an event could not be judged: %s", raw.where)
            if raw.data:
                self._reject(Rejected(raw, "internal_error", "", whose), verdict)
            return
        alerts, commands, others = told
        verdict.alerts.extend(alerts)
        verdict.commands.extend(commands)
        if raw.data:
            for outcome in others:
                self._reject(refusal_of(outcome, raw, whose), verdict)
                self._intake.count(outcome, event)
        roll.keep(
            whose, person, raw.offset, urgent=bool(alerts or commands), message=bool(raw.data)
        )

    def _told(self, outcomes: Iterable[Outcome]) -> _Told:
        """Give outcomes as they leave; raises when one of them cannot be written."""
        told = _Told([], [], [])
        for outcome in outcomes:
            if isinstance(outcome, Alert):
                now_s = int(self._now_s()) if self._now_s else None
                zones, version = self._intake.zones, self.rules.version
                alert = cloud_event(outcome, rules=version, zones=zones, detected_s=now_s)
                told.alerts.append(alert)
            elif isinstance(outcome, Request):
                told.commands.append(command_event(outcome, rules=self.rules.version))
            else:
                told.others.append(outcome)
        if told.alerts or told.commands:
            msgspec.json.encode([told.alerts, told.commands])
        return told

    def _reject(self, refusal: Rejected, verdict: Verdict) -> None:
        try:
            record = rejection_record(refusal)
            msgspec.json.encode(record)
        except Exception:
            log.exception("a refusal could not be written: %s", refusal.raw.where)
            record = rejection_record(Rejected(refusal.raw, "internal_error", ""))
        verdict.rejections.append(record)
