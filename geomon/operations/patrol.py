"""A worker's canaries on their way: sent, met again, noted, missed; and the brokers' clock by them.

Once a second it looks what is due. It outlives a Kafka or a Redis that is away: then canaries fail,
which is what they are for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from geomon.errors import UnavailableError
from geomon.operations.brokerclock import BrokerClock, steady_s
from geomon.operations.canary import Canaries, CanaryNotes, canary_event
from geomon.operations.metrics import Metrics
from geomon.operations.probe import Probe
from geomon.settings import Settings
from geomon.wallclock import now_s

__all__ = ["Patrol"]

_LOOK_S = 1.0
_PAUSE_S = 5.0

log = logging.getLogger("geomon.canary")


class Patrol:
    """Sends canaries through the partitions that are held, and says what time it is.

    With `canary_s = 0`, or while a recording is judged, nothing is sent, and the time of day is
    this machine's.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        own_s: Callable[[], float] = now_s,
    ) -> None:
        self.clock = BrokerClock(settings.clock_skew_s)
        every_s = settings.canary_s if settings.clock == "wall" else 0.0
        self.canaries = Canaries(every_s, settings.canary_silence_s)
        self.is_on = bool(every_s)
        self._kafka = settings.kafka
        self._metrics = metrics
        self._own_s = own_s
        self._notes = CanaryNotes(settings.redis)
        self._seen: list[tuple[int, datetime]] = []
        self._told_time = False
        self._asked_s: float | None = None  # when a broker was first asked (steady time)
        self._patience_s = settings.canary_silence_s
        self._silent: tuple[int, ...] = ()
        self._is_off = False
        self._sending: set[asyncio.Task[None]] = set()
        self._complaint = ""

    @property
    def knows_the_time(self) -> bool:
        """Say whether a broker has answered what time it is, if canaries are to ask at all.

        Until then a worker whose clock is hours ahead would call everybody late. But not for ever:
        where canaries are refused, deadlines still have to fall due.
        """
        if self._told_time or not self.is_on:
            return True
        return self._asked_s is not None and steady_s() - self._asked_s > self._patience_s

    def time_s(self) -> float:
        """Give the time to go by, in POSIX seconds: the brokers' when this machine's is off."""
        return self.clock.now_s(self._own_s())

    def skew_s(self) -> float | None:
        """Give by how much this machine's clock is ahead of the brokers'; None: not known."""
        return self.clock.skew_s(self._own_s())

    def seen(self, partition: int, received: datetime) -> None:
        """Take a canary that was judged."""
        round_trip_s = self.canaries.seen(partition, received)
        if round_trip_s is not None:
            self._metrics.observe("geomon_canary_round_trip_seconds", round_trip_s)
        self._seen.append((partition, received))

    async def redis_trouble(self) -> BaseException | None:
        """Ask whether Redis answers within 2 s; give the error when it does not."""
        return await self._notes.trouble()

    def tell(self) -> None:
        """Put into the metrics what canaries and clock say now."""
        now = self._own_s()
        self._metrics.set_each(
            "geomon_canary_last_seen_timestamp_seconds",
            {str(p): now - age_s for p, age_s in self.canaries.ages_s().items()},
        )
        skew_s = self.skew_s()
        if skew_s is not None:
            self._metrics.set("geomon_clock_skew_seconds", skew_s)

    async def run(self, held: Callable[[], Collection[int]]) -> None:
        """Send what is due through the partitions that `held` gives, for ever."""
        try:
            while self.is_on:
                try:
                    async with Probe(self._kafka) as probe:
                        while True:
                            await self._look(probe, held())
                            await asyncio.sleep(_LOOK_S)
                except UnavailableError as error:
                    self._complain(error)
                except Exception:
                    # Whatever it is, a worker must not be without canaries from here on.
                    log.exception("canaries begin again")
                await asyncio.sleep(_PAUSE_S)
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def close(self) -> None:
        """Let go of Redis."""
        await self._notes.close()

    async def _look(self, probe: Probe, held: Collection[int]) -> None:
        self.canaries.hold(held)
        for partition in self.canaries.due():
            task = asyncio.create_task(self._send(probe, partition))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        seen, self._seen = self._seen, []
        if seen:
            await self._notes.note(seen, self.time_s())
        self._alarm()

    async def _send(self, probe: Probe, partition: int) -> None:
        canary = canary_event(partition, self.time_s())
        self.canaries.sent(partition, canary.received)
        self._asked_s = self._asked_s or steady_s()
        try:
            flight = await probe.send(partition, canary)
        except UnavailableError as error:
            self._complain(error)
            return
        self._complaint = ""
        if flight.broker_s is not None:
            self.clock.observe(flight.sent_s, flight.broker_s, flight.acknowledged_s)
        self._told_time = True

    def _complain(self, error: UnavailableError) -> None:
        if str(error) != self._complaint:
            self._complaint = str(error)
            log.warning("a canary could not be sent: %s", error)

    def _alarm(self) -> None:
        """Say in the log what has become wrong or right since the last look."""
        silent = tuple(silence.partition for silence in self.canaries.silent())
        if set(silent) - set(self._silent):
            log.error(
                "no canary has come through partitions %s: their events are not being judged",
                ", ".join(map(str, silent)),
            )
        elif self._silent and not silent:
            log.info("canaries come through all partitions again")
        self._silent = silent
        is_off = self.clock.is_off(self._own_s())
        if is_off and not self._is_off:
            log.error(
                "this machine's clock is %.0f s %s the brokers': theirs is gone by until it is set",
                *_apart(self.skew_s()),
            )
        elif self._is_off and not is_off:
            log.info("this machine's clock agrees with the brokers' again")
        self._is_off = is_off


def _apart(skew_s: float | None) -> tuple[Any, ...]:
    ahead_s = skew_s or 0.0
    return abs(ahead_s), "ahead of" if ahead_s > 0 else "behind"
