"""Writes to a real Kafka: their order, batches of any size, a broker that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from realkafka import create_topics, real_kafka

from geomon.embedded.kafka import KafkaCluster
from geomon.errors import UnavailableError
from geomon.stream import outbox as module
from geomon.stream.outbox import BATCH_BYTES, Outbox

PATIENCE_S = 120.0
Message = tuple[bytes, bytes]


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))


@asynccontextmanager
async def outbox_to(cluster: KafkaCluster, topics: dict[str, int]) -> AsyncIterator[Outbox]:
    await create_topics(cluster.bootstrap, topics)
    outbox = Outbox(cluster.bootstrap)
    await outbox.start()
    try:
        yield outbox
    finally:
        await outbox.stop()


async def read(cluster: KafkaCluster, topic: str, partition: int = 0) -> list[Message]:
    """All that stands in a partition now."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        end = (await consumer.end_offsets([where]))[where]
        found: list[Message] = []
        while await consumer.position(where) < end:
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                found += [(record.key, record.value) for record in records]
        return found
    finally:
        await consumer.stop()


async def until(done: Callable[[], bool]) -> None:
    while not done():
        await asyncio.sleep(0.02)


def first_of_each(messages: list[Message]) -> list[Message]:
    """A repeated write may stand there twice: give each message where it stands first."""
    return list(dict.fromkeys(messages))


def test_what_is_sent_of_one_key_stands_in_its_order_in_one_partition(kafka: KafkaCluster) -> None:
    sent = [(b"SZ-%04d" % (n % 7), b"%d" % n) for n in range(2_000)]

    async def main() -> None:
        async with outbox_to(kafka, {"outbox-order": 4}) as outbox:
            await outbox.send("outbox-order", sent[:1_200])
            await outbox.send("outbox-order", sent[1_200:])
            partitions = [await read(kafka, "outbox-order", p) for p in range(4)]
        assert sorted(m for p in partitions for m in p) == sorted(sent)
        for key in {key for key, _ in sent}:
            [stands_in] = [p for p in partitions if key in dict(p)]
            assert [m for m in stands_in if m[0] == key] == [m for m in sent if m[0] == key]

    run(main)


def test_nothing_to_send_or_write_is_done_at_once(kafka: KafkaCluster) -> None:
    async def main() -> None:
        async with outbox_to(kafka, {"outbox-nothing": 1}) as outbox:
            await outbox.send("outbox-nothing", [])
            assert await outbox.write("outbox-nothing", 0, []) == []
            assert await read(kafka, "outbox-nothing") == []

    run(main)


def test_states_go_to_the_partition_asked_for_in_as_many_batches_as_it_takes(
    kafka: KafkaCluster,
) -> None:
    """More than one request takes: 3 MB, where the broker takes a megabyte at once."""
    sent = [(b"SZ-%04d" % n, bytes([n % 251]) * 1_000) for n in range(3_000)]

    async def main() -> None:
        async with outbox_to(kafka, {"outbox-states": 3}) as outbox:
            await outbox.write("outbox-states", 2, [(b"before", b"")])
            written = await outbox.write("outbox-states", 2, sent)
            assert len(written) >= 3_000 * 1_000 / BATCH_BYTES
            # Offsets and numbers say where each batch stands: one behind the other.
            at = 1
            for offset, count in written:
                assert offset == at
                at += count
            assert at == 3_001
            assert (await read(kafka, "outbox-states", 2))[1:] == sent
            assert await read(kafka, "outbox-states", 0) == []

    run(main)


def test_two_rounds_of_different_partitions_do_not_mix(kafka: KafkaCluster) -> None:
    rounds = [[(b"SZ-%d" % n, b"%d" % p * 500) for n in range(800)] for p in range(3)]

    async def main() -> None:
        async with outbox_to(kafka, {"outbox-rounds": 3}) as outbox:
            await asyncio.gather(
                *(outbox.write("outbox-rounds", p, records) for p, records in enumerate(rounds))
            )
            for p, records in enumerate(rounds):
                assert await read(kafka, "outbox-rounds", p) == records

    run(main)


def test_a_state_larger_than_a_batch_is_written_by_itself(kafka: KafkaCluster) -> None:
    """Somebody outside for a month, among others."""
    sent = [(b"A", b"a"), (b"B", b"b" * (BATCH_BYTES + 100_000)), (b"C", b"c")]

    async def main() -> None:
        async with outbox_to(kafka, {"outbox-large": 1}) as outbox:
            written = await outbox.write("outbox-large", 0, sent)
            assert sum(count for _, count in written) == 3
            assert await read(kafka, "outbox-large") == sent

    run(main)


@pytest.mark.parametrize("size", [2 << 20, 8 << 20])
def test_what_the_broker_will_never_take_is_raised(kafka: KafkaCluster, size: int) -> None:
    """More than its megabyte; and more than we would send at all. Waiting heals neither."""
    topic = f"outbox-never-{size}"

    async def main() -> None:
        async with outbox_to(kafka, {topic: 1}) as outbox:
            with pytest.raises((MessageSizeTooLargeError, RecordListTooLargeError)):
                await outbox.send(topic, [(b"A", b"a" * size)])
            with pytest.raises(KafkaError):
                await outbox.write(topic, 0, [(b"A", b"a" * size)])
            assert outbox.failures == 0, "nothing was tried again"
            # And what comes after it goes on.
            await outbox.send(topic, [(b"B", b"b")])
            assert await read(kafka, topic) == [(b"B", b"b")]

    run(main)


def test_what_is_sent_before_a_message_that_is_too_large_is_there(kafka: KafkaCluster) -> None:
    async def main() -> None:
        async with outbox_to(kafka, {"outbox-middle": 1}) as outbox:
            with pytest.raises((MessageSizeTooLargeError, RecordListTooLargeError)):
                await outbox.send("outbox-middle", [(b"A", b"a"), (b"B", b"b" * (8 << 20))])
            await outbox.send("outbox-middle", [(b"C", b"c")])
            assert (await read(kafka, "outbox-middle"))[-1] == (b"C", b"c")

    run(main)


def test_without_kafka_it_does_not_start() -> None:
    async def main() -> None:
        outbox = Outbox("127.0.0.1:9")
        with pytest.raises(UnavailableError, match=r"^Kafka at 127\.0\.0\.1:9: "):
            await outbox.start()
        with pytest.raises(UnavailableError, match="not connected"):
            await outbox.send("outbox-none", [(b"A", b"a")])
        await outbox.stop()

    run(main)


@pytest.fixture(scope="module")
def fragile() -> Iterator[KafkaCluster]:
    """A broker of this file's own, to be killed and held up; each test leaves it running."""
    with real_kafka() as cluster:
        yield cluster


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let aiokafka give up after 3 s instead of 40 s: what comes then is the outbox's."""
    quick = partial(AIOKafkaProducer, request_timeout_ms=3_000)
    monkeypatch.setattr(module, "AIOKafkaProducer", quick)


#: Several batches: one may fail while the next one is on its way.
ALERTS = [(b"SZ-%d" % (n % 5), b"%d " % n + b"a" * 20_000) for n in range(200)]
STATES = [(b"SZ-%04d" % n, b"s" * 1_000) for n in range(2_000)]


async def assert_all_there(cluster: KafkaCluster, alerts: str, states: str) -> None:
    assert first_of_each(await read(cluster, alerts)) == ALERTS
    assert first_of_each(await read(cluster, states)) == STATES


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_is_killed_and_comes_back_has_everything_in_order(
    fragile: KafkaCluster,
) -> None:
    """Alerts and states sent while it is away wait for it, however long that is."""

    async def main() -> None:
        async with outbox_to(fragile, {"killed-alerts": 1, "killed-people": 1}) as outbox:
            await outbox.send("killed-alerts", ALERTS[:50])
            fragile.kill(1)
            sending = asyncio.gather(
                outbox.send("killed-alerts", ALERTS[50:]),
                outbox.write("killed-people", 0, STATES),
            )
            await until(lambda: outbox.failures > 2 or sending.done())
            assert not sending.done()
            await asyncio.to_thread(fragile.start_broker, 1)
            _, written = await sending
            await assert_all_there(fragile, "killed-alerts", "killed-people")
            # What is given back is where the states stand, also if they stand twice.
            found = await read(fragile, "killed-people")
            at = 0
            for offset, count in written:
                assert found[offset : offset + count] == STATES[at : at + count]
                at += count
            assert at == len(STATES)

    run(main)


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_stands_still_has_everything_in_order_when_it_goes_on(
    fragile: KafkaCluster,
) -> None:
    """It takes what lies in its connections when it goes on: that may then stand there twice."""

    async def main() -> None:
        async with outbox_to(fragile, {"still-alerts": 1, "still-people": 1}) as outbox:
            await outbox.send("still-alerts", ALERTS[:50])
            fragile.pause(1)
            sending = asyncio.gather(
                outbox.send("still-alerts", ALERTS[50:]),
                outbox.write("still-people", 0, STATES),
            )
            try:
                await until(lambda: outbox.failures > 2 or sending.done())
                assert not sending.done()
            finally:
                fragile.resume(1)
            await sending
            await assert_all_there(fragile, "still-alerts", "still-people")

    run(main)


@pytest.mark.usefixtures("impatient")
def test_a_write_can_be_given_up_while_the_broker_is_away(fragile: KafkaCluster) -> None:
    """A worker that is told to stop does not wait for Kafka."""

    async def main() -> None:
        async with outbox_to(fragile, {"given-up": 1}) as outbox:
            fragile.kill(1)
            writing = asyncio.create_task(outbox.write("given-up", 0, [(b"A", b"a")]))
            await until(lambda: outbox.failures > 0)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            await asyncio.to_thread(fragile.start_broker, 1)
            await outbox.send("given-up", [(b"B", b"b")])
            assert (await read(fragile, "given-up"))[-1] == (b"B", b"b")

    run(main)
