"""Events into Kafka: what is acknowledged to a device is there, on every replica in step.

**No acknowledgement before Kafka has it.** `put` returns when the leader and its followers in step
have the event (acks=all, an idempotent producer), and not sooner.

**Memory stays bounded.** At most `most_bytes` wait for Kafka; past that, or while Kafka has not
answered for `timeout_s`, `put` raises `Busy` at once, and the device keeps what it has. An event
that was given up on here may still arrive in Kafka later: then it comes twice, and changes nothing
twice, since positions are known by device and time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)

from geomon.errors import GeomonError, UnavailableError
from geomon.events import MAX_BYTES
from geomon.topics import EVENTS, REJECTED

__all__ = ["Busy", "Publisher"]

#: What an event weighs in memory besides its bytes: futures, a place in a batch, the key.
_OVERHEAD_BYTES = 1_024
_BATCH_BYTES = 256 << 10
#: How often those that waited too long are looked for, and Kafka is tried again.
_SWEEP_S, _AGAIN_S = 0.25, 1.0
_log = logging.getLogger("geomon.gateway")


class Busy(GeomonError):  # noqa: N818  (not an error of the program: come again later)
    """Kafka is away, or too much waits for it: nothing was taken, come again later."""


class _Counts(Protocol):
    def set(self, name: str, value: float, *labels: str) -> None: ...
    def observe(self, name: str, value: float) -> None: ...


class Publisher:
    """Puts events into Kafka. It starts without Kafka, and finds it when it comes back."""

    def __init__(self, kafka: str, metrics: _Counts, *, most_bytes: int, timeout_s: float) -> None:
        self._kafka = kafka
        self._metrics = metrics
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s
        self._producer: Any = None
        self._broken = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._number = 0
        self._flying: OrderedDict[int, float] = OrderedDict()  # begun, by number
        self._bytes = 0
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()  # by deadline
        self._sweep: asyncio.TimerHandle | None = None
        self._heard_s = float("-inf")  # when Kafka last had something
        self._why = "not connected yet"

    async def start(self) -> None:
        """Begin to look for Kafka; does not wait until it is found."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="publisher")

    async def stop(self, within_s: float = 10.0) -> None:
        """Let what is under way arrive, for so long, and close."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        producer, self._producer = self._producer, None
        if producer is not None:
            await _close(producer, within_s)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    @property
    def bytes_in_flight(self) -> int:
        """How much waits for Kafka, what was given up on and may still arrive included."""
        return self._bytes

    def trouble(self) -> str:
        """Say why nothing could be put now; empty when it could."""
        if self._producer is None:
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
        producer = self._producer
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        size = len(value) + _OVERHEAD_BYTES
        if producer is None or self._is_stuck(begun_s) or self._bytes + size > self._most_bytes:
            raise Busy(self.trouble() or f"{self._bytes:,} bytes wait for Kafka")
        self._number += 1
        number = self._number
        self._flying[number] = begun_s
        self._bytes += size
        try:
            sent: asyncio.Future[Any] = await producer.send(topic, value, key=key.encode())
        except BaseException as error:
            self._landed(number, size)
            self._judge(producer, error)
            if isinstance(error, KafkaError):
                raise Busy(type(error).__name__) from None
            raise
        done: asyncio.Future[None] = loop.create_future()

        def arrived(sent: asyncio.Future[Any]) -> None:
            self._landed(number, size)
            error = None if sent.cancelled() else sent.exception()
            if error is not None or sent.cancelled():
                self._judge(producer, error)
                if not done.done():
                    done.set_exception(Busy(type(error).__name__))
                return
            self._heard_s = now_s = loop.time()
            self._metrics.observe("geomon_gateway_publish_seconds", now_s - begun_s)
            if not done.done():
                done.set_result(None)

        sent.add_done_callback(arrived)
        self._waiting.append((begun_s + self._timeout_s, done))
        if self._sweep is None:
            self._sweep = loop.call_later(_SWEEP_S, self._give_up)
        await done

    def _is_stuck(self, now_s: float) -> bool:
        """Say whether something waits for too long, and nothing else got through meanwhile."""
        if not self._flying:
            return False
        oldest_s = next(iter(self._flying.values()))
        return now_s - max(oldest_s, self._heard_s) > self._timeout_s

    def _landed(self, number: int, size: int) -> None:
        if self._flying.pop(number, None) is not None:
            self._bytes -= size

    def _give_up(self) -> None:
        """Tell those who waited too long that Kafka is busy; what they sent is still under way."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        while self._waiting and (self._waiting[0][0] <= now_s or self._waiting[0][1].done()):
            _, done = self._waiting.popleft()
            if not done.done():
                done.set_exception(Busy(f"no answer within {self._timeout_s:g} s"))
        self._sweep = loop.call_later(_SWEEP_S, self._give_up) if self._waiting else None

    def _judge(self, producer: Any, error: BaseException | None) -> None:
        """Replace a producer that says it cannot go on.

        An idempotent producer numbers what it sends. Once a number is lost (a batch given up on, a
        broker that lost its memory), every later one is refused: only a new producer helps.
        """
        passing = (KafkaTimeoutError, MessageSizeTooLargeError)
        if isinstance(error, KafkaError) and not isinstance(error, passing):
            self._fail(producer, type(error).__name__)

    def _fail(self, producer: Any, why: str) -> None:
        if producer is self._producer:
            self._why = why
            self._producer = None
            self._broken.set()

    async def _keep_connected(self) -> None:
        """Hold a producer that works, for as long as the gateway runs."""
        told = ""
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._kafka,
                client_id="geomon-gateway",
                acks="all",
                enable_idempotence=True,
                max_batch_size=_BATCH_BYTES,
                # Kafka's limit on the topic is twice the contract's; a batch of one may be so big.
                max_request_size=2 * MAX_BYTES,
                request_timeout_ms=max(1_000, round(self._timeout_s * 1000)),
                metadata_max_age_ms=60_000,
            )
            try:
                await producer.start()
                for topic in (EVENTS, REJECTED):
                    await _find(producer, topic)
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
                await _close(producer, 0.0)
                await asyncio.sleep(_AGAIN_S)
                continue
            except BaseException:
                await _close(producer, 0.0)
                raise
            _log.info("connected to Kafka at %s", self._kafka)
            told = ""
            self._broken.clear()
            self._heard_s = asyncio.get_running_loop().time()
            self._producer = producer
            await self._broken.wait()
            _log.warning("the producer cannot go on (%s): a new one is made", self._why)
            await _close(producer, 0.0)


async def _find(producer: Any, topic: str) -> None:
    """Look for a topic, so that a send need not."""
    try:
        await producer.partitions_for(topic)
    except UnknownTopicOrPartitionError:
        raise UnavailableError(
            f"there is no topic {topic}: `geomon topics create` makes it"
        ) from None


async def _close(producer: Any, within_s: float) -> None:
    """Close a producer; what it still holds has so long to arrive.

    Its own `stop` waits for ever while Kafka is away, since an idempotent producer gives nothing up
    by itself.
    """
    if within_s > 0:
        with contextlib.suppress(asyncio.TimeoutError, KafkaError):
            await asyncio.wait_for(producer.flush(), within_s)
    producer._message_accumulator.fail_all(KafkaTimeoutError())
    with contextlib.suppress(asyncio.TimeoutError, KafkaError):
        await asyncio.wait_for(producer.stop(), 1.0)
    with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError, KafkaError):
        await asyncio.wait_for(producer._sender.close(), 1.0)
    await producer.client.close()
