"""What every test may use: the recorded tracks, kept outside the project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from realkafka import real_kafka

from geomon.embedded.kafka import KafkaCluster
from geomon.zones.index import ZoneIndex, zones_for

ROOT = Path(__file__).resolve().parents[1]


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
