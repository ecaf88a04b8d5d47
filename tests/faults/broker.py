"""What the tests ask of Kafka and send to it, by another client than the workers use."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import confluent_kafka.admin
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import (
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)

from .recording import Line

#: It does not say what it exports of its admin client.
administration: Any = confluent_kafka.admin

__all__ = ["Kafka", "Sending"]

_ASK_S = 5.0
_PATIENCE_S = 60.0
_SENT_S = 300.0
#: librdkafka writes of each broker that goes away to standard error: here they are meant to.
_QUIET = {"log_level": 0}


class Kafka:
    """A cluster, asked. Raises `KafkaException` where it cannot answer now."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = administration.AdminClient(
            {"bootstrap.servers": bootstrap, **_QUIET}, logger=_silent
        )

    def create(
        self, topic: str, partitions: int, replicas: int, settings: dict[str, str] | None = None
    ) -> None:
        """Make a topic anew: one of that name that is there goes with all that is in it."""
        self.delete(topic)
        wanted = administration.NewTopic(topic, partitions, replicas, config=settings or {})
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._admin.create_topics([wanted], request_timeout=_ASK_S)[topic].result()
            except KafkaException as error:
                # What was deleted just now may be in the way for a moment.
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS" or time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                break
        while not self._leads(topic, partitions):
            assert time.monotonic() < end, f"{topic} does not come up"
            time.sleep(0.05)

    def delete(self, topic: str) -> None:
        """Delete a topic, if it is there."""
        try:
            self._admin.delete_topics([topic], operation_timeout=_ASK_S)[topic].result()
        except KafkaException as error:
            if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise
        end = time.monotonic() + _PATIENCE_S
        while self._partitions(topic):
            assert time.monotonic() < end, f"{topic} does not go"
            time.sleep(0.05)

    def ends_of(self, topic: str) -> dict[int, int]:
        """Where each partition ends: the offset that its next message will have."""
        return {partition: end for partition, (_, end) in self._bounds(topic).items()}

    def begins_of(self, topic: str) -> dict[int, int]:
        """Where each partition begins."""
        return {partition: begin for partition, (begin, _) in self._bounds(topic).items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """How far a group has committed each partition that it has committed at all."""
        asked = [TopicPartition(topic, partition) for partition in self._partitions(topic)]
        with self._reader(group) as reader:
            found = reader.committed(asked, timeout=_ASK_S)
        return {at.partition: at.offset for at in found if at.offset >= 0}

    def group(self, name: str) -> tuple[str, int]:
        """The state of a group, and how many members it has. Raises `KafkaError`."""
        return asyncio.run(asyncio.wait_for(_group(self.bootstrap, name), 2 * _ASK_S))

    def trim(self, topic: str, until: dict[int, int]) -> None:
        """Delete what lies before these offsets, as a retention set by mistake would."""
        end = time.monotonic() + _PATIENCE_S
        self._set_policy(topic, "compact,delete")  # of a compacted topic Kafka deletes nothing
        asked = [TopicPartition(topic, partition, offset) for partition, offset in until.items()]
        while True:
            try:
                for answer in self._admin.delete_records(asked).values():
                    answer.result()
            except KafkaException:
                assert time.monotonic() < end, f"{topic} cannot be trimmed"
                time.sleep(0.1)
            else:
                break
        self._set_policy(topic, "compact")

    def _set_policy(self, topic: str, policy: str) -> None:
        setting = administration.AlterConfigOpType.SET
        change = administration.ConfigEntry("cleanup.policy", policy, incremental_operation=setting)
        resource = administration.ConfigResource(
            administration.ResourceType.TOPIC, topic, incremental_configs=[change]
        )
        for answer in self._admin.incremental_alter_configs([resource]).values():
            answer.result()

    def read(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        """All of a topic, as keys and values; each partition in its order."""
        ends = {p: end for p, end in self.ends_of(topic).items() if end}
        begins = self.begins_of(topic)
        found: list[tuple[bytes | None, bytes | None]] = []
        left = {partition for partition, end in ends.items() if begins[partition] < end}
        with self._reader("nobody") as reader:
            reader.assign([TopicPartition(topic, p, begins[p]) for p in left])
            deadline = time.monotonic() + _PATIENCE_S
            while left:
                assert time.monotonic() < deadline, f"{topic} cannot be read to its end"
                for message in reader.consume(1000, 0.2):
                    if message.error() is None:
                        found.append((message.key(), message.value()))
                for at in reader.position([TopicPartition(topic, p) for p in left]):
                    if at.offset >= ends[at.partition]:
                        left.discard(at.partition)
        return found

    @contextmanager
    def _reader(self, group: str) -> Iterator[Any]:
        """A client that reads, and asks in a group's name without being of it."""
        reader = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                **_QUIET,
            },
            logger=_silent,
        )
        try:
            yield reader
        finally:
            reader.close()

    def _leads(self, topic: str, partitions: int) -> bool:
        """Whether every partition of a new topic has a leader that answers."""
        try:
            return len(self.ends_of(topic)) == partitions
        except KafkaException:
            return False

    def _bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        with self._reader("nobody") as reader:
            return {
                p: reader.get_watermark_offsets(TopicPartition(topic, p), timeout=_ASK_S)
                for p in self._partitions(topic)
            }

    def _partitions(self, topic: str) -> list[int]:
        # Of all topics: to ask for one may bring it about.
        known = self._admin.list_topics(timeout=_ASK_S).topics
        return sorted(known[topic].partitions) if topic in known else []


async def _group(bootstrap: str, name: str) -> tuple[str, int]:
    # By aiokafka: librdkafka's admin client may end the process when it is not answered in time.
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        [answer] = await admin.describe_consumer_groups([name])
        [(_, _, state, _, _, members, *_)] = answer.groups
        return state, len(members)
    finally:
        await admin.close()


class Sending:
    """Sends lines in the background, so many a second (0 = as fast as may be), each exactly once.

    Whatever fails meanwhile, it tries on: acknowledged by all replicas, numbered against repeats.
    """

    def __init__(
        self, bootstrap: str, topic: str, lines: Sequence[Line], per_s: float, codec: str = "none"
    ) -> None:
        self.sent = 0
        self._topic, self._lines, self._per_s = topic, lines, per_s
        self._error: Exception | None = None
        self._closing = threading.Event()
        self._outbox = _Outbox(bootstrap, codec)
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def until_sent(self, count: int) -> None:
        """Wait until so many lines have been handed over."""
        while self.sent < count and self._thread.is_alive():
            time.sleep(0.005)

    def wait(self) -> None:
        """Wait until all is with the brokers; raises what went wrong."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Give up what has not been sent."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            begun = time.monotonic()
            for number, line in enumerate(self._lines):
                ahead_s = number / self._per_s - (time.monotonic() - begun) if self._per_s else 0.0
                if ahead_s > 0 and self._closing.wait(ahead_s):
                    return
                self._outbox.put(self._topic, line.key, line.value)
                self.sent += 1
            while not (self._outbox.is_empty() or self._closing.is_set()):
                continue
        except Exception as error:
            self._error = error


class _Outbox:
    """A producer that keeps what went wrong: its callbacks must not raise."""

    def __init__(self, bootstrap: str, codec: str = "none") -> None:
        self._troubles: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "compression.type": codec,
                "message.timeout.ms": round(_SENT_S * 1000),
                "message.max.bytes": 32 << 20,
                "socket.timeout.ms": 5_000,
                "partitioner": "murmur2_random",
                **_QUIET,
            },
            logger=_silent,
        )

    def put(self, topic: str, key: bytes | None, value: bytes | None, partition: int = -1) -> None:
        """Hand over a message; waits while there are too many. Raises `AssertionError`."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._answered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                break
        self._check()

    def is_empty(self) -> bool:
        """Whether the brokers have everything; waits a little for it. Raises `AssertionError`."""
        left = self._producer.flush(0.2)
        self._check()
        return not left

    def _answered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._troubles.append(str(error))

    def _check(self) -> None:
        assert not self._troubles, f"messages were not sent: {self._troubles[:3]}"


def send_now(bootstrap: str, topic: str, lines: Iterable[tuple[int, bytes | None, Any]]) -> None:
    """Send messages, as (partition, key, value), and wait until the brokers have them."""
    outbox = _Outbox(bootstrap)
    for partition, key, value in lines:
        outbox.put(topic, key, value, partition)
    end = time.monotonic() + _SENT_S
    while not outbox.is_empty():
        assert time.monotonic() < end, "messages cannot be sent"


class _Silent:
    """A logger that says nothing."""

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


_silent = _Silent()
