"""The load of the benchmark: what is sent is what is counted, and people are where they are sent.

Against the embedded broker, so that it runs wherever the tests do.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aiokafka.partitioner import murmur2 as of_the_client
from crowd import Crowd, murmur2, partition_of, text_of
from gauges import Meter, Seen, latencies_s, pace_of, seconds
from load import Filled, fill, pace
from peers import consuming

from geomon.embedded.broker import EmbeddedBroker
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.topics import EVENTS
from geomon.zones.index import CITY, ZoneIndex, zones_for

PEOPLE, PARTITIONS = 400, 3
NINE_S = 1_707_786_000  # 2024-02-13T09:00:00+08:00
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def zones() -> ZoneIndex:
    return zones_for(CITY)


@pytest.fixture
def kafka() -> Iterator[str]:
    with EmbeddedBroker({EVENTS: PARTITIONS}) as broker:
        yield broker.bootstrap


def filled_topic(kafka: str, crowd: Crowd) -> Filled:
    return fill(
        kafka,
        crowd,
        messages=20 * PEOPLE,
        per_upload=2,
        partitions=PARTITIONS,
        end_s=NINE_S,
        markers=5,
    )


def everything(kafka: str, count: int) -> list[tuple[int, bytes, bytes]]:
    """Partition, key and value of so many messages, in their order."""

    async def read() -> list[tuple[int, bytes, bytes]]:
        found: list[tuple[int, bytes, bytes]] = []
        async with consuming(kafka, "everything") as consumer:
            while len(found) < count:
                batches = await asyncio.wait_for(consumer.getmany(timeout_ms=1000), DEADLINE_S)
                for batch in batches.values():
                    found += [(m.partition, bytes(m.key), bytes(m.value)) for m in batch]
        return found

    return asyncio.run(read())


def test_all_that_is_sent_arrives_in_the_partition_foretold_and_markers_count_it(
    kafka: str, zones: ZoneIndex
) -> None:
    filled = filled_topic(kafka, Crowd(PEOPLE, zones))
    messages = everything(kafka, filled.messages)

    assert len(messages) == filled.messages == 20 * PEOPLE + len(filled.markers)
    assert filled.fixes == 2 * 20 * PEOPLE
    assert all(partition == partition_of(key, PARTITIONS) for partition, key, _ in messages)
    number: Counter[int] = Counter()
    met = {}
    for partition, key, _ in messages:
        number[partition] += 1
        if key.startswith(b"M-"):
            met[key.decode()] = (partition, number[partition])
    assert met == filled.markers
    assert filled.in_partition == [number[p] for p in range(PARTITIONS)]


@pytest.mark.parametrize("length", range(1, 12))
def test_keys_are_hashed_as_the_client_does(length: int) -> None:
    keys = np.random.default_rng(length).integers(0, 256, (50, length), dtype=np.uint8)

    assert murmur2(keys).tolist() == [of_the_client(k.tobytes()) & 0x7FFFFFFF for k in keys]


@pytest.mark.parametrize("gcj02", [0.0, 1.0])
@pytest.mark.parametrize("per_upload", [1, 10])
def test_who_crosses_is_told_of_twice_in_ten_minutes_and_nobody_else_is(
    zones: ZoneIndex, per_upload: int, gcj02: float
) -> None:
    crowd = Crowd(PEOPLE, zones, crossing=0.05, gcj02=gcj02)
    replay = Replay(Intake(zones), rules_from(Settings()))
    everybody = np.arange(PEOPLE)
    told = []
    for end_s in range(NINE_S, NINE_S + 40 * 60, 60 * per_upload):
        lines = crowd.uploads(
            everybody,
            np.full(PEOPLE, end_s),
            received_s=end_s,
            per_upload=per_upload,
            every_s=60,
        )
        told += list(replay.feed(Raw(line, "load") for line in lines))

    crossing = {f"SZ-{who:07d}" for who in np.flatnonzero(crowd.crossing).tolist()}
    assert len(crossing) == PEOPLE * 0.05
    assert {alert["subject"] for alert in told} == crossing
    assert {alert["data"]["kind"] for alert in told} == {"leave_city"}
    phases = Counter(alert["data"]["phase"] for alert in told)
    assert 3 * len(crossing) <= phases["opened"] <= 5 * len(crossing)
    assert not replay.rejections


def test_a_bare_consumer_counts_what_was_filled(kafka: str, zones: ZoneIndex) -> None:
    filled = filled_topic(kafka, Crowd(PEOPLE, zones))
    program = Path(__file__).with_name("peers.py")
    command = [sys.executable, str(program), "bare", "--kafka", kafka, "--group", "bare"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as peer, Meter([peer.pid]) as meter:
        assert peer.stdout is not None
        done = 0
        while done < filled.messages:
            done = json.loads(peer.stdout.readline())["done"]
        peer.terminate()
        peer.stdout.read()

    assert done == filled.messages
    assert peer.returncode == 0
    assert meter.peak_mb[peer.pid] > 10


def test_a_pace_is_kept_and_its_crossings_are_dated(kafka: str, zones: ZoneIndex) -> None:
    begin = time.time()
    sent, crossings = pace(kafka, Crowd(PEOPLE, zones, crossing=0.5), rate=200, seconds=2)
    end = time.time()

    assert len(everything(kafka, sent)) == sent <= 400
    assert crossings
    assert all(who % 2 == 0 for who, _, _ in crossings)
    assert all(begin <= at <= end and fix_s <= at for _, fix_s, at in crossings)


def test_latency_counts_from_the_upload_that_brought_the_deciding_fix() -> None:

    sent = [(7, 100, 100.5), (7, 160, 160.5), (8, 100, 100.25)]
    seen = [
        Seen(161.0, "SZ-0000007", "leave_city", "opened", 150.0),
        Seen(101.0, "SZ-0000008", "leave_city", "closed", 100.0),
        Seen(102.0, "SZ-0000008", "lost_contact", "opened", 100.0),
        Seen(103.0, "SZ-0000009", "leave_city", "opened", 100.0),
    ]

    assert latencies_s(sent, seen) == [0.5, 0.75]


def test_a_pace_is_that_of_the_middle_of_a_course() -> None:
    course = [(0.0, 0), (10.0, 1), (11.0, 100), (12.0, 200), (20.0, 1000)]

    found = pace_of(course, 1000)

    assert found is not None
    assert found.messages == 900
    assert found.per_s == pytest.approx(900 / 9.0, rel=0.02)
    assert pace_of(course[:3], 1000) is None


def test_times_are_written_and_read_as_alerts_and_devices_write_them() -> None:
    assert text_of(NINE_S) == b"2024-02-13T09:00:00+08:00"
    assert seconds("2024-02-13T01:00:00Z") == NINE_S
