"""A recording at its own pace."""

from __future__ import annotations

import asyncio
import signal
import sys
from itertools import islice
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from geomon.embedded.broker import EmbeddedBroker
from geomon.intake import Raw
from geomon.pacing import Pace, paced
from geomon.topics import EVENTS

PATIENCE_S = 60.0


def line(received: str | None, tag: str = "clock") -> Raw:
    field = f',"received":"{received}"' if received else ""
    return Raw(f'{{"type":"{tag}","supervisee_id":"SZ-1"{field}}}'.encode(), "test")


def test_lines_wait_for_their_arrival_times() -> None:
    now_s = 100.0
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        waits.append(seconds)
        now_s += seconds

    lines = [
        line("2024-02-13T09:00:00+08:00"),
        line("2024-02-13T09:10:00+08:00"),
        line(None),  # says nothing of when it came: at once
        line("2024-02-13T09:05:00+08:00"),  # came late: at once
        line("2024-02-13T10:00:00+08:00"),
        Raw(b"{", "test"),
    ]
    assert list(paced(lines, 60, clock=lambda: now_s, sleep=sleep)) == lines
    assert waits == pytest.approx([10.0, 50.0])


@pytest.mark.parametrize(
    "tag",
    [
        *("upload", "supervisee", "permit", "return", "check_in", "disposal"),
        *("zone", "check_in_plan", "authorisation", "sanction", "clock", "of a later version"),
    ],
)
def test_events_of_every_type_wait_alike(tag: str) -> None:
    """By arrival alone: the times of a plan lie in its future, and what it is does not matter."""
    waits: list[float] = []
    papers = [
        line("2024-02-13T09:00:00+08:00"),
        Raw(
            b'{"type":"' + tag.encode() + b'","received":"2024-02-13T09:01:00+08:00",'
            b'"time":"2024-02-13T23:00:00+08:00","from":"2024-03-01T00:00:00+08:00"}',
            "test",
        ),
        line("soon", tag),
    ]
    assert list(paced(papers, 1, clock=lambda: 0.0, sleep=waits.append)) == papers
    assert waits == [60.0]


def test_a_wait_beyond_what_a_clock_can_sleep_is_slept_in_pieces() -> None:
    pace = Pace(1e-320, clock=lambda: 0.0)
    first, second = line("2024-02-13T09:00:00+08:00"), line("2024-02-13T09:00:01+08:00")
    assert list(pace.waits(first)) == []
    assert list(islice(pace.waits(second), 3)) == [3_600.0] * 3


def test_what_is_due_is_in_kafka_while_the_next_is_waited_for(tmp_path: Path) -> None:
    """One event now and one tomorrow: the first does not wait for the second."""
    recording = tmp_path / "two.ndjson"
    today, tomorrow = line("2024-02-13T09:00:00+08:00"), line("2024-02-14T09:00:00+08:00")
    recording.write_bytes(today.data + b"\n" + tomorrow.data + b"\n")

    async def run() -> tuple[bytes | None, int]:
        with EmbeddedBroker({EVENTS: 1}) as broker:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
            )
            await consumer.start()
            consumer.assign([TopicPartition(EVENTS, 0)])
            sender = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "geomon", "replay", "--speed", "1"),
                *("--kafka", broker.bootstrap, str(recording)),
            )
            try:
                message = await asyncio.wait_for(consumer.getone(), PATIENCE_S)
                sender.send_signal(signal.SIGINT)
                return message.value, await asyncio.wait_for(sender.wait(), PATIENCE_S)
            finally:
                if sender.returncode is None:
                    sender.kill()
                await consumer.stop()

    assert asyncio.run(run()) == (today.data, 130)
