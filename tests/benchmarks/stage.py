"""The stage of a benchmark: a Kafka and a Redis of its own, topics, and processes run on them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from gauges import end

from geomon.cluster import Cluster
from geomon.embedded.kafka import STEADY_JVM, KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.errors import UnavailableError
from geomon.settings import Settings
from geomon.topics import TopicForm, changelog_of, wanted

HERE = Path(__file__).parent
_GONE_S = 60.0
_START_S = 120.0

#: Members that come within this time share the partitions from the start.
_GATHER_MS = 3000
#: An upload of fifty minutes is silent for that long, and that is not to be told.
_SILENCE_MIN = "120"


@dataclass
class Stage:
    """Addresses and process ids of what is there to be used."""

    kafka: str
    redis: str
    folder: Path
    partitions: int
    broker_pid: int
    settings: Mapping[str, str]  # of the workers, as in the environment, beside those set here
    _made: int = field(default=0, repr=False)

    def name(self, what: str) -> str:
        """Give a name that was not used before, for a consumer group."""
        self._made += 1
        return f"bench-{what}-{self._made}"

    def empty(self) -> None:
        """Take away what earlier runs left: events, alerts, refusals, states, the alert log."""
        admin = AdminClient({"bootstrap.servers": self.kafka})
        held = admin.list_topics(timeout=30).topics
        old = [name for name in held if not name.startswith("__")]
        if old:
            for future in admin.delete_topics(old, operation_timeout=30).values():
                future.result()
            deadline = time.monotonic() + _GONE_S
            while set(old) & admin.list_topics(timeout=30).topics.keys():
                if time.monotonic() > deadline:
                    raise UnavailableError("old topics do not go away")
                time.sleep(0.1)
        self._make(wanted(self._settings("bench"))[:3])
        self.forget_alerts()

    def forget_alerts(self) -> None:
        """Empty Redis."""
        with redis.Redis.from_url(self.redis) as client:
            client.flushall()

    def make_changelog(self, group: str) -> None:
        """Make the topic of a worker's states."""
        self._make([f for f in wanted(self._settings(group)) if f.name == changelog_of(group)])

    def make_table(self, topic: str) -> None:
        """Make the changelog of a plain Faust table."""
        self._make([TopicForm(topic, self.partitions, 1, {"cleanup.policy": "compact"})])

    def length_of(self, topic: str) -> int:
        """Give how many messages are in a topic."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "bench-length"})
        try:
            ends = [
                consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                for number in range(self.partitions)
            ]
        finally:
            consumer.close()
        return sum(high - low for low, high in ends)

    @contextmanager
    def workers(
        self, group: str, count: int, *, clock: str, web: str = ""
    ) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Run `geomon worker` processes of one group; ended by SIGTERM."""
        settings = {
            "KAFKA": self.kafka,
            "REDIS": self.redis,
            "APP_ID": group,
            "CLOCK": clock,
            "PARTITIONS": str(self.partitions),
            "REPLICATION": "1",
            "BAND_SILENCE_MIN": _SILENCE_MIN,
            "WEB": web,
            "CANARY_S": "0",
            **self.settings,
        }
        with ExitStack() as stack:
            processes: list[subprocess.Popen[bytes]] = []
            stack.callback(lambda: end(*processes))
            for number in range(count):
                log = stack.enter_context((self.folder / f"{group}-{number}.log").open("ab"))
                own = {**settings, "DATA_DIR": str(self.folder / f"{group}-{number}")}
                process = subprocess.Popen(
                    [sys.executable, "-m", "geomon", "worker"],
                    cwd=self.folder,
                    env={**os.environ, **{f"GEOMON_{name}": v for name, v in own.items()}},
                    stdout=log,
                    stderr=log,
                )
                processes.append(process)
            yield processes

    def free_address(self) -> str:
        """Give an address that nobody listens at."""
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{door.getsockname()[1]}"

    def said(self, group: str) -> str:
        """Give the last line that the first worker of a group wrote."""
        lines = (self.folder / f"{group}-0.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    @contextmanager
    def peer(self, name: str, *options: str) -> Iterator[Peer]:
        """Run one of the other programs in a group of its own."""
        group = self.name(name)
        if name == "naive":
            self.make_table(f"{group}-inside-changelog")
        with (self.folder / f"{group}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, str(HERE / "peers.py"), name),
                    *("--kafka", self.kafka, "--group", group, "--redis", self.redis),
                    *("--partitions", str(self.partitions), *options),
                ],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            peer = Peer(process)
            try:
                yield peer
            finally:
                end(process)
                peer.close()

    def _settings(self, group: str) -> Settings:
        return replace(
            Settings(),
            kafka=self.kafka,
            redis=self.redis,
            app_id=group,
            partitions=self.partitions,
            replication=1,
        )

    def _make(self, forms: Sequence[TopicForm]) -> None:
        async def make() -> None:
            async with Cluster(self.kafka) as cluster:
                await cluster.make(forms)

        asyncio.run(make())


class Peer:
    """One of the other programs, and what it says of its progress."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.course: list[tuple[float, int]] = []
        self.told = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the last of what it says; the process has ended."""
        self._thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def wait(self, total: int, limit_s: float) -> None:
        """Wait until it has done all, or for `limit_s` from its first message on."""
        started = time.monotonic()
        first = 0.0
        while self.process.poll() is None:
            done = self.course[-1][1] if self.course else 0
            if done and not first:
                first = time.monotonic()
            if done >= total or (first and time.monotonic() > first + limit_s):
                return
            if not first and time.monotonic() > started + _START_S:
                return
            time.sleep(0.1)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said: dict[str, Any] = json.loads(line)
            self.course.append((said["at"], said["done"]))
            self.told = said["told"]


@contextmanager
def stage(partitions: int, settings: Mapping[str, str]) -> Iterator[Stage]:
    """Give a stage; all of it is gone at the end. Raises `UnavailableError`."""
    gather = {"group.initial.rebalance.delay.ms": str(_GATHER_MS)}
    with (
        tempfile.TemporaryDirectory(prefix="geomon-bench-") as folder,
        KafkaCluster(settings=gather, jvm=STEADY_JVM) as kafka,
        EmbeddedRedis() as server,
    ):
        yield Stage(kafka.bootstrap, server.url, Path(folder), partitions, kafka.pid(1), settings)
