"""Where a dossier comes from: recordings; or the events' topic, and the log of alerts.

A person's events lie in one partition: the one that their id, the message's key, hashes to by the
usual partitioner. A producer with another one (librdkafka's default is its own) puts them
elsewhere, so where nothing is found there the other partitions are read as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from geomon import decoding, events
from geomon.alerts import iso_utc
from geomon.dossier.record import decode_event
from geomon.errors import Refusal, UnavailableError
from geomon.intake import Raw
from geomon.sinks.alertlog import log_entries
from geomon.topics import EVENTS

__all__ = ["Held", "alerts_on_record", "events_in_topic", "events_of", "partition_of"]

_TIMEOUT_MS = 10_000
#: No message for so long though there are more: the broker is away.
_STALL_S = 20.0
_WAIT_MS = 500


class _Head(msgspec.Struct):
    """What tells whose an event is and when it arrived; the rest is passed over."""

    supervisee_id: str
    received: datetime | None = None


class Held(NamedTuple):
    """What the topic holds of a person, in the order of arrival."""

    raws: list[Raw]
    partition: int
    kept_from_s: int  # the first message that is kept, when older ones are gone; 0 = none is


_head = msgspec.json.Decoder(_Head)


def events_of(supervisee_id: str, lines: Iterable[Raw]) -> Iterator[Raw]:
    """Give a person's lines of a recording, and at its end the time at which it ends.

    That time is a `clock` event: what was silent until then was silent, though its own last line
    is days older. A line of nobody knows whom (broken) is given when it has the person's id in it,
    so that it is refused and counted.
    """
    name = supervisee_id.encode()
    end_s = 0
    found = False
    for raw in lines:
        whose, at_s = _whose(raw, name)
        end_s = max(end_s, at_s)
        if whose == supervisee_id:
            found = True
            yield raw
    if found and end_s:
        clock = {"type": "clock", "supervisee_id": supervisee_id, "received": iso_utc(end_s)}
        yield Raw(msgspec.json.encode(clock), "end")


def _whose(raw: Raw, name: bytes) -> tuple[str, int]:
    """Give whose a line is and when it arrived (POSIX s; 0 = not said)."""
    try:
        head = _head.decode(raw.data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _by_full_decode(raw, name)
    if head.received is None or head.received.tzinfo is None:
        return _by_full_decode(raw, name)
    time_s = int(head.received.timestamp())
    return head.supervisee_id, time_s if events.FIRST_S <= time_s < events.LAST_S else 0


def _by_full_decode(raw: Raw, name: bytes) -> tuple[str, int]:
    try:
        event, _ = decoding.decode(raw.data)
    except Refusal:
        return (name.decode(), 0) if b'"%b"' % name in raw.data else ("", 0)
    newest_s = 0
    if isinstance(event, events.Upload):
        newest_s = max(decoding.posix_s([fix.time for fix in event.fixes]), default=0)
    elif isinstance(event, events.Return | events.CheckIn | events.Disposal | events.Sanction):
        (newest_s,) = decoding.posix_s([event.time])
    at_s = int(event.received.timestamp()) if event.received else newest_s
    # What intake refuses as a fix from the future must not move everybody's clock there.
    return event.supervisee_id, at_s if events.FIRST_S <= at_s < events.LAST_S else 0


def events_in_topic(supervisee_id: str, kafka: str) -> Held:
    """Read what the events' topic holds of a person, to where it ended when this began.

    Raises `UnavailableError`, in one line, when Kafka or the topic is not there.
    """
    try:
        return asyncio.run(_held(supervisee_id, kafka))
    except (KafkaError, OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise UnavailableError(f"Kafka at {kafka} cannot be read: {text}") from None


def partition_of(supervisee_id: str, partitions: Iterable[int]) -> int:
    """Give the partition that a person's events lie in, as Kafka's usual partitioner has it."""
    everyone = sorted(partitions)
    chosen: int = DefaultPartitioner()(supervisee_id.encode(), everyone, everyone)
    return chosen


async def _held(supervisee_id: str, kafka: str) -> Held:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, enable_auto_commit=False, request_timeout_ms=_TIMEOUT_MS
    )
    try:
        await consumer.start()
        # All topics, and not this one: to ask for one that is not there may make it.
        if EVENTS not in await consumer.topics():
            raise UnavailableError(f"Kafka at {kafka} has no topic {EVENTS}")
        consumer.assign([TopicPartition(EVENTS, 0)])
        await consumer.end_offsets([TopicPartition(EVENTS, 0)])  # learns of its partitions
        partitions = consumer.partitions_for_topic(EVENTS) or {0}
        first = partition_of(supervisee_id, partitions)
        held = await _read(consumer, supervisee_id, first)
        if not held.raws:
            for partition in sorted(partitions - {first}):
                other = await _read(consumer, supervisee_id, partition)
                if other.raws:
                    return other
        return held
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, supervisee_id: str, partition: int) -> Held:
    """Read one partition from its beginning to its present end; keep what is the person's."""
    tp = TopicPartition(EVENTS, partition)
    key = supervisee_id.encode()
    consumer.assign([tp])
    begin = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    consumer.seek(tp, begin)
    raws: list[Raw] = []
    kept_from_s = 0
    loop = asyncio.get_running_loop()
    heard_s = loop.time()
    # The position and not the last message decides: offsets may have gaps (transactions).
    while begin < end and (at := await consumer.position(tp)) < end:
        batch = await consumer.getmany(tp, timeout_ms=_WAIT_MS)
        if batch or await consumer.position(tp) > at:
            heard_s = loop.time()
        elif loop.time() - heard_s > _STALL_S:
            raise UnavailableError(f"Kafka: {EVENTS}/{partition} stands still at offset {at}")
        for message in batch.get(tp, ()):
            if begin and not kept_from_s:
                kept_from_s = int(message.timestamp / 1000)
            if message.key == key and message.offset < end:
                where = f"{message.topic}/{message.partition}/{message.offset}"
                arrived_s = int((message.timestamp or 0) / 1000)
                raws.append(Raw(message.value or b"", where, message.key, arrived_s, partition))
    return Held(raws, partition, kept_from_s)


def alerts_on_record(supervisee_id: str, url: str) -> tuple[list[dict[str, object]], int]:
    """Read a person's alerts from the log in Redis; give them, and how many entries are no alerts.

    Raises `UnavailableError` when Redis cannot be asked.
    """
    name = supervisee_id.encode()
    alerts: list[dict[str, object]] = []
    broken = 0
    for _, fields in log_entries(url):
        if fields.get(b"subject") != name:
            continue
        try:
            alerts.append(decode_event(fields.get(b"event", b"")))
        except ValueError:
            broken += 1
    return alerts, broken
