"""Faust's Kafka transport, with messages handed on as they are fetched: many at a time.

Four things differ from Faust's own; the setting `drain = "messages"` leaves the first two out.

- **Events in batches.** Faust hands on each record by a callback in a task of its own, beside
  another one that waits for the flow to be suspended: four tasks a message, which is most of what a
  worker that only counts has to do. Here what was fetched of a partition goes to the inbox in one
  piece.
- **Changelog in batches**, for the same reason: recovery is as many messages as there are people.
- **Offsets by the ledger.** Faust commits up to the last message of which all before it are
  acknowledged, one by one. Here the desk knows what is safe to commit, and says so.
- **A shorter wait for data.** A fetch asks one broker for all partitions that have nothing
  buffered. When those are the quiet ones, the broker holds the answer until its wait is over, and
  meanwhile the busy partitions, read empty, cannot be asked for: aiokafka keeps one fetch under way
  for each broker. Faust fixes that wait at 1.5 s, and a stream of a few busy partitions then stands
  still for most of it (8,218 events in four partitions took 33 s, against 5 s with the wait below).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from geomon.intake import Raw
from geomon.stream.inbox import Inbox
from geomon.stream.people import PeopleTable

__all__ = ["Consumer", "Transport", "raw_of"]

FETCH_WAIT_MS = 100
#: How often events that seem to be missing are asked for again.
_GAP_TRIES = 3


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # aiokafka hands this to its fetcher when the consumer starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    def close(self) -> None:
        """Do nothing when partitions move while the worker stops: `stop` closes it in a moment.

        Faust closes the client at once, from the loop of the app; it belongs to this thread's. To
        close libuv's handles from another thread corrupts memory: now and then a worker that was
        told to stop, beside another one, ended with a segmentation fault.
        """

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Faust lets the app crash, and one that crashes leaves this thread hanging. But a commit
        # that fails costs nothing: the next one is seconds away.
        held = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        try:
            await self._ensure_consumer().commit(
                {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in held.items()}
            )
        except KafkaError as error:
            self.log.warning("offsets are not committed: %r", error)
            return False
        return True

    async def committed_of(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        """Ask the broker what is committed of partitions."""
        return dict(await self.call_thread(self._committed_of, list(tps)))

    async def _committed_of(self, tps: list[TP]) -> list[tuple[TP, int | None]]:
        consumer = self._ensure_consumer()
        return [(tp, await consumer.committed(TopicPartition(*tp))) for tp in tps]

    def fetched_s(self, tp: TP) -> float:
        """When the broker last answered for a partition (POSIX seconds); 0 = not yet."""
        state = self._state_of(tp)
        return float(state.timestamp or 0) / 1000 if state else 0.0

    def highwater(self, tp: TP) -> Any:
        """Where a partition ends, as far as it is known; None when it is not assigned."""
        state = self._state_of(tp)
        return state.highwater if state else None

    def _state_of(self, tp: TP) -> Any:
        """What aiokafka has of a partition; None when it is not assigned.

        Partitions move in another thread, at any moment: aiokafka's own answers raise then.
        """
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        return assignment.state_value(tp) if assignment else None


class Consumer(driver.Consumer):
    """Faust's consumer, which gives events to an inbox and commits what a ledger calls safe."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._expected: dict[TP, int] = {}  # offset that comes next; not there = do not hand on
        self._begun: dict[TP, int] = {}  # what was committed when that became known
        self._gaps: dict[TP, tuple[int, int]] = {}  # how often it did not come, and which
        self._seeking = asyncio.Lock()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _desk(self) -> Transport:
        transport = self.transport
        assert isinstance(transport, Transport)  # noqa: S101
        return transport

    def events(self) -> list[TP]:
        """Give the partitions of the events that are assigned."""
        return [tp for tp in self.assignment() if tp.topic == self._desk.events]

    def committed(self, tp: TP) -> int | None:
        """Give what was committed of a partition when it was assigned; None = not known yet.

        Not what Faust has of it: that is taken away as soon as the partition is, while messages
        from before are still on their way.
        """
        return self._begun.get(tp)

    async def perform_seek(self) -> None:
        """Go back to what is committed, and to the beginning where nothing is.

        Faust goes back only where something is. Elsewhere what was fetched and then thrown away,
        because partitions moved, would never be fetched again: lost, as what comes behind it is
        committed.
        """
        # One at a time: recovery calls it, and the drain; the one that began with the assignment
        # from before must not have the last word.
        async with self._seeking:
            thread: Any = self._thread
            tps = self.events()
            # What the broker says counts, not what was tried: a commit may have failed.
            found = await thread.committed_of(tps)
            first = await self.earliest_offsets(*tps) if tps else {}
            begins = {tp: found[tp] or first.get(tp) or 0 for tp in tps}
            for tp in tps:
                self._committed_offset[tp] = found[tp] or None
            self._begun = {tp: found[tp] or 0 for tp in tps}
            # Before the seek: what comes right after it must not meet the offsets from before.
            self._expected = dict(begins)
            self._gaps.clear()
            if begins:
                await self.seek_wait(begins)

    async def _seek(self, partition: TP, offset: int) -> None:
        # In the thread that fetches: Faust seeks from here, and takes away what that one is at.
        thread: Any = self._thread
        await thread.call_thread(thread.seek, partition, offset)

    async def look_again(self, tp: TP) -> None:
        """Fetch a partition's events again from the one that is to be handed on next."""
        if tp in self._expected:
            with suppress(KafkaError, AssertionError):  # it has moved away
                await self.seek(tp, self._expected[tp])

    async def position(self, tp: TP) -> int | None:
        """Give the offset that is fetched next; None when the partition is not assigned."""
        position: int | None = None
        with suppress(KafkaError):
            position = await super().position(tp)
        return position

    def forget_position(self) -> None:
        """Hand on no more events until it is known again from where on."""
        self._expected = {}
        self._begun = {}

    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        before = {tp: self._committed_offset.get(tp) for tp in offsets}
        done = await super()._commit_offsets(offsets, start_new_transaction)
        if not done:
            # Faust takes a commit that failed for made. What lies before it would not be read again
            # when partitions move: lost.
            for tp, offset in offsets.items():
                # Only what Faust has just put there: a seek may have asked the broker meanwhile.
                if self._committed_offset.get(tp) == offset:
                    self._committed_offset[tp] = before[tp]
        return bool(done)

    def start_committing(self, tp: TP) -> None:
        """Let offsets be committed that are lower than before: the topic was made anew."""
        end = self.highwater(tp)
        if end is not None and self._begun.get(tp, 0) > end:
            self.log.warning("%s/%d was made anew: offsets count from 0 again", *tp)
            self._committed_offset[tp] = None

    def fetched_s(self, tp: TP) -> float:
        """When the broker last answered for a partition (POSIX seconds); 0 = not yet."""
        thread: Any = self._thread
        return float(thread.fetched_s(tp))

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self.events() if not topics or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._desk.safe_offset(tp.partition) or None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust looks here for streams that stand still; events do not come by its streams."""

    async def _drain_messages(self, fetcher: Any) -> None:
        if not self._desk.in_batches:
            await super()._drain_messages(fetcher)
            return
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await self._drain_once()
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        records, active = await self._wait_next_records(timeout=1.0)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        moving = not self.flow_active
        if moving or not self._begun.keys() >= set(self.events()):
            # Partitions are moving. What was fetched is given up, and will be fetched again. Where
            # from on is asked for even when nothing was: deadlines wait for it, and no event may
            # come for hours.
            await self._seek_while_moving()
        for tp, batch in records.items():
            moving |= not self.flow_active or generation != self.app.consumer_generation_id
            if not moving and (active is None or tp in active or tp in self._buffered_partitions):
                await self._hand_on(tp, batch)
            else:
                await self._give_back(tp)

    async def _seek_while_moving(self) -> None:
        try:
            await self.perform_seek()
        except Exception as error:
            self.log.warning("no seek while partitions move: %r", error)

    async def _give_back(self, tp: TP) -> None:
        """Have records fetched again that cannot be handed on now.

        A recovery waits for each record of the changelog: one that was thrown away would keep it
        waiting for ever.
        """
        table = self._table_of(tp)
        if tp.topic == self._desk.events:
            await self.look_again(tp)
        elif table is not None:
            with suppress(KafkaError, AssertionError):  # it has moved away
                await self.seek(tp, table.reads_on(tp.partition))

    def _table_of(self, tp: TP) -> PeopleTable | None:
        tables: Any = self.app.tables
        table = tables.recovery.tp_to_table.get(tp)
        return table if isinstance(table, PeopleTable) else None

    async def _hand_on_events(self, tp: TP, batch: Sequence[Any]) -> None:
        """Put events in the inbox, each offset after the one before it, whatever was fetched when.

        While partitions move, what had been fetched before a seek can come after it. Judged so, the
        messages between would seem to be known already, and be lost.
        """
        expected = self._expected.get(tp)
        if expected is None:
            await self._seek_while_moving()
            return
        if batch[0].offset > expected:
            times, where = self._gaps.get(tp, (0, expected))
            times = times + 1 if where == expected else 1
            self._gaps[tp] = (times, expected)
            if times <= _GAP_TRIES:
                await self.look_again(tp)
                return
            # They are really not there: deleted, or the mark of a sender's transaction.
        news = [_raw(record) for record in batch if record.offset >= expected]
        if news and await self._desk.inbox.put(news):
            self._expected[tp] = news[-1].offset + 1

    async def _hand_on(self, tp: TP, batch: Sequence[Any]) -> None:
        if tp.topic == self._desk.events:
            await self._hand_on_events(tp, batch)
            return
        read = self._read_offset[tp]
        if read is not None and batch[0].offset < read:
            batch = [record for record in batch if record.offset >= read]
            if not batch:
                return
        tables: Any = self.app.tables
        table = self._table_of(tp)
        if table is not None:
            table.take_in(tp.partition, batch)
            if len(batch) > 1:
                tables.recovery.active_offsets[tp] = batch[-2].offset
            # The last one goes the usual way, and wakes up whoever waits for the end.
            await self.callback(self._to_message(tp, batch[-1]))
        else:
            for record in batch:
                await self.callback(self._to_message(tp, record))
        self._read_offset[tp] = batch[-1].offset


class Transport(driver.Transport):
    """Kafka transport for a worker that reads `events` through `inbox`.

    `safe_offset(partition)` says from where on a worker that takes over has to read; 0 = nothing is
    to be committed yet. `in_batches=False`: messages go through Faust's streams, as Faust does it.
    """

    Consumer: ClassVar[Any] = Consumer

    events: str
    inbox: Inbox
    safe_offset: Callable[[int], int]
    in_batches: bool

    def __init__(
        self,
        url: Any,
        app: Any,
        *,
        events: str,
        inbox: Inbox,
        safe_offset: Callable[[int], int],
        in_batches: bool = True,
    ) -> None:
        super().__init__(url, app)
        self.events = events
        self.inbox = inbox
        self.safe_offset = safe_offset
        self.in_batches = in_batches


def raw_of(message: Any) -> Raw:
    """Give a message of Faust's as it is judged."""
    arrived_ms = round(1000 * (message.timestamp or 0))
    return Raw(
        message.value or b"",
        f"{message.topic}/{message.partition}/{message.offset}",
        message.key or b"",
        arrived_ms // 1000,
        message.partition,
        message.offset,
        arrived_ms,
    )


def _raw(record: Any) -> Raw:
    return Raw(
        record.value or b"",
        f"{record.topic}/{record.partition}/{record.offset}",
        record.key or b"",
        record.timestamp // 1000,
        record.partition,
        record.offset,
        record.timestamp,
    )
