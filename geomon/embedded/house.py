"""Everything in one program: embedded broker, Redis and a Faust worker, for demo and tests.

What it runs is the real worker over the real Kafka protocol and a real Redis server; only the
broker is a stand-in that keeps everything in memory (see `broker.py`).
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from geomon.embedded.broker import EmbeddedBroker
from geomon.embedded.redis import EmbeddedRedis
from geomon.settings import Settings
from geomon.stream.worker import Worker
from geomon.topics import ALERTS, COMMANDS, EVENTS, REJECTED, changelog_of
from geomon.zones.index import ZoneIndex

__all__ = ["embedded_parts", "embedded_worker"]

PARTITIONS = 4


@asynccontextmanager
async def embedded_parts(
    settings: Settings, partitions: int = PARTITIONS
) -> AsyncIterator[Settings]:
    """Start broker and Redis; give the settings with their addresses. All is gone at the end."""
    topics = dict.fromkeys((EVENTS, ALERTS, COMMANDS, changelog_of(settings.app_id)), partitions)
    topics[REJECTED] = 1
    with (
        tempfile.TemporaryDirectory(prefix="geomon-") as folder,
        EmbeddedBroker(topics) as broker,
        EmbeddedRedis() as redis,
    ):
        yield replace(
            settings,
            kafka=broker.bootstrap,
            redis=redis.url,
            data_dir=folder,
            session_timeout_s=6.0,
            web="",
            canary_s=0.0,
        )


@asynccontextmanager
async def embedded_worker(
    settings: Settings, zones: ZoneIndex, **options: Any
) -> AsyncIterator[Worker]:
    """Run a worker against the parts that `embedded_parts` gave the settings of."""
    async with Worker(settings, zones, **options).running() as worker:
        yield worker
