"""What a worker tells of itself: its metrics, and whether it is alive and ready.

The worker reports here what it has done, a call a batch. The rest is looked up when somebody asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from geomon import __version__
from geomon.cluster import Cluster
from geomon.errors import UnavailableError
from geomon.intake import Intake, Raw
from geomon.operations.health import Check
from geomon.operations.logs import harmless
from geomon.operations.metrics import Metrics
from geomon.operations.patrol import Patrol
from geomon.settings import Settings
from geomon.sinks.redis import why
from geomon.stream.census import count_open
from geomon.stream.checkpoint import Checkpoint
from geomon.stream.desk import Desk, Verdict
from geomon.stream.outbox import Outbox
from geomon.stream.transport import Consumer
from geomon.tally import Tally
from geomon.topics import differences, wanted

__all__ = ["Vitals"]

#: What the topics were found to be holds for so long.
_TOPICS_HOLD_S = 60.0
#: Whoever asks for health waits no longer for them: Prometheus gives up after 10 s, kubelet sooner,
#: and brokers that accept and never answer take half a minute of ours.
_TOPICS_WAIT_S = 3.0
#: Between two counts of open episodes: at least so long, and so many times as long as one took.
_CENSUS_S, _CENSUS_SHARE = 5.0, 50.0

log = logging.getLogger("geomon.worker")


class Watched(Protocol):
    """What is looked at of a worker."""

    app: Any
    desk: Desk
    failure: Exception | None

    @property
    def consumer(self) -> Consumer:
        """The consumer of its app."""


class Vitals:
    """The metrics of one worker, and its condition for `HealthServer`."""

    def __init__(self, settings: Settings) -> None:
        self.counts: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.metrics = Metrics()
        self.tally = Tally()
        self.patrol = Patrol(settings, self.metrics)
        self._settings = settings
        self._waiting_since_s = 0.0  # steady time; 0 = no alert waits for Redis
        self._moved_s: float | None = None  # since when partitions are moving
        self._has_partitions = False
        self._topics: tuple[float, Check] | None = None
        self._look: asyncio.Task[Check] | None = None  # at the topics, under way

    def attach(
        self, worker: Watched, intake: Intake, outbox: Outbox, checkpoint: Checkpoint
    ) -> None:
        """Learn where to look."""
        self._worker, self._desk, self._intake = worker, worker.desk, intake
        self._outbox, self._checkpoint = outbox, checkpoint
        worker.app.on_partitions_assigned.connect(self._assigned)

    @property
    def knows_the_time(self) -> bool:
        """Whether it is known what time to go by."""
        return self.patrol.knows_the_time

    def time_s(self) -> float:
        """Give the time to go by, in POSIX seconds: the brokers' when this machine's is off."""
        return self.patrol.time_s()

    # ── what the worker reports ──────────────────────────────────────────────────────────────

    @contextmanager
    def judging(self, batch: Sequence[Raw]) -> Iterator[None]:
        """Count a batch once it is judged and told."""
        begun_s = time.monotonic()
        yield
        self.counts["events"] += len(batch)
        metrics, counted = self.metrics, self.tally.take()
        metrics.add_each("geomon_events_total", counted.events)
        metrics.add_each("geomon_fixes_total", counted.fixes)
        for late_s in counted.lateness_s:
            metrics.observe("geomon_fix_lateness_seconds", late_s)
        metrics.observe("geomon_batch_events", len(batch))
        metrics.observe("geomon_batch_duration_seconds", time.monotonic() - begun_s)
        canaries, self._intake.canaries = self._intake.canaries, []
        for raw, canary in canaries:
            if canary.received is not None:
                self.patrol.seen(raw.partition, canary.received)

    @contextmanager
    def telling(self, verdict: Verdict) -> Iterator[Callable[[str], None]]:
        """Time the delivery of alerts; gives what is to be called with each trouble on the way."""
        self._waiting_since_s = time.monotonic()
        self.metrics.set("geomon_undelivered_alerts", len(verdict.alerts))
        yield self._trouble
        self._waiting_since_s = 0.0
        self.metrics.set("geomon_undelivered_alerts", 0)
        arrived = {a.supervisee_id: a.raw.arrived_ms for a in verdict.arrivals if a.raw.arrived_ms}
        if arrived:
            now_ms = 1000 * (self.patrol.clock.brokers_now_s() or self.patrol.time_s())
            late_ms = [
                now_ms - arrived[alert["subject"]]
                for alert in verdict.alerts
                if alert["subject"] in arrived
            ]
            self.metrics.observe(
                "geomon_alert_latency_seconds", [max(0.0, m / 1000) for m in late_ms]
            )

    def told(self, verdict: Verdict) -> None:
        """Take what was told, everywhere."""
        self.counts["known"] += verdict.known
        if verdict.alerts:
            self.counts["alerts"] += len(verdict.alerts)
            kinds = Counter((a["data"]["kind"], a["data"]["phase"]) for a in verdict.alerts)
            self.metrics.add_each("geomon_alerts_total", kinds)
        if verdict.commands:
            asked = Counter(command["data"]["reason"] for command in verdict.commands)
            self.metrics.add_each("geomon_commands_total", asked)
        if verdict.rejections:
            reasons = Counter(record["reason"] for record in verdict.rejections)
            self.rejections.update(reasons)
            self.metrics.add_each("geomon_rejections_total", reasons)

    def recovered(self) -> None:
        """The states of all partitions held have been read."""
        if self._moved_s is not None:
            self.metrics.set("geomon_recovery_seconds", time.monotonic() - self._moved_s)
        self._moved_s = None
        self._has_partitions = True

    async def _assigned(self, *_: Any, **__: Any) -> None:
        self._moved_s = time.monotonic()

    def _trouble(self, line: str) -> None:
        self.metrics.add("geomon_sink_failures_total", "redis")
        log.warning("%s", line)

    # ── while it runs ────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Send canaries and count what is open, for ever."""
        await asyncio.gather(self.patrol.run(lambda: self._desk.rolls), self._count())

    async def close(self) -> None:
        """Let go of Redis and Kafka."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)
        await self.patrol.close()

    async def _count(self) -> None:
        while True:
            spent_s = 0.0
            try:
                found, spent_s = await count_open(self._desk.rolls)
                self.metrics.set_each("geomon_open_episodes", found)
            except msgspec.DecodeError:
                # Judging meets the same state, and says what to do about it.
                self.metrics.clear("geomon_open_episodes")
            await asyncio.sleep(max(_CENSUS_S, _CENSUS_SHARE * spent_s))

    # ── what others ask ──────────────────────────────────────────────────────────────────────

    def failure(self) -> str:
        """Say in one line why the worker has failed; empty while it has not."""
        error = self._worker.failure or self._worker.app.crash_reason
        return harmless(error) if error else ""

    async def checks(self) -> list[Check]:
        """Look whether the worker is ready."""
        return await self._checks(wait=True)

    async def _checks(self, *, wait: bool) -> list[Check]:
        failure = self.failure()
        topics = await self._check_topics(wait=wait)
        found = [
            Check("worker", not failure, failure or "running"),
            self._check_partitions(),
            await self._check_redis(),
            self._check_lag(),
            *([topics] if topics else []),
            self._check_clock(),
            self._check_canaries(),
        ]
        for check in found:
            self.metrics.set("geomon_check_ok", check.ok, check.check)
        return found

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Give the page for Prometheus, and its content type."""
        metrics, desk = self.metrics, self._desk
        await self._checks(wait=False)
        self.patrol.tell()
        metrics.clear("geomon_build_info")  # rules may have changed
        metrics.set(
            "geomon_build_info", 1, __version__, desk.rules.version, self._intake.zones.version
        )
        metrics.set("geomon_people", sum(len(roll.people) for roll in desk.rolls.values()))
        metrics.set("geomon_partitions", len(desk.rolls))
        lag = self._lag()
        metrics.set_each("geomon_consumer_lag_messages", {str(p): n for p, n in lag.items()})
        metrics.set("geomon_states_written_total", self._checkpoint.written)
        metrics.set("geomon_sink_failures_total", self._outbox.failures, "kafka")
        since_s = self._waiting_since_s
        waited_s = time.monotonic() - since_s if since_s else 0.0
        metrics.set("geomon_undelivered_oldest_seconds", waited_s)
        return metrics.page(accept)

    def _lag(self) -> dict[int, int]:
        """Give the messages not judged yet, by partition held."""
        if not self._has_partitions or self._moved_s is not None:
            return {}
        consumer, lag = self._worker.consumer, {}
        for tp in consumer.events():
            roll, end = self._desk.rolls.get(tp.partition), consumer.highwater(tp)
            committed = consumer.committed(tp)
            if roll is not None and end is not None and committed is not None:
                lag[tp.partition] = max(0, end - max(roll.ledger.done + 1, committed))
        return lag

    def _check_partitions(self) -> Check:
        if self._moved_s is not None:
            return Check("partitions", False, "the states of its people are being read")
        if not self._has_partitions:
            return Check("partitions", False, "none has been given to it yet")
        return Check("partitions", True, f"{len(self._desk.rolls)} held, their states read")

    async def _check_redis(self) -> Check:
        error = await self.patrol.redis_trouble()
        return Check("redis", error is None, why(error) if error else "answers")

    def _check_lag(self) -> Check:
        waiting = sum(self._lag().values())
        return Check("lag", waiting <= self._settings.ready_lag, f"{waiting:,} events wait")

    async def _check_topics(self, *, wait: bool) -> Check | None:
        """Give what is known of the topics; look anew when that is old, and `wait` a little for it.

        Not to wait is to take what the last look found, however old it is (None: there was none);
        the next one who asks has what the new one finds.
        """
        known = self._topics
        if known and time.monotonic() - known[0] <= _TOPICS_HOLD_S:
            return known[1]
        look = self._look = self._look or asyncio.create_task(self._look_at_topics())
        if wait:
            await asyncio.wait([look], timeout=_TOPICS_WAIT_S)
        elif not look.done():
            return known[1] if known else None
        if not look.done():
            return Check("topics", False, f"Kafka has not answered within {_TOPICS_WAIT_S:.0f} s")
        self._look = None
        self._topics = time.monotonic(), look.result()
        return self._topics[1]

    async def has_topic(self, name: str) -> bool:
        """Look whether there is a topic; what cannot be asked counts as not there."""
        try:
            async with Cluster(self._settings.kafka) as cluster:
                return name in (await cluster.look([name])).topics
        except UnavailableError:
            return False

    async def _look_at_topics(self) -> Check:
        forms = wanted(self._settings)
        try:
            async with Cluster(self._settings.kafka) as cluster:
                found = await cluster.look(form.name for form in forms)
        except UnavailableError as error:
            return Check("topics", False, str(error))
        faults = [d.advice for d in differences(forms, found) if d.verdict == "fault"]
        return Check("topics", not faults, faults[0] if faults else "as they must be")

    def _check_clock(self) -> Check:
        skew_s = self.patrol.skew_s()
        if skew_s is None:
            return Check("clock", True, "not compared with the brokers'")
        say = f"{abs(skew_s):,.1f} s {'ahead of' if skew_s > 0 else 'behind'} the brokers'"
        return Check("clock", abs(skew_s) <= self._settings.clock_skew_s, say)

    def _check_canaries(self) -> Check:
        silent = self.patrol.canaries.silent()
        if silent:
            said = ", ".join(f"{s.partition} for {s.for_s:,.0f} s" for s in silent[:5])
            return Check("canary", False, f"none has come through partition {said}")
        return Check("canary", True, "seen" if self.patrol.is_on else "none are sent")
