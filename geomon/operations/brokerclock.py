"""What time it is by the brokers, and how far this machine's clock is off.

Where `message.timestamp.type` is LogAppendTime, the answer to a send carries the broker's own
time. It lies between sending and answer, so the middle of the two is right to half the round trip.
What is kept is the broker's time against a *steady* clock, which nobody sets: so a clock of this
machine that is put forward by hours is found out the moment it is read, not with the next answer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

__all__ = ["BrokerClock", "steady_s"]

#: Answers remembered: with the middle of five, one broker's wrong clock or one slow answer is out.
_REMEMBERED = 5
#: An answer that took longer says too little about when in that time the broker stamped it.
_LONGEST_ANSWER_S = 10.0

# The monotonic clock stands still while a machine sleeps; this one, where there is it, does not.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_s() -> float:
    """Give seconds on a clock that is never set; only differences mean anything."""
    return time.clock_gettime(_STEADY)


class BrokerClock:
    """Compares this machine's clock with the brokers'.

    Off by more than `tolerance_s`, it is not gone by any more: then the brokers' time stands.
    """

    def __init__(self, tolerance_s: float, *, steady: Callable[[], float] = steady_s) -> None:
        self.tolerance_s = tolerance_s
        self._steady = steady
        self._ahead_s: deque[float] = deque(maxlen=_REMEMBERED)  # brokers' less steady time

    def observe(self, sent_s: float, broker_s: float, received_s: float) -> None:
        """Take an answer: the broker's POSIX time, and when it was asked and had (steady)."""
        if 0 <= received_s - sent_s <= _LONGEST_ANSWER_S:
            self._ahead_s.append(broker_s - (sent_s + received_s) / 2)

    def brokers_now_s(self) -> float | None:
        """Give the time by the brokers, in POSIX seconds; None while it is not known."""
        if not self._ahead_s:
            return None
        # The middle of an even number would be between the two, where no clock is.
        newest = list(self._ahead_s)[-((len(self._ahead_s) - 1) // 2 * 2 + 1) :]
        return median(newest) + self._steady()

    def skew_s(self, own_now_s: float) -> float | None:
        """Give by how much this machine's clock is ahead of the brokers'; None: not known."""
        brokers_s = self.brokers_now_s()
        return None if brokers_s is None else own_now_s - brokers_s

    def is_off(self, own_now_s: float) -> bool:
        """Say whether this machine's clock is known to be off by more than is tolerated."""
        skew_s = self.skew_s(own_now_s)
        return skew_s is not None and abs(skew_s) > self.tolerance_s

    def now_s(self, own_now_s: float) -> float:
        """Give the time to go by: this machine's, or the brokers' when that one is off."""
        brokers_s = self.brokers_now_s()
        if brokers_s is None or abs(own_now_s - brokers_s) <= self.tolerance_s:
            return own_now_s
        return brokers_s
