"""The embedded Redis and broker: really there, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from hosts import ends, hosting

from geomon.embedded import redis as embedded_redis
from geomon.embedded.broker import EmbeddedBroker
from geomon.embedded.redis import EmbeddedRedis
from geomon.errors import UnavailableError

# Starts a server, says where, waits for a line (or a signal), says whether the server answers then.
HOST = """
import json, os, sys
import redis
from geomon.embedded.redis import EmbeddedRedis
with EmbeddedRedis() as server:
    told = {"pid": server.pid, "url": server.url, "guard": server._guard._shell.pid}
    try:
        print(json.dumps(told), flush=True)
        sys.stdin.readline()
    finally:
        with redis.Redis.from_url(server.url) as client:
            print(json.dumps(client.ping()), flush=True)
"""


@pytest.fixture
def host() -> Iterator[subprocess.Popen[str]]:
    with hosting(HOST) as process:
        yield process


def folder_of(url: str) -> Path:
    return Path(url.removeprefix("unix://")).parent


def test_a_redis_answers_inside_the_block_and_is_gone_after_it() -> None:
    with EmbeddedRedis() as server:
        folder, pid = folder_of(server.url), server.pid
        with redis.Redis.from_url(server.url) as client:
            assert client.info("server")["process_id"] == pid
            assert client.config_get("port") == {"port": "0"}
        assert folder.stat().st_mode & 0o077 == 0, "other users may not even look"
    assert ends(pid)
    assert not folder.exists()
    assert server.pid == 0
    with pytest.raises(UnavailableError, match="not running"):
        _ = server.url


def test_an_exception_in_the_block_leaves_nothing_behind() -> None:
    server = EmbeddedRedis()

    def block() -> None:
        with server:
            left.append((server.pid, folder_of(server.url)))
            raise ZeroDivisionError

    left: list[tuple[int, Path]] = []
    with pytest.raises(ZeroDivisionError):
        block()
    [(pid, folder)] = left
    assert ends(pid)
    assert not folder.exists()


def test_a_program_killed_outright_leaves_nothing_behind(host: subprocess.Popen[str]) -> None:
    assert host.stdout is not None
    told = json.loads(host.stdout.readline())
    assert folder_of(told["url"]).exists()

    host.send_signal(signal.SIGKILL)

    assert ends(told["pid"])
    assert ends(told["guard"])
    assert not folder_of(told["url"]).exists()


def test_ctrl_c_in_the_terminal_reaches_the_program_and_not_its_redis(
    host: subprocess.Popen[str],
) -> None:
    assert host.stdout is not None
    told = json.loads(host.stdout.readline())

    os.killpg(host.pid, signal.SIGINT)  # what a terminal does: the whole foreground group

    assert json.loads(host.stdout.readline()) is True, "the clean-up still had its server"
    assert host.wait(60) == -signal.SIGINT
    assert ends(told["pid"])
    assert ends(told["guard"])
    assert not folder_of(told["url"]).exists()


def test_it_outlives_the_thread_that_started_it() -> None:
    server = EmbeddedRedis()
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
    finally:
        server.stop()


def test_with_a_directory_a_killed_server_comes_back_with_its_data(tmp_path: Path) -> None:
    with EmbeddedRedis(directory=tmp_path) as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            client.set("kept", "yes")
        os.kill(server.pid, signal.SIGKILL)
        assert ends(server.pid)
    with EmbeddedRedis(directory=tmp_path) as server:
        assert server.url == url
        with redis.Redis.from_url(url) as client:
            assert client.get("kept") == b"yes"
    assert tmp_path.exists()


def test_tcp_gives_each_server_a_port_of_the_loopback_alone() -> None:
    with EmbeddedRedis(tcp=True) as one, EmbeddedRedis(tcp=True) as other:
        assert one.url != other.url
        for server in (one, other):
            assert server.url.startswith("redis://127.0.0.1:")
            with redis.Redis.from_url(server.url) as client:
                assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_a_port_taken_at_the_last_moment_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = embedded_redis._free_port()
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(embedded_redis, "_free_port", lambda: next(ports))
        # The other program answers nothing: the server's own end tells.
        monkeypatch.setattr(EmbeddedRedis, "_pong", _pong_unless(taken.getsockname()[1]))
        with EmbeddedRedis(tcp=True) as server:
            assert server.url == f"redis://127.0.0.1:{free}/0"


def _pong_unless(port: int) -> Callable[[EmbeddedRedis], bool]:
    real = EmbeddedRedis._pong
    return lambda server: server._port != port and real(server)


def test_without_any_redis_server_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(embedded_redis, "BUNDLES", ("no_such_package",))
    with pytest.raises(UnavailableError, match="no redis-server: install") as caught:
        EmbeddedRedis().start()
    assert "\n" not in str(caught.value)


def test_the_redis_server_of_the_system_comes_first_and_its_last_words_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    binary = tmp_path / "redis-server"
    binary.write_text("#!/bin/sh\necho '*** FATAL: out of luck' >&2\nexit 1\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    server = EmbeddedRedis()
    with pytest.raises(UnavailableError, match=r"did not start: .*out of luck") as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert server.pid == 0
    server.stop()
    assert list(scratch.iterdir()) == []


def test_every_partition_of_a_topic_takes_and_gives_its_messages() -> None:
    async def session(bootstrap: str) -> dict[int, list[bytes | None]]:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        try:
            assert await producer.partitions_for("geomon.events") == {0, 1, 2, 3}
            for number in range(40):
                await producer.send_and_wait(
                    "geomon.events", b"%d" % number, key=b"SZ-1", partition=number % 4
                )
        finally:
            await producer.stop()
        consumer = AIOKafkaConsumer(
            "geomon.events", bootstrap_servers=bootstrap, group_id="g", auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            taken: dict[int, list[bytes | None]] = {}
            for _ in range(40):
                record = await asyncio.wait_for(consumer.getone(), 10)
                taken.setdefault(record.partition, []).append(record.value)
            return taken
        finally:
            await consumer.stop()

    with EmbeddedBroker({"geomon.events": 4, "geomon.alerts": 1}) as broker:
        assert broker.bootstrap.startswith("127.0.0.1:")
        taken = asyncio.run(session(broker.bootstrap))
    assert taken == {p: [b"%d" % n for n in range(p, 40, 4)] for p in range(4)}


def test_a_group_goes_on_where_its_last_member_committed() -> None:
    async def send(bootstrap: str) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        try:
            for number in range(10):
                await producer.send_and_wait("t", b"%d" % number, partition=0)
        finally:
            await producer.stop()

    async def take(bootstrap: str, count: int) -> list[int]:
        consumer = AIOKafkaConsumer(
            "t",
            bootstrap_servers=bootstrap,
            group_id="workers",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=1000,  # the broker waits so long for more members to come back
            heartbeat_interval_ms=300,
            max_poll_records=1,
        )
        await consumer.start()
        try:
            taken = [await asyncio.wait_for(consumer.getone(), 10) for _ in range(count)]
            await consumer.commit()
            return [int(record.value or b"-1") for record in taken]
        finally:
            await consumer.stop()

    with EmbeddedBroker({"t": 1}) as broker:
        asyncio.run(send(broker.bootstrap))
        assert asyncio.run(take(broker.bootstrap, 6)) == [0, 1, 2, 3, 4, 5]
        assert asyncio.run(take(broker.bootstrap, 4)) == [6, 7, 8, 9]


def test_a_topic_that_kafka_would_refuse_is_refused() -> None:
    with EmbeddedBroker({"geomon.events": 2}) as broker:
        with pytest.raises(UnavailableError, match=r"geomon\.events: .*exists"):
            broker.create_topic("geomon.events", 2)
        with pytest.raises(UnavailableError, match="not a Kafka topic"):
            broker.create_topic("no spaces", 2)
        with pytest.raises(UnavailableError, match="not a Kafka topic"):
            broker.create_topic("none", 0)
    with pytest.raises(UnavailableError), EmbeddedBroker({"good": 1, "bad one": 1}):
        pass


def test_faults_can_be_asked_for() -> None:
    async def produce(bootstrap: str) -> float:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        try:
            begun = time.monotonic()
            await producer.send_and_wait("t", b"x", partition=0)
            return time.monotonic() - begun
        finally:
            await producer.stop()

    with EmbeddedBroker({"t": 1}) as broker:
        broker.fail_next(0, 87)  # Produce: INVALID_RECORD, which no client retries
        with pytest.raises(KafkaError):
            asyncio.run(produce(broker.bootstrap))
        assert asyncio.run(produce(broker.bootstrap)) < 0.3
        broker.set_round_trip_ms(300)
        assert asyncio.run(produce(broker.bootstrap)) >= 0.3


def test_a_stopped_broker_has_closed_its_port() -> None:
    broker = EmbeddedBroker({})
    broker.start()
    port = int(broker.bootstrap.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    broker.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
    with pytest.raises(UnavailableError, match="not running"):
        _ = broker.bootstrap
    broker.stop()


def test_without_confluent_kafka_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(UnavailableError, match="no embedded broker without confluent-kafka"):
        EmbeddedBroker({}).start()
