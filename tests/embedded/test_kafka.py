"""A real Kafka of one's own: it starts, loses nothing when a node is killed, and leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from hosts import ends, hosting
from realkafka import NEWEST, OLDER, admin_of, create_topics, forget_topics, need_kafka, real_kafka

from geomon.embedded import jars
from geomon.embedded import kafka as embedded_kafka
from geomon.embedded.kafka import KafkaCluster
from geomon.errors import UnavailableError

PATIENCE_S = 60.0

# Starts a broker, says where, and waits for a line.
HOST = """
import json, sys
from geomon.embedded.kafka import KafkaCluster
with KafkaCluster() as cluster:
    told = {"pid": cluster.pid(1), "home": str(cluster.home), "bootstrap": cluster.bootstrap}
    try:
        print(json.dumps(told), flush=True)
        sys.stdin.readline()
    finally:
        print(json.dumps(bool(cluster.pid(1))), flush=True)
"""


@pytest.fixture
def host() -> Iterator[subprocess.Popen[str]]:
    need_kafka()
    with hosting(HOST) as process:
        yield process


@asynccontextmanager
async def producer_of(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(bootstrap: str, topic: str, *values: bytes) -> None:
    async with producer_of(bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def read(bootstrap: str, topic: str, count: int, group: str | None = None) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        records = [await asyncio.wait_for(consumer.getone(), PATIENCE_S) for _ in range(count)]
        return [record.value or b"" for record in records]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("version", [NEWEST, OLDER])
def test_what_is_sent_is_read_and_a_killed_node_comes_back_with_it(version: str) -> None:
    async def before(bootstrap: str) -> None:
        await create_topics(bootstrap, {"t": 1})
        await send(bootstrap, "t", b"1", b"2")
        assert await read(bootstrap, "t", 2, group="readers") == [b"1", b"2"]

    async def after(bootstrap: str) -> None:
        await send(bootstrap, "t", b"3")
        assert await read(bootstrap, "t", 3) == [b"1", b"2", b"3"]
        # The group's place was kept as well.
        assert await read(bootstrap, "t", 1, group="readers") == [b"3"]

    with real_kafka(version=version) as cluster:
        home, bootstrap, pid = cluster.home, cluster.bootstrap, cluster.pid(1)
        asyncio.run(before(bootstrap))
        cluster.kill(1)
        assert ends(pid)
        assert cluster.pid(1) == 0
        cluster.start_broker(1)
        assert cluster.bootstrap == bootstrap
        asyncio.run(after(bootstrap))
        last = cluster.pid(1)
        assert last not in {0, pid}
    assert ends(last)
    assert not home.exists()
    with pytest.raises(UnavailableError, match="not running"):
        _ = cluster.bootstrap


def test_topics_can_be_made_and_forgotten_and_do_not_spring_up(kafka: KafkaCluster) -> None:
    async def main() -> None:
        for partitions in (4, 2):
            await create_topics(kafka.bootstrap, {"again": partitions})
            async with producer_of(kafka.bootstrap) as producer:
                assert await producer.partitions_for("again") == set(range(partitions))
            await forget_topics(kafka.bootstrap)
        async with producer_of(kafka.bootstrap, request_timeout_ms=1000) as producer:
            with pytest.raises(KafkaError):
                await producer.send_and_wait("never_made", b"x")

    asyncio.run(main())


def test_a_write_to_three_brokers_survives_the_one_that_led_and_then_all_three() -> None:
    """Sent with acks=all; then the leader is killed, is missed by nobody, and comes back."""

    async def leader() -> int:
        async with admin_of(cluster.bootstrap) as admin:
            [topic] = await admin.describe_topics(["t"])
            [partition] = topic["partitions"]
            return int(partition["leader"])

    with real_kafka(3) as cluster:
        asyncio.run(create_topics(cluster.bootstrap, {"t": 1}))
        asyncio.run(send(cluster.bootstrap, "t", b"before"))
        victim = asyncio.run(leader())
        cluster.kill(victim)
        asyncio.run(send(cluster.bootstrap, "t", b"meanwhile"))  # two of three are enough
        cluster.start_broker(victim)
        assert cluster.pid(victim)
        asyncio.run(send(cluster.bootstrap, "t", b"after"))
        found = asyncio.run(read(cluster.bootstrap, "t", 3))
        assert found == [b"before", b"meanwhile", b"after"]
        for number in cluster.numbers:
            cluster.kill(number)
        cluster.start_broker(*cluster.numbers)  # none of them has a quorum by itself
        assert asyncio.run(read(cluster.bootstrap, "t", 3)) == found


def test_a_paused_node_answers_nothing_until_it_is_resumed(kafka: KafkaCluster) -> None:
    async def main() -> None:
        await create_topics(kafka.bootstrap, {"paused": 1})
        async with producer_of(kafka.bootstrap) as producer:
            await producer.send_and_wait("paused", b"before")
            kafka.pause(1)
            try:
                sending = asyncio.ensure_future(producer.send_and_wait("paused", b"after"))
                done, _ = await asyncio.wait({sending}, timeout=1.0)
                assert not done
            finally:
                kafka.resume(1)
            await asyncio.wait_for(sending, PATIENCE_S)
        assert await read(kafka.bootstrap, "paused", 2) == [b"before", b"after"]

    asyncio.run(main())


def test_a_paused_node_can_be_killed_and_a_dead_one_cannot_be_paused() -> None:
    with real_kafka() as cluster:
        pid = cluster.pid(1)
        cluster.pause(1)
        cluster.kill(1)
        assert ends(pid)
        with pytest.raises(UnavailableError, match="broker 1 is not running"):
            cluster.pause(1)
        with pytest.raises(ValueError, match="no broker 2: there are 1 to 1"):
            cluster.kill(2)


def test_with_a_directory_a_later_cluster_has_the_data(tmp_path: Path) -> None:
    with real_kafka(directory=tmp_path / "kept") as cluster:
        asyncio.run(create_topics(cluster.bootstrap, {"t": 1}))
        asyncio.run(send(cluster.bootstrap, "t", b"kept"))
    with real_kafka(directory=tmp_path / "kept") as cluster:
        assert asyncio.run(read(cluster.bootstrap, "t", 1)) == [b"kept"]


def test_a_program_killed_outright_leaves_nothing_behind(host: subprocess.Popen[str]) -> None:
    assert host.stdout is not None
    told = json.loads(host.stdout.readline())
    assert Path(told["home"]).exists()

    host.send_signal(signal.SIGKILL)

    assert ends(told["pid"])
    assert eventually(lambda: not Path(told["home"]).exists())


def test_ctrl_c_in_the_terminal_reaches_the_program_and_not_its_kafka(
    host: subprocess.Popen[str],
) -> None:
    assert host.stdout is not None
    told = json.loads(host.stdout.readline())

    os.killpg(host.pid, signal.SIGINT)  # what a terminal does: the whole foreground group

    assert json.loads(host.stdout.readline()) is True, "the clean-up still had its broker"
    assert host.wait(PATIENCE_S) == -signal.SIGINT
    assert ends(told["pid"])
    assert eventually(lambda: not Path(told["home"]).exists())


def eventually(true: Callable[[], bool]) -> bool:
    """Ask until it is so; False when patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_node_that_ends_by_itself_is_told() -> None:
    with real_kafka() as cluster:
        cluster.check()
        os.kill(cluster.pid(1), signal.SIGKILL)
        assert eventually(lambda: cluster.pid(1) == 0)
        with pytest.raises(UnavailableError, match="broker 1 ended: ") as caught:
            cluster.check()
        cluster.start_broker(1)
        cluster.check()
    assert "\n" not in str(caught.value)


def test_a_node_that_cannot_start_says_why_in_one_line_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need_kafka()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cluster = KafkaCluster(port=taken.getsockname()[1])
        with pytest.raises(UnavailableError, match=r"did not start: .*in use") as caught:
            cluster.start()
    assert "\n" not in str(caught.value)
    with pytest.raises(UnavailableError, match=r"was not formatted: .*minus one") as caught:
        KafkaCluster(settings={"node.id": "minus one"}).start()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_port_taken_at_the_last_moment_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    need_kafka()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = embedded_kafka._free_ports
        first = [taken.getsockname()[1], *free(1)]
        offers = iter([first, free(2)])
        monkeypatch.setattr(embedded_kafka, "_free_ports", lambda _: next(offers))
        with KafkaCluster() as cluster:
            assert str(first[0]) not in cluster.bootstrap
            assert next(offers, None) is None


def test_the_first_run_leaves_an_archive_of_classes_and_a_broken_one_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need_kafka()
    java = jars.find_java(NEWEST)
    if java.major < embedded_kafka.ARCHIVES_FROM_JAVA:
        pytest.skip(f"Java {java.version} makes no such archive")
    folder = tmp_path / f"kafka-{NEWEST}"
    folder.mkdir()
    for jar in jars.kafka_jars(NEWEST).glob("*.jar"):
        (folder / jar.name).symlink_to(jar)
    archive = folder / f"classes-{java.version}.jsa"
    monkeypatch.setenv("GEOMON_KAFKA_CACHE", str(tmp_path))
    with KafkaCluster() as cluster:
        assert not archive.exists()
        first = f"-XX:ArchiveClassesAtExit={folder}/."
        assert first in arguments_of(cluster.pid(1))
    assert archive.stat().st_size > 1 << 20
    archive.unlink()
    archive.write_bytes(b"no archive at all")
    with KafkaCluster() as cluster:
        assert f"-XX:SharedArchiveFile={archive}" in arguments_of(cluster.pid(1))
        asyncio.run(create_topics(cluster.bootstrap, {"t": 1}))
    assert {path.suffix for path in folder.iterdir()} == {".jar", ".jsa"}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def program(folder: Path, name: str, script: str) -> None:
    """Put a program of ours where one of the system would be found."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of programs that stands before the system's, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("GEOMON_KAFKA_CACHE", str(tmp_path / "cache"))
    return folder


def complaint(version: str = NEWEST) -> str:
    with pytest.raises(UnavailableError) as caught:
        KafkaCluster(version=version).start()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_java_or_with_an_old_one_one_line_says_what_is_needed(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(system, "java", "echo 'openjdk version \"11.0.20\" 2023-07-18' >&2")
    assert complaint() == f"Java 11.0.20 is too old: Kafka {NEWEST} needs Java 17 or newer"
    assert jars.find_java(OLDER).major == 11
    program(system, "java", "echo 'java version \"1.8.0_392\"' >&2")
    assert complaint(OLDER) == f"Java 1.8.0_392 is too old: Kafka {OLDER} needs Java 11 or newer"
    program(system, "java", "echo 'no libjvm.so here' >&2; exit 1")
    assert complaint() == f"{system}/java is no Java that runs: no libjvm.so here"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert complaint() == f"no Java: Kafka {NEWEST} needs Java 17 or newer on PATH"


def test_the_java_of_java_home_comes_first(
    system: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(system, "java", "exit 1")
    (tmp_path / "jdk").mkdir()
    program(tmp_path / "jdk" / "bin", "java", "echo 'openjdk version \"21\" 2023-09-19' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert jars.find_java(NEWEST).major == 21


def test_jars_that_cannot_be_had_are_one_line(
    system: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(system, "java", "echo 'openjdk version \"17.0.1\"' >&2")
    refusal = "[ERROR] Could not find artifact org.apache.kafka:kafka_2.13:jar -> [Help 1]"
    program(system, "mvn", f"echo '{refusal}'; echo '[ERROR]'; exit 1")
    assert complaint() == (
        f"Kafka {NEWEST} cannot be fetched: Could not find artifact org.apache.kafka:kafka_2.13:jar"
    )
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]
    assert complaint("newest") == f"not a version of Kafka: 'newest' (as in {NEWEST})"
    monkeypatch.setenv("PATH", str(system))
    (system / "mvn").unlink()
    monkeypatch.setattr(jars, "find_java", lambda _: None)
    assert "no Maven to fetch" in complaint_of_jars()
    (tmp_path / "cache" / ".lock").unlink()
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("a file, and no folder")
    program(system, "mvn", "exit 1")
    assert complaint_of_jars().startswith(f"{tmp_path}/cache: ")


def complaint_of_jars() -> str:
    with pytest.raises(UnavailableError) as caught:
        jars.kafka_jars(NEWEST)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_jars_are_fetched_once_however_many_ask_at_once(system: Path, tmp_path: Path) -> None:
    # It writes down that it was called, and makes what Maven would have fetched.
    out = (
        'for word; do case $word in -DoutputDirectory=*) out=${word#*=};; esac; done; mkdir "$out"'
    )
    program(
        system,
        "mvn",
        f'echo >>{tmp_path}/calls; {out}; sleep 0.2; : >"$out/kafka_2.13-{NEWEST}.jar"',
    )
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(jars.kafka_jars, [NEWEST] * 4))
    assert folders == {tmp_path / "cache" / f"kafka-{NEWEST}"}
    assert jars.kafka_jars(NEWEST) in folders
    assert (tmp_path / "calls").read_text() == "\n"
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [".lock", f"kafka-{NEWEST}"]
