"""The doctor, before a real Kafka and a real Redis, well and ill."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka import AIOKafkaConsumer, TopicPartition
from realkafka import forget_topics

from geomon.cluster import Cluster
from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.operations import doctor
from geomon.operations.canary import CanaryNotes
from geomon.operations.doctor import CHECKS, Finding, examine
from geomon.settings import Settings
from geomon.topics import EVENTS, wanted
from geomon.wallclock import now_s
from geomon.zones.files import zone_directory
from geomon.zones.index import city_file

PARTITIONS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis that keeps what it has, as the doctor likes it."""
    with EmbeddedRedis(directory=tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def healthy(
    kafka: KafkaCluster, server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of a system that is well: topics made, and a canary seen in each partition."""
    settings = Settings(
        kafka=kafka.bootstrap,
        redis=server.url,
        partitions=PARTITIONS,
        replication=1,
        check_in_seed="a sentence of our own",
        data_dir=str(tmp_path_factory.mktemp("data")),
    )

    async def prepare() -> None:
        await forget_topics(kafka.bootstrap)
        async with Cluster(kafka.bootstrap) as cluster:
            await cluster.make(wanted(settings))
        notes = CanaryNotes(server.url)
        try:
            sent = datetime.now(timezone.utc)
            assert await notes.note([(p, sent) for p in range(PARTITIONS)], sent.timestamp())
        finally:
            await notes.close()

    asyncio.run(prepare())
    return settings


def findings(settings: Settings) -> dict[str, list[Finding]]:
    async def main() -> list[Finding]:
        return [finding async for finding in examine(settings)]

    found: dict[str, list[Finding]] = {}
    for finding in asyncio.run(asyncio.wait_for(main(), 120)):
        found.setdefault(finding.check, []).append(finding)
        assert "\n" not in finding.found + finding.advice
        assert finding.advice or finding.verdict == "ok"
    return found


def only(found: Mapping[str, list[Finding]], check: str) -> Finding:
    (finding,) = found[check]
    return finding


def test_a_system_that_is_well_is_said_to_be(healthy: Settings) -> None:
    found = findings(healthy)
    assert list(found) == list(CHECKS)
    grave = {check for check, of in found.items() if any(f.verdict == "failure" for f in of)}
    assert grave == set()
    assert only(found, "topics").verdict == "ok"
    assert only(found, "kafka clock").verdict == "ok"
    assert only(found, "redis clock").verdict == "ok"
    assert only(found, "canary").found.startswith("fresh in 2 partitions")
    # One broker is a system for trying things out.
    kafka = only(found, "kafka")
    assert (kafka.verdict, kafka.found) == ("warning", "1 broker answers (Kafka 4)")


def test_all_it_leaves_behind_is_one_canary_a_broker(healthy: Settings) -> None:
    async def messages() -> int:
        consumer = AIOKafkaConsumer(bootstrap_servers=healthy.kafka)
        await consumer.start()
        try:
            of = [TopicPartition(EVENTS, number) for number in range(PARTITIONS)]
            return sum((await consumer.end_offsets(of)).values())
        finally:
            await consumer.stop()

    before = asyncio.run(messages())
    findings(healthy)
    assert asyncio.run(messages()) == before + 1


def test_services_that_are_away_are_failures_each_with_what_to_do(healthy: Settings) -> None:
    found = findings(replace(healthy, kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0"))
    assert only(found, "kafka").verdict == "failure"
    assert "setting kafka" in only(found, "kafka").advice
    assert only(found, "redis").verdict == "failure"
    assert "setting redis" in only(found, "redis").advice
    assert only(found, "zones").verdict == "ok", "the rest is looked at all the same"


def test_topics_that_are_not_there_are_told_with_the_command_that_makes_them(
    healthy: Settings,
) -> None:
    found = findings(replace(healthy, app_id="another"))
    (finding,) = [finding for finding in found["topics"] if finding.verdict == "failure"]
    assert finding.found == "another-people-changelog: topic"
    assert "geomon topics create" in finding.advice


def test_a_clock_that_is_off_is_found_by_the_brokers_and_by_redis(
    healthy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "now_s", lambda: now_s() + 3_600)
    found = findings(healthy)
    for check in ("kafka clock", "redis clock"):
        assert only(found, check).verdict == "failure"
        assert "this machine is 3,6" in only(found, check).found
        assert "NTP" in only(found, check).advice


def test_a_canary_that_is_silent_or_never_came_is_a_failure(
    healthy: Settings, server: EmbeddedRedis
) -> None:
    with redis.Redis.from_url(server.url) as client:
        value: Any = client.get("geomon:canary:1")
        left_ms: Any = client.pttl("geomon:canary:1")
        try:
            client.pexpire("geomon:canary:1", left_ms - 600_000)
            silent = only(findings(healthy), "canary")
            assert silent.verdict == "failure"
            assert silent.found.startswith("partition 1: none for 6")
            client.delete("geomon:canary:1")
            never = only(findings(healthy), "canary")
            assert (never.verdict, never.found) == ("failure", "none ever in partition 1")
        finally:
            client.set("geomon:canary:1", value, px=left_ms)


def test_settings_that_leave_a_gap_are_warned_of(healthy: Settings) -> None:
    risky = replace(healthy, check_in_seed="geomon", clock="recording", canary_s=0.0)
    said = " ".join(finding.found for finding in findings(risky)["settings"])
    assert all(name in said for name in ("check_in_seed", "clock", "canary_s"))


def test_a_zone_file_that_was_changed_is_found(healthy: Settings, tmp_path: Path) -> None:
    file = tmp_path / "city.geojson"
    head, features, rest = (
        (zone_directory() / "city-440300.geojson").read_text("utf-8").partition('"features"')
    )
    file.write_text(head + features + rest.replace("113.", "113.0", 1), "utf-8")
    zones = only(findings(replace(healthy, city=str(file))), "zones")
    assert zones.verdict == "failure"
    assert "hash" in zones.found


# -- Redis, in every way that it can be unfit ---------------------------------------------------


@pytest.fixture
def unfit(healthy: Settings) -> Iterator[tuple[Settings, redis.Redis]]:
    with (
        EmbeddedRedis(tcp=True) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        # Without Kafka, which is not looked at here, the doctor is done sooner.
        yield replace(healthy, kafka="127.0.0.1:1", redis=server.url), client


def test_a_redis_that_keeps_nothing_is_a_failure(unfit: tuple[Settings, redis.Redis]) -> None:
    found = findings(unfit[0])
    assert only(found, "redis").verdict == "ok"
    durable = only(found, "redis durability")
    assert durable.verdict == "failure"
    assert "appendonly yes" in durable.advice
    assert only(found, "canary").verdict == "warning"


def test_a_wrong_password_is_said_and_not_shown(unfit: tuple[Settings, redis.Redis]) -> None:
    settings, client = unfit
    client.config_set("requirepass", "right")
    url = settings.redis.replace("redis://", "redis://:wrong@")
    finding = only(findings(replace(settings, redis=url)), "redis")
    assert finding.verdict == "failure"
    assert "password" in finding.found
    assert "wrong@" not in finding.found


def test_a_redis_that_may_evict_or_is_full_is_a_failure(
    unfit: tuple[Settings, redis.Redis],
) -> None:
    settings, client = unfit
    info: Any = client.info("memory")
    client.config_set("maxmemory", str(info["used_memory"] * 50))
    client.config_set("maxmemory-policy", "allkeys-lru")
    evicts = only(findings(settings), "redis memory")
    assert (evicts.verdict, evicts.found) == ("failure", "maxmemory-policy is allkeys-lru")
    client.config_set("maxmemory-policy", "noeviction")
    assert only(findings(settings), "redis memory").verdict == "ok"
    client.config_set("maxmemory", str(info["used_memory"]))
    full = only(findings(settings), "redis memory")
    assert full.verdict == "failure"
    assert "raise maxmemory" in full.advice


def test_a_replica_is_a_failure(unfit: tuple[Settings, redis.Redis]) -> None:
    settings, client = unfit
    client.replicaof("127.0.0.1", "1")
    finding = only(findings(settings), "redis")
    assert finding.verdict == "failure"
    assert "master" in finding.advice


def test_a_zone_file_may_have_any_name(healthy: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mycity"
    file.write_bytes(city_file("440300").read_bytes())
    zones = only(findings(replace(healthy, city=str(file))), "zones")
    assert (zones.verdict, str(file) in zones.found) == ("ok", True)
    away = only(findings(replace(healthy, city=str(tmp_path / "440300"))), "zones")
    assert (away.verdict, "no zone file" in away.found) == ("failure", True)


def test_a_folder_that_cannot_be_made_is_a_failure(healthy: Settings, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below" / "it", tmp_path / ("long" * 100)):
        disk = only(findings(replace(healthy, data_dir=str(folder))), "disk")
        assert (disk.verdict, str(folder) in disk.found) == ("failure", True)
        assert "data_dir" in disk.advice
    assert only(findings(replace(healthy, data_dir=str(tmp_path / "a/b"))), "disk").verdict == "ok"


# -- as a command -------------------------------------------------------------------------------


def call(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "GEOMON_KAFKA": settings.kafka,
        "GEOMON_REDIS": settings.redis,
        "GEOMON_PARTITIONS": str(settings.partitions),
        "GEOMON_REPLICATION": str(settings.replication),
        "GEOMON_CHECK_IN_SEED": settings.check_in_seed,
        "GEOMON_DATA_DIR": settings.data_dir,
        "COLUMNS": "160",
    }
    return subprocess.run(
        [sys.executable, "-m", "geomon", "doctor", *words],
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_the_command_ends_with_0_where_nothing_fails(healthy: Settings) -> None:
    done = call(healthy, "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {tuple(row) for row in rows} == {("check", "verdict", "found", "advice")}
    assert {row["verdict"] for row in rows} <= {"ok", "warning"}


def test_the_command_ends_with_1_and_says_what_to_do(healthy: Settings) -> None:
    done = call(healthy, "--redis", "redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert "failure: redis: start it, or mend the setting redis" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("checks failed")
    assert "kafka clock" in done.stdout
