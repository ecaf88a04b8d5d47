"""Recorded events through the same core, in process.

The order of lines is the order of arrival. A person's deadlines fire as their own clock passes
them; when the recording ends, everybody's clock runs on to the end (the newest `received` in it, or
the time asked for), and a little further so that what is being gathered is judged.

Memory is per person, not per line: recordings of any length stream through, a batch at a time, and
a batch has a size in bytes, because a line may hold one fix or a thousand.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from geomon.cloudevent import cloud_event
from geomon.commands import command_event
from geomon.core.entries import UnknownEpisode, UnknownPermit
from geomon.core.episodes import Alert
from geomon.core.observed import ClockAt, Event, Observed
from geomon.core.person import Person
from geomon.core.requests import Request
from geomon.core.rules import Rules
from geomon.core.step import Outcome, TooLate, step
from geomon.errors import TrackError
from geomon.events import MAX_BYTES
from geomon.intake import Intake, Raw, Rejected

__all__ = ["Replay", "batches", "open_recording", "read_recording", "refusal_of"]

#: Bytes judged together: enough for the arrays to pay, little enough to stay in the cache.
_BATCH_BYTES = 1 << 18
_BLOCK_BYTES = 1 << 16


class Replay:
    """Replays recordings; keeps the people, the counts, and what was refused.

    With `commands`, requests to devices are given among the alerts.
    """

    def __init__(
        self,
        intake: Intake,
        rules: Rules,
        on_rejected: Callable[[Rejected], None] = lambda _: None,
        *,
        commands: bool = False,
    ) -> None:
        self.people: dict[str, Person] = {}
        self.counts: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.alerts: Counter[tuple[str, str]] = Counter()
        self.commands: Counter[str] = Counter()
        self.end_s = 0
        self._intake = intake
        self._rules = rules
        self._on_rejected = on_rejected
        self._gives_commands = commands

    def feed(self, lines: Iterable[Raw]) -> Iterator[dict[str, Any]]:
        """Replay lines; give alerts (CloudEvents) as they come, in the order of arrival."""
        for batch in batches(lines):
            yield from self.feed_batch(batch)

    def feed_batch(self, batch: list[Raw]) -> Iterator[dict[str, Any]]:
        """Replay one batch of lines."""
        arrivals, rejected = self._intake.take(batch)
        self.counts["events"] += len(batch)
        self.counts["canaries"] += len(self._intake.canaries)
        self._intake.canaries.clear()
        for refusal in rejected:
            self._reject(refusal)
        observed = [a.event.fixes for a in arrivals if isinstance(a.event, Observed)]
        self.counts["fixes"] += sum(observed)
        self.end_s = max([self.end_s, *[arrival.event.at_s for arrival in arrivals]])
        for arrival in arrivals:
            for outcome in self._step(arrival.supervisee_id, arrival.event):
                alert = self._tell(outcome, arrival.raw, arrival.supervisee_id)
                if alert is not None:
                    yield alert

    def finish(self, until_s: int = 0) -> Iterator[dict[str, Any]]:
        """Let every clock run on to the end of the recording, or to `until_s` if that is later.

        The end is a little after the last arrival, so that what was being gathered is judged.
        """
        end_s = max(self.end_s + self._rules.settle_s, until_s)
        for supervisee_id, person in self.people.items():
            last_s = max(end_s, person.clock_s + self._rules.settle_s)
            for outcome in self._step(supervisee_id, ClockAt(last_s)):
                alert = self._tell(outcome, None, supervisee_id)
                if alert is not None:
                    yield alert

    def _step(self, supervisee_id: str, event: Event) -> list[Outcome]:
        person = self.people.get(supervisee_id) or Person(supervisee_id)
        self.people[supervisee_id], outcomes = step(person, event, self._rules)
        return outcomes

    def _tell(self, outcome: Outcome, raw: Raw | None, whose: str) -> dict[str, Any] | None:
        if isinstance(outcome, Alert):
            self.alerts[outcome.kind, outcome.phase] += 1
            return cloud_event(outcome, rules=self._rules.version, zones=self._intake.zones)
        if isinstance(outcome, Request):
            self.commands[outcome.reason] += 1
            given = command_event(outcome, rules=self._rules.version)
            return given if self._gives_commands else None
        if raw is not None:
            self._reject(refusal_of(outcome, raw, whose))
        return None

    def _reject(self, rejected: Rejected) -> None:
        self.rejections[rejected.reason] += 1
        self._on_rejected(rejected)


def refusal_of(
    outcome: TooLate | UnknownEpisode | UnknownPermit, raw: Raw, supervisee_id: str
) -> Rejected:
    """Give what the core would not judge in the form of what intake would not let in."""
    if isinstance(outcome, TooLate):
        return Rejected(raw, "too_late", f"{outcome[0]} fixes", supervisee_id)
    if isinstance(outcome, UnknownEpisode):
        # As plain text: an encoder refuses a kind of text of our own.
        return Rejected(raw, "unknown_episode", str(outcome), supervisee_id)
    return Rejected(raw, "unknown_permit", str(outcome), supervisee_id)


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

    Of a line longer than an event may be only the beginning is kept while its end is looked for, so
    that one line cannot fill the memory; what is left of it is enough to refuse it. Raises
    `TrackError` when the file breaks off, or is damaged (gzip).
    """
    # What is there, not more: lines of a pipe are given as they come.
    read = cast(io.BufferedIOBase, stream).read1
    number = 0
    begun = b""
    try:
        while block := read(_BLOCK_BYTES):
            lines = (begun + block).split(b"\n")
            begun = lines.pop()[: MAX_BYTES + 1]
            for line in lines:
                number += 1
                if line := line.rstrip(b"\r"):
                    yield Raw(line, f"{name}:{number}")
    except (OSError, EOFError, zlib.error) as error:
        raise TrackError(f"{name}: line {number + 1}: {error}") from None
    if begun := begun.rstrip(b"\r"):
        yield Raw(begun, f"{name}:{number + 1}")


def batches(lines: Iterable[Raw]) -> Iterator[list[Raw]]:
    """Gather lines into batches of about a quarter of a megabyte."""
    batch: list[Raw] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.data)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
