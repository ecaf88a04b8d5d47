"""`geomon dev`: services for development, as a person starts and stops them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from realkafka import NEWEST, OLDER, create_topics, need_kafka

from geomon.embedded import kafka as embedded_kafka

PATIENCE_S = 120.0


@contextmanager
def dev(*words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a service; give its process and the address that it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "geomon", "dev", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def end(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Ask it to end as a terminal or a supervisor does; give what it had to say."""
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    return said


def free_port() -> str:
    return str(embedded_kafka._free_ports(1)[0])


def test_a_kafka_runs_until_ctrl_c_and_its_folder_has_the_data_for_the_next(
    tmp_path: Path,
) -> None:
    need_kafka()
    port, data = free_port(), tmp_path / "kafka"
    words = ("kafka", "--port", port, "--data", str(data))

    async def send(bootstrap: str) -> None:
        await create_topics(bootstrap, {"t": 1})
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        await producer.send_and_wait("t", b"kept")
        await producer.stop()

    async def read(bootstrap: str) -> bytes | None:
        consumer = AIOKafkaConsumer("t", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            record = await asyncio.wait_for(consumer.getone(), PATIENCE_S)
            value: bytes | None = record.value
            return value
        finally:
            await consumer.stop()

    with dev(*words) as (process, bootstrap):
        assert bootstrap == f"127.0.0.1:{port}"
        asyncio.run(send(bootstrap))
        said = end(process, signal.SIGINT)
    assert "For development only" in said
    assert str(data) in said.replace("\n", "")
    assert said.endswith("stopped\n")
    with dev(*words) as (process, bootstrap):
        assert asyncio.run(read(bootstrap)) == b"kept"
        end(process, signal.SIGTERM)


def test_another_version_can_be_asked_for_and_leaves_nothing_behind(tmp_path: Path) -> None:
    need_kafka(OLDER)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ("kafka", "--version", OLDER, "--port", free_port())
    with dev(*words, TMPDIR=str(scratch)) as (process, bootstrap):
        assert bootstrap
        assert [path.name.startswith("geomon-kafka-") for path in scratch.iterdir()] == [True]
        assert f"Kafka {OLDER}" in end(process, signal.SIGTERM)
    # Java may keep figures of each process there, which are not ours.
    assert [path for path in scratch.iterdir() if path.name.startswith("geomon")] == []


def test_a_port_that_is_taken_is_one_line() -> None:
    need_kafka()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with dev("kafka", "--port", port) as (process, address):
            _, said = process.communicate(timeout=PATIENCE_S)
    assert address == ""
    assert process.returncode == 1
    [_, line] = said.splitlines()
    assert line.startswith("geomon: broker 1 did not start: ")
    assert "in use" in line


def test_a_version_that_is_none_is_one_line() -> None:
    with dev("kafka", "--version", "latest") as (process, _):
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert said.splitlines()[1:] == [f"geomon: not a version of Kafka: 'latest' (as in {NEWEST})"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_redis_runs_until_it_is_asked_to_end(tmp_path: Path, number: signal.Signals) -> None:
    for found in (None, b"yes"):
        with dev("redis", "--data", str(tmp_path / "redis")) as (process, url):
            with redis.Redis.from_url(url) as client:
                assert client.get("kept") == found
                client.set("kept", "yes")
            assert "For development only" in end(process, number)


def test_the_reference_names_the_versions_that_are_tested() -> None:
    reference = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
    assert f"{NEWEST} ({OLDER} is tested, too)" in reference.read_text("utf-8")
