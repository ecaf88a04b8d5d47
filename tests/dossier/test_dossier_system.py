"""The dossier from a running system: the Faust worker, a broker and a Redis, and either away."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result
from oneperson import DONGGUAN, WHO, moment, raw, supervised, uploads
from redis.asyncio import Redis

from geomon.cli import cli
from geomon.dossier.sources import events_in_topic, partition_of
from geomon.embedded.broker import EmbeddedBroker
from geomon.embedded.house import PARTITIONS, embedded_parts, embedded_worker
from geomon.errors import UnavailableError
from geomon.intake import Intake
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.sinks.redis import RedisSink, log_key
from geomon.topics import EVENTS
from geomon.zones.index import ZoneIndex

PATIENCE_S = 60.0
RECORDING = Settings(clock="recording")

#: A morning at home, an hour in Dongguan, home again; and then away once more.
FIRST = [
    supervised("01-01 00:00"),
    *uploads("02-01 06:00", "02-01 10:00", every_min=10),
    *uploads("02-01 10:00", "02-01 11:00", DONGGUAN, every_min=10),
    *uploads("02-01 11:00", "02-01 13:00", every_min=10),
]
AGAIN = uploads("02-01 13:00", "02-01 14:00", DONGGUAN, every_min=10)


@pytest.fixture(autouse=True)
def _setup(zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomon.cli.dossier.zones_for", lambda *_, **__: zones)
    # The alerts of a recording, whatever the day is on which the test runs.
    monkeypatch.setenv("GEOMON_CLOCK", "recording")


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 3 * PATIENCE_S))


def unused_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def nowhere() -> str:
    return f"127.0.0.1:{unused_port()}"


def call(settings: Settings, *arguments: str, who: str = WHO) -> Result:
    parts = ("--kafka", settings.kafka, "--redis", settings.redis)
    return CliRunner().invoke(cli, ["dossier", who, *parts, *arguments])


async def asked(settings: Settings, *arguments: str, who: str = WHO) -> list[dict[str, Any]]:
    """Ask for the dossier as its own program does, beside this loop."""
    result = await asyncio.to_thread(call, settings, "--json", *arguments, who=who)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def of(rows: Iterable[dict[str, Any]], section: str, *fields: str) -> list[Any]:
    found = [[row[name] for name in fields] for row in rows if row["section"] == section]
    return [row[0] for row in found] if len(fields) == 1 else found


@asynccontextmanager
async def producer_of(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, max_request_size=4 << 20)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(
    settings: Settings, events: Iterable[dict[str, Any]], partition: int | None = None
) -> None:
    async with producer_of(settings) as producer:
        for event in events:
            await producer.send(EVENTS, raw(event).data, key=WHO.encode(), partition=partition)
        await producer.flush()


async def put_on_record(settings: Settings, alert: dict[str, Any]) -> None:
    sink = RedisSink(settings.redis)
    try:
        await sink.deliver([alert])
    finally:
        await sink.close()


def judged_here(zones: ZoneIndex, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    replay = Replay(Intake(zones), rules_from(RECORDING))
    return [*replay.feed(raw(event) for event in events), *replay.finish()]


def test_what_the_worker_told_is_on_record_and_the_rest_is_marked(zones: ZoneIndex) -> None:
    told = [a["id"] for a in judged_here(zones, FIRST)]
    everything = [a["id"] for a in judged_here(zones, FIRST + AGAIN)]
    assert told == everything[: len(told)] != everything

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            await send(settings, FIRST)
            async with embedded_worker(settings, zones) as worker:
                while worker.counts["events"] < len(FIRST):
                    await asyncio.sleep(0.05)
            rows = await asked(settings)
            assert of(rows, "alert", "id", "record") == [[name, "on_record"] for name in told]
            assert of(rows, "person", "sources") == [
                [
                    f"log of alerts in Redis {settings.redis}",
                    f"topic {EVENTS}/{partition_of(WHO, range(PARTITIONS))}",
                ]
            ]
            # No worker runs: what comes now is judged here alone.
            await send(settings, AGAIN)
            stray = json.loads(msgspec.json.encode(judged_here(zones, FIRST)[0]))
            episode = f"{WHO}/curfew/2024-02-01T01:00:00Z"
            stray |= {"id": f"{episode}#1"}
            stray["data"] |= {"episode": episode, "kind": "curfew", "since": "2024-02-01T01:00:00Z"}
            await put_on_record(settings, stray)
            marks = dict(of(await asked(settings), "alert", "id", "record"))
            assert marks.pop(stray["id"]) == "not_reproduced"
            assert list(marks) == everything
            assert {name for name, mark in marks.items() if mark == "on_record"} == set(told)
            assert {name for name, mark in marks.items() if mark == "not_delivered"} == (
                set(everything) - set(told)
            )

    run(main)


def test_what_is_away_is_said_in_a_line_and_the_rest_is_shown(zones: ZoneIndex) -> None:
    alerts = judged_here(zones, FIRST)

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            await send(settings, FIRST)
            await put_on_record(settings, alerts[0])

            no_redis = replace(settings, redis=f"redis://{nowhere()}/0")
            result = await asyncio.to_thread(call, no_redis, "--json")
            assert result.exit_code == 0, result.output
            (line,) = result.stderr.splitlines()
            assert line.startswith("Redis redis://127.0.0.1")
            assert line.endswith("alerts are shown as they are judged here")
            rows = [json.loads(line) for line in result.stdout.splitlines()]
            assert of(rows, "alert", "id", "record") == [[a["id"], None] for a in alerts]

            no_kafka = replace(settings, kafka=nowhere())
            result = await asyncio.to_thread(call, no_kafka, "--json")
            assert result.exit_code == 0, result.output
            (line,) = result.stderr.splitlines()
            assert line.startswith("Kafka at 127.0.0.1")
            assert line.endswith("only the alerts on record are shown")
            rows = [json.loads(line) for line in result.stdout.splitlines()]
            assert of(rows, "alert", "id", "record") == [[alerts[0]["id"], "on_record"]]

            neither = replace(no_redis, kafka=no_kafka.kafka)
            result = await asyncio.to_thread(call, neither)
            assert (result.exit_code, result.stdout) == (1, "")
            assert str(result.exception).count("\n") == 0
            assert "Redis" in str(result.exception)
            assert "Kafka" in str(result.exception)

            stranger = await asyncio.to_thread(call, settings, who="SZ-9999")
            assert stranger.exit_code == 1
            assert str(stranger.exception).startswith("nothing is known of SZ-9999 in")

    run(main)


def test_a_log_entry_that_is_no_alert_is_left_out_and_told(zones: ZoneIndex) -> None:
    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            await send(settings, FIRST)
            async with Redis.from_url(settings.redis) as redis:
                await redis.xadd(log_key(), {"subject": WHO, "event": "{}"})
            result = await asyncio.to_thread(call, settings, "--json")
            assert result.exit_code == 0, result.output
            assert result.stderr == "left out: 1 entries of the log that are no alerts\n"

    run(main)


def test_by_default_time_has_come_to_now(zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the worker's own clock: the silence since is lost contact long ago."""
    monkeypatch.setenv("GEOMON_CLOCK", "wall")
    monkeypatch.setattr("geomon.cli.dossier.now_s", lambda: float(moment("02-03 12:00")))

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            await send(settings, FIRST)
            rows = await asked(settings)
            assert of(rows, "person", "until") == ["2024-02-03T04:00:00Z"]
            assert ["lost_contact", "open"] in of(rows, "episode", "kind", "state")
            then = await asked(settings, "--until", "2024-02-01T10:30:00+08:00")
            assert ["leave_city", "open"] in of(then, "episode", "kind", "state")

    run(main)


def test_events_that_another_partitioner_put_elsewhere_are_found(zones: ZoneIndex) -> None:
    usual = partition_of(WHO, range(PARTITIONS))
    other = (usual + 1) % PARTITIONS

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            await send(settings, FIRST, partition=other)
            assert f"topic {EVENTS}/{other}" in of(await asked(settings), "person", "sources")[0]

    run(main)


def test_the_partition_is_the_one_that_producers_choose() -> None:
    async def main() -> None:
        with EmbeddedBroker({EVENTS: 7}) as broker:
            async with producer_of(replace(RECORDING, kafka=broker.bootstrap)) as producer:
                for number in range(40):
                    name = f"SZ-{number:04}"
                    sent = await producer.send_and_wait(EVENTS, b"x", key=name.encode())
                    assert sent.partition == partition_of(name, range(7))

    run(main)


def test_a_broker_without_the_topic_is_asked_for_it_without_making_it() -> None:
    with EmbeddedBroker({"another": 1}) as broker:
        for _ in range(2):
            with pytest.raises(UnavailableError, match=f"has no topic {EVENTS}"):
                events_in_topic(WHO, broker.bootstrap)


def test_what_the_topic_no_longer_holds_is_said(zones: ZoneIndex) -> None:
    """The embedded broker keeps the newest 5 MB of a partition: others' messages push it out."""
    alerts = judged_here(zones, FIRST)
    usual = partition_of(WHO, range(PARTITIONS))

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            await put_on_record(settings, alerts[0])
            await send(settings, FIRST)
            async with producer_of(settings) as producer:
                for _ in range(8):
                    filler = b"x" * (900 << 10)
                    await producer.send_and_wait(EVENTS, filler, key=b"SZ-2", partition=usual)
            await send(settings, AGAIN)
            result = await asyncio.to_thread(call, settings, "--json")
            assert result.exit_code == 0, result.output
            (line,) = result.stderr.splitlines()
            assert line.startswith(f"{EVENTS} holds nothing from before 20")
            rows = [json.loads(line) for line in result.stdout.splitlines()]
            assert of(rows, "person", "events") == [len(AGAIN)]
            marks = dict(of(rows, "alert", "id", "record"))
            assert marks[alerts[0]["id"]] == "beyond_retention"

    run(main)
