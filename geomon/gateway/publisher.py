"""Events into Kafka: what is acknowledged to a device is there, on every replica in step.

**No acknowledgement before Kafka has it.** `put` returns when the leader and its followers in step
have the event (acks=all, an idempotent producer), and not sooner.

**Memory stays bounded.** At most `most_bytes` wait for Kafka; past that, or while Kafka, or the one
partition, has not answered for `timeout_s`, `put` raises `Busy` at once, and the device keeps what
it has. An event that was given up on here may still arrive in Kafka later: then it comes twice, and
changes nothing twice, since positions are known by device and time.

Events for one partition travel together: while one load is under way the next one fills, until
aiokafka takes it. That is what aiokafka does by itself with single messages, at several times the
work for each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from functools import partial
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from geomon.errors import GeomonError, UnavailableError
from geomon.events import MAX_BYTES
from geomon.gateway.feed import stop
from geomon.topics import EVENTS, REJECTED

__all__ = ["Busy", "Publisher"]

#: What an event weighs in memory besides its bytes: a future, a place in a batch, the key.
_OVERHEAD_BYTES = 1_024
_BATCH_BYTES = 256 << 10
_UNPACKED = 0
#: Kafka's limit on the topic is twice the contract's; a batch of one may be so big.
_MOST_REQUEST_BYTES = 2 * MAX_BYTES
#: How often those that waited too long are looked for, and Kafka is tried again.
_SWEEP_S, _AGAIN_S = 0.25, 1.0
#: For what was given up on to be told so, when a producer is closed.
_CLOSING_S = 1.0
_log = logging.getLogger("geomon.gateway")


class Busy(GeomonError):  # noqa: N818  (not an error of the program: come again later)
    """Kafka is away, or too much waits for it: nothing was taken, come again later."""


class _Counts(Protocol):
    def set(self, name: str, value: float, *labels: str) -> None: ...
    def observe(self, name: str, value: float) -> None: ...


class _Batch(BatchBuilder):  # type: ignore[misc]
    """A batch of aiokafka's that takes events for as long as it has not gone.

    When it goes it is given the number of its first event, and the next batch the number after its
    last: from then on none may be added. One that is handed over closed would leave what comes
    meanwhile to the request after the next.
    """

    def __init__(self) -> None:
        super().__init__(_BATCH_BYTES, _UNPACKED)

    def _set_producer_state(self, *state: int) -> None:
        self.close()
        super()._set_producer_state(*state)


class _Load:
    """Events that go to one partition together, and who waits for them."""

    __slots__ = ("batch", "begun_s", "bytes", "number", "waiting")

    def __init__(self, number: int, begun_s: float) -> None:
        self.batch = _Batch()
        self.number = number
        self.begun_s = begun_s
        self.bytes = 0
        self.waiting: list[asyncio.Future[None]] = []


class _Lane:
    """The way to one partition: loads that have not arrived, of which the last one takes events."""

    __slots__ = ("loads", "owed", "partition", "task", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self.loads: deque[_Load] = deque()
        self.owed: deque[_Load] = deque()  # those of them that aiokafka does not have yet
        self.task: asyncio.Task[None] | None = None  # hands them over


class _Line:
    """A producer that is connected, and the lanes to the partitions as far as they were used."""

    __slots__ = ("lanes", "partitions", "producer")

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.partitions: dict[str, int] = {}  # how many a topic has
        self.lanes: dict[tuple[str, int], _Lane] = {}

    def lane(self, topic: str, key: bytes) -> _Lane:
        """Give the lane of a key, as Java's client would choose the partition."""
        partition = (murmur2(key) & 0x7FFFFFFF) % self.partitions[topic]
        lane = self.lanes.get((topic, partition))
        if lane is None:
            lane = self.lanes[topic, partition] = _Lane(topic, partition)
        return lane


class Publisher:
    """Puts events into Kafka. It starts without Kafka, and finds it when it comes back."""

    def __init__(self, kafka: str, metrics: _Counts, *, most_bytes: int, timeout_s: float) -> None:
        self._kafka = kafka
        self._metrics = metrics
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s
        self._line: _Line | None = None
        self._broken = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._number = 0
        self._loads: OrderedDict[int, _Load] = OrderedDict()  # by number, so the oldest first
        self._bytes = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._heard_s = float("-inf")  # when Kafka last had something
        self._why = "not connected yet"

    async def start(self) -> None:
        """Begin to look for Kafka; does not wait until it is found."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="publisher")

    async def stop(self, within_s: float = 10.0) -> None:
        """Let what is under way arrive, for so long, and close."""
        await stop(self._keeper)
        self._keeper = None
        line, self._line = self._line, None
        if line is not None:
            await self._close(line, within_s)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    @property
    def bytes_in_flight(self) -> int:
        """How much waits for Kafka, what was given up on and may still arrive included."""
        return self._bytes

    def trouble(self) -> str:
        """Say why nothing could be put now; empty when it could."""
        if self._line is None:
            return f"Kafka at {self._kafka}: {self._why}"
        if self._is_stuck(asyncio.get_running_loop().time()):
            return f"Kafka at {self._kafka} has not answered for {self._timeout_s:g} s"
        if self._bytes >= self._most_bytes:
            return f"{self._bytes:,} bytes wait for Kafka"
        return ""

    async def put(self, key: str, value: bytes, *, topic: str = EVENTS) -> None:
        """Put an event of at most 1 MiB under a key; returns when Kafka has it.

        Raises `Busy`: at once when Kafka is away or too much waits, or after `timeout_s`.
        """
        line = self._line
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        size = len(value) + _OVERHEAD_BYTES
        if line is None or self._is_stuck(begun_s) or self._bytes + size > self._most_bytes:
            raise Busy(self.trouble() or f"{self._bytes:,} bytes wait for Kafka")
        if size > _MOST_REQUEST_BYTES:
            raise Busy(f"an event of {len(value):,} bytes")
        raw_key = key.encode()
        lane = line.lane(topic, raw_key)
        if lane.loads and begun_s - lane.loads[0].begun_s > self._timeout_s:
            # One partition without a leader is not to fill what all the others need.
            raise Busy(f"partition {lane.partition} of {topic} does not answer")
        load = self._loaded(line, lane, raw_key, value, begun_s)
        load.bytes += size
        self._bytes += size
        done: asyncio.Future[None] = loop.create_future()
        load.waiting.append(done)
        await done
        self._metrics.observe("geomon_gateway_publish_seconds", loop.time() - begun_s)

    def _loaded(self, line: _Line, lane: _Lane, key: bytes, value: bytes, begun_s: float) -> _Load:
        """Give the load that an event was put on: one that has room, or a new one."""
        if lane.loads:
            load = lane.loads[-1]
            # It takes nothing when it has gone, or is full.
            if load.batch.append(timestamp=None, key=key, value=value) is not None:
                return load
        self._number += 1
        load = _Load(self._number, begun_s)
        load.batch.append(timestamp=None, key=key, value=value)
        lane.loads.append(load)
        lane.owed.append(load)
        self._loads[load.number] = load
        if lane.task is None:
            lane.task = asyncio.create_task(self._hand_over(line, lane))
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._give_up)
        return load

    async def _hand_over(self, line: _Line, lane: _Lane) -> None:
        """Give the loads of a lane to aiokafka, which takes one when the one before has gone."""
        producer = line.producer
        try:
            while lane.owed:
                load = lane.owed[0]
                try:
                    # There may be more partitions than there were.
                    line.partitions[lane.topic] = len(await producer.partitions_for(lane.topic))
                    sent = await producer.send_batch(
                        load.batch, lane.topic, partition=lane.partition
                    )
                except Exception as error:  # whatever it is, the device is to come again
                    self._landed(line, lane, load, error)
                else:
                    sent.add_done_callback(partial(self._arrived, line, lane, load))
                lane.owed.popleft()
        finally:
            lane.task = None

    def _arrived(self, line: _Line, lane: _Lane, load: _Load, sent: asyncio.Future[Any]) -> None:
        """Note that Kafka has a load, or why it may not have it."""
        self._landed(
            line, lane, load, KafkaTimeoutError() if sent.cancelled() else sent.exception()
        )

    def _landed(self, line: _Line, lane: _Lane, load: _Load, error: BaseException | None) -> None:
        """Tell those who wait for a load what became of it."""
        if error is None:
            self._heard_s = asyncio.get_running_loop().time()
        else:
            self._judge(line, error)
        if self._loads.pop(load.number, None) is None:
            return  # it was cut off before
        lane.loads.remove(load)
        self._bytes -= load.bytes
        for done in load.waiting:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(Busy(type(error).__name__))

    def _is_stuck(self, now_s: float) -> bool:
        """Say whether something waits for too long, and nothing else got through meanwhile."""
        for oldest in self._loads.values():
            return now_s - max(oldest.begun_s, self._heard_s) > self._timeout_s
        return False

    def _give_up(self) -> None:
        """Tell those who waited too long that Kafka is busy; what they sent is still under way."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for load in self._loads.values():
            if load.begun_s + self._timeout_s > now_s:
                break
            for done in load.waiting:
                if not done.done():
                    done.set_exception(Busy(f"no answer within {self._timeout_s:g} s"))
            load.waiting.clear()
        self._sweep = loop.call_later(_SWEEP_S, self._give_up) if self._loads else None

    def _judge(self, line: _Line, error: BaseException) -> None:
        """Replace a producer that says it cannot go on.

        An idempotent producer numbers what it sends. Once a number is lost (a batch given up on, a
        broker that lost its memory), every later one is refused: only a new producer helps.
        """
        passing = (KafkaTimeoutError, MessageSizeTooLargeError)
        if isinstance(error, KafkaError) and not isinstance(error, passing):
            self._fail(line, type(error).__name__)

    def _fail(self, line: _Line, why: str) -> None:
        if line is self._line:
            self._why = why
            self._line = None
            self._broken.set()

    async def _keep_connected(self) -> None:
        """Hold a producer that works, for as long as the gateway runs."""
        told = ""
        while True:
            line = _Line(
                AIOKafkaProducer(
                    bootstrap_servers=self._kafka,
                    client_id="geomon-gateway",
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=_MOST_REQUEST_BYTES,
                    request_timeout_ms=max(1_000, round(self._timeout_s * 1000)),
                    metadata_max_age_ms=60_000,
                )
            )
            try:
                await line.producer.start()
                for topic in (EVENTS, REJECTED):
                    line.partitions[topic] = await _find(line.producer, topic)
            except (
                KafkaError,
                OSError,
                ValueError,
                UnavailableError,
                asyncio.TimeoutError,
            ) as error:
                self._why = str(error) or type(error).__name__
                if self._why != told:
                    _log.warning("Kafka at %s: %s", self._kafka, self._why)
                    told = self._why
                await self._close(line, 0.0)
                await asyncio.sleep(_AGAIN_S)
                continue
            except BaseException:
                await self._close(line, 0.0)
                raise
            _log.info("connected to Kafka at %s", self._kafka)
            told = ""
            self._broken.clear()
            self._heard_s = asyncio.get_running_loop().time()
            self._line = line
            await self._broken.wait()
            _log.warning("the producer cannot go on (%s): a new one is made", self._why)
            await self._close(line, 0.0)

    async def _close(self, line: _Line, within_s: float) -> None:
        """Close a producer; what it still holds has so long to arrive.

        Its own `stop` waits for ever while Kafka is away, since an idempotent producer gives
        nothing up by itself.
        """
        producer, lanes = line.producer, list(line.lanes.values())
        if within_s > 0:
            waiting = [w for lane in lanes for load in lane.loads for w in load.waiting]
            if under_way := [done for done in waiting if not done.done()]:
                await asyncio.wait(under_way, timeout=within_s)
        producer._message_accumulator.fail_all(KafkaTimeoutError())
        if handing := [lane.task for lane in lanes if lane.task is not None]:
            _, late = await asyncio.wait(handing, timeout=_CLOSING_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for lane in lanes:
            while lane.loads:
                self._landed(line, lane, lane.loads[0], KafkaTimeoutError())
        with contextlib.suppress(asyncio.TimeoutError, KafkaError):
            await asyncio.wait_for(producer.stop(), _CLOSING_S)
        with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError, KafkaError):
            await asyncio.wait_for(producer._sender.close(), _CLOSING_S)
        await producer.client.close()


async def _find(producer: Any, topic: str) -> int:
    """Look for a topic, so that a send need not; give how many partitions it has."""
    try:
        return len(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError:
        raise UnavailableError(
            f"there is no topic {topic}: `geomon topics create` makes it"
        ) from None
