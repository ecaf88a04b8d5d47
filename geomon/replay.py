"""Recorded events through the same core, in process.

The order of lines is the order of arrival. A person's deadlines fire as their own clock passes
them; when the recording ends, everybody's clock runs on to the end (the newest `received` in it, or
the time asked for), and a little further so that what is being gathered is judged.

Memory is per person, not per line: recordings of any length stream through.
"""

from __future__ import annotations

import gzip
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from geomon.alerts import cloud_event
from geomon.core.episodes import Alert
from geomon.core.observed import ClockAt, Event, Observed
from geomon.core.person import Person
from geomon.core.rules import Rules
from geomon.core.step import Outcome, TooLate, UnknownPermit, step
from geomon.errors import TrackError
from geomon.events import MAX_BYTES
from geomon.intake import Intake, Raw, Rejected

__all__ = ["Replay", "open_recording", "read_recording"]

#: Lines judged together: enough for the arrays to pay, little enough to stay in the cache.
BATCH = 4_096


class Replay:
    """Replays recordings; keeps the people, the counts, and what was refused."""

    def __init__(
        self,
        intake: Intake,
        rules: Rules,
        on_rejected: Callable[[Rejected], None] = lambda _: None,
    ) -> None:
        self.people: dict[str, Person] = {}
        self.counts: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.alerts: Counter[tuple[str, str]] = Counter()
        self.end_s = 0
        self._intake = intake
        self._rules = rules
        self._on_rejected = on_rejected

    def feed(self, lines: Iterable[Raw]) -> Iterator[dict[str, Any]]:
        """Replay lines; give alerts (CloudEvents) as they come, in the order of arrival."""
        lines = iter(lines)
        while batch := list(islice(lines, BATCH)):
            yield from self.feed_batch(batch)

    def feed_batch(self, batch: list[Raw]) -> Iterator[dict[str, Any]]:
        """Replay one batch of lines."""
        arrivals, rejected = self._intake.take(batch)
        self.counts["events"] += len(batch)
        for refusal in rejected:
            self._reject(refusal)
        for arrival in arrivals:
            event = arrival.event
            if isinstance(event, Observed):
                self.counts["fixes"] += event.fixes
            yield from self._step(arrival.supervisee_id, event, arrival.raw)

    def finish(self, until_s: int = 0) -> Iterator[dict[str, Any]]:
        """Let every clock run on to the end of the recording, or to `until_s` if that is later."""
        end_s = max(self.end_s, until_s) + self._rules.settle_s
        for supervisee_id, person in self.people.items():
            last_s = max(end_s, person.clock_s + self._rules.settle_s)
            yield from self._step(supervisee_id, ClockAt(last_s), None)

    def _step(self, supervisee_id: str, event: Event, raw: Raw | None) -> Iterator[dict[str, Any]]:
        person = self.people.get(supervisee_id) or Person(supervisee_id)
        person, outcomes = step(person, event, self._rules)
        self.people[supervisee_id] = person
        if raw is not None:
            self.end_s = max(self.end_s, event.at_s)
        for outcome in outcomes:
            alert = self._tell(outcome, raw)
            if alert is not None:
                yield alert

    def _tell(self, outcome: Outcome, raw: Raw | None) -> dict[str, Any] | None:
        if isinstance(outcome, Alert):
            self.alerts[outcome.kind, outcome.phase] += 1
            return cloud_event(outcome, rules=self._rules.version, zones=self._intake.zones.version)
        if raw is not None:
            self._reject(refusal_of(outcome, raw))
        return None

    def _reject(self, rejected: Rejected) -> None:
        self.rejections[rejected.reason] += 1
        self._on_rejected(rejected)


def refusal_of(outcome: TooLate | UnknownPermit, raw: Raw) -> Rejected:
    """Give what the core would not judge in the form of what intake would not let in."""
    if isinstance(outcome, TooLate):
        return Rejected(raw, "too_late", f"{outcome[0]} fixes")
    return Rejected(raw, "unknown_permit", outcome)


def open_recording(path: str) -> IO[bytes]:
    """Open a recording: a file, one packed by gzip (.gz), or standard input for "-".

    Raises `TrackError` when it cannot be opened.
    """
    if path == "-":
        return sys.stdin.buffer
    try:
        if path.endswith(".gz"):
            return cast(IO[bytes], gzip.open(path, "rb"))
        return Path(path).open("rb")
    except OSError as error:
        raise TrackError(f"{path}: {error.strerror or error}") from None


def read_recording(stream: IO[bytes], name: str) -> Iterator[Raw]:
    """Give the lines of a recording, empty ones left out.

    A line longer than an event may be is cut, so that one line cannot fill the memory; what is
    left of it is enough to refuse it. Raises `TrackError` when the file breaks off (gzip).
    """
    number = 0
    try:
        while line := stream.readline(MAX_BYTES + 2):
            number += 1
            whole = line.endswith(b"\n") or len(line) < MAX_BYTES + 2
            if not whole:
                while (rest := stream.readline(MAX_BYTES)) and not rest.endswith(b"\n"):
                    pass
            if line := line.rstrip(b"\r\n"):
                yield Raw(line, f"{name}:{number}")
    except (OSError, EOFError) as error:
        raise TrackError(f"{name}: line {number + 1}: {error}") from None
