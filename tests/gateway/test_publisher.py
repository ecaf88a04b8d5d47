"""Nothing is acknowledged before Kafka has it; while Kafka is away memory stays bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from realkafka import create_topics, forget_topics, real_kafka
from reception import PATIENCE_S, TOKEN, eventually, now_text, reception, records_of, run

from geomon.embedded.broker import EmbeddedBroker
from geomon.embedded.kafka import KafkaCluster
from geomon.events import MAX_BYTES
from geomon.gateway.metrics import Metrics
from geomon.gateway.publisher import Busy, Publisher, _Batch
from geomon.topics import EVENTS, REJECTED

TOPICS = {EVENTS: 4, REJECTED: 1}
PRODUCE = 0
OUT_OF_ORDER_SEQUENCE = 45


@asynccontextmanager
async def publishing(
    kafka: str, *, most_bytes: int = 1 << 24, timeout_s: float = 10.0, stop_s: float = 10.0
) -> AsyncIterator[Publisher]:
    publisher = Publisher(kafka, Metrics(), most_bytes=most_bytes, timeout_s=timeout_s)
    await publisher.start()
    try:
        await eventually(publisher.trouble, lambda trouble: not trouble)
        yield publisher
    finally:
        await publisher.stop(stop_s)


async def put_or_why(publisher: Publisher, key: str, value: bytes) -> str:
    try:
        await publisher.put(key, value)
    except Busy as busy:
        return str(busy) or "busy"
    return ""


def test_what_was_put_is_in_the_topic_under_its_key() -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            async with publishing(broker.bootstrap) as publisher:
                await asyncio.gather(*(publisher.put(f"SZ-{n}", b"%d" % n) for n in range(100)))
                found = await records_of(broker.bootstrap, EVENTS)
                assert sorted(found) == sorted((f"SZ-{n}".encode(), b"%d" % n) for n in range(100))
                assert publisher.bytes_in_flight == 0
                await publisher.put("SZ-1", b"x" * MAX_BYTES)

    run(main)


def test_more_than_one_batch_for_one_person_arrives_whole_and_in_order() -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            async with publishing(broker.bootstrap) as publisher:
                # The first is under way when the others come, and these are three batches.
                values = [b"%06d" % n * 1_000 for n in range(100)]
                await asyncio.gather(*(publisher.put("SZ-1", value) for value in values))
                found = await records_of(broker.bootstrap, EVENTS)
                assert [value for _, value in found] == values

    run(main)


def test_what_comes_while_a_request_is_under_way_goes_together_with_the_next_one() -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            async with publishing(broker.bootstrap) as publisher:
                line = publisher._line
                assert line is not None
                keys = [f"SZ-{number}" for number in range(20)]
                of = {line.lane(EVENTS, key.encode()).partition: key for key in keys}
                first, second = of[0], of[1]
                broker.set_round_trip_ms(400)
                puts = [asyncio.create_task(put_or_why(publisher, first, b"0"))]
                await eventually(lambda: gone(publisher), bool)
                # To another partition of the same broker, which answers one request at a time.
                for number in range(1, 6):
                    puts.append(asyncio.create_task(put_or_why(publisher, second, b"%d" % number)))
                    await asyncio.sleep(0.01)
                assert not any(put.done() for put in puts)
                assert await puts[0] == ""
                assert not any(put.done() for put in puts[1:])
                assert await puts[1] == ""
                await asyncio.sleep(0)
                # Those after it were not left to a third request.
                assert all(put.done() for put in puts)
                values = [value for _, value in await records_of(broker.bootstrap, EVENTS)]
                assert values == [b"0", b"1", b"2", b"3", b"4", b"5"]

    run(main)


def gone(publisher: Publisher) -> bool:
    """Whether something waits for Kafka, and all of it is under way."""
    loads = publisher._loads.values()
    return bool(loads) and all(load.batch.closed() for load in loads)


def test_a_batch_that_is_numbered_takes_no_more() -> None:
    """Or the next one would begin with a number that is taken, and Kafka would refuse it."""
    batch = _Batch()
    assert batch.append(timestamp=None, key=b"SZ-1", value=b"1") is not None
    assert batch.append(timestamp=None, key=b"SZ-1", value=b"2") is not None
    batch._set_producer_state(7, 0, 40)
    assert batch.append(timestamp=None, key=b"SZ-1", value=b"3") is None
    assert batch.record_count() == 2


def test_under_load_everything_arrives_once_and_each_persons_in_order(kafka: KafkaCluster) -> None:
    people, events, at_a_time = 24, 300, 5

    async def main() -> None:
        await forget_topics(kafka.bootstrap)
        await create_topics(kafka.bootstrap, TOPICS)
        async with publishing(kafka.bootstrap) as publisher:

            async def send(person: int) -> None:
                for first in range(0, events, at_a_time):
                    some = range(first, first + at_a_time)
                    puts = [publisher.put(f"SZ-{person}", b"%d" % number) for number in some]
                    await asyncio.gather(*puts)

            await asyncio.gather(*map(send, range(people)))
        found: dict[bytes, list[int]] = {}
        for key, value in await records_of(kafka.bootstrap, EVENTS):
            found.setdefault(key, []).append(int(value))
        assert found == {b"SZ-%d" % person: [*range(events)] for person in range(people)}
        await forget_topics(kafka.bootstrap)

    run(main)


def test_a_person_is_in_the_partition_where_other_clients_look_for_it() -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            async with publishing(broker.bootstrap) as publisher:
                keys = [f"SZ-{n:04d}" for n in range(50)] + ["", "王-1", "x" * 100]
                await asyncio.gather(*(publisher.put(key, b"ours") for key in keys))
            producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
            await producer.start()
            for key in keys:
                await producer.send_and_wait(EVENTS, b"theirs", key=key.encode())
            await producer.stop()
            where: dict[bytes, set[int]] = {key.encode(): set() for key in keys}
            consumer = AIOKafkaConsumer(
                EVENTS, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
            )
            await consumer.start()
            for _ in range(2 * len(keys)):
                message = await asyncio.wait_for(consumer.getone(), PATIENCE_S)
                where[message.key].add(message.partition)
            await consumer.stop()
            assert {len(partitions) for partitions in where.values()} == {1}
            assert set.union(*where.values()) == set(range(TOPICS[EVENTS]))

    run(main)


def test_without_kafka_it_starts_says_why_and_is_busy_at_once() -> None:
    async def main() -> None:
        publisher = Publisher("127.0.0.1:1", Metrics(), most_bytes=1 << 20, timeout_s=1.0)
        await publisher.start()
        with pytest.raises(Busy, match=r"Kafka at 127\.0\.0\.1:1"):
            await publisher.put("SZ-1", b"x")
        assert publisher.trouble().startswith("Kafka at 127.0.0.1:1: ")
        await publisher.stop()

    run(main)


def test_a_producer_that_cannot_go_on_is_replaced() -> None:
    """After a lost number an idempotent producer is refused for ever; a new one is not."""

    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            async with publishing(broker.bootstrap) as publisher:
                await publisher.put("SZ-1", b"before")
                broker.fail_next(PRODUCE, OUT_OF_ORDER_SEQUENCE)
                assert await put_or_why(publisher, "SZ-1", b"refused")

                async def again() -> str:
                    return await put_or_why(publisher, "SZ-1", b"after")

                await eventually(again, lambda why: not why)
                values = [value for _, value in await records_of(broker.bootstrap, EVENTS)]
                assert values[0] == b"before"
                assert values[-1] == b"after"

    run(main)


def test_kafka_that_stands_still_makes_it_busy_and_memory_stays_bounded() -> None:
    with real_kafka(1) as kafka:

        async def main() -> None:
            await create_topics(kafka.bootstrap, TOPICS)
            async with publishing(kafka.bootstrap, most_bytes=1 << 20, timeout_s=1.0) as publisher:
                await publisher.put("SZ-1", b"before")
                kafka.pause(1)
                big = b"x" * 100_000
                puts = [put_or_why(publisher, f"SZ-{n}", big) for n in range(50)]
                said = await asyncio.gather(*puts)
                assert all(said)
                assert sum("bytes wait" in why for why in said) >= 40  # refused at once
                assert 900_000 < publisher.bytes_in_flight <= 1 << 20
                # Kafka does not answer: nobody waits for it any more, however small.
                assert "has not answered" in await put_or_why(publisher, "SZ-1", b"small")
                kafka.resume(1)
                await eventually(lambda: publisher.bytes_in_flight, lambda left: left == 0)
                await publisher.put("SZ-1", b"after")
            values = [value for _, value in await records_of(kafka.bootstrap, EVENTS)]
            assert values.count(b"before") == values.count(b"after") == 1
            # What was given up on may have arrived all the same, and then once.
            assert values.count(big) <= 10

        run(main)


def test_a_partition_that_is_away_does_not_take_the_room_of_the_others() -> None:
    with real_kafka(2) as kafka:

        async def main() -> None:
            await create_topics(kafka.bootstrap, {EVENTS: 2, REJECTED: 1}, copies=1)
            # Of one copy each: either broker leads one.
            async with publishing(kafka.bootstrap, most_bytes=1 << 20, timeout_s=1.0) as publisher:
                kafka.pause(2)
                keys = [f"SZ-{n}" for n in range(8)]
                said = await asyncio.gather(*(put_or_why(publisher, key, b"x") for key in keys))
                away = [key for key, why in zip(keys, said, strict=True) if why]
                near = [key for key, why in zip(keys, said, strict=True) if not why]
                assert away
                assert near
                await publisher.put(near[0], b"the newest that Kafka has")
                big = b"x" * 20_000
                for _ in range(200):
                    assert "does not answer" in await put_or_why(publisher, away[0], big)
                assert publisher.bytes_in_flight < 100_000
                await publisher.put(near[0], big)
                kafka.resume(2)

                async def again() -> str:
                    return await put_or_why(publisher, away[0], b"after")

                await eventually(again, lambda why: not why)

        run(main)


def test_a_topic_that_is_not_there_is_named(kafka: KafkaCluster) -> None:
    async def main() -> None:
        await forget_topics(kafka.bootstrap)
        publisher = Publisher(kafka.bootstrap, Metrics(), most_bytes=1 << 20, timeout_s=1.0)
        await publisher.start()
        said = f"Kafka at {kafka.bootstrap}: there is no topic {EVENTS}: `geomon topics create` "
        await eventually(publisher.trouble, lambda trouble: trouble.startswith(said))
        await create_topics(kafka.bootstrap, TOPICS)
        await eventually(publisher.trouble, lambda trouble: not trouble)
        await publisher.stop()

    run(main)


def test_over_http_that_is_503_until_kafka_is_back_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    with real_kafka(1) as kafka:

        async def main() -> None:
            await create_topics(kafka.bootstrap, {**TOPICS, "geomon.devices": 1})
            async with reception(tmp_path, kafka=kafka.bootstrap, gateway_publish_s=1.0) as here:
                sent = 0

                async def upload() -> int:
                    nonlocal sent
                    sent += 1
                    fix = {"time": now_text(), "lon": 114.05, "lat": 22.54}
                    async with here.client.post(
                        here.url + "/v1/uploads",
                        json={"device_id": "phone-3", "seq": sent, "fixes": [fix]},
                        headers={"Authorization": f"Bearer {TOKEN}"},
                    ) as answer:
                        if answer.status == 200:
                            acknowledged.add(sent)
                        else:
                            assert 5 <= int(answer.headers["Retry-After"]) <= 15
                        return answer.status

                acknowledged: set[int] = set()
                assert await upload() == 200
                kafka.kill(1)
                assert await upload() == 503
                assert await upload() == 503
                checks = {check.check: check.ok for check in await here.gateway.checks()}
                assert not checks["kafka"]
                kafka.start_broker(1)
                await eventually(upload, lambda status: status == 200)
                kept = {event["seq"] for event in await here.events()}
                assert acknowledged <= kept
                assert here.gateway.publisher.bytes_in_flight < 1 << 20

        run(main)


def test_a_stop_lets_what_is_under_way_arrive() -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            broker.set_round_trip_ms(300)
            async with publishing(broker.bootstrap) as publisher:
                put = asyncio.create_task(put_or_why(publisher, "SZ-1", b"last"))
                await eventually(lambda: publisher.bytes_in_flight, lambda number: number > 0)
            assert await put == ""
            assert (b"SZ-1", b"last") in await records_of(broker.bootstrap, EVENTS)

    run(main)


def test_a_stop_does_not_wait_for_ever_for_a_kafka_that_stands_still() -> None:
    with real_kafka(1) as kafka:

        async def main() -> None:
            await create_topics(kafka.bootstrap, TOPICS)
            async with publishing(kafka.bootstrap, stop_s=0.5) as publisher:
                kafka.pause(1)
                put = asyncio.create_task(put_or_why(publisher, "SZ-1", b"x"))
                await eventually(lambda: publisher.bytes_in_flight, lambda number: number > 0)
            assert await asyncio.wait_for(put, PATIENCE_S)
            kafka.resume(1)

        run(main)
