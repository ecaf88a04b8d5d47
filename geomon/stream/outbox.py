"""What a worker writes to Kafka: alerts, refusals, states. Each write is waited for, and repeated.

A write returns when all in-sync replicas have it (`acks=all`). While Kafka is away it is tried
again for as long as it takes: to give up would end a worker that can only be started again to wait.
What no waiting heals (a record too large, a right that is missing) is raised.

A repeated write may stand in a topic twice: alerts have ids, and of states the one that goes
furthest counts. An idempotent producer would spare few of them (none after a crash) and turns a
long absence of Kafka into an error that cannot be retried.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner

from geomon.errors import UnavailableError
from geomon.events import MAX_BYTES

__all__ = ["Outbox"]

T = TypeVar("T")

#: As every Kafka client does it: by murmur2 of the key.
_partition_of = DefaultPartitioner()

#: A batch of states; Kafka takes a megabyte unless told otherwise.
BATCH_BYTES = 512 << 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0

log = logging.getLogger(__name__)


class Outbox:
    """Writes to one Kafka cluster."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self.failures = 0
        """How many writes had to be repeated."""

    async def start(self) -> None:
        """Connect. Raises `UnavailableError`."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka,
            acks="all",
            max_batch_size=BATCH_BYTES,
            # A refusal carries a piece of its message, a state of somebody long outside much more
            # than others; nothing of ours comes near this.
            max_request_size=4 * MAX_BYTES,
        )
        try:
            await producer.start()
        except (KafkaError, OSError, ValueError) as error:
            await producer.stop()
            raise UnavailableError(f"Kafka at {self._kafka}: {error}") from None
        self._producer = producer

    async def stop(self) -> None:
        """Disconnect; harmless when not connected."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def send(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Send messages (key, value), those of one key in their order; wait until Kafka has all.

        Raises aiokafka's error when that cannot be.
        """
        partitions = sorted(await self._until_done(partial(self._partitions, topic)))
        shares: dict[int, list[tuple[bytes, bytes]]] = {}
        for key, value in messages:
            partition = _partition_of(key, partitions, partitions)
            shares.setdefault(partition, []).append((key, value))
        # One batch after the other in each partition: with several under way, one that is given up
        # and repeated would come behind those after it.
        await asyncio.gather(*[self.write(topic, p, share) for p, share in shares.items()])

    async def _partitions(self, topic: str) -> set[int]:
        found: set[int] = await self._connected().partitions_for(topic)
        return found

    async def write(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]
    ) -> list[tuple[int, int]]:
        """Write records to one partition, in batches; give offset and number of each batch.

        Raises aiokafka's error when that cannot be.
        """
        written = []
        at = 0
        while at < len(records):
            act = partial(self._try_to_write, topic, partition, records, at)
            offset, end = await self._until_done(act)
            written.append((offset, end - at))
            at = end
        return written

    async def _try_to_write(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]], at: int
    ) -> tuple[int, int]:
        producer = self._connected()
        batch = producer.create_batch()
        while at < len(records):
            key, value = records[at]
            if batch.append(key=key, value=value, timestamp=None) is None:
                break
            at += 1
        batch.close()
        wait = await producer.send_batch(batch, topic, partition=partition)
        return int((await wait).offset), at

    async def _until_done(self, act: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await act()
            except KafkaError as error:
                # A timeout is not "retriable" to aiokafka, which has tried for 40 s by then.
                if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                    raise
                pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures, 20))
                failures += 1
                self.failures += 1
                log.warning(
                    "Kafka %s: %s; it waits, next try in %.1f s", self._kafka, error, pause_s
                )
                await asyncio.sleep(pause_s)

    def _connected(self) -> Any:
        if self._producer is None:
            raise UnavailableError(f"Kafka at {self._kafka}: not connected")
        return self._producer
