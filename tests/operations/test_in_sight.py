"""A worker in sight: the process on real Kafka and Redis, asked over HTTP and read in its log."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import redis
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families
from realkafka import forget_topics

from geomon.cluster import Cluster
from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.operations.canary import noted
from geomon.operations.health import CHECKS
from geomon.operations.metrics import METRICS
from geomon.settings import Settings
from geomon.topics import EVENTS, wanted

T = TypeVar("T")
PATIENCE_S = 120.0
PARTITIONS = 3
HOME, DONGGUAN = (113.93, 22.75), (113.75, 23.02)
#: Starts the command with the clock of its machine ahead by so many seconds.
SHIFTED = """\
import sys, time
right, shift_s = time.time, float(sys.argv.pop(1))
time.time = lambda: right() + shift_s
from geomon.cli import main
main()
"""


@pytest.fixture
def parts(kafka: KafkaCluster) -> Iterator[Settings]:
    """Kafka with fresh topics, and a fresh Redis."""
    with EmbeddedRedis(tcp=True) as server:
        settings = Settings(
            kafka=kafka.bootstrap, redis=server.url, partitions=PARTITIONS, replication=1
        )

        async def prepare() -> None:
            await forget_topics(kafka.bootstrap)
            async with Cluster(kafka.bootstrap) as cluster:
                await cluster.make(wanted(settings))

        asyncio.run(prepare())
        yield settings


class Process:
    """A `geomon worker` whose log is kept in a file, and which serves at a free port."""

    def __init__(self, parts: Settings, folder: Path, *, ahead_s: float = 0.0, **settings: Any):
        own = {
            **{"kafka": parts.kafka, "redis": parts.redis, "data_dir": str(folder / "data")},
            **{"partitions": PARTITIONS, "replication": 1, "web": "127.0.0.1:0", "canary_s": 0.5},
            **settings,
        }
        self._log = folder / "log"
        command = [sys.executable, "-m", "geomon", "worker"]
        if ahead_s:
            command = [sys.executable, "-c", SHIFTED, str(ahead_s), "worker"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, **{f"GEOMON_{k.upper()}": str(v) for k, v in own.items()}},
                cwd=folder,
            )

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text("utf-8").splitlines()]

    @property
    def text(self) -> str:
        return self._log.read_text("utf-8")

    def url(self) -> str:
        found = eventually(
            lambda: re.search(r"serving (http://[\d.:]+)/healthz", self.text), bool, self
        )
        assert found
        return found[1]

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url() + path, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def checks(self) -> dict[str, tuple[bool, str]]:
        rows = json.loads(self.ask("/readyz")[1])["checks"]
        return {row["check"]: (row["ok"], row["why"]) for row in rows}

    def numbers(self) -> dict[str, float]:
        """The page of metrics: series -> value."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.ask("/metrics")[1]):
            for sample in family.samples:
                labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}"] = sample.value
        return found

    def until(self, series: str, wanted: Callable[[float], bool]) -> float:
        return eventually(lambda: self.numbers().get(series, -1.0), wanted, self)


@contextmanager
def running(parts: Settings, folder: Path, **options: Any) -> Iterator[Process]:
    worker = Process(parts, folder, **options)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.process.wait()


def eventually(ask: Callable[[], T], wanted: Callable[[T], bool], worker: Process) -> T:
    """Ask until the answer is what is wanted; fail with the last answer when patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not wanted(answer := ask()):
        assert worker.process.poll() is None, f"the worker ended: {worker.text}"
        assert time.monotonic() < end, f"still waiting: {answer!r}\n{worker.text}"
        time.sleep(0.05)
    return answer


def send(parts: Settings, *events: dict[str, Any]) -> None:
    async def main() -> None:
        async with AIOKafkaProducer(bootstrap_servers=parts.kafka) as producer:
            for event in events:
                key = event["supervisee_id"].encode()
                await producer.send_and_wait(EVENTS, msgspec.json.encode(event), key=key)

    asyncio.run(main())


def event(kind: str, whose: str, minutes: float, /, **fields: Any) -> dict[str, Any]:
    """An event that arrives so many minutes from now, by this machine's right clock."""
    return {"type": kind, "supervisee_id": whose, "received": at(minutes), **fields}


def at(minutes: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(minutes=minutes)).isoformat()


def seen(whose: str, minutes: float, where: tuple[float, float]) -> dict[str, Any]:
    fix = {"time": at(minutes), "lon": where[0], "lat": where[1], "accuracy_m": 10}
    device = {"device_id": "d", "device": "phone", "datum": "wgs84"}
    return event("upload", whose, minutes, **device, fixes=[fix | {"source": "gnss"}])


def test_a_worker_tells_what_it_is_and_does_and_names_nobody(
    parts: Settings, tmp_path: Path
) -> None:
    with running(parts, tmp_path) as worker:
        assert worker.ask("/healthz") == (200, '{"ok":true,"why":"running"}\n')
        checks = eventually(worker.checks, lambda of: all(ok for ok, _ in of.values()), worker)
        assert list(checks) == list(CHECKS)
        assert checks["partitions"][1] == f"{PARTITIONS} held, their states read"

        # Home, and then in another city: the last position is a minute old.
        gone = [seen("SZ-0042", -30 + n, HOME) for n in range(10)]
        gone += [seen("SZ-0042", -10 + n, DONGGUAN) for n in range(10)]
        send(parts, *gone, {"type": "tea", "supervisee_id": "SZ-0042"})
        worker.until("geomon_alerts_total{kind=leave_city,phase=opened}", lambda n: n == 1)
        worker.until("geomon_rejections_total{reason=unknown_type}", lambda n: n == 1)
        worker.until("geomon_open_episodes{kind=leave_city}", lambda n: n == 1)
        worker.until("geomon_consumer_lag_messages{partition=0}", lambda n: n == 0)
        worker.until("geomon_canary_round_trip_seconds_count{}", lambda n: n >= 2 * PARTITIONS)
        worker.until("geomon_states_written_total{}", lambda n: n >= 1)
        numbers = worker.numbers()
        assert numbers["geomon_events_total{type=upload}"] == 20
        assert numbers["geomon_events_total{type=unread}"] == 1
        assert numbers["geomon_events_total{type=canary}"] >= 2 * PARTITIONS
        assert numbers["geomon_fixes_total{outcome=accepted,source=gnss}"] == 20
        assert numbers["geomon_fix_lateness_seconds_count{}"] == 20
        assert numbers["geomon_people{}"] == 1
        assert numbers["geomon_partitions{}"] == PARTITIONS
        assert numbers["geomon_alert_latency_seconds_count{}"] >= 1
        assert numbers["geomon_recovery_seconds{}"] > 0
        assert abs(numbers["geomon_clock_skew_seconds{}"]) < 5
        assert numbers["geomon_undelivered_alerts{}"] == 0
        assert numbers["geomon_check_ok{check=redis}"] == 1
        families = {series.split("{")[0] for series in numbers}
        ends = ("", "_count")
        assert {name for name in METRICS if not {name + e for e in ends} & families} == set()

        with redis.Redis.from_url(parts.redis) as client:
            sightings = eventually(
                lambda: noted(client), lambda found: len(found) == PARTITIONS, worker
            )
            assert all(sighting.worker.endswith(f":{worker.process.pid}") for sighting in sightings)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert "SZ-0042" not in worker.ask(path)[1]
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(60) == 0
        assert worker.lines[-1]["message"].startswith("stopped after")
        assert all(
            list(line)[:4] == ["time", "level", "logger", "message"] for line in worker.lines
        )
        assert "SZ-0042" not in worker.text


def test_a_redis_that_stands_still_makes_it_unready_and_nothing_worse(
    parts: Settings, tmp_path: Path
) -> None:
    with running(parts, tmp_path) as worker, redis.Redis.from_url(parts.redis) as client:
        eventually(lambda: worker.ask("/readyz")[0], lambda status: status == 200, worker)
        info: Any = client.info("server")
        os.kill(info["process_id"], signal.SIGSTOP)
        try:
            send(parts, *[seen("SZ-0042", -10 + n, DONGGUAN) for n in range(10)])
            checks = eventually(worker.checks, lambda of: not of["redis"][0], worker)
            assert checks["worker"] == (True, "running")
            assert worker.ask("/healthz")[0] == 200
            worker.until("geomon_undelivered_alerts{}", lambda n: n >= 1)
            worker.until("geomon_undelivered_oldest_seconds{}", lambda n: n > 0)
            worker.until("geomon_sink_failures_total{sink=redis}", lambda n: n >= 1)
        finally:
            os.kill(info["process_id"], signal.SIGCONT)
        eventually(lambda: worker.ask("/readyz")[0], lambda status: status == 200, worker)
        worker.until("geomon_undelivered_alerts{}", lambda n: n == 0)


def test_a_clock_that_is_hours_ahead_is_told_and_not_gone_by(
    parts: Settings, tmp_path: Path
) -> None:
    """The leave has a quarter of an hour to go; by this machine it was over long ago."""
    whose = "SZ-0042"
    leave = {"permit_id": "L-1", "kind": "leave", "destinations": ["441900"]}
    send(
        parts,
        event("permit", whose, -60, **leave, **{"from": at(-50), "until": at(15)}),
        *[seen(whose, -30 + n, DONGGUAN) for n in range(5)],
    )
    with running(parts, tmp_path, ahead_s=3 * 3600) as worker:
        checks = eventually(worker.checks, lambda of: not of["clock"][0], worker)
        assert "ahead of the brokers'" in checks["clock"][1]
        worker.until("geomon_events_total{type=upload}", lambda n: n == 5)
        worker.until("geomon_consumer_lag_messages{partition=0}", lambda n: n == 0)
        skew_s = worker.numbers()["geomon_clock_skew_seconds{}"]
        assert skew_s == pytest.approx(3 * 3600, abs=5)
        # Deadlines are looked at every second, a canary is sent every half.
        begun = worker.numbers()["geomon_events_total{type=canary}"]
        worker.until("geomon_events_total{type=canary}", lambda n: n >= begun + 8 * PARTITIONS)
        numbers = worker.numbers()
        told = [n for series, n in numbers.items() if series.startswith("geomon_alerts_total")]
        assert sum(told) == 0
        errors = [line["message"] for line in worker.lines if line["level"] == "error"]
        assert len(errors) == 1
        assert "clock is 10800 s ahead of the brokers'" in errors[0]


def test_a_busy_port_ends_it_with_one_line(parts: Settings, tmp_path: Path) -> None:
    with running(parts, tmp_path) as first:
        address = first.url().removeprefix("http://")
        other = tmp_path / "other"
        other.mkdir()
        with running(parts, other, web=address, log_format="text") as second:
            assert second.process.wait(PATIENCE_S) == 1
            (line,) = [line for line in second.text.splitlines() if "warning" not in line]
            assert line.startswith(f"geomon: {address} cannot be served (Address already in use)")
        with running(parts, other, web=address) as third:
            assert third.process.wait(PATIENCE_S) == 1
            last = third.lines[-1]
            assert last["level"] == "critical"
            assert last["message"].startswith(f"{address} cannot be served")
