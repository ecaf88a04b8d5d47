"""A load for Kafka: a crowd's uploads (`crowd.py`) at any rate, or as many as there is room for.

    python tests/benchmarks/load.py --kafka HOST:PORT --people N --rate N --seconds N --sent FILE

Two ways of sending, both keyed by person through librdkafka:

*fill*   as fast as the broker takes it, with times that advance from round to round, so that a
         topic is full before anybody reads it. Markers lie in it at known places: the alert that a
         marker causes says how far a worker has come, whatever the worker is made of.
*pace*   so many uploads a second with `received` and the newest fix at the time of sending. What a
         crossing person sent when is written to `--sent`, and an alert names its deciding fix, so
         the time from upload to alert is known to the millisecond.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Producer
from crowd import CROSSING_SHARE, CYCLE_MIN, MINUTE_S, Crowd, Ints, partition_of, text_of

from geomon.topics import EVENTS

_CHUNK = 10_000  # people whose messages are made together
_TICK_S = 0.01
_MARKER = (
    b'{"type":"upload","supervisee_id":"%b","device_id":"band-m","device":"wristband",'
    b'"datum":"wgs84","received":"%b","battery_pct":50,"strap":"open","fixes":[]}'
)


class Marker(NamedTuple):
    """A message whose alert says that so many of its partition have been judged."""

    partition: int
    judged: int


@dataclass
class Filled:
    """What a fill sent."""

    messages: int = 0
    fixes: int = 0
    bytes: int = 0
    took_s: float = 0.0
    in_partition: list[int] = field(default_factory=list)
    markers: dict[str, Marker] = field(default_factory=dict)


class Sender:
    """A producer that waits for room; raises `RuntimeError` at the end when anything was lost."""

    def __init__(self, kafka: str, topic: str = EVENTS, *, linger_ms: int = 20) -> None:
        self._topic = topic
        self._lost: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                # What Java's client, and so most gateways, choose.
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "batch.size": 1 << 20,
                "queue.buffering.max.messages": 400_000,
                "queue.buffering.max.kbytes": 1 << 19,
                "delivery.report.only.error": True,
                "on_delivery": self._delivered,
            }
        )

    def send(self, key: bytes, value: bytes) -> None:
        """Hand one message to librdkafka."""
        sent = False
        while not sent:
            try:
                self._producer.produce(self._topic, value, key)
                sent = True
            except BufferError:
                self._producer.poll(0.05)

    def poll(self) -> None:
        """Let delivery reports come."""
        self._producer.poll(0)

    def close(self) -> None:
        """Wait until the broker has everything."""
        left = self._producer.flush(120)
        self._producer.close()
        if left or self._lost:
            raise RuntimeError(f"{left} messages unsent, {len(self._lost)} lost: {self._lost[:1]}")

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._lost.append(str(error))


def fill(
    kafka: str,
    crowd: Crowd,
    *,
    messages: int,
    per_upload: int,
    partitions: int,
    end_s: int,
    markers: int = 50,
    prime: bool = False,
    tag: str = "a",
    topic: str = EVENTS,
) -> Filled:
    """Send uploads round by round, a fix a minute from everybody, the last round at `end_s`.

    `markers` of them lie in each partition, evenly, the last at its end. With `prime` the crossing
    people send two cycles of fixes first, so that the very next fixes can be told of.
    """
    sender = Sender(kafka, topic)
    filled = Filled(in_partition=[0] * partitions)
    where = crowd.partitions(partitions)
    rounds = max(1, round(messages / crowd.count))
    messages = rounds * crowd.count
    step_s = MINUTE_S * per_upload
    due = [messages * (n + 1) // markers for n in range(markers)] if markers else []
    begin = time.perf_counter()

    def put(whose: Ints, newest_s: Ints, fixes: int, received_s: int) -> None:
        values = crowd.uploads(
            whose, newest_s, received_s=received_s, per_upload=fixes, every_s=MINUTE_S
        )
        for key, value in zip(crowd.keys(whose), values, strict=True):
            sender.send(key, value)
            filled.bytes += len(value)
        sender.poll()
        filled.messages += len(values)
        filled.fixes += len(values) * fixes
        for partition, more in enumerate(np.bincount(where[whose], minlength=partitions).tolist()):
            filled.in_partition[partition] += more

    first_s = end_s - step_s * (rounds - 1)
    if prime:
        before_s = first_s - step_s
        crossing = np.flatnonzero(crowd.crossing)
        put(crossing, np.full(len(crossing), before_s), 2 * CYCLE_MIN, before_s)
    primed = filled.messages
    for round_ in range(rounds):
        newest_s = first_s + round_ * step_s
        for start in range(0, crowd.count, _CHUNK):
            whose = np.arange(start, min(crowd.count, start + _CHUNK))
            put(whose, newest_s - 1 - whose % 50, per_upload, newest_s)
            while due and filled.messages - primed >= due[0]:
                due.pop(0)
                for partition in range(partitions):
                    number = filled.in_partition[partition]
                    _mark(sender, filled, partition, partitions, f"{tag}{number}", newest_s)
    sender.close()
    filled.took_s = time.perf_counter() - begin
    return filled


def _mark(
    sender: Sender, filled: Filled, partition: int, partitions: int, name: str, at_s: int
) -> None:
    marker = marker_id(partition, partitions, name)
    sender.send(marker.encode(), _MARKER % (marker.encode(), text_of(at_s)))
    filled.messages += 1
    filled.in_partition[partition] += 1
    filled.markers[marker] = Marker(partition, filled.in_partition[partition])


def marker_id(partition: int, partitions: int, name: str) -> str:
    """Give an id whose messages go to this partition."""
    ids = (f"M-{name}-{partition}-{n}" for n in range(100_000))
    return next(i for i in ids if partition_of(i.encode(), partitions) == partition)


def send_marker(kafka: str, marker: str, at_s: int) -> None:
    """Send one marker by itself."""
    sender = Sender(kafka, linger_ms=0)
    sender.send(marker.encode(), _MARKER % (marker.encode(), text_of(at_s)))
    sender.close()


class Sent(NamedTuple):
    """What a crossing person sent: the time of the newest fix, and the moment of sending."""

    who: int
    fix_s: int
    at: float


def pace(
    kafka: str, crowd: Crowd, *, rate: float, seconds: float, per_upload: int = 1
) -> tuple[int, list[Sent]]:
    """Send `rate` uploads a second in turn from everybody, times being now.

    Gives how many were sent, and those of crossing people. Raises `ValueError` when there are too
    few people for the rate.
    """
    every_s = int(crowd.count / rate / per_upload)
    if not every_s:
        raise ValueError(f"{crowd.count} people at {rate}/s: more than a fix a second from each")
    sender = Sender(kafka, linger_ms=5)
    begin = time.time()
    sent = 0
    crossings: list[Sent] = []
    while (now := time.time()) < begin + seconds:
        due = int((now - begin) * rate)
        whose = np.arange(sent, due) % crowd.count
        sent = due
        now_s = int(now)
        newest_s = np.full(len(whose), now_s)
        values = crowd.uploads(
            whose, newest_s, received_s=now_s, per_upload=per_upload, every_s=every_s
        )
        keys = crowd.keys(whose)
        at = time.time()
        for key, value in zip(keys, values, strict=True):
            sender.send(key, value)
        crossings += [Sent(who, now_s, at) for who in whose[crowd.crossing[whose]].tolist()]
        sender.poll()
        time.sleep(max(0.0, now + _TICK_S - time.time()))
    sender.close()
    return sent, crossings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT")
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--per-upload", type=int, default=1, help="fixes in one upload")
    parser.add_argument("--rate", type=float, required=True, help="uploads a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--gcj02", type=float, default=0.0, help="share of people with GCJ-02")
    parser.add_argument("--crossing", type=float, default=CROSSING_SHARE, help="share who cross")
    parser.add_argument("--sent", type=Path, required=True, help="file for what crossers sent")
    options = parser.parse_args()
    crowd = Crowd(options.people, gcj02=options.gcj02, crossing=options.crossing)
    begin = time.perf_counter()
    count, crossings = pace(
        options.kafka,
        crowd,
        rate=options.rate,
        seconds=options.seconds,
        per_upload=options.per_upload,
    )
    took_s, cpu_s = time.perf_counter() - begin, time.process_time()
    options.sent.write_text(json.dumps(crossings))
    print(json.dumps({"sent": count, "took_s": took_s, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
