"""Clusters for the tests of a file, and a night on one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from realkafka import real_kafka

from geomon.embedded.kafka import KafkaCluster

# A verdict that fails says what it compared.
pytest.register_assert_rewrite("faults.night", "faults.process")

from .night import Night  # noqa: E402


@pytest.fixture(scope="module")
def one_broker() -> Iterator[KafkaCluster]:
    """A Kafka of one broker, for the tests of one file."""
    with real_kafka() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three_brokers() -> Iterator[KafkaCluster]:
    """A Kafka of three brokers, for the tests of one file."""
    with real_kafka(3) as cluster:
        yield cluster


@pytest.fixture
def night(one_broker: KafkaCluster, tmp_path: Path) -> Iterator[Night]:
    """A night with one broker."""
    with Night(one_broker, tmp_path) as night:
        yield night


@pytest.fixture
def long_night(three_brokers: KafkaCluster, tmp_path: Path) -> Iterator[Night]:
    """A night with three brokers, all of them up again at its end."""
    with Night(three_brokers, tmp_path, brokers=3) as night:
        try:
            yield night
        finally:
            for number in filter(three_brokers.pid, three_brokers.numbers):
                three_brokers.resume(number)
            night.start_brokers()
