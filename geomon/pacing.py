"""Replaying at the pace of a recording, or a multiple of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from geomon.events import AwareTime
from geomon.intake import Raw

__all__ = ["Pace", "paced"]

#: No sleep is longer: a clock refuses centuries, and a long wait is waited in pieces.
_LONGEST_S = 3_600.0


class _Arrival(msgspec.Struct):
    """Only the field that says when a line arrived."""

    received: AwareTime | None = None


_decoder = msgspec.json.Decoder(_Arrival)


class Pace:
    """Says how long each line of a recording has to wait, `speed` times as fast as it was.

    The first line with a `received` sets the beginning.
    """

    def __init__(self, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed, self._clock = speed, clock
        self._first_s = self._begun_s = 0.0
        self._begun = False

    def waits(self, line: Raw) -> Iterator[float]:
        """Give the sleeps (s) to be slept, one after the other, before a line is due.

        None for a line without `received`, and for one that arrived before the last.
        """
        try:
            received = _decoder.decode(line.data).received
        except msgspec.DecodeError:
            return
        if received is None:
            return
        if not self._begun:
            self._begun = True
            self._first_s, self._begun_s = received.timestamp(), self._clock()
        elapsed_s = self._clock() - self._begun_s
        ahead_s = (received.timestamp() - self._first_s) / self._speed - elapsed_s
        while ahead_s > 0:
            yield min(ahead_s, _LONGEST_S)
            ahead_s -= _LONGEST_S


def paced(
    lines: Iterable[Raw],
    speed: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Raw]:
    """Give lines no earlier than their `received` times ask for, `speed` times as fast.

    A line without `received`, or one that arrived before the last, is given at once. It sleeps
    where it is called: in an event loop, ask a `Pace` and sleep there.
    """
    pace = Pace(speed, clock)
    for line in lines:
        for wait_s in pace.waits(line):
            sleep(wait_s)
        yield line
