"""Recorded events into `geomon.events`: a recording sent to the topic is the live system again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timezone

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from geomon import decoding, events
from geomon.errors import Refusal, UnavailableError
from geomon.events import MAX_BYTES
from geomon.intake import Raw, Rejected
from geomon.pacing import Pace
from geomon.topics import EVENTS

__all__ = ["send_events", "stream_events"]


def send_events(
    lines: Iterable[Raw],
    kafka: str,
    *,
    until_s: int,
    settle_s: int,
    on_rejected: Callable[[Rejected], None],
    pace: Pace | None = None,
) -> int:
    """Send a recording, keyed by person, and then everybody's clock; give how many were sent.

    What is not an event with a usable id has no key to be sent under: it is refused here. After the
    last line, `clock` events let deadlines fire up to the recording's end or `until_s`, as a replay
    in process does. With `pace`, a line is sent no earlier than it is due. Raises
    `UnavailableError` when Kafka cannot be reached.
    """
    sending = stream_events(
        lines, kafka, until_s=until_s, settle_s=settle_s, on_rejected=on_rejected, pace=pace
    )
    return asyncio.run(sending)


async def stream_events(
    lines: Iterable[Raw],
    kafka: str,
    *,
    until_s: int,
    settle_s: int,
    on_rejected: Callable[[Rejected], None],
    pace: Pace | None = None,
) -> int:
    """Do what `send_events` does, in a program that runs an event loop already."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", linger_ms=5, max_request_size=2 * MAX_BYTES
    )
    try:
        await producer.start()
    except (KafkaError, OSError, ValueError) as error:
        await producer.stop()
        raise UnavailableError(f"Kafka at {kafka} cannot be reached: {error}") from None
    sent = 0
    clocks: dict[str, int] = {}
    end_s = 0
    try:
        for line in lines:
            # Asleep in the loop, not before it: the producer sends only while the loop runs, and
            # all would be there at the end.
            for wait_s in pace.waits(line) if pace else ():
                await asyncio.sleep(wait_s)
            try:
                event, _ = decoding.decode(line.data)
            except Refusal as refusal:
                on_rejected(Rejected(line, refusal.reason, refusal.detail))
                continue
            if isinstance(event, events.Canary | events.Device):
                continue  # those of the system that was recorded; this one has its own
            arrived_s = _arrived_s(event)
            end_s = max(end_s, arrived_s)
            whose = event.supervisee_id
            clocks[whose] = max(clocks.get(whose, 0), arrived_s)
            data = line.data if arrived_s else _dated(line.data, event, clocks[whose])
            await producer.send(EVENTS, data, key=whose.encode())
            sent += 1
        for whose, clock_s in clocks.items():
            last_s = max(end_s + settle_s, clock_s + settle_s, until_s)
            time = datetime.fromtimestamp(last_s, timezone.utc)
            clock = {"type": "clock", "supervisee_id": whose, "received": time}
            await producer.send(EVENTS, msgspec.json.encode(clock), key=whose.encode())
            sent += 1
        await producer.flush()
    except KafkaError as error:
        raise UnavailableError(f"Kafka at {kafka}: {error}") from None
    finally:
        await producer.stop()
    return sent


def _dated(data: bytes, event: events.Event, clock_s: int) -> bytes:
    """Give a paper that does not say when it arrived the time that a replay in process would.

    The broker's time would stand for it, and that is today's: it would take the person's clock from
    the days of the recording to the present.
    """
    if isinstance(event, events.Upload | events.Clock):
        return data
    time = datetime.fromtimestamp(max(clock_s, events.FIRST_S), timezone.utc)
    received = f',"received":"{time:%Y-%m-%dT%H:%M:%SZ}"'.encode()
    end = data.rindex(b"}")  # of names said twice the last counts: one may be there, and null
    return data[:end] + received + data[end:]


def _arrived_s(event: events.Event) -> int:
    """Give when an event arrived: as it says, or else its newest fix."""
    if event.received is not None:
        return int(event.received.timestamp())
    if isinstance(event, events.Upload):
        return max((int(fix.time.timestamp()) for fix in event.fixes), default=0)
    if isinstance(event, events.Return | events.CheckIn | events.Disposal | events.Sanction):
        return int(event.time.timestamp())
    return 0
