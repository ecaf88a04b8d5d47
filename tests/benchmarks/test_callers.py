"""The callers of the gateway's benchmark: what they count as acknowledged is in the topic."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from bench_gateway import Row, Server, bare_running, gateway_running, median_of, table
from callers import devices_of, is_http_answer, terminal_number

from geomon.embedded.broker import EmbeddedBroker
from geomon.topics import EVENTS, REJECTED

DEVICES = 4
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with EmbeddedBroker({EVENTS: 3, REJECTED: 1}) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="module")
def gateway(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("gateway")
    devices = folder / "devices.ndjson"
    devices.write_text("".join(f"{json.dumps(one)}\n" for one in devices_of(DEVICES, 3 * DEVICES)))
    with gateway_running(kafka, devices, folder, {}) as running:
        yield running


def caller(kind: str, address: str, *words: str) -> list[str]:
    program = Path(__file__).with_name("callers.py")
    return [sys.executable, str(program), kind, address, "--devices", str(DEVICES), *words]


def called(kind: str, address: str, *words: str) -> dict[str, Any]:
    command = caller(kind, address, "--warm", "0.1", "--seconds", "0.5", *words)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def everything(kafka: str) -> list[bytes]:
    async def read() -> list[bytes]:
        consumer = AIOKafkaConsumer(
            EVENTS, bootstrap_servers=kafka, auto_offset_reset="earliest", fetch_max_wait_ms=50
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            found = []
            while [1 for part, end in ends.items() if await consumer.position(part) < end]:
                message = await asyncio.wait_for(consumer.getone(), DEADLINE_S)
                found.append(message.value)
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


@pytest.mark.parametrize("kind", ["native", "osmand", "jt808"])
def test_what_a_gateway_acknowledged_is_in_the_topic(
    kind: str, gateway: Server, kafka: str
) -> None:
    before = len(everything(kafka))
    found = called(kind, gateway.addresses[kind])
    new = [msgspec.json.decode(value) for value in everything(kafka)[before:]]
    assert (found["refused"], found["lost"], found["bad"]) == (0, 0, [])
    assert found["acknowledged"] >= found["done"] > 0
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["worst_ms"]
    events = [msgspec.json.decode(value) for value in everything(kafka)]
    mine = [event for event in events if event["protocol"] == kind]
    assert len(mine) == found["acknowledged"] == len(new)
    assert len({event["supervisee_id"] for event in mine}) == DEVICES
    assert all(len(event["fixes"]) == 1 for event in mine)


def test_the_bare_handler_acknowledges_what_is_in_the_topic(tmp_path: Path) -> None:
    with EmbeddedBroker({EVENTS: 3}) as broker, bare_running(broker.bootstrap, tmp_path) as bare:
        told = [called(kind, bare.addresses[kind])["acknowledged"] for kind in ("native", "osmand")]
        assert all(told)
        assert len(everything(broker.bootstrap)) == sum(told)


def test_at_a_rate_no_more_is_sent_than_that(gateway: Server) -> None:
    found = called("native", gateway.addresses["native"], "--rate", "40")
    assert 0 < found["acknowledged"] <= 40 * 0.6 + 2 * DEVICES


def test_who_is_not_let_in_is_counted_as_refused(gateway: Server) -> None:
    found = called("native", gateway.addresses["native"], "--first", "1000000")
    assert found["done"] == found["acknowledged"] == 0
    assert found["refused"] > 0
    assert "401" in found["bad"][0]


def test_phones_that_come_for_one_upload_are_each_answered(gateway: Server, kafka: str) -> None:
    before = len(everything(kafka))
    found = called("newcomers", gateway.addresses["native"], "--rate", "100")
    assert (found["came"], found["answered"]) == (DEVICES, DEVICES)
    assert 0 < found["connected_p99_ms"] <= found["worst_ms"]
    assert len(everything(kafka)) == before + DEVICES


def test_terminals_that_say_nothing_are_still_there_when_they_are_asked(
    gateway: Server, kafka: str
) -> None:
    command = caller("idle", gateway.addresses["jt808"], "--first", str(DEVICES))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as bands:
        assert bands.stdin is not None
        assert bands.stdout is not None
        assert json.loads(bands.stdout.readline())["in"] == DEVICES
        bands.stdin.write("ask\n")
        bands.stdin.flush()
        told = json.loads(bands.stdout.readline())
        assert (told["lost"], told["answered"]) == (0, DEVICES)
        bands.stdin.close()
    sent = Counter(msgspec.json.decode(value).get("device_id") for value in everything(kafka))
    assert all(sent[terminal_number(DEVICES + n)] == 1 for n in range(DEVICES))


def test_an_answer_in_pieces_is_one_answer() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert [is_http_answer(whole[:n])[0] for n in (10, 40, len(whole) - 1)] == [False] * 3
    assert is_http_answer(whole) == (True, True)
    assert is_http_answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") == (True, False)


def test_of_several_rounds_the_median_is_told_and_what_was_refused_in_all() -> None:
    rounds = [
        Row("full", "gateway", "native", 64, per_s=rate, cpu_us=cpu, refused=1)
        for rate, cpu in ((10.0, 3.0), (30.0, 2.0), (20.0, 9.0))
    ]
    row = median_of(rounds)
    assert (row.per_s, row.cpu_us, row.refused) == (20.0, 3.0, 3)
    text = "\n".join(table([row, Row("idle", "gateway", "jt808", 10, rss_mb=50.0)]))
    assert "| full | gateway | native | 64 | 20.0 | 3.0 |" in text
    assert "| idle | gateway | jt808 | 10 |" in text
    assert len(text.splitlines()) == 7  # two tables, a line between them
