"""Canaries through a real Kafka: sent, missed while nobody judges, and heard again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from realkafka import create_topics, forget_topics

from geomon.decoding import decode
from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.errors import UnavailableError
from geomon.events import Canary
from geomon.operations.canary import canary_event
from geomon.operations.metrics import Metrics
from geomon.operations.patrol import Patrol
from geomon.operations.probe import Probe
from geomon.settings import Settings
from geomon.topics import EVENTS
from geomon.wallclock import now_s

PATIENCE_S = 60.0
LAST_SEEN = "geomon_canary_last_seen_timestamp_seconds"


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 3 * PATIENCE_S))


async def eventually(true: Callable[[], Any]) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while not true():
        assert asyncio.get_running_loop().time() < end, "it never came about"
        await asyncio.sleep(0.02)


async def make_events(kafka: KafkaCluster, *, stamped_by: str = "LogAppendTime") -> None:
    await forget_topics(kafka.bootstrap)
    config = {"message.timestamp.type": stamped_by}
    await create_topics(kafka.bootstrap, {EVENTS: 2}, settings=config)


async def judge(patrol: Patrol, consumer: Any) -> None:
    """Do what a worker does with the canaries it meets."""
    async for message in consumer:
        event, _ = decode(message.value)
        assert isinstance(event, Canary)
        assert event.received is not None
        patrol.seen(message.partition, event.received)


def test_silence_is_an_alarm_until_somebody_judges_again(
    kafka: KafkaCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geomon.canary")

    def told() -> list[tuple[int, str]]:
        return [
            (record.levelno, record.getMessage())
            for record in caplog.records
            if record.name == "geomon.canary" and record.levelno != logging.WARNING
        ]

    async def main() -> None:
        await make_events(kafka)
        with EmbeddedRedis() as server:
            settings = Settings(
                kafka=kafka.bootstrap, redis=server.url, canary_s=0.1, canary_silence_s=1.0
            )
            metrics = Metrics()
            patrol = Patrol(settings, metrics)
            assert not patrol.knows_the_time
            walk = asyncio.create_task(patrol.run(lambda: [0, 1]))
            consumer = AIOKafkaConsumer(EVENTS, bootstrap_servers=kafka.bootstrap)
            try:
                await eventually(lambda: patrol.knows_the_time)
                await eventually(lambda: len(patrol.canaries.silent()) == 2)
                await eventually(told)
                ((level, alarm),) = told()
                assert level == logging.ERROR
                assert "through partitions 0, 1" in alarm
                await consumer.start()
                judging = asyncio.create_task(judge(patrol, consumer))
                await eventually(lambda: not patrol.canaries.silent())
                await eventually(lambda: len(told()) == 2)
                assert "again" in told()[1][1]
                await eventually(lambda: metrics.value("geomon_canary_round_trip_seconds"))
                patrol.tell()
                for partition in ("0", "1"):
                    seen_s = metrics.value(LAST_SEEN, partition)
                    assert seen_s is not None
                    assert now_s() - 5 < seen_s <= now_s()
                skew_s = metrics.value("geomon_clock_skew_seconds")
                assert skew_s is not None
                assert abs(skew_s) < 5
                judging.cancel()
                with suppress(asyncio.CancelledError):
                    await judging
            finally:
                walk.cancel()
                with suppress(asyncio.CancelledError):
                    await walk
                await consumer.stop()
                await patrol.close()

    run(main)


def test_a_topic_that_keeps_the_senders_time_says_nothing_of_the_brokers(
    kafka: KafkaCluster,
) -> None:
    async def main() -> None:
        await make_events(kafka, stamped_by="CreateTime")
        async with Probe(kafka.bootstrap) as probe:
            flight = await probe.send(1, canary_event(1, now_s()))
            assert (flight.partition, flight.broker_s) == (1, None)
            assert flight.acknowledged_s >= flight.sent_s
            assert await probe.leaders() == {1: 0}
            with pytest.raises(UnavailableError):
                await probe.send(7, canary_event(7, now_s()))

    run(main)


def test_no_canaries_are_sent_while_a_recording_is_judged(kafka: KafkaCluster) -> None:
    settings = Settings(kafka=kafka.bootstrap, clock="recording")

    async def main() -> None:
        patrol = Patrol(settings, Metrics())
        try:
            await asyncio.wait_for(patrol.run(lambda: [0]), 10)  # it has nothing to do, and ends
            assert patrol.knows_the_time
            assert abs(patrol.time_s() - now_s()) < 5
        finally:
            await patrol.close()

    run(main)


def test_a_kafka_that_is_away_is_tried_again_and_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geomon.operations.patrol._PAUSE_S", 0.05)
    tried = 0
    right = Probe.__aenter__

    async def counted(probe: Probe) -> Probe:
        nonlocal tried
        tried += 1
        return await right(probe)

    monkeypatch.setattr(Probe, "__aenter__", counted)

    async def main() -> None:
        patrol = Patrol(Settings(kafka="127.0.0.1:1"), Metrics())
        walk = asyncio.create_task(patrol.run(lambda: [0]))
        try:
            await eventually(lambda: tried >= 3)
            assert not patrol.knows_the_time
        finally:
            walk.cancel()
            with suppress(asyncio.CancelledError):
                await walk
            await patrol.close()

    run(main)
    told = [record for record in caplog.records if record.name == "geomon.canary"]
    assert len(told) == 1
    assert "127.0.0.1:1" in told[0].getMessage()


def test_where_canaries_are_refused_deadlines_fall_due_all_the_same(kafka: KafkaCluster) -> None:
    """By this machine's clock then, after some patience: there is no other."""

    async def main() -> None:
        await make_events(kafka)
        settings = Settings(kafka=kafka.bootstrap, canary_s=0.1, canary_silence_s=3.0)
        patrol = Patrol(settings, Metrics())
        walk = asyncio.create_task(patrol.run(lambda: [7]))  # there is no such partition
        try:
            await eventually(patrol.canaries.ages_s)
            assert not patrol.knows_the_time
            await eventually(lambda: patrol.knows_the_time)
            assert patrol.clock.brokers_now_s() is None
            await eventually(patrol.canaries.silent)
        finally:
            walk.cancel()
            with suppress(asyncio.CancelledError):
                await walk
            await patrol.close()

    run(main)
