"""Real Apache Kafka for tests: skipped with the reason where it cannot be had, but not in CI.

`kafka` (a fixture, in conftest.py) is one broker of the newest version that the tests of one
process share: name topics and consumer groups so that they are the test's own, or begin with
`forget_topics`. `real_kafka` starts a cluster for one test.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.metadata import MetadataRequest

from geomon.embedded.jars import find_java, kafka_jars
from geomon.embedded.kafka import NEWEST, OLDER, KafkaCluster
from geomon.errors import UnavailableError

__all__ = [
    "NEWEST",
    "OLDER",
    "admin_of",
    "create_topics",
    "forget_topics",
    "need_kafka",
    "real_kafka",
]

PATIENCE_S = 60.0


def need_kafka(version: str = NEWEST) -> None:
    """Skip the test, with the reason, where this Kafka cannot be had; with CI=true it fails."""
    try:
        find_java(version)
        kafka_jars(version)
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI these tests run: {error}")
        pytest.skip(str(error))


@contextmanager
def real_kafka(brokers: int = 1, version: str = NEWEST, **options: Any) -> Iterator[KafkaCluster]:
    """Run a cluster of the test's own; `options` are those of `KafkaCluster`."""
    need_kafka(version)
    # From here on a cluster that does not come up is a failure, and nothing to skip.
    with KafkaCluster(brokers, version=version, **options) as cluster:
        yield cluster


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give an admin client of aiokafka."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def create_topics(
    bootstrap: str,
    topics: Mapping[str, int],
    copies: int = 0,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Create topics (name -> partitions) and wait until each partition has a leader.

    `copies` 0 is as many as there are brokers, up to three.
    """
    async with admin_of(bootstrap) as admin:
        # aiokafka does not know -1, with which Kafka takes its own default.
        copies = copies or min(3, len(bootstrap.split(",")))
        wanted = [
            NewTopic(name, partitions, copies, topic_configs=dict(settings or {}))
            for name, partitions in topics.items()
        ]
        answer = await admin.create_topics(wanted)
        troubles = [error for error in answer.topic_errors if error[1]]
        if troubles:
            pytest.fail(f"topics could not be made: {troubles}")

        def led(topic: Any) -> bool:
            parts = topic["partitions"]
            return len(parts) == topics[topic["topic"]] and all(p["leader"] >= 0 for p in parts)

        async def known() -> bool:
            return all(
                topics.keys() <= seen.keys() and all(led(seen[name]) for name in topics)
                for seen in await _seen(admin)
            )

        await _until(known, f"no leaders for {', '.join(topics)}")


async def forget_topics(bootstrap: str) -> None:
    """Delete every topic but Kafka's own."""
    async with admin_of(bootstrap) as admin:

        async def gone() -> bool:
            mine = {name for seen in await _seen(admin) for name in seen if name[:2] != "__"}
            if mine:
                await admin.delete_topics(list(mine))
            return not mine

        await _until(gone, "topics that will not go")


async def _seen(admin: AIOKafkaAdminClient) -> list[dict[str, Any]]:
    """Give the topics as each broker knows them: one may be behind another."""
    brokers = (await admin.describe_cluster())["brokers"]
    answers = [await admin._send_request(MetadataRequest(None), b["node_id"]) for b in brokers]
    return [{topic["topic"]: topic for topic in a.to_object()["topics"]} for a in answers]


async def _until(done: Any, trouble: str) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while not await done():
        if loop.time() > end:
            pytest.fail(trouble)
        await asyncio.sleep(0.05)
