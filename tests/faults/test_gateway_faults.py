"""The gateway and Kafka are killed under load: what was acknowledged is there, once or more often.

Phones and bands send until everything is acknowledged, and some of it again, as if its answer had
been lost. In the end the topic holds every position, and a replay of it tells what a replay of each
upload once does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
from aiohttp import ClientSession, TCPConnector

from geomon.embedded.kafka import KafkaCluster
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.topics import EVENTS, REJECTED
from geomon.zones.index import ZoneIndex

from .broker import Kafka
from .gateway import Band, House, Journey, Phone, Sender, journeys, rss_mb

PARTITIONS = 4
PATIENCE_S = 90.0
SETTINGS = Settings(clock="recording")


def fresh_topics(cluster: KafkaCluster) -> Kafka:
    kafka = Kafka(cluster.bootstrap)
    kafka.create(EVENTS, PARTITIONS, 1)
    kafka.create(REJECTED, 1, 1)
    return kafka


async def until(done: Callable[[], object], trouble: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, trouble
        await asyncio.sleep(0.005)


async def until_acknowledged(senders: Sequence[Sender], share: float) -> None:
    """Wait until so much of everything is acknowledged."""
    wanted = share * sum(len(sender.journey.places) for sender in senders)
    await until(
        lambda: sum(sender.acknowledged for sender in senders) >= wanted,
        f"{share:.0%} are not acknowledged",
    )


def told(events: Sequence[bytes], zones: ZoneIndex) -> list[str]:
    """Give the ids of the alerts that these events lead to, each as often as it is told."""
    replay = Replay(Intake(zones), rules_from(SETTINGS))
    alerts = [*replay.feed(Raw(event, "topic") for event in events), *replay.finish()]
    assert not replay.rejections
    return sorted(alert["id"] for alert in alerts)


def nothing_is_lost_and_repeats_change_nothing(
    kafka: Kafka, senders: Sequence[Sender], zones: ZoneIndex
) -> None:
    """The verdict, when everything has been acknowledged."""
    events = [value for _, value in kafka.read(EVENTS) if value is not None]
    found: dict[tuple[str, str], bytes] = {}
    heard: dict[tuple[str, str], bytes] = {}  # what has no position
    for event in events:
        read = msgspec.json.decode(event)
        [fix] = read["fixes"] or [None]
        at = fix["time"] if fix else read["received"]
        (found if fix else heard).setdefault((read["device_id"], at), event)
    acknowledged = {
        (sender.device_id, at.isoformat().replace("+00:00", "Z"))
        for sender in senders
        for at in sender.times
    }
    kept = {*found.values(), *heard.values()}
    assert len(acknowledged) == sum(len(sender.journey.places) for sender in senders)
    assert found.keys() == acknowledged
    assert len(events) > len(found) + len(heard)  # some of it is there twice
    once = told([event for event in events if event in kept], zones)
    assert told(events, zones) == once
    left = {id_.split("/")[0] for id_ in once if "/leave_city/" in id_}
    assert left == {sender.journey.person for sender in senders if sender.journey.leaves}


def test_a_gateway_that_is_killed_again_and_again_loses_nothing_that_it_acknowledged(
    one_broker: KafkaCluster, zones: ZoneIndex, tmp_path: Path
) -> None:
    kafka = fresh_topics(one_broker)
    everybody = journeys(18, 60)

    async def main() -> None:
        with closing(
            House(one_broker.bootstrap, tmp_path, phones=everybody[:12], bands=everybody[12:])
        ) as house:
            house.gateway.until_running()
            async with house.senders() as senders:
                sending = [asyncio.create_task(sender.send_all()) for sender in senders]
                for share in (0.1, 0.4, 0.7):
                    await until_acknowledged(senders, share)
                    house.gateway.kill()
                    house.start()
                await asyncio.wait_for(asyncio.gather(*sending), PATIENCE_S)
                for kind in (Phone, Band):
                    assert sum(sender.lost for sender in senders if isinstance(sender, kind)) >= 3
                nothing_is_lost_and_repeats_change_nothing(kafka, senders, zones)

    asyncio.run(main())


def test_kafka_is_killed_and_comes_back_and_meanwhile_everybody_is_to_come_again(
    one_broker: KafkaCluster, zones: ZoneIndex, tmp_path: Path
) -> None:
    kafka = fresh_topics(one_broker)
    everybody = journeys(18, 60)
    most_bytes = 2 << 20

    async def main() -> None:
        with closing(
            House(
                one_broker.bootstrap,
                tmp_path,
                phones=everybody[:12],
                bands=everybody[12:],
                gateway_in_flight_bytes=most_bytes,
            )
        ) as house:
            house.gateway.until_running()
            async with house.senders() as senders:
                phones = [sender for sender in senders if isinstance(sender, Phone)]
                bands = [sender for sender in senders if isinstance(sender, Band)]
                sending = [asyncio.create_task(sender.send_all()) for sender in senders]
                await until_acknowledged(senders, 0.3)
                before_mb = rss_mb(house.gateway.pid)
                one_broker.kill(1)
                try:
                    # A flood beside them: a hundred megabytes, of which two may be kept.
                    assert await flood(house, everybody[0], 2_000) == {503}
                    assert 0 < await in_flight_bytes(house) <= most_bytes
                    assert rss_mb(house.gateway.pid) - before_mb < 64
                    await until(lambda: all(p.put_off >= 2 for p in phones), "phones are not told")
                finally:
                    one_broker.start_broker(1)
                await asyncio.wait_for(asyncio.gather(*sending), PATIENCE_S)
                assert house.gateway.alive
                # The bands heard nothing, and then the answer, on the line that they waited on.
                assert sum(band.lost for band in bands) == 0
                nothing_is_lost_and_repeats_change_nothing(kafka, senders, zones)

    asyncio.run(main())


async def flood(house: House, journey: Journey, uploads: int) -> set[int]:
    """Send large uploads that say nothing, many at a time; give the answers' statuses."""
    words = msgspec.json.encode(["x" * 200] * 64)  # as much as is kept of what a device says
    body = b'{"device_id": "phone-%d", "fixes": [], "device_signs": %s}' % (journey.number, words)
    body += b" " * 40_000
    headers = {"Authorization": f"Bearer token-of-phone-{journey.number}"}
    statuses: set[int] = set()
    left = iter(range(uploads))

    async def send(client: ClientSession) -> None:
        for _ in left:
            async with client.post(house.url, data=body, headers=headers) as answer:
                statuses.add(answer.status)

    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        await asyncio.gather(*(send(client) for _ in range(250)))
    return statuses


async def in_flight_bytes(house: House) -> float:
    async with ClientSession() as client, client.get(f"{house.web}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    [found] = [line for line in lines if line.startswith("geomon_gateway_in_flight_bytes ")]
    return float(found.split()[1])
