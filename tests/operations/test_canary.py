"""Canaries told as timelines, their notes in a real Redis, and what they are to everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
import redis

from geomon.decoding import decode
from geomon.embedded.redis import EmbeddedRedis
from geomon.errors import Refusal
from geomon.events import Canary
from geomon.intake import Intake, Raw
from geomon.operations.canary import Canaries, CanaryNotes, canary_event, noted
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

NOON_S = 1_707_796_800.25


class Coop:
    """Canaries of a worker, with the time in a test's hand: every 30 s, silent after 120 s."""

    def __init__(self, every_s: float = 30.0) -> None:
        self.now_s = 1_000.0
        self.canaries = Canaries(every_s, 120.0, steady=lambda: self.now_s)

    def send_what_is_due(self) -> dict[int, datetime]:
        sent = {}
        for partition in self.canaries.due():
            _, _, received = canary_event(partition, NOON_S + self.now_s)
            self.canaries.sent(partition, received)
            sent[partition] = received
        return sent


def test_a_canary_is_due_at_once_and_then_every_so_often() -> None:
    coop = Coop()
    assert coop.canaries.due() == [], "no partition is held yet"
    coop.canaries.hold([3, 1])
    assert coop.canaries.due() == [1, 3]
    coop.now_s += 29
    assert coop.canaries.due() == []
    coop.now_s += 1
    assert coop.canaries.due() == [1, 3]
    coop.canaries.hold([1, 2])
    assert coop.canaries.due() == [2], "the new one at once, the one that left no more"


def test_what_comes_back_has_a_round_trip_and_once_only() -> None:
    coop = Coop()
    coop.canaries.hold([0, 1])
    sent = coop.send_what_is_due()
    coop.now_s += 0.75
    assert coop.canaries.seen(0, sent[0]) == pytest.approx(0.75)
    assert coop.canaries.seen(0, sent[0]) is None, "judged again after a crash"
    coop.now_s += 5
    assert coop.canaries.seen(1, sent[1]) == pytest.approx(5.75)


def test_another_workers_canary_is_a_sign_of_life_without_a_round_trip() -> None:
    coop = Coop()
    coop.canaries.hold([0])
    coop.now_s += 119
    assert coop.canaries.seen(0, datetime.fromtimestamp(NOON_S, timezone.utc)) is None
    coop.now_s += 119
    assert coop.canaries.silent() == []
    assert coop.canaries.seen(7, datetime.fromtimestamp(NOON_S, timezone.utc)) is None
    coop.now_s += 2
    assert [silence.partition for silence in coop.canaries.silent()] == [0]


def test_a_partition_that_falls_silent_is_told_until_a_canary_comes_through() -> None:
    coop = Coop()
    coop.canaries.hold([0, 1])
    for _ in range(5):
        sent = coop.send_what_is_due()
        coop.canaries.seen(1, sent[1])
        assert coop.canaries.silent() == []
        coop.now_s += 30
    (silence,) = coop.canaries.silent()
    assert silence.partition == 0
    assert silence.for_s == pytest.approx(150)
    coop.canaries.seen(0, sent[0])
    assert coop.canaries.silent() == []


def test_a_partition_that_is_held_anew_is_given_its_time() -> None:
    coop = Coop()
    coop.canaries.hold([0])
    coop.now_s += 500
    assert coop.canaries.silent()
    coop.canaries.hold([])
    coop.canaries.hold([0])
    assert coop.canaries.silent() == []


def test_without_canaries_nothing_is_due_and_nothing_silent() -> None:
    coop = Coop(every_s=0)
    coop.canaries.hold([0])
    coop.now_s += 500
    assert coop.canaries.due() == []
    assert coop.canaries.silent() == []


# -- as an event ------------------------------------------------------------------------------


def test_a_canary_is_an_event_of_the_contract() -> None:
    key, value, received = canary_event(5, NOON_S)
    event, refused = decode(value)
    assert isinstance(event, Canary)
    assert not refused
    assert event.supervisee_id.encode() == key == b"geomon-canary-5"
    assert event.received == received


@pytest.mark.parametrize(
    "event",
    [
        {"type": "supervisee", "supervisee_id": "geomon-canary-5"}
        | {"from": "2024-01-01T00:00:00+08:00", "until": "2024-12-31T24:00:00+08:00"},
        {"type": "upload", "supervisee_id": "geomon-canary-"}
        | {"device_id": "d", "device": "phone", "fixes": []},
        {"type": "canary", "supervisee_id": "SZ-0001"},
        {"type": "canary", "supervisee_id": "Geomon-canary-5"},
    ],
)
def test_the_canaries_ids_are_theirs_alone(event: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refusal:
        decode(msgspec.json.encode(event))
    assert refusal.value.reason == "reserved_id"


def test_a_canary_is_nobody(zones: ZoneIndex) -> None:
    """Not among the arrivals, not refused; counted and left out by a replay."""
    key, value, received = canary_event(5, NOON_S)
    heartbeat = {"type": "upload", "supervisee_id": "SZ-1", "device_id": "d", "device": "phone"}
    heard = msgspec.json.encode({**heartbeat, "fixes": [], "received": "2024-02-13T09:00:00Z"})
    intake = Intake(zones)
    arrivals, rejected = intake.take([Raw(value, "test:1", key), Raw(heard, "test:2", b"SZ-1")])
    assert [arrival.supervisee_id for arrival in arrivals] == ["SZ-1"]
    assert rejected == []
    assert [(raw.where, canary.received) for raw, canary in intake.canaries] == [
        ("test:1", received)
    ]

    replay = Replay(Intake(zones), rules_from(Settings()))
    assert list(replay.feed([Raw(value, "test:1"), Raw(heard, "test:2")])) == []
    assert list(replay.feed([Raw(value, "test:3")])) == []
    assert list(replay.finish()) == []
    assert set(replay.people) == {"SZ-1"}
    assert replay.counts["canaries"] == 2
    assert replay.counts["events"] == 3
    assert not replay.rejections


def test_a_canary_under_another_key_is_refused(zones: ZoneIndex) -> None:
    _, value, _ = canary_event(5, NOON_S)
    intake = Intake(zones)
    _, (refusal,) = intake.take([Raw(value, "test:1", b"geomon-canary-6")])
    assert refusal.reason == "key_mismatch"
    assert intake.canaries == []


# -- in Redis ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield client


def note(url: str, *partitions: int, worker: str = "a:1") -> bool:
    async def main() -> bool:
        notes = CanaryNotes(url, worker=worker)
        try:
            sent = datetime.fromtimestamp(NOON_S, timezone.utc)
            return await notes.note([(partition, sent) for partition in partitions], NOON_S + 1)
        finally:
            await notes.close()

    return asyncio.run(main())


def test_a_sighting_is_noted_and_read_again(server: EmbeddedRedis, client: redis.Redis) -> None:
    assert noted(client) == []
    assert note(server.url, 0, 300)
    assert note(server.url, 2, worker="b:2")
    # 300 lies beyond the first partitions asked for; those before it are there.
    found = noted(client)
    assert [(silence.partition, silence.worker) for silence in found] == [
        (0, "a:1"),
        (2, "b:2"),
        (300, "a:1"),
    ]
    assert all(silence.for_s < 60 for silence in found)
    value: Any = client.get("geomon:canary:2")
    assert msgspec.json.decode(value) == {
        "sent": "2024-02-13T04:00:00.250000Z",
        "seen": "2024-02-13T04:00:01.250000Z",
        "worker": "b:2",
    }


def test_how_old_a_sighting_is_does_not_hang_on_the_worker_s_clock(
    server: EmbeddedRedis, client: redis.Redis
) -> None:
    assert note(server.url, 0)  # by a worker whose clock stands in 2024
    left_ms: Any = client.pttl("geomon:canary:0")
    client.pexpire("geomon:canary:0", left_ms - 150_000)  # as if 150 s had passed
    (silence,) = noted(client)
    assert 150 <= silence.for_s < 210


def test_a_redis_that_is_away_costs_nothing_but_the_note() -> None:
    async def main() -> None:
        notes = CanaryNotes("redis://127.0.0.1:1/0")
        try:
            assert not await notes.note([(0, datetime.now(timezone.utc))], NOON_S)
            assert await notes.trouble() is not None
        finally:
            await notes.close()

    asyncio.run(main())


def test_another_program_s_value_at_a_canary_s_key_is_no_worker(
    server: EmbeddedRedis, client: redis.Redis
) -> None:
    client.set("geomon:canary:0", b"chirp", ex=1000)
    client.set("geomon:canary:1", b"chirp")  # does not expire: not one of ours
    assert [(silence.partition, silence.worker) for silence in noted(client)] == [(0, "")]
