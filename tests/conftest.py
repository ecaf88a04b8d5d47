"""What every test may use: the recorded tracks, kept outside the project; a city; servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import redis
from realkafka import real_kafka

from geomon.cases import recording_path
from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.intake import Intake
from geomon.operations.canary import CanaryNotes
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.sinks.redis import RedisSink
from geomon.zones.index import ZoneIndex, zones_for

ROOT = Path(__file__).resolve().parents[1]


#: Folders whose files mostly wait for servers: first, or they would be what is waited for last.
_WAITING = ("faults", "stream", "embedded", "gateway", "sinks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long. `--no-loadscope-reorder` leaves it so."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return _WAITING.index(folder) if folder in _WAITING else len(_WAITING)

    items.sort(key=rank)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: at any time some of them wait for servers."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """Path of a recorded track; the test is skipped, with the reason, where it is missing."""
    folder = Path(os.environ.get("GEOMON_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"recorded track {name} not in {folder}; set GEOMON_TEST_DATA")
        return path

    return find


@pytest.fixture(scope="session")
def zones() -> ZoneIndex:
    """Shenzhen, as it is watched by default."""
    return zones_for("440300")


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """One broker of the newest Kafka, shared by the tests of this process."""
    with real_kafka() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    """A Redis for the tests of a module."""
    with EmbeddedRedis() as running:
        yield running


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[Any]:
    """A client of that Redis, with nothing in it."""
    with redis.Redis.from_url(server.url, decode_responses=True) as opened:
        opened.flushall()
        opened.script_flush()
        yield opened


@pytest.fixture(scope="session")
def alerted_redis(zones: ZoneIndex) -> Iterator[tuple[str, set[str]]]:
    """A Redis that the alerts of case C were delivered to, and the channels they went through."""
    replay = Replay(Intake(zones), rules_from(Settings()))
    path = str(recording_path("C"))
    with open_recording(path) as recording:
        found = [*replay.feed(read_recording(recording, path)), *replay.finish()]

    async def deliver(url: str) -> None:
        sink, notes = RedisSink(url), CanaryNotes(url)
        try:
            await sink.deliver(found)
            now = datetime.now(timezone.utc)
            assert await notes.note([(3, now)], now.timestamp())
        finally:
            await sink.close()
            await notes.close()

    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        with client.pubsub() as listener:
            listener.psubscribe("*")
            assert listener.get_message(timeout=5.0)  # that it listens
            asyncio.run(deliver(server.url))
            channels: set[str] = set()
            while len(channels) < 2 and (message := listener.get_message(timeout=60)):
                channels.add(message["channel"].decode())
        yield server.url, channels
