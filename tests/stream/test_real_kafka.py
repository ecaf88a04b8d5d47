"""The main job on real Apache Kafka, in each version that is said to work."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
import pytest
from mainjob import (
    RECORDING,
    judged,
    judged_in_turn,
    lines_of,
    log_of,
    replayed,
    run,
    send,
    topic_of,
)
from realkafka import NEWEST, OLDER, forget_topics, real_kafka

from geomon.cases import CASES
from geomon.cluster import Cluster
from geomon.embedded.house import PARTITIONS, embedded_worker
from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.settings import Settings
from geomon.topics import ALERTS, differences, wanted
from geomon.zones.index import ZoneIndex


@pytest.fixture(scope="module", params=[NEWEST, OLDER])
def cluster(request: pytest.FixtureRequest) -> Iterator[KafkaCluster]:
    with real_kafka(version=request.param) as running:
        yield running


@asynccontextmanager
async def parts_on(cluster: KafkaCluster) -> AsyncIterator[Settings]:
    """Redis, and the topics as `geomon topics create` makes them; the settings with all of it."""
    with tempfile.TemporaryDirectory(prefix="geomon-") as folder, EmbeddedRedis() as redis:
        settings = replace(
            RECORDING,
            kafka=cluster.bootstrap,
            redis=redis.url,
            data_dir=folder,
            partitions=PARTITIONS,
            replication=1,
            session_timeout_s=6.0,
        )
        forms = wanted(settings)
        await forget_topics(cluster.bootstrap)
        async with Cluster(cluster.bootstrap) as asked:
            await asked.make(forms)
            found = await asked.look(form.name for form in forms)
        assert [d for d in differences(forms, found) if d.verdict == "fault"] == []
        yield settings


def test_the_three_cases_come_out_as_in_a_replay(cluster: KafkaCluster, zones: ZoneIndex) -> None:
    lines = lines_of(*CASES)
    alerts = replayed(zones, lines, RECORDING)
    assert alerts

    async def main() -> None:
        async with parts_on(cluster) as settings:
            async with embedded_worker(settings, zones) as worker:
                await judged(worker, await send(settings, lines))
            log = await log_of(settings)
            assert sorted(log, key=msgspec.json.encode) == sorted(alerts, key=msgspec.json.encode)
            for whose in {alert["subject"] for alert in alerts}:
                ids = [alert["id"] for alert in log if alert["subject"] == whose]
                assert ids == [alert["id"] for alert in alerts if alert["subject"] == whose]
            sent = await topic_of(settings, ALERTS, len(alerts))
            assert {alert["id"] for _, alert in sent} == {alert["id"] for alert in alerts}

    run(main)


def test_a_worker_that_takes_over_goes_on_from_what_this_kafka_kept(
    cluster: KafkaCluster, zones: ZoneIndex
) -> None:
    """States by the changelog, and offsets by the group, each written by the worker before."""
    lines = lines_of("C")
    alerts = [alert["id"] for alert in replayed(zones, lines, RECORDING)]
    # The absence was seen by the first worker only.
    back = next(at for at, raw in enumerate(lines) if b'"2024-02-13T12:' in raw.data[:400])

    async def main() -> None:
        async with parts_on(cluster) as settings:
            told = await judged_in_turn(settings, zones, (lines[:back], lines[back:]), len(alerts))
            assert told == alerts

    run(main)
