"""A small producer of its own for canaries, which hears from the brokers what time it is.

Of its own, so that a canary does not wait behind a batch of states, and tells of the brokers and
not of a queue in this process.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest

from geomon.errors import UnavailableError
from geomon.operations.brokerclock import steady_s
from geomon.operations.canary import CanaryEvent
from geomon.topics import EVENTS

__all__ = ["Flight", "Probe"]

_REQUEST_MS = 10_000
_FETCH = 1  # Kafka's number of that request
#: Kafka 4.0 dropped the requests of before 2.1: Fetch begins with version 4 there. (Produce does
#: too, but claims to know all versions, for the sake of an old client.)
_FETCH_OF_4 = 4
_LOG_APPEND_TIME = 1


class Flight(NamedTuple):
    """A canary that was sent and acknowledged."""

    partition: int
    sent_s: float  # steady time
    acknowledged_s: float  # likewise
    broker_s: float | None  # POSIX; None where the topic keeps the sender's time
    offset: int


class Probe:
    """Sends canaries to one Kafka cluster; connected while the context lasts.

    Methods raise `UnavailableError`, in one line, when Kafka does not answer within 10 s.
    """

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._producer: Any = None

    async def __aenter__(self) -> Probe:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka, acks="all", request_timeout_ms=_REQUEST_MS
        )
        try:
            await self._producer.start()
        except (KafkaError, OSError, ValueError) as error:
            await self._producer.stop()
            raise self._unavailable(error) from None
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def send(self, partition: int, canary: CanaryEvent) -> Flight:
        """Send a canary into a partition of the events, and wait for the answer."""
        sent_s = steady_s()
        try:
            answer = await asyncio.wait_for(
                self._producer.send_and_wait(
                    EVENTS, canary.value, key=canary.key, partition=partition
                ),
                _REQUEST_MS / 1000,
            )
        except (KafkaError, OSError, AssertionError, asyncio.TimeoutError) as error:
            # AssertionError is how aiokafka says that there is no such partition.
            raise self._unavailable(error) from None
        by_broker = answer.timestamp_type == _LOG_APPEND_TIME
        return Flight(
            partition,
            sent_s,
            steady_s(),
            answer.timestamp / 1000 if by_broker else None,
            answer.offset,
        )

    async def leaders(self) -> dict[int, int]:
        """Give for each broker (its id) one partition of the events that it leads."""
        try:
            partitions = await asyncio.wait_for(
                self._producer.partitions_for(EVENTS), _REQUEST_MS / 1000
            )
        except (KafkaError, OSError, asyncio.TimeoutError) as error:
            raise self._unavailable(error) from None
        cluster = self._producer.client.cluster
        led: dict[int, int] = {}
        for partition in sorted(partitions):
            led.setdefault(
                cluster.leader_for_partition(TopicPartition(EVENTS, partition)), partition
            )
        return {broker: partition for broker, partition in led.items() if broker >= 0}

    async def generation(self, broker: int) -> str:
        """Say which Kafka a broker is, as far as its protocol tells."""
        try:
            answer = await self._producer.client.send(broker, ApiVersionRequest())
        except (KafkaError, OSError, asyncio.TimeoutError) as error:
            raise self._unavailable(error) from None
        oldest = {api: least for api, least, _ in answer.api_versions}
        return "Kafka 4" if oldest.get(_FETCH, 0) >= _FETCH_OF_4 else "Kafka 3 or older"

    def _unavailable(self, error: BaseException) -> UnavailableError:
        text = " ".join(str(error).split()) or type(error).__name__
        return UnavailableError(f"Kafka at {self._kafka}: {text}")
