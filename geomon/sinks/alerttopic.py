"""The alerts in Kafka, read: all of the topic from its beginning, or a time, to where it ends now.

The topic is the second record of what was told. `geomon restore` reads it; no consumer group is
used, so that reading it disturbs nobody and may be done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from geomon.cluster import Cluster
from geomon.errors import UnavailableError
from geomon.sinks.alertform import AlertData, AlertForm, AlertReader
from geomon.topics import ALERTS

__all__ = ["TopicAlert", "alerts_in_topic"]

_AT_ONCE = 500
_WAIT_MS = 500
#: A partition that has more, and gives nothing for so long, will not give it.
_PATIENCE_S = 30.0


class TopicAlert(NamedTuple):
    """A message of the topic: an alert in CloudEvents form, or what is wrong with it."""

    where: str  # topic/partition/offset
    alert: dict[str, Any] | None
    trouble: str = ""  # in one line, and without anything of the message


_NOTHING = TopicAlert("", None)


class _Data(AlertData, kw_only=True, gc=False):
    """What delivery to Redis needs of an alert."""

    district: str | None = None


_reader = AlertReader(AlertForm[_Data])


async def alerts_in_topic(
    kafka: str, since: datetime | None = None
) -> AsyncGenerator[TopicAlert, None]:
    """Give every message of `geomon.alerts` that is there now, or since the brokers' time `since`.

    Those of a partition, and so of a person, come as they stand there; of several partitions the
    alert with the earliest time comes first. Repeats are given too. Raises `UnavailableError`, in
    one line, when Kafka or the topic is not there, or stops to answer.
    """
    async with Cluster(kafka) as cluster:
        # A consumer that asks for a topic may make it.
        found = (await cluster.look([ALERTS])).topics.get(ALERTS)
    if found is None:
        raise UnavailableError(f"Kafka at {kafka} has no topic {ALERTS}: nothing to restore from")
    parts = [TopicPartition(ALERTS, number) for number in range(found.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=None,
        enable_auto_commit=False,
        # What is deleted while it is read is gone: go on with what is left.
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        begins = await _begins(consumer, parts, since)
        readers = []
        for part in parts:
            begin = begins.get(part, ends[part])
            consumer.seek(part, begin)
            if begin < ends[part]:
                readers.append(_read(consumer, part, ends[part]))
            else:
                consumer.pause(part)
        async for alert in _by_time(readers):
            yield alert
    except (KafkaError, OSError, asyncio.TimeoutError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise UnavailableError(f"Kafka at {kafka}: {text}") from None
    finally:
        await consumer.stop()


async def _begins(
    consumer: Any, parts: Sequence[TopicPartition], since: datetime | None
) -> dict[TopicPartition, int]:
    """Give where to begin in each partition; none where nothing is to be read."""
    if since is None:
        begins: dict[TopicPartition, int] = await consumer.beginning_offsets(parts)
        return begins
    asked = dict.fromkeys(parts, int(since.timestamp() * 1000))
    answers = await consumer.offsets_for_times(asked)
    return {part: answer.offset for part, answer in answers.items() if answer is not None}


async def _read(
    consumer: Any, part: TopicPartition, end: int
) -> AsyncIterator[tuple[float, TopicAlert]]:
    """Give the messages of a partition below offset `end`, each with the time it counts for."""
    loop = asyncio.get_running_loop()
    time_s = 0.0
    heard_s, at = loop.time(), -1
    # The position and not the last message: marks of transactions take offsets, too.
    while at < end:
        batch = await consumer.getmany(part, timeout_ms=_WAIT_MS, max_records=_AT_ONCE)
        for record in batch.get(part, ()):
            if record.offset >= end:
                break
            where = f"{ALERTS}/{record.partition}/{record.offset}"
            try:
                form, alert = _reader.decode_whole(record.value or b"")
            except ValueError as error:
                yield time_s, TopicAlert(where, None, str(error))
                continue
            time_s = max(time_s, form.time.timestamp())
            yield time_s, TopicAlert(where, alert)
        before, at = at, await consumer.position(part)
        if at > before:
            heard_s = loop.time()
        elif loop.time() - heard_s > _PATIENCE_S:
            where = f"{ALERTS}/{part.partition}/{at}"
            raise UnavailableError(f"Kafka gives no more at {where}, {end - at} before the end")


async def _by_time(
    readers: Sequence[AsyncIterator[tuple[float, TopicAlert]]],
) -> AsyncIterator[TopicAlert]:
    """Merge what several readers give, the earliest first; equal times as the readers stand."""
    heads = dict.fromkeys(range(len(readers)), (0.0, _NOTHING))

    async def advance(number: int) -> None:
        head = await anext(readers[number], None)
        if head is None:
            del heads[number]
        else:
            heads[number] = head

    for number in range(len(readers)):
        await advance(number)
    while heads:
        number = min(heads, key=lambda n: (heads[n][0], n))
        yield heads[number][1]
        await advance(number)
