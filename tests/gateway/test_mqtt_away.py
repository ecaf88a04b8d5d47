"""OwnTracks over MQTT while Kafka, gateway or broker is away: nothing is lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mosquitto import Mosquitto, mosquitto
from realkafka import create_topics, forget_topics
from reception import TOPICS, eventually, roll, run
from subscribed import (
    JANE,
    LI,
    TOPIC,
    acknowledged,
    arrived,
    gateway,
    location,
    mqtt_of,
    numbered,
    seen,
    tags,
)

from geomon.embedded.kafka import KafkaCluster
from geomon.gateway import mqttlink
from geomon.gateway.mqtt import MqttListener


@pytest.fixture
def own_topics(kafka: KafkaCluster) -> KafkaCluster:
    asyncio.run(forget_topics(kafka.bootstrap))  # of those who came before
    asyncio.run(create_topics(kafka.bootstrap, TOPICS))
    return kafka


def held_at_once(listener: MqttListener) -> list[int]:
    """Note with each message how many are held."""
    held: list[int] = []
    receive = listener._receive

    def noting(*message: Any) -> None:
        receive(*message)
        held.append(len(listener._tasks))

    listener._receive = noting  # type: ignore[assignment,method-assign]
    return held


def test_while_kafka_is_away_nothing_is_acknowledged_and_the_broker_keeps_it(
    own_topics: KafkaCluster, tmp_path: Path
) -> None:
    async def main() -> None:
        with mosquitto(tmp_path, ["allow_anonymous true", "max_queued_messages 0"]) as broker:
            async with gateway(
                tmp_path,
                broker,
                kafka=own_topics.bootstrap,
                gateway_publish_s=1.0,
                gateway_in_flight_bytes=10 << 20,
            ) as here:
                held = held_at_once(mqtt_of(here))
                own_topics.pause(1)
                try:
                    broker.publish(TOPIC, *numbered(2))
                    broker.publish("owntracks/mallory/phone", location())
                    broker.publish(TOPIC, *numbered(298, first=2))
                    await eventually(
                        lambda: here.counted("mqtt", "busy") or 0, lambda busy: busy >= 10
                    )
                    # Half of what there is room for was asked for, and no more was sent. What is
                    # refused meanwhile is not acknowledged before what came before it.
                    assert here.refused("unknown_device") == 1
                    assert len(broker.sent_to("geomon-a")) == 5
                    assert broker.acknowledged_by("geomon-a") == []
                finally:
                    own_topics.resume(1)
                await arrived(own_topics.bootstrap, 300)
                await acknowledged(broker, "geomon-a", 301)
                assert broker.acknowledged_by("geomon-a") == broker.sent_to("geomon-a")
                # Mosquitto 2.0.11 now sends a whole window for each acknowledgement.
                assert max(held) <= 10

    run(main)


def test_however_long_kafka_is_away_the_link_lives_and_what_waited_comes_once(
    own_topics: KafkaCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # What are half-minutes in earnest are seconds here: both ends hang up after two of silence.
    monkeypatch.setattr(mqttlink, "_KEEPALIVE_S", 1)
    monkeypatch.setattr(mqttlink, "_TICK_S", 0.1)
    caplog.set_level("WARNING", "geomon.gateway")

    async def main() -> None:
        with mosquitto(tmp_path, ["allow_anonymous true", "max_queued_messages 0"]) as broker:
            async with gateway(
                tmp_path,
                broker,
                kafka=own_topics.bootstrap,
                gateway_publish_s=1.0,
                gateway_in_flight_bytes=10 << 20,
            ) as here:
                listener = mqtt_of(here)
                link = listener._link
                assert link is not None
                own_topics.pause(1)
                try:
                    # Those of QoS 0 are sent however many wait: of ten it is full, and reads no
                    # more, nor what answers its signs of life.
                    broker.publish(TOPIC, *numbered(12), options=("-q", "0"))
                    broker.publish(TOPIC, *numbered(88, first=12))
                    await eventually(lambda: link._paused, bool)
                    before = broker.log.count("Received PINGREQ from geomon-a")
                    await eventually(
                        lambda: broker.log.count("Received PINGREQ from geomon-a") - before,
                        lambda signs: signs >= 6,
                    )
                    assert listener.trouble() == ""
                finally:
                    own_topics.resume(1)
                await arrived(own_topics.bootstrap, 100)
                await acknowledged(broker, "geomon-a", 88)
                # Over one and the same connection, without a word: nothing was sent anew.
                assert listener._link is link
                assert len(broker.acknowledged_by("geomon-a")) == 88
                assert [r.message for r in caplog.records if "geomon-a" in r.message] == []
                # And it finds out again whether the broker is there.
                broker.stop()
                await eventually(listener.trouble, bool)

    run(main)


def test_a_gateway_that_is_killed_before_kafka_has_it_gets_it_again(
    own_topics: KafkaCluster, tmp_path: Path
) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            with process(tmp_path, broker, own_topics) as first:
                await eventually(lambda: broker.log.count("SUBACK to geomon-p"), lambda n: n == 1)
                own_topics.pause(1)
                try:
                    broker.publish(TOPIC, *numbered(3))
                    await eventually(lambda: len(broker.sent_to("geomon-p")), lambda n: n == 3)
                    first.kill()
                    first.wait()
                finally:
                    own_topics.resume(1)
                assert broker.acknowledged_by("geomon-p") == []
            broker.publish(TOPIC, *numbered(2, first=3))
            with process(tmp_path, broker, own_topics):
                await acknowledged(broker, "geomon-p", 5)
                assert await seen(own_topics.bootstrap) == tags(5)

    run(main)


@contextmanager
def process(
    folder: Path, broker: Mosquitto, kafka: KafkaCluster
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `geomon gateway run`, as it is run in earnest; killed at the end."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GEOMON_")}
    environment |= {
        "GEOMON_KAFKA": kafka.bootstrap,
        "GEOMON_GATEWAY_HTTP": "",
        "GEOMON_GATEWAY_WEB": "",
        "GEOMON_GATEWAY_MQTT": broker.url,
        "GEOMON_GATEWAY_MQTT_CLIENT": "geomon-p",
        "GEOMON_GATEWAY_REGISTRY": "file",
        "GEOMON_GATEWAY_DEVICES": str(roll(folder / "devices.ndjson", JANE, LI)),
    }
    with (
        (folder / "output").open("ab") as output,
        subprocess.Popen(
            [sys.executable, "-m", "geomon", "gateway", "run"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
        ) as running,
    ):
        try:
            yield running
        finally:
            running.kill()


def test_two_gateways_share_and_what_waits_for_one_comes_when_it_is_back(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            group = {"gateway_mqtt_share": "geomon"}
            async with gateway(tmp_path, broker, "geomon-a", **group) as one:
                kafka = one.gateway.settings.kafka
                group["kafka"] = kafka
                async with gateway(tmp_path, broker, "geomon-b", **group) as two:
                    broker.publish(TOPIC, *numbered(20))
                    await arrived(kafka, 20)
                    shares = [here.counted("mqtt", "accepted") for here in (one, two)]
                    assert sum(share or 0 for share in shares) == 20
                    assert all(shares)
                # Mosquitto goes on to give the second one its share, and keeps it.
                broker.publish(TOPIC, *numbered(20, first=20))
                mine = len(broker.sent_to("geomon-a"))
                await acknowledged(broker, "geomon-a", mine)
                async with gateway(tmp_path, broker, "geomon-b", **group):
                    await arrived(kafka, 40)

    run(main)


def test_a_broker_that_is_restarted_loses_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                kafka = here.gateway.settings.kafka
                broker.publish(TOPIC, *numbered(3))
                await acknowledged(broker, "geomon-a", 3)
                broker.stop()
                trouble = await eventually(mqtt_of(here).trouble, bool)
                assert trouble.startswith(broker.url)
                broker.start()
                broker.publish(TOPIC, *numbered(3, first=3))
                await arrived(kafka, 6)
                assert mqtt_of(here).trouble() == ""

    run(main)
