"""The Faust app. What is made safe, in which order, and why nothing is lost or told twice:

1. A batch of messages is judged; states change in memory only.
2. Alerts go to Redis and to `geomon.alerts`, refusals to `geomon.rejected`; each is awaited.
3. The changed states are written to the table, and so to its changelog.
4. The messages are acknowledged. Faust commits their offsets some time later, and flushes its
   producer, the changelog with it, before it does.

A crash after any step repeats the steps from 1. Between 2 and 3 the same alerts are made again from
the same state with the same ids, and Redis tells them from news. Between 3 and 4 the messages meet
a state that has them already, and nothing follows. Were 3 to come before 2, a crash between them
would lose an alert for good: the state would say that it had been told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import msgspec
from faust.types import TP
from mode.utils.logging import CompositeLogger

from geomon.core.rules import Rules
from geomon.errors import SettingsError, UnavailableError
from geomon.intake import Intake, Raw
from geomon.settings import Settings, WatchedSettings, rules_from
from geomon.sinks.redis import RedisSink
from geomon.stream.desk import Desk, Verdict, frozen
from geomon.stream.people import PeopleTable
from geomon.stream.transport import Transport
from geomon.topics import ALERTS, EVENTS, PEOPLE, REJECTED
from geomon.wallclock import now_s
from geomon.zones.index import ZoneIndex

__all__ = ["Worker"]

_TICK_S = 1.0

log = CompositeLogger(logging.getLogger("geomon"))


class Worker:
    """A Faust app that judges the events of the partitions it is given.

    `declare_topics=False` is for a broker that knows no CreateTopics (the embedded one): there the
    topics must exist already. `watched` settings are looked at while the worker runs: plans,
    thresholds and all else that rules are made of are then taken from them.
    """

    def __init__(
        self,
        settings: Settings,
        zones: ZoneIndex,
        *,
        declare_topics: bool = True,
        faust_options: dict[str, Any] | None = None,
        watched: WatchedSettings | None = None,
    ) -> None:
        self.settings = settings
        self.rules: Rules = rules_from(settings)
        self.counts: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self._sink = RedisSink(settings.redis)
        self._watched = watched
        self._lock = asyncio.Lock()
        self._failed = asyncio.Event()
        self._failure: Exception | None = None
        self._generation = 0
        self._done: dict[int, int] = {}  # partition -> offset of the last message done with
        self.app = faust.App(
            settings.app_id,
            broker=[f"kafka://{address}" for address in settings.kafka.split(",")],
            datadir=str(Path(settings.data_dir)),
            key_serializer="raw",
            value_serializer="raw",
            topic_allow_declare=declare_topics,
            topic_disable_leader=True,
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=settings.session_timeout_s / 10,
            stream_buffer_maxsize=max(4096, 2 * settings.batch_most),
            stream_wait_empty=False,
            web_enabled=False,
            Table=PeopleTable,
            **(faust_options or {}),
        )
        self.app.transport = Transport(self.app.conf.broker_consumer, self.app)
        topic = self.app.topic
        self._alerts = topic(ALERTS)
        self._rejected = topic(REJECTED)
        people = self.app.Table(PEOPLE, key_type=bytes, value_type=bytes)
        assert isinstance(people, PeopleTable)  # noqa: S101  (the app's Table option says so)
        self.people = people
        self.people.on_recovered = self._recovered
        live = settings.clock == "wall"
        self.desk = Desk(Intake(zones), self.rules, self.people, now_s if live else None)
        self.app.agent(topic(EVENTS), concurrency=1, name="judge")(self._judge)
        self.app.on_partitions_revoked.connect(self._revoked)
        if live:
            self.app.timer(_TICK_S, name="deadlines")(self._tick)
        if watched is not None:
            self.app.timer(_TICK_S, name="settings")(self._reread)

    async def check(self) -> None:
        """Make sure that Redis answers before anything is taken in; raises redis-py's error."""
        await self._sink.ping()

    async def until_stopped(self, stop: asyncio.Event) -> None:
        """Wait until `stop` is set; raises `UnavailableError` when the app ends by itself."""
        waits = [
            asyncio.ensure_future(stop.wait()),
            asyncio.ensure_future(self._failed.wait()),
            asyncio.ensure_future(self.app.wait_until_stopped()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not stop.is_set():
            raise UnavailableError(f"the worker ended: {self._failure or self.app.crash_reason!r}")

    async def close(self) -> None:
        """Let go of Redis."""
        await self._sink.close()

    async def _judge(self, stream: Any) -> None:
        wait_s = self.settings.batch_wait_ms / 1000
        async for taken in stream.noack_take(self.settings.batch_most, within=wait_s):
            async with self._lock, self._or_end():
                # What came by a partition that has moved away meanwhile is another worker's.
                held = {tp.partition for tp in self._assigned()}
                events = [event for event in taken if event.message.partition in held]
                if await self._make_safe(self.desk.judge(self._raws(events))):
                    for event in events:
                        event.ack()
                        self._done[event.message.partition] = event.message.offset
                    self.counts["events"] += len(events)

    @asynccontextmanager
    async def _or_end(self) -> AsyncIterator[None]:
        """End the worker when what was judged cannot be made safe.

        To go on would lose it: the people in memory are past it, and its messages would not be read
        again. A worker that is started anew reads them again, with the people as they were.
        """
        try:
            yield
        except Exception as error:
            log.exception("the worker ends")
            self.desk.forget()
            self._failure = error
            self._failed.set()
            # Nothing may be judged from here on: wait, with the lock held, until the app is
            # stopped. (To crash the app instead leaves its consumer's thread hanging.)
            await asyncio.Event().wait()

    def _raws(self, events: list[Any]) -> list[Raw]:
        raws = []
        for event in events:
            message = event.message
            key = message.key or b""
            where = f"{message.topic}/{message.partition}/{message.offset}"
            arrived_s = int(message.timestamp or 0)
            raws.append(Raw(message.value or b"", where, key, arrived_s, message.partition))
        return raws

    async def _make_safe(self, verdict: Verdict) -> bool:
        """Do steps 2 and 3 of the module's account; False when the partitions moved meanwhile."""
        generation = self._generation
        if verdict.alerts:
            await self._sink.deliver_until_done(verdict.alerts, on_trouble=log.warning)
        sent = [
            await self._alerts.send(key=alert["subject"].encode(), value=msgspec.json.encode(alert))
            for alert in verdict.alerts
        ]
        sent += [
            await self._rejected.send(
                key=(record["supervisee_id"] or "").encode(), value=msgspec.json.encode(record)
            )
            for record in verdict.rejections
        ]
        if sent:
            await asyncio.gather(*sent)
        if generation != self._generation:
            # Another worker may have these people by now: what it writes must not be overwritten.
            # It takes the same messages again, and the alerts are known to Redis. Those held here
            # are met anew, as they were before, or their deadlines would be forgotten with them.
            self._meet()
            return False
        for supervisee_id, partition in verdict.partitions.items():
            self.people.partition_of[supervisee_id.encode()] = partition
        for key, state in frozen(verdict.changed).items():
            self.people[key] = state
        self.counts["alerts"] += len(verdict.alerts)
        for record in verdict.rejections:
            self.rejections[record["reason"]] += 1
        return True

    async def _tick(self) -> None:
        """Let deadlines fall due for people whose partition has been read to its end."""
        if self.app.rebalancing or self._lock.locked():
            return  # a second later will do
        async with self._lock, self._or_end():
            time_s = int(now_s() - self.settings.clock_slack_s)
            ready = self._read_to_end()
            verdict = self.desk.let_time_come(
                lambda whose: time_s if self.people.partition_of[whose.encode()] in ready else 0
            )
            await self._make_safe(verdict)

    async def _reread(self) -> None:
        """Take other rules when the settings' file has changed; a mistake in it changes nothing."""
        if self._watched is None or self.app.rebalancing:
            return
        try:
            settings = self._watched.again()
        except SettingsError as error:
            log.warning("the settings stay as they were: %s", error)
            return
        if settings is None:
            return
        rules = rules_from(settings)
        if rules == self.rules:
            return
        async with self._lock, self._or_end():
            log.info("rules %s take the place of %s", rules.version, self.rules.version)
            self.rules = rules
            self.desk.use(rules, self.people.held({tp.partition for tp in self._assigned()}))

    def _read_to_end(self) -> set[int]:
        """Give the partitions of which every message there is has been judged.

        Where messages wait, the time that has come is the time of the last one judged, not the
        time of day: a worker that was down for an hour must not call a leave overdue while the
        message that the person is back waits to be read.
        """
        consumer: Any = self.app.consumer
        ready = set()
        for tp in self._assigned():
            done = self._done.get(tp.partition, -1) + 1
            # Before the first message since the assignment, what had been committed counts.
            read = max(done, consumer._committed_offset.get(tp) or 0)
            end = consumer.highwater(tp)
            if end is not None and read >= end:
                ready.add(tp.partition)
        return ready

    def _assigned(self) -> list[TP]:
        return [tp for tp in self.app.consumer.assignment() if tp.topic == EVENTS]

    def _recovered(self) -> None:
        self._generation += 1
        self._meet()

    def _meet(self) -> None:
        self.desk.meet(self.people.held({tp.partition for tp in self._assigned()}))

    async def _revoked(self, *_: Any, **__: Any) -> None:
        self._generation += 1
        self._done.clear()
        self.desk.forget()
