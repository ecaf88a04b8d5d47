"""`geomon restore`: a Redis that lost everything, filled again from real Kafka."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest
import redis
from aiokafka import AIOKafkaProducer
from realkafka import create_topics, forget_topics

from geomon.cases import CASES, recording_path
from geomon.decoding import decode
from geomon.embedded.house import embedded_worker
from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.intake import Intake, Raw
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.sinks.events import stream_events
from geomon.sinks.redis import RedisSink, log_key
from geomon.sinks.restore import Restored, restore
from geomon.topics import ALERTS, EVENTS, REJECTED, changelog_of
from geomon.zones.index import ZoneIndex

Alert = dict[str, Any]
PATIENCE_S = 60.0
PARTITIONS = 3
MONDAY, TUESDAY = "2024-02-12", "2024-02-13"


@pytest.fixture
def alerts_topic(kafka: KafkaCluster) -> str:
    """Where Kafka is: an empty topic of alerts, and no other."""
    asyncio.run(forget_topics(kafka.bootstrap))
    asyncio.run(create_topics(kafka.bootstrap, {ALERTS: PARTITIONS}))
    return kafka.bootstrap


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running


def alert(
    person: str, number: int, phase: str = "updated", *, at: str = "10:00", since: str = "09:30"
) -> Alert:
    episode = f"{person}/leave_city/{TUESDAY}T{since}:00Z"
    return {
        "specversion": "1.0",
        "id": f"{episode}#{number}",
        "source": "/geomon",
        "type": f"geomon.alert.{phase}",
        "subject": person,
        "time": f"{TUESDAY}T{at}:00Z",
        "data": {
            "episode": episode,
            "kind": "leave_city",
            "phase": phase,
            "district": "440303",
            "since": f"{TUESDAY}T{since}:00Z",
        },
    }


async def write(kafka: str, messages: Iterable[tuple[int, Alert | bytes, int | None]]) -> None:
    """Write alerts, or bytes that are none, to partitions; a time (ms) where one is given."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        for partition, message, time_ms in messages:
            value = message if isinstance(message, bytes) else msgspec.json.encode(message)
            await producer.send_and_wait(ALERTS, value, partition=partition, timestamp_ms=time_ms)
    finally:
        await producer.stop()


def told(kafka: str, *messages: tuple[int, Alert | bytes]) -> None:
    asyncio.run(write(kafka, [(*message, None) for message in messages]))


def geomon_restore(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geomon", "restore", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def restored(kafka: str, url: str, *words: str) -> dict[str, int]:
    done = geomon_restore("--json", "--kafka", kafka, "--redis", url, *words)
    assert done.returncode == 0, done.stderr
    row: dict[str, int] = msgspec.json.decode(done.stdout)
    return row


def logged(url: str) -> list[Alert]:
    with redis.Redis.from_url(url) as client:
        entries: Any = client.xrange(log_key())
    return [msgspec.json.decode(fields[b"event"]) for _, fields in entries]


def hashes(url: str) -> dict[str, dict[bytes, bytes]]:
    """What is open of each person, and what is remembered as delivered."""
    with redis.Redis.from_url(url) as client:
        keys: Any = client.keys("*")
        names = sorted(key.decode() for key in keys if key.decode() != log_key())
        found: Any = {name: client.hgetall(name) for name in names}
    return dict(found)


def of_each(alerts: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The ids of each person in their order."""
    ids: dict[str, list[str]] = {}
    for one in alerts:
        ids.setdefault(one["subject"], []).append(one["id"])
    return ids


# -- a worker's alerts -------------------------------------------------------------------------


def lines_of(*cases: str) -> list[Raw]:
    lines: list[Raw] = []
    for case in cases:
        with open_recording(str(recording_path(case))) as stream:
            lines += read_recording(stream, case)
    return lines


def replayed(zones: ZoneIndex, lines: Sequence[Raw]) -> list[Alert]:
    replay = Replay(Intake(zones), rules_from(Settings()))
    return [*replay.feed(lines), *replay.finish()]


def hashes_after(alerts: Sequence[Alert]) -> dict[str, dict[bytes, bytes]]:
    """What a Redis has that never lost anything."""

    async def deliver(url: str) -> None:
        sink = RedisSink(url)
        try:
            await sink.deliver(alerts)
        finally:
            await sink.close()

    with EmbeddedRedis() as whole:
        asyncio.run(deliver(whole.url))
        return hashes(whole.url)


@pytest.fixture
def settings(kafka: KafkaCluster, server: EmbeddedRedis) -> Iterator[Settings]:
    """A worker's, with its topics and a Redis; recordings are judged in the time they are of."""
    asyncio.run(forget_topics(kafka.bootstrap))
    topics = dict.fromkeys((EVENTS, ALERTS, changelog_of("geomon")), PARTITIONS)
    asyncio.run(create_topics(kafka.bootstrap, {**topics, REJECTED: 1}))
    with tempfile.TemporaryDirectory(prefix="geomon-") as folder:
        yield replace(
            Settings(clock="recording"),
            kafka=kafka.bootstrap,
            redis=server.url,
            data_dir=folder,
            web="",
            canary_s=0.0,
        )


async def send(settings: Settings, lines: Iterable[Raw]) -> None:
    """Send events as they are recorded; nobody's time goes on behind the last."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    await producer.start()
    try:
        for raw in lines:
            key = decode(raw.data)[0].supervisee_id.encode()
            await producer.send(EVENTS, raw.data, key=key)
        await producer.flush()
    finally:
        await producer.stop()


async def send_to_its_end(settings: Settings, lines: Iterable[Raw]) -> None:
    """Send events, and then everybody's clock, so that deadlines after the last of them fire."""

    def refuse(rejected: object) -> None:
        pytest.fail(f"refused before it was sent: {rejected}")

    await stream_events(
        lines, settings.kafka, until_s=0, settle_s=settings.settle_s, on_rejected=refuse
    )


async def until_logged(url: str, ids: set[str]) -> None:
    """Wait until the log has these."""
    end_s = asyncio.get_running_loop().time() + PATIENCE_S
    while missing := ids - {one["id"] for one in await asyncio.to_thread(logged, url)}:
        if asyncio.get_running_loop().time() > end_s:
            pytest.fail(f"not told after {PATIENCE_S:.0f} s: {sorted(missing)}")
        await asyncio.sleep(0.05)


def unexpected(where: str, trouble: str) -> None:
    pytest.fail(f"{where}: {trouble}")


def test_a_new_redis_gets_what_the_lost_one_had(settings: Settings, zones: ZoneIndex) -> None:
    """The log in each person's order, what is open, and the memory of what was delivered."""
    # Each without its end, so that something is open where the topic ends.
    cases = [lines_of(case) for case in CASES]
    lines = [raw for case in cases for raw in case[: len(case) * 2 // 3]]
    alerts = replayed(zones, lines)

    async def tell() -> None:
        async with embedded_worker(settings, zones):
            await send_to_its_end(settings, lines)
            await until_logged(settings.redis, {one["id"] for one in alerts})

    asyncio.run(asyncio.wait_for(tell(), 3 * PATIENCE_S))
    log, before = logged(settings.redis), hashes(settings.redis)
    assert [name for name in before if name.startswith("geomon:open:")]
    assert len(log) > 10

    with EmbeddedRedis() as new, redis.Redis.from_url(new.url, decode_responses=True) as client:
        with client.pubsub(ignore_subscribe_messages=True) as screens:
            screens.psubscribe("*")
            assert screens.get_message(timeout=5.0) is None  # that it listens
            row = restored(settings.kafka, new.url)
            client.publish("end", "nothing before this")
            rung = screens.get_message(timeout=60)
        assert rung is not None
        assert rung["channel"] == "end", "an old alert rang"
        assert row.pop("open") == sum(
            len(kinds) for name, kinds in before.items() if name.startswith("geomon:open:")
        )
        assert row == {"read": len(log), "logged": len(log), "already_there": 0, "unreadable": 0}
        assert of_each(logged(new.url)) == of_each(log)
        assert {msgspec.json.encode(one) for one in logged(new.url)} == {
            msgspec.json.encode(one) for one in log
        }
        assert hashes(new.url) == before
        entries: Any = client.xrange(log_key())
        assert {fields["restored"] for _, fields in entries} == {"1"}

        again = restored(settings.kafka, new.url)
        assert (again["logged"], again["already_there"]) == (0, len(log))
        assert client.xrange(log_key()) == entries
        assert hashes(new.url) == before


def test_workers_go_on_while_it_is_restored(settings: Settings, zones: ZoneIndex) -> None:
    """Redis loses everything between two alerts; the worker notices nothing."""
    cases = [lines_of(case) for case in CASES]
    first = [raw for lines in cases for raw in lines[: len(lines) // 2]]
    rest = [raw for lines in cases for raw in lines[len(lines) // 2 :]]
    alerts = replayed(zones, [*first, *rest])
    ids = {one["id"] for one in alerts}
    replay = Replay(Intake(zones), rules_from(settings))
    before = {one["id"] for one in replay.feed(first)}
    assert before < ids
    rounds: list[Restored] = []

    async def main() -> None:
        async with embedded_worker(settings, zones):
            await send(settings, first)
            await until_logged(settings.redis, before)
            with redis.Redis.from_url(settings.redis) as client:
                client.flushall()
            sending = asyncio.ensure_future(send_to_its_end(settings, rest))
            end_s = asyncio.get_running_loop().time() + PATIENCE_S
            while missing := ids - {one["id"] for one in logged(settings.redis)}:
                if asyncio.get_running_loop().time() > end_s:
                    pytest.fail(f"neither told nor restored: {sorted(missing)}")
                rounds.append(
                    await restore(settings.kafka, settings.redis, on_unreadable=unexpected)
                )
            await sending

    asyncio.run(asyncio.wait_for(main(), 3 * PATIENCE_S))
    assert sum(one.logged for one in rounds) >= len(before)
    found = Counter(one["id"] for one in logged(settings.redis))
    assert set(found) == ids
    assert set(found.values()) == {1}
    assert hashes(settings.redis) == hashes_after(alerts)


# -- order, repeats, what is open --------------------------------------------------------------


def test_between_people_the_alerts_times_decide_and_within_one_the_topic(
    alerts_topic: str, server: EmbeddedRedis
) -> None:
    first, second = alert("SZ-1", 1, "opened", at="10:00"), alert("SZ-1", 2, at="10:20")
    # Told later of an earlier time: it stays where it was.
    third = alert("SZ-1", 3, "closed", at="10:10")
    other, last = alert("SZ-2", 1, "opened", at="10:05"), alert("SZ-2", 2, at="10:30")
    third_person = alert("SZ-3", 1, "opened", at="09:50")
    told(
        alerts_topic,
        *[(0, one) for one in (first, second, third)],
        *[(1, one) for one in (other, last)],
        (2, third_person),
    )
    restored(alerts_topic, server.url)
    ids = [one["id"] for one in logged(server.url)]
    order = (third_person, first, other, second, third, last)
    assert ids == [one["id"] for one in order]


def test_an_id_that_stands_in_the_topic_twice_counts_once(
    alerts_topic: str, server: EmbeddedRedis
) -> None:
    """A worker that crashed before its states were written tells the same once more."""
    three = [alert("SZ-1", 1, "opened"), alert("SZ-1", 2), alert("SZ-1", 3, "closed")]
    told(alerts_topic, *[(0, one) for one in (*three[:2], *three)])
    row = restored(alerts_topic, server.url)
    assert row == {"read": 5, "logged": 3, "already_there": 2, "unreadable": 0, "open": 0}
    assert [one["id"] for one in logged(server.url)] == [one["id"] for one in three]
    assert "geomon:open:SZ-1" not in hashes(server.url)


def test_what_redis_still_has_stays_as_it_is(alerts_topic: str, server: EmbeddedRedis) -> None:
    """A snapshot of last night: it lacks the day since, and what was open then is over."""
    night = [alert("SZ-1", 1, "opened"), alert("SZ-2", 1, "opened")]
    day = [alert("SZ-1", 2, "closed"), alert("SZ-3", 1, "opened")]

    async def deliver() -> None:
        sink = RedisSink(server.url)
        try:
            await sink.deliver(night)
        finally:
            await sink.close()

    asyncio.run(deliver())
    told(alerts_topic, *[(0, one) for one in (*night, *day)])
    assert restored(alerts_topic, server.url)["logged"] == 2
    assert [one["id"] for one in logged(server.url)] == [one["id"] for one in (*night, *day)]
    assert hashes(server.url) == hashes_after([*night, *day])


def test_an_episode_that_ended_meanwhile_is_not_opened_again(
    alerts_topic: str, server: EmbeddedRedis
) -> None:
    """A worker told its end, and of the next one, to a Redis that knew neither."""
    past = [alert("SZ-1", 1, "opened"), alert("SZ-1", 2)]
    told(alerts_topic, *[(0, one) for one in past])
    news = [alert("SZ-1", 3, "closed"), alert("SZ-1", 1, "opened", since="08:00", at="11:00")]

    async def deliver() -> None:
        sink = RedisSink(server.url)
        try:
            await sink.deliver(news)
        finally:
            await sink.close()

    asyncio.run(deliver())
    assert restored(alerts_topic, server.url)["logged"] == 2
    assert hashes(server.url) == hashes_after([*past, *news])
    assert [one["id"] for one in logged(server.url)] == [one["id"] for one in (*news, *past)]


def test_a_long_episode_is_restored_whole_after_its_newest_number(
    alerts_topic: str, server: EmbeddedRedis
) -> None:
    past = [alert("SZ-1", 1, "opened"), *[alert("SZ-1", number) for number in range(2, 151)]]
    told(alerts_topic, *[(0, one) for one in past])

    async def deliver() -> None:
        sink = RedisSink(server.url)
        try:
            await sink.deliver([alert("SZ-1", 151)])
        finally:
            await sink.close()

    asyncio.run(deliver())
    row = restored(alerts_topic, server.url)
    assert (row["logged"], row["open"]) == (150, 1)
    assert hashes(server.url) == hashes_after([*past, alert("SZ-1", 151)])


def test_since_leaves_out_what_kafka_had_before(alerts_topic: str, server: EmbeddedRedis) -> None:
    def ms(day: str) -> int:
        return int(datetime.fromisoformat(f"{day}T04:00:00+00:00").timestamp() * 1000)

    old, new = alert("SZ-1", 1, "opened"), alert("SZ-1", 2)
    asyncio.run(write(alerts_topic, [(0, old, ms(MONDAY)), (0, new, ms(TUESDAY))]))
    row = restored(alerts_topic, server.url, "--since", TUESDAY)
    assert (row["read"], row["logged"], row["open"]) == (1, 1, 1)
    assert [one["id"] for one in logged(server.url)] == [new["id"]]
    # The earlier ones can still be put back.
    assert restored(alerts_topic, server.url)["logged"] == 1
    assert restored(alerts_topic, server.url, "--since", "2030-01-01")["read"] == 0


# -- what cannot be read, what is not there -----------------------------------------------------


def test_what_is_no_alert_is_told_and_counted_and_the_rest_restored(
    alerts_topic: str, server: EmbeddedRedis
) -> None:
    good = alert("SZ-1", 1, "opened")
    foreign = {**good, "id": "SZ-1/leave_city/other#1"}
    naive = {**good, "time": "2024-02-13T10:00:00"}
    without = {name: value for name, value in good.items() if name != "subject"}
    broken: list[Alert | bytes] = [b"", b"\xff", b"{", b"[]", foreign, naive, without]
    told(alerts_topic, *[(0, one) for one in (*broken, good)])
    done = geomon_restore("--json", "--kafka", alerts_topic, "--redis", server.url)
    assert done.returncode == 0
    row = msgspec.json.decode(done.stdout)
    assert (row["read"], row["logged"], row["unreadable"]) == (8, 1, 7)
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"{ALERTS}/0/{n}" for n in range(7)]
    assert "SZ-1" not in done.stderr


def test_an_empty_topic_restores_nothing(alerts_topic: str, server: EmbeddedRedis) -> None:
    done = geomon_restore("--kafka", alerts_topic, "--redis", server.url)
    assert done.returncode == 0
    assert done.stdout.split() == [
        *("read", "logged", "already_there", "unreadable", "open"),
        *("0", "0", "0", "0", "0"),
    ]


def fails(kafka: str, url: str) -> str:
    done = geomon_restore("--kafka", kafka, "--redis", url)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


def test_what_is_not_there_is_one_line(kafka: KafkaCluster, server: EmbeddedRedis) -> None:
    asyncio.run(forget_topics(kafka.bootstrap))
    assert f"has no topic {ALERTS}" in fails(kafka.bootstrap, server.url)
    assert "Kafka at 127.0.0.1:1" in fails("127.0.0.1:1", server.url)
    assert "Redis unix:///nowhere/redis.sock" in fails(
        kafka.bootstrap, "unix:///nowhere/redis.sock"
    )


def test_a_redis_that_takes_nothing_ends_it_in_one_line_and_loses_nothing(
    alerts_topic: str, server: EmbeddedRedis
) -> None:
    past = [alert("SZ-1", 1, "opened"), alert("SZ-1", 2)]
    told(alerts_topic, *[(0, one) for one in past])
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        assert "raise maxmemory" in fails(alerts_topic, server.url)
        client.config_set("maxmemory", "0")
    assert restored(alerts_topic, server.url)["logged"] == 2
    assert hashes(server.url) == hashes_after(past)
