"""The Faust app. What is made safe, in which order, and why nothing is lost or told twice:

1. Messages are judged; states change in memory only.
2. Alerts go to Redis and to `geomon.alerts`, requests to devices to `geomon.commands`, refusals to
   `geomon.rejected`; each is awaited.
3. Changed states are written to the changelog: at once when something was told, otherwise when
   their first unwritten change is `checkpoint_s` old. Each write is awaited.
4. The offset before which every message is in a written state is committed, some time later.

A crash after any step repeats the steps from 1, for the messages from the committed offset on.
Between 2 and 3 the same alerts are made again from the same state with the same ids, and Redis
tells them from news. Between 3 and 4 a state's stamp says which messages it has, and they are
passed over. Were 3 to come before 2, a crash between them would lose an alert for good: the state
would say that it had been told. Were 4 to come before 3, it would lose what the messages changed.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import faust
import msgspec
from faust.contrib.asgi import faust_app_running
from faust.types import TP

from geomon.core.rules import Rules
from geomon.errors import SettingsError, StateError, UnavailableError
from geomon.intake import Intake, Raw
from geomon.operations.folder import make_folder
from geomon.operations.logs import harmless
from geomon.settings import Settings, WatchedSettings, rules_from
from geomon.sinks.redis import RedisSink
from geomon.stream.checkpoint import Checkpoint
from geomon.stream.desk import Desk, Verdict
from geomon.stream.frontier import Frontier
from geomon.stream.inbox import Inbox
from geomon.stream.outbox import Outbox
from geomon.stream.people import PeopleTable
from geomon.stream.record import REMEDY
from geomon.stream.transport import Consumer, Transport, raw_of
from geomon.stream.vitals import Vitals
from geomon.topics import ALERTS, COMMANDS, EVENTS, PEOPLE, REJECTED
from geomon.zones.index import ZoneIndex

__all__ = ["Worker"]

_TICK_S = 1.0
#: How long partitions that move away wait for their states to be written.
_SETTLE_S = 20.0
#: Offsets in a row that are no messages but marks of a sender's transactions, at most.
_MARKS_MOST = 16
#: Waiting for Redis is not being hung: the consumer's own watch for that must not end it.
_LONGEST_WAIT_S = 86_400.0

log = logging.getLogger("geomon.worker")


class Worker:
    """A Faust app that judges the events of the partitions it is given.

    The topics must exist. `watched` settings are looked at while the worker runs: plans, thresholds
    and all else that rules are made of are then taken from them.
    """

    def __init__(
        self,
        settings: Settings,
        zones: ZoneIndex,
        *,
        faust_options: dict[str, Any] | None = None,
        watched: WatchedSettings | None = None,
    ) -> None:
        self.settings = settings
        self._sink = RedisSink(settings.redis)
        self.vitals = Vitals(settings)
        self.counts, self.rejections = self.vitals.counts, self.vitals.rejections
        self._outbox = Outbox(settings.kafka)
        self._inbox = Inbox(4 * settings.batch_most)
        self._watched = watched
        self._lock = asyncio.Lock()  # held while something is judged and told
        self._failed = asyncio.Event()
        self.failure: Exception | None = None
        live = settings.clock == "wall"
        intake = Intake(zones, self.vitals.tally)
        self.desk = Desk(intake, rules_from(settings), self.vitals.time_s if live else None)
        self._frontier = Frontier(self.desk, self._inbox)
        self.app = faust.App(
            settings.app_id,
            broker=[f"kafka://{address}" for address in settings.kafka.split(",")],
            datadir=str(Path(settings.data_dir)),
            key_serializer="raw",
            value_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=settings.session_timeout_s / 10,
            broker_max_poll_interval=_LONGEST_WAIT_S,
            stream_buffer_maxsize=max(4096, 2 * settings.batch_most),
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            # A standby reads the changelog of other workers all day, and is read again from its
            # beginning all the same when it takes over.
            table_standby_replicas=0,
            web_enabled=False,
            Table=PeopleTable,
            **(faust_options or {}),
        )
        self.app.transport = Transport(
            self.app.conf.broker_consumer,
            self.app,
            events=EVENTS,
            inbox=self._inbox,
            safe_offset=self._safe_offset,
            in_batches=settings.drain == "batches",
        )
        people = self.app.Table(PEOPLE, key_type=bytes, value_type=bytes)
        assert isinstance(people, PeopleTable)  # noqa: S101  (the app's Table option says so)
        self.people = people
        self.people.on_record = self._recover
        self.people.on_recovered = self._recovered
        self._checkpoint = Checkpoint(
            self.desk, people, self._outbox, self._lock, settings.checkpoint_s
        )
        events = self.app.topic(EVENTS)
        if settings.drain == "batches":
            self.app.topics.add(events)
        else:
            self.app.agent(events, concurrency=1, name="judge")(self._forward)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.vitals.attach(self, intake, self._outbox, self._checkpoint)

    @property
    def rules(self) -> Rules:
        """The rules that are judged by."""
        return self.desk.rules

    async def check(self) -> None:
        """Make sure that Redis answers before anything is taken in; raises redis-py's error."""
        await self._sink.ping()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        """Run; at the end, make safe what was judged, and let go of everything.

        Raises `UnavailableError` when Kafka is not there, `SettingsError` when `data_dir` is not.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            make_folder(Path(self.settings.data_dir))
            await self._outbox.start()
            async with faust_app_running(self.app):
                tasks = [
                    asyncio.create_task(self._judge()),
                    asyncio.create_task(self._write()),
                    asyncio.create_task(self._every(_TICK_S, self._reread)),
                    asyncio.create_task(self.vitals.run()),
                ]
                if self.settings.clock == "wall":
                    tasks.append(asyncio.create_task(self._every(_TICK_S, self._tick)))
                try:
                    yield self
                finally:
                    await self._settle()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._outbox.stop()
            await self.close()

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
        if isinstance(self.failure, StateError):
            raise self.failure
        if not stop.is_set():
            raise UnavailableError(f"the worker ended: {self.vitals.failure() or 'by itself'}")

    async def close(self) -> None:
        """Let go of Redis; for a worker that never ran."""
        await self._sink.close()
        await self.vitals.close()

    # ── judging ──────────────────────────────────────────────────────────────────────────────

    async def _judge(self) -> None:
        while True:
            epoch, batch = await self._inbox.take(self.settings.batch_most)
            async with self._lock, self._or_end():
                first: dict[int, int] = {}
                for raw in batch:
                    first.setdefault(raw.partition, raw.offset)
                for partition, offset in first.items():
                    await self._admit(partition)
                    if epoch == self._inbox.epoch:
                        self._follow(partition, offset)
                # Else partitions have moved meanwhile: these messages will be read again.
                if epoch == self._inbox.epoch:
                    with self.vitals.judging(batch):
                        await self._tell(self.desk.judge(batch))

    async def _tell(self, verdict: Verdict) -> None:
        """Do step 2 of the module's account. Only when all is told may a state be written."""
        alerts = verdict.alerts
        if alerts:
            with self.vitals.telling(verdict) as trouble:
                await self._sink.deliver_until_done(alerts, on_trouble=trouble)
        for topic, key, told in (
            (ALERTS, "subject", alerts),
            (COMMANDS, "subject", verdict.commands),
            (REJECTED, "supervisee_id", verdict.rejections),
        ):
            if told:
                messages = [((t[key] or "").encode(), msgspec.json.encode(t)) for t in told]
                await self._outbox.send(topic, messages)
        if alerts or verdict.commands:
            self._checkpoint.ask()
        self.vitals.told(verdict)

    async def _forward(self, stream: Any) -> None:
        """Put in the inbox what comes by Faust's own streams (`drain = "messages"`)."""
        async for taken in stream.noack_take(self.settings.batch_most, within=0.05):
            by_partition: dict[int, list[Raw]] = {}
            for event in taken:
                message = event.message
                if message.generation_id == self.app.consumer_generation_id:
                    by_partition.setdefault(message.partition, []).append(raw_of(message))
            for messages in by_partition.values():
                await self._inbox.put(messages)

    async def _tick(self) -> None:
        """Let deadlines fall due for people whose partition has been read to its end."""
        if self.app.rebalancing or not self.vitals.knows_the_time:
            return  # a second later will do
        async with self._lock, self._or_end():
            epoch = self._inbox.epoch
            time_s = int(self.vitals.time_s() - self.settings.clock_slack_s)
            ready = await self._frontier.read_to_end(self.consumer)
            for partition in ready:
                await self._admit(partition)
            if epoch == self._inbox.epoch:  # likewise
                await self._tell(self.desk.let_time_come(ready, time_s, self.settings.batch_most))

    async def _reread(self) -> None:
        """Take other rules when the settings' file has changed; a mistake in it changes nothing."""
        if self._watched is None or self.app.rebalancing:
            return
        try:
            settings = self._watched.again()
            rules = rules_from(settings) if settings else self.rules
        except Exception as error:
            # Whatever it is: the file that is right again must be taken, so this goes on.
            said = str(error) if isinstance(error, SettingsError) else harmless(error)
            log.warning("the settings stay as they were: %s", said)
            return
        if rules == self.rules:
            return
        if rules.asks and not await self.vitals.has_topic(COMMANDS):
            # A command to a topic that is not there would wait for ever, and all behind it.
            mend = "`geomon topics create` makes it; then save them again"
            log.warning("the settings stay as they were: there is no topic %s: %s", COMMANDS, mend)
            return
        async with self._lock, self._or_end():
            log.info("rules %s take the place of %s", rules.version, self.rules.version)
            for _ in self.desk.use(rules):
                await asyncio.sleep(0)

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    async def _write(self) -> None:
        while True:
            async with self._or_end():
                await self._checkpoint.next_round()

    def _safe_offset(self, partition: int) -> int:
        """Do step 4: what Faust is to commit."""
        roll = self.desk.rolls.get(partition)
        return roll.ledger.safe if roll else 0

    async def _settle(self) -> None:
        """Write and commit what can be, within a few seconds; the rest will be judged again."""
        if not self._failed.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._checkpoint.write(everything=True), _SETTLE_S)
                await asyncio.wait_for(self.app.consumer.commit(), _SETTLE_S)

    # ── partitions that come and go ──────────────────────────────────────────────────────────

    async def _revoked(self, *_: Any, **__: Any) -> None:
        self.consumer.forget_position()
        await self._inbox.clear()
        await self._settle()

    def _recover(self, partition: int, key: bytes, record: bytes | None) -> None:
        self.desk.roll(partition).recover(key, record)

    async def _recovered(self) -> None:
        self.consumer.forget_position()
        await self._inbox.clear()
        held = {tp.partition for tp in self.consumer.events()}
        self.desk.hold(held)
        self.people.hold(held)
        for roll in list(self.desk.rolls.values()):
            roll.is_admitted = False
            while roll.meet(self.rules, 1_000):
                await asyncio.sleep(0)
        # A million people live as long as the worker. Python's collector of cycles need not look at
        # them again and again: at 300,000 that was a sixth of all work, and a pause of 0.2 s.
        gc.freeze()
        self.vitals.recovered()

    async def _admit(self, partition: int) -> None:
        """Make sure that a partition's people are those it had; raises `StateError`.

        A changelog that was deleted, or lost its beginning, would otherwise make strangers of
        people whose leave and open alerts are known: departures that were told would be told anew,
        and leaves would be breaches.
        """
        roll, tp = self.desk.rolls.get(partition), TP(EVENTS, partition)
        epoch, committed = self._inbox.epoch, self.consumer.committed(tp)
        if roll is None or roll.is_admitted or committed is None:
            return  # it has moved away, or is known, or is moving
        if self.people.failure:
            raise self.people.failure
        wanted = roll.marker.people if roll.marker else 0
        if (committed and roll.marker is None) or roll.ledger.kept < wanted:
            raise StateError(
                f"{self.people.changelog_name}: partition {partition} has the states of "
                f"{roll.ledger.kept} people and should have {wanted or 'some'}, as its events "
                f"before offset {committed} have been judged; {REMEDY}"
            )
        first = (await self.consumer.earliest_offsets(tp)).get(tp) or 0
        if epoch != self._inbox.epoch:
            return  # it has moved meanwhile, and something else may be committed when it comes back
        roll.follows = max(first, committed, roll.ledger.done + 1)
        if committed and first > committed:
            # Nothing brings them back, but somebody has to know.
            lost = first - committed
            self.vitals.metrics.add("geomon_events_missing_total", by=lost)
            log.error("%s/%d: %d events were deleted before they were read", *tp, lost)
        self.consumer.start_committing(tp)
        roll.is_admitted = True

    def _follow(self, partition: int, offset: int) -> None:
        """Make sure that the first message of a partition is the one after the last."""
        roll = self.desk.rolls.get(partition)
        if roll is None or roll.follows is None:
            return
        skipped, roll.follows = offset - roll.follows, None
        if skipped > _MARKS_MOST:
            # Whatever was wrong with the consumer: nothing is committed past these, and a worker
            # that starts anew reads them.
            raise UnavailableError(f"{EVENTS}/{partition}: {skipped} events would be passed over")

    @property
    def consumer(self) -> Consumer:
        consumer = self.app.consumer
        assert isinstance(consumer, Consumer)  # noqa: S101
        return consumer

    # ── ending ───────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _or_end(self) -> AsyncIterator[None]:
        """End the worker when what was judged cannot be made safe.

        To go on would lose it: the people in memory are past it, and its messages would not be read
        again. A worker that is started anew reads them again, with the people as they were.
        """
        try:
            yield
        except Exception as error:
            if not isinstance(error, StateError):
                log.exception("the worker ends")
            self.failure = self.failure or error
            self._failed.set()
            # Nothing may be judged or written from here on: wait, with the lock held, until the
            # app is stopped. (To crash the app instead leaves its consumer's thread hanging.)
            await asyncio.Event().wait()

    async def _every(self, period_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(period_s)
            await act()
