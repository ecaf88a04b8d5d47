"""A worker that is cut off from Kafka, while Kafka, Redis and the other workers are well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from realkafka import need_kafka

from geomon.embedded.kafka import KafkaCluster

from .night import Night, free_port
from .telephone import Telephone


class KafkaByTelephone(KafkaCluster):
    """A Kafka of one broker that can be reached by a telephone as well."""

    def __init__(self) -> None:
        super().__init__()
        self._line_port = free_port()
        self.line = Telephone(f"tcp://127.0.0.1:{self._line_port}")

    def _properties(self, number: int, node: Path) -> str:
        lines = super()._properties(number, node).splitlines()
        # Whoever comes in by the line is told, by name, to come by it.
        more = {
            "listeners": f"LINE://127.0.0.1:{self._line_port}",
            "advertised.listeners": f"LINE://{self.line.address}",
            "listener.security.protocol.map": "LINE:PLAINTEXT",
        }
        for at, line in enumerate(lines):
            name = line.partition("=")[0]
            lines[at] += f",{more[name]}" if name in more else ""
        return "\n".join(lines)


@pytest.fixture(scope="module")
def kafka_by_telephone() -> Iterator[KafkaByTelephone]:
    need_kafka()
    cluster = KafkaByTelephone()
    with cluster, cluster.line:
        yield cluster


@pytest.mark.parametrize("fault", ["stall", "cut"])
def test_a_worker_cut_off_from_kafka_is_replaced_and_comes_back(
    kafka_by_telephone: KafkaByTelephone, tmp_path: Path, fault: str
) -> None:
    """It is alive all the time, can reach Redis, and does not know that another has its people."""
    line = kafka_by_telephone.line
    with Night(kafka_by_telephone, tmp_path) as night:
        night.worker(kafka=line.address)
        night.worker()
        night.until_shared_by(2)
        night.send(0.6, in_s=3)
        night.until_told(0.2)
        getattr(line, fault)()
        night.until_shared_by(1)
        night.until_told(0.55)
        line.mend()
        night.until_shared_by(2)
        night.send(0.4)
        night.ends_as_replayed()
